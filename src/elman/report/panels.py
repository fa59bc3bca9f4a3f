"""The sections of the page that are drawn from scores and events. Each says in words what is missing from a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from elman.report import words
from elman.report.charts import Chart, Line, Rule, Table
from elman.report.runs import Run, Scores, number
from elman.report.scores import Group, models_of, networks_of

NETWORK_COLOURS = ("s1", "s2", "s3")
BASELINE_STYLES = (("s6", "2 4"), ("s5", "7 4"), ("s4", "9 3 2 3"), ("s3", "4 3"))
SEED_COLOURS = ("s1", "s2", "s3", "s4", "s5", "s6")


@dataclass(frozen=True)
class Figure:
    """A chart with its caption. Size is "whole", "half" or "third" of the page's width, where there is room."""

    chart: Chart
    how: str
    size: str = "whole"
    given: Table | None = None  # in place of the chart's own table, where there is more to say than is drawn

    @property
    def wide(self) -> str:
        return self.chart.svg(*{"whole": (1080, 330), "half": (524, 320), "third": (340, 300)}[self.size])

    @property
    def narrow(self) -> str:
        return self.chart.svg(360, 300)

    @property
    def table(self) -> Table:
        return self.given or self.chart.table()


@dataclass(frozen=True)
class Panel:
    """A section of the page: words, charts, tables with their captions, and what is missing, in words."""

    key: str
    heading: str
    intro: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[tuple[str, Table]] = ()
    missing: str = ""


def lead_axis(scores: Scores) -> tuple[list[int], list[int], str]:
    """The leads as steps, the same in the unit of time, and the axis label."""
    size, unit = words.step_of(scores.freq)
    steps = list(range(1, scores.horizon + 1))
    return steps, [step * size for step in steps], f"lead time ({unit}s)"


def skill(groups: Sequence[Group]) -> Panel:
    """NSE by lead time, a line for each network and each baseline."""
    steps, x, label = lead_axis(groups[0].first)
    if len(steps) == 1:
        return Panel("skill", "Skill by lead time", missing="There is one lead time only: the table above says it all.")
    networks, styles = cycle(NETWORK_COLOURS), cycle(BASELINE_STYLES)
    lines: list[Line] = []
    values: dict[str, list[float]] = {"network": [], "baseline": []}
    for model in models_of(groups):
        y = [model.mean(step, "nse") for step in steps]
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
    scores = groups[0].first
    steps, x, label = lead_axis(scores)
    lines, levels = [], dict[str, None]()
    dashes = ("", "7 4", "2 4")
    for group, colour in zip(groups, cycle(NETWORK_COLOURS), strict=False):
        network = networks_of(group)[0]
        for level, dash in zip(reversed(group.first.levels), cycle(dashes), strict=False):
            y = [network.mean(step, f"coverage_{level}") for step in steps]
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


def training(runs: Sequence[Run]) -> Panel:
    """Loss by epoch: a chart for each label, in it two lines for each seed."""
    figures, missing = [], []
    labels = list(dict.fromkeys(run.label for run in runs))
    for label in labels:
        same = [run for run in runs if run.label == label]
        lines: list[Line] = []
        for run, colour in zip(same, cycle(SEED_COLOURS), strict=False):
            if run.epochs:
                lines += _loss_lines(run, colour)
            else:
                missing.append(f"{label}, seed {run.seed}: no epoch was recorded yet.")
        if lines:
            # Two lines without points explain in the legend what holds for every seed.
            lines.append(Line("training", [], [], "s6", 1.2, "4 4"))
            lines.append(Line("epoch that was kept", [], [], "s6", dots=True, joined=False))
            chart = Chart(
                f"Loss by epoch: {label}",
                "epoch (passes through the training data)",
                "loss (lower is better)",
                lines,
                x_integer=True,
            )
            how = (
                "Solid: on the validation part, which the network does not learn from. Dashed: on the training part. "
                "The dot marks the epoch whose weights were kept. Solid rising while dashed falls is learning by heart."
            )
            figures.append(Figure(chart, how, "half" if len(labels) > 1 else "whole"))
    headings = ["run", "epochs", "best validation loss", "at epoch", "time", "ended by"]
    table = Table(headings, [_summary(run) for run in runs])
    intro = (
        "An epoch is one pass through the training data. After each, the loss says how far off the network still is."
    )
    return Panel("training", "Training", intro, figures=figures, tables=[("Runs", table)], missing=" ".join(missing))


def _loss_lines(run: Run, colour: str) -> list[Line]:
    epochs = [int(e["epoch"]) + 1 for e in run.epochs]
    name = f"seed {run.seed}"
    train, val = (gaps([number(e.get(key)) for e in run.epochs]) for key in ("train_loss", "val_loss"))
    lines = [
        Line(f"training, {name}", epochs, train, colour, 1.2, "4 4", legend=False),
        Line(f"validation, {name}", epochs, val, colour),
    ]
    if kept := _kept(run):
        lines.append(Line(f"kept, {name}", [kept[0]], [kept[1]], colour, dots=True, joined=False, legend=False))
    return lines


def _kept(run: Run) -> tuple[int, float] | None:
    """The last epoch that was the best so far, counted from 1, and its validation loss."""
    best = [e for e in run.epochs if e.get("best") is True and number(e.get("val_loss")) is not None]
    return (int(best[-1]["epoch"]) + 1, float(best[-1]["val_loss"])) if best else None


def _summary(run: Run) -> list[str]:
    epoch, loss = _kept(run) or (None, None)
    end = run.end or {"reason": "no end is recorded: it is still running, or was stopped hard"}
    seconds = number(end.get("seconds"))
    time = "–" if seconds is None else f"{seconds:,.0f} s" if seconds < 180 else f"{seconds / 60:,.0f} min"
    name = f"{run.label}, seed {run.seed}"
    return [name, str(len(run.epochs)), words.amount(loss), words.plain(epoch), time, str(end.get("reason", "–"))]


def gaps(values: Sequence[float | None]) -> list[float]:
    """None, which stands for "does not apply" in a run folder, as the NaN that leaves a gap in a line."""
    return [float("nan") if value is None else value for value in values]
