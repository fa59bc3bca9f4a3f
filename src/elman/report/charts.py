"""Line charts as SVG text: lines with gaps, bands, dots, rules and a legend on number or date axes.

A `Chart` holds data and words and nothing about size, so one chart is drawn twice: wide for a desk, narrow for a
phone. Colours are named by their role (`PALETTE`), which a page resolves with CSS variables and `save_svg` with
plain hex values.

>>> chart = Chart("Level", x_label="day", y_label="cm", lines=[Line("level", [0, 1, 2], [3.0, 4.0, 2.0])])
>>> chart.svg(360, 240).startswith("<svg")
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from elman.files import write_text
from elman.report import marks, words
from elman.report.drawing import Colour, axis_values, draw, floats, x_name

# role: (on a light ground, on a dark ground); s1 to s6 after Okabe and Ito, told apart by colour-blind readers too
PALETTE = {
    "ink": ("#1c2128", "#e8ebef"),
    "muted": ("#5c6570", "#9da7b3"),
    "grid": ("#e4e7eb", "#2b323b"),
    "ground": ("#ffffff", "#14181d"),
    "s1": ("#0072b2", "#58b4f0"),
    "s2": ("#d55e00", "#ff8f50"),
    "s3": ("#00896a", "#3fd0a4"),
    "s4": ("#b1529a", "#e891cb"),
    "s5": ("#b98000", "#f0bb40"),
    "s6": ("#7b838d", "#a3abb5"),
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def css_colour(role: str) -> str:
    return f"var(--{role})"


@dataclass(frozen=True)
class Line:
    """y over x; NaN in y is a gap. x holds numbers or datetime64; `sizes` (>= 0) scales the dots' areas."""

    name: str
    x: ArrayLike
    y: ArrayLike
    colour: str = "s1"
    width: float = 2.0
    dash: str = ""
    dots: bool = False
    joined: bool = True
    legend: bool = True
    sizes: Sequence[float] | None = None


@dataclass(frozen=True)
class Band:
    """The area from low to high over x; NaN in either is a gap."""

    name: str
    x: ArrayLike
    low: ArrayLike
    high: ArrayLike
    colour: str = "s1"
    opacity: float = 0.2


@dataclass(frozen=True)
class Rule:
    """A straight reference line across the chart at x = `at` (axis "x") or y = `at` (axis "y")."""

    at: Any
    axis: str
    label: str = ""


@dataclass(frozen=True)
class Table:
    """What a chart or a section shows, as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Bands lie under rules, rules under lines. A given `y_range` cuts off what lies outside of it."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    rules: Sequence[Rule] = ()
    y_range: tuple[float, float] | None = None
    x_integer: bool = False

    def svg(self, width: float, height: float, colour: Colour = css_colour) -> str:
        """An <svg> element of the given viewBox, without the title: the page writes it above."""
        label = marks.clean(self.title)
        return (
            f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">'
            + "".join(draw(self, width, height, colour))
            + "</svg>"
        )

    def table(self, limit: int = 200) -> Table:
        """The data as text, a row for each x that has a value; at most `limit` rows, evenly picked."""
        columns = [(line.name, line.x, line.y) for line in self.lines if np.size(line.x)]
        for band in self.bands:
            columns += [(f"{band.name}, from", band.x, band.low), (f"{band.name}, to", band.x, band.high)]
        cells: dict[float, list[str]] = {}
        for index, (_, xs, ys) in enumerate(columns):
            for x, y in zip(axis_values(xs), floats(ys), strict=True):
                if np.isfinite(y):
                    cells.setdefault(float(x), ["–"] * len(columns))[index] = words.plain(float(y))
        stride = max(1, math.ceil(len(cells) / limit))
        name = x_name(self)
        rows = [[name(x), *cells[x]] for x in sorted(cells)[::stride]]
        note = f"Every {stride}th of {len(cells):,} rows." if stride > 1 else ""
        return Table([self.x_label, *(column[0] for column in columns)], rows, note)


def save_svg(chart: Chart, path: Path, *, width: float = 960, height: float = 400, theme: str = "light") -> Path:
    """Write the chart with its title to a file of its own, on an opaque card, in plain colours of one theme.

    The card makes the light picture right on a dark page too; <picture> can offer the dark one beside it.
    """
    if theme not in ("light", "dark"):
        raise ValueError(f"expected the theme 'light' or 'dark', found {theme!r}: give one of the two")

    def colour(role: str) -> str:
        return PALETTE[role][theme == "dark"]

    head, pad = 52.0, 24.0
    inner = "".join(draw(chart, width - 2 * pad, height - head - pad / 2, colour))
    title = marks.text(marks.fit(chart.title, width - 2 * pad, 16), pad, 34, colour("ink"), size=16, weight=600)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{marks.clean(chart.title)}" font-family="{FONT}">'
        f'<rect width="100%" height="100%" rx="10" fill="{colour("ground")}"/>{title}'
        f'<g transform="translate({pad:g} {head:g})">{inner}</g></svg>\n'
    )
    write_text(path, text)
    return path
