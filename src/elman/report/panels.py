"""What a section of the page is made of, and the section on training: loss by epoch, and how each run ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

from elman.report import words
from elman.report.charts import Chart, Line, Table
from elman.report.runs import Run, number

SEED_COLOURS = ("s1", "s2", "s3", "s4", "s5", "s6")


class Drawing(Protocol):
    """A chart of whatever kind: `elman.report.charts.Chart`, `elman.report.matrix.Matrix`."""

    @property
    def title(self) -> str: ...

    def svg(self, width: float, height: float) -> str:
        """An <svg> element whose viewBox is so wide, and so high where the chart leaves that open."""

    def table(self) -> Table:
        """The data as text."""


@dataclass(frozen=True)
class Figure:
    """A chart with its caption. Size is "whole", "half" or "third" of the page's width, where there is room."""

    chart: Drawing
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
