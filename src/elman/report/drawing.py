"""How a `Chart` becomes SVG: ranges, legend, axes, then bands, rules and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from elman.report import marks, words
from elman.report.marks import Floats
from elman.report.ticks import Tick, number_ticks, round_range, time_ticks

if TYPE_CHECKING:
    from elman.report.charts import Chart, Line, Rule

Colour = Callable[[str], str]  # the name of a role in the palette -> a colour as CSS or SVG knows it


def axis_values(x: ArrayLike) -> Floats:
    """x as floats: numbers as they are, dates as seconds since 1970."""
    values = np.asarray(x)
    if values.dtype.kind == "M":
        return values.astype("M8[us]").astype(np.int64) / 1e6
    return values.astype(np.float64)


def floats(y: ArrayLike) -> Floats:
    return np.asarray(y, dtype=np.float64)


def _all_x(chart: Chart) -> list[ArrayLike]:
    return [*(line.x for line in chart.lines), *(band.x for band in chart.bands)]


def has_dates(chart: Chart) -> bool:
    return any(np.asarray(x).dtype.kind == "M" for x in _all_x(chart))


def x_name(chart: Chart) -> Callable[[float], str]:
    """How one x is written in tables and tooltips: an ISO date, with the time of day where there is one."""
    if not has_dates(chart):
        return words.plain
    whole_days = all(np.all(axis_values(x) % 86400 == 0) for x in _all_x(chart))
    unit = "D" if whole_days else "s"
    return lambda x: str(np.datetime64(round(x), "s").astype(f"M8[{unit}]")).replace("T", " ")


@dataclass(frozen=True)
class _Plot:
    """The inner rectangle in viewBox units, and the range of data it shows."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, values: ArrayLike) -> Floats:
        low, high = self.x_range
        return self.left + (np.asarray(values, dtype=np.float64) - low) / (high - low) * self.width

    def y(self, values: ArrayLike) -> Floats:
        low, high = self.y_range
        return self.top + (high - np.asarray(values, dtype=np.float64)) / (high - low) * self.height


def draw(chart: Chart, width: float, height: float, colour: Colour) -> Iterator[str]:
    x_range, y_range = _x_range(chart), _y_range(chart, height)
    if x_range is None or y_range is None:
        yield marks.text("There are no values to draw.", width / 2, height / 2, colour("muted"), anchor="middle")
        return
    legend, top = _legend(chart, width, colour)
    yield from legend
    y_ticks = number_ticks(*y_range, max(2, int(height // 50)))
    left = max(marks.width_of(t.label) for t in y_ticks) + 10
    below = 50.0 if has_dates(chart) else 36.0
    plot = _Plot(left, top + 26, width - left - 12, height - top - 26 - below, x_range, y_range)
    yield marks.text(marks.fit(chart.y_label, width), 0, top + 12, colour("muted"))
    yield from _axes(chart, plot, y_ticks, colour)
    # A nested svg clips: nothing is drawn outside the plot, save the outer half of a dot that lies on its edge.
    edge = 8 if any(line.sizes for line in chart.lines) else 4
    box = f"{plot.left - edge:.1f} {plot.top - edge:.1f} {plot.width + 2 * edge:.1f} {plot.height + 2 * edge:.1f}"
    x, y, wide, high = box.split()
    yield f'<svg x="{x}" y="{y}" width="{wide}" height="{high}" viewBox="{box}">'
    yield from _data(chart, plot, colour)
    yield "</svg>"


def _x_range(chart: Chart) -> tuple[float, float] | None:
    values = np.concatenate([[], *(axis_values(x) for x in _all_x(chart))])
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    # Dots would be cut in half at the edges without some air.
    air = 0.03 * (high - low) if any(line.dots for line in chart.lines) else 0.0
    return (low - air, high + air) if high > low else (low - 0.5, high + 0.5)


def _y_range(chart: Chart, height: float) -> tuple[float, float] | None:
    """From round number to round number around all that is drawn, unless the chart says its own."""
    if chart.y_range:
        return chart.y_range
    parts = [floats(line.y) for line in chart.lines]
    parts += [floats(edge) for band in chart.bands for edge in (band.low, band.high)]
    parts += [np.array([rule.at], dtype=np.float64) for rule in chart.rules if rule.axis == "y"]
    values = np.concatenate([np.array([]), *parts])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return round_range(float(values.min()), float(values.max()), max(2, int(height // 50)))


def _legend(chart: Chart, width: float, colour: Colour) -> tuple[list[str], float]:
    """The legend in rows as wide as the chart, and the height it takes."""
    keys = [(line.name, partial(_sample, line, colour(line.colour))) for line in chart.lines if line.legend]
    clear = 1.0
    for band in chart.bands:
        # Bands lie on one another in the chart, so each next one looks darker there; here too.
        clear *= 1 - band.opacity
        keys.append((band.name, partial(_patch, colour(band.colour), 1 - clear)))
    if len(keys) < 2:
        return [], 0.0
    parts, x, y = [], 0.0, 10.0
    for full_name, key in keys:
        name = marks.fit(full_name, width - 36)
        wide = 34 + marks.width_of(name) + 20
        if x and x + wide - 20 > width:
            x, y = 0.0, y + 20
        parts += [key(x, y), marks.text(name, x + 34, y, colour("ink"))]
        x += wide
    return parts, y + 14


def _patch(colour: str, opacity: float, x: float, y: float) -> str:
    return f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="28" height="10" fill="{colour}" opacity="{opacity:.3g}"/>'


def _sample(line: Line, colour: str, x: float, y: float) -> str:
    dot = f'<circle cx="{x + 14:.1f}" cy="{y - 4:.1f}" r="3" fill="{colour}"/>' if line.dots else ""
    stroke = marks.stroke(f"M{x + 1:.1f} {y - 4:.1f}h26", colour, line.width, line.dash) if line.joined else ""
    return stroke + dot


def _axes(chart: Chart, plot: _Plot, y_ticks: Sequence[Tick], colour: Colour) -> Iterator[str]:
    bottom, right = plot.top + plot.height, plot.left + plot.width
    for tick in y_ticks:
        y = float(plot.y(tick.at))
        yield f'<path d="M{plot.left:.1f} {y:.1f}H{right:.1f}" stroke="{colour("grid")}"/>'
        yield marks.text(tick.label, plot.left - 8, y + 4, colour("muted"), anchor="end")
    if has_dates(chart):
        x_ticks = time_ticks(*plot.x_range, max(2, int(plot.width // 60)))
    else:
        count = int(plot.width // (32 if chart.x_integer else 60))
        x_ticks = number_ticks(*plot.x_range, max(2, count), integer=chart.x_integer)
    for tick in x_ticks:
        x = float(plot.x(tick.at))
        yield f'<path d="M{x:.1f} {bottom:.1f}v4" stroke="{colour("muted")}"/>'
        # A label at the very edge moves inside, so that it is never cut off.
        half = max(marks.width_of(tick.label), marks.width_of(tick.below)) / 2
        x = min(max(x, half), right + 12 - half)
        yield marks.text(tick.label, x, bottom + 17, colour("muted"), anchor="middle")
        if tick.below:
            yield marks.text(tick.below, x, bottom + 31, colour("muted"), anchor="middle")
    y = bottom + (46 if has_dates(chart) else 32)
    yield marks.text(marks.fit(chart.x_label, plot.width), right, y, colour("muted"), anchor="end")


def _data(chart: Chart, plot: _Plot, colour: Colour) -> Iterator[str]:
    columns = max(1, int(plot.width))
    for band in chart.bands:
        x, low, high = marks.thin_band(axis_values(band.x), floats(band.low), floats(band.high), columns)
        path = marks.band_path(plot.x(x), plot.y(low), plot.y(high))
        yield f'<path d="{path}" fill="{colour(band.colour)}" opacity="{band.opacity:g}"/>'
    for rule in chart.rules:
        yield marks.stroke(_rule_path(rule, plot), colour("muted"), 1, "3 4")
    name = x_name(chart)
    for line in chart.lines:
        x, y = axis_values(line.x), floats(line.y)
        if line.joined:
            thin_x, thin_y = marks.thin_line(x, y, columns)
            yield marks.stroke(
                marks.line_path(plot.x(thin_x), plot.y(thin_y)), colour(line.colour), line.width, line.dash
            )
        if line.dots:
            sizes = np.sqrt(line.sizes) if line.sizes is not None else np.full(len(x), 0.25)
            for a, b, size in zip(x, y, sizes / max(float(np.max(sizes, initial=0.0)), 1.0), strict=True):
                if np.isfinite(b):
                    tip = marks.clean(f"{line.name}, {name(float(a))}: {words.plain(float(b))}")
                    yield (
                        f'<circle cx="{float(plot.x(a)):.1f}" cy="{float(plot.y(b)):.1f}" r="{2 + 6 * size:.1f}" '
                        f'fill="{colour(line.colour)}"><title>{tip}</title></circle>'
                    )
    for rule in chart.rules:
        yield _rule_label(rule, plot, colour)


def _rule_path(rule: Rule, plot: _Plot) -> str:
    if rule.axis == "x":
        return f"M{float(plot.x(axis_values(rule.at))):.1f} {plot.top:.1f}v{plot.height:.1f}"
    return f"M{plot.left:.1f} {float(plot.y(rule.at)):.1f}h{plot.width:.1f}"


def _rule_label(rule: Rule, plot: _Plot, colour: Colour) -> str:
    """Beside an upright rule, on the side with more room; above a level one, at the right."""
    if rule.axis == "y":
        x, y, anchor = plot.left + plot.width - 4, float(plot.y(rule.at)) - 5, "end"
    else:
        x, y, anchor = float(plot.x(axis_values(rule.at))) + 6, plot.top + 12, "start"
        if x > plot.left + plot.width / 2:
            x, anchor = x - 12, "end"
    return marks.text(rule.label, x, y, colour("muted"), anchor=anchor, halo=colour("ground"))
