"""How the skill of forecasts and the coverage of their intervals change with the lead time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle

from elman.report import words
from elman.report.charts import Chart, Line, Rule
from elman.report.forecast_scores import ForecastScores
from elman.report.panels import Figure, Panel, gaps
from elman.report.scores import Group, models_of, networks_of

NETWORK_COLOURS = ("s1", "s2", "s3")
BASELINE_STYLES = (("s6", "2 4"), ("s5", "7 4"), ("s4", "9 3 2 3"), ("s3", "4 3"))


def lead_axis(scores: ForecastScores) -> tuple[list[int], list[int], str]:
    """The leads as steps, the same in the unit of time, and the axis label."""
    size, unit = words.step_of(scores.freq)
    steps = list(range(1, scores.horizon + 1))
    return steps, [step * size for step in steps], f"lead time ({unit}s)"


def skill(groups: Sequence[Group]) -> Panel:
    """NSE by lead time, a line for each network and each baseline."""
    steps, x, label = lead_axis(_scores(groups[0]))
    if len(steps) == 1:
        return Panel("skill", "Skill by lead time", missing="There is one lead time only: the table above says it all.")
    networks, styles = cycle(NETWORK_COLOURS), cycle(BASELINE_STYLES)
    lines: list[Line] = []
    values: dict[str, list[float]] = {"network": [], "baseline": []}
    for model in models_of(groups):
        y = [model.mean("nse", step) for step in steps]
        values[model.kind] += [v for v in y if v is not None]
        if model.kind == "network":
            lines.append(Line(model.name, x, gaps(y), next(networks), 2.6, dots=True))
        else:
            colour, dash = next(styles)
            lines.append(Line(model.name, x, gaps(y), colour, 1.8, dash, dots=True))
    # A hopeless baseline would press all other lines together at the top: show what the networks need, and 0 to 1.
    floor = min(0.0, math.floor(2 * min(values["network"], default=0.0)) / 2)
    cut = min(values["baseline"], default=0.0) < floor
    how = "Higher is better: 1 is a perfect forecast, 0 is as good as always forecasting the mean."
    if cut:
        how += f" Lines that leave the chart at the bottom fall below {words.plain(floor)}."
    several = any(len(group.scored) > 1 for group in groups)
    chart = Chart(
        "Skill by lead time: the networks against the baselines",
        label,
        "NSE" + (", mean over the seeds" if several else ""),
        lines,
        y_range=(floor, 1.0) if cut else None,
        x_integer=True,
    )
    intro = "Forecasts grow harder the farther they look ahead. A network earns its keep where its line lies highest."
    return Panel("skill", "Skill by lead time", intro, [Figure(chart, how)])


def coverage(groups: Sequence[Group]) -> Panel:
    """The share of measured values inside each interval, by lead, against the share promised."""
    steps, x, label = lead_axis(_scores(groups[0]))
    lines, levels = [], dict[str, None]()
    dashes = ("", "7 4", "2 4")
    for group, colour in zip(groups, cycle(NETWORK_COLOURS), strict=False):
        network = networks_of(group)[0]
        for level, dash in zip(reversed(_scores(group).levels), cycle(dashes), strict=False):
            y = [network.mean(f"coverage_{level}", step) for step in steps]
            if any(v is not None for v in y):
                name = f"{level} % interval" + (f", {group.label}" if len(groups) > 1 else "")
                percents = [None if v is None else 100 * v for v in y]
                lines.append(Line(name, x, gaps(percents), colour, dash=dash, dots=True))
                levels[level] = None
    heading = "How far the intervals can be trusted"
    if not lines:
        return Panel("coverage", heading, missing="The run gave no intervals: no levels were asked for.")
    rules = [Rule(float(level), "y", f"{level} % promised") for level in levels]
    chart = Chart(
        "Intervals: promised and kept, by lead time",
        label,
        "measured values inside the interval (%)",
        lines,
        rules=rules,
        x_integer=True,
    )
    how = "On its dotted line an interval keeps its promise. Below it, it is too narrow; above it, wider than need be."
    intro = "An 80 % interval should hold the value measured later in 80 of 100 cases."
    return Panel("coverage", heading, intro, [Figure(chart, how)])


def _scores(group: Group) -> ForecastScores:
    assert isinstance(group.first, ForecastScores)
    return group.first
