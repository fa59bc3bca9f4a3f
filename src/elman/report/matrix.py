"""A confusion matrix as SVG text: a row for each true class, a column for each class that was named.

>>> chart = Matrix("Confusion", ["cat", "dog"], [[9, 1], [0, 5]])
>>> chart.svg(360, 0).startswith("<svg")
True
>>> chart.table().rows[0]
['cat', '9', '1', '90.0 %']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elman.report import marks, words
from elman.report.charts import Table, css_colour
from elman.report.drawing import Colour

LARGEST_CELL, SMALLEST_NUMBERED = 56.0, 17.0  # sides of a cell in viewBox units
FAINTEST = 0.2  # how strong a colour is that stands for a single case of many
NAMED = 0.34  # of the width, at most, for the names of classes


@dataclass(frozen=True)
class Matrix:
    """counts[i][j]: how many cases of class i were taken for class j."""

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]

    def svg(self, width: float, height: float, colour: Colour = css_colour) -> str:
        """An <svg> element so wide; as its cells are squares, it is as high as it must be."""
        names = max((marks.width_of(name) for name in self.classes), default=0.0)
        left = min(names, NAMED * width) + 10
        below = min(names, NAMED * width, 120) + 34
        side = min(LARGEST_CELL, (width - left - 4) / len(self.classes))
        high = 24 + side * len(self.classes) + below
        parts = "".join([*self._cells(left, 24, side, colour), *self._names(left, 24, side, below, colour)])
        return (
            f'<svg viewBox="0 0 {width:g} {high:.1f}" role="img" aria-label="{marks.clean(self.title)}">{parts}</svg>'
        )

    def _cells(self, left: float, top: float, side: float, colour: Colour) -> Iterator[str]:
        n = len(self.classes)
        for k in range(n + 1):
            y, x = top + k * side, left + k * side
            path = f"M{left:.1f} {y:.1f}h{n * side:.1f}M{x:.1f} {top:.1f}v{n * side:.1f}"
            yield f'<path d="{path}" stroke="{colour("grid")}"/>'
        for i, row in enumerate(self.counts):
            total = sum(row)
            for j, count in enumerate(row):
                if not count:
                    continue
                share, x, y = count / total, left + j * side, top + i * side
                tip = f"{self.classes[i]}, taken for {self.classes[j]}: {count:,} of {total:,} ({words.percent(share)})"
                fill, strong = colour("s1" if i == j else "s2"), max(FAINTEST, share)
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" fill="{fill}" '
                    f'opacity="{strong:.2f}"><title>{marks.clean(tip)}</title></rect>'
                )
                size = min(marks.SIZE + 1, side * 0.5, 1.5 * side / max(1, len(f"{count:,}")))
                if side >= SMALLEST_NUMBERED and size >= 7:
                    ink = colour("ground" if strong > 0.6 else "ink")
                    middle = y + side / 2 + size * 0.36
                    yield marks.text(f"{count:,}", x + side / 2, middle, ink, anchor="middle", size=round(size, 1))

    def _names(self, left: float, top: float, side: float, below: float, colour: Colour) -> Iterator[str]:
        """As many as have room, of the rows at the left, of the columns upright below."""
        n, every = len(self.classes), max(1, -(-14 // max(1, int(side))))
        bottom = top + n * side
        yield marks.text("true class", 0, 14, colour("muted"))
        for k in range(0, n, every):
            middle = (k + 0.5) * side
            yield marks.text(
                marks.fit(self.classes[k], left - 10), left - 6, top + middle + 4, colour("ink"), anchor="end"
            )
            name = marks.text(marks.fit(self.classes[k], below - 34), 0, 0, colour("ink"), anchor="end")
            yield f'<g transform="translate({left + middle + 4:.1f} {bottom + 8:.1f}) rotate(-90)">{name}</g>'
        yield marks.text("taken for", left, bottom + below - 6, colour("muted"))

    def table(self) -> Table:
        rows = [
            [name, *(f"{count:,}" for count in row), words.percent(row[i] / sum(row) if sum(row) else None)]
            for i, (name, row) in enumerate(zip(self.classes, self.counts, strict=True))
        ]
        note = "A row for each true class, a column for each class that was named."
        return Table(["true class", *self.classes, "found"], rows, note)
