"""Several runs side by side: what each reached, what it cost, and what the page draws of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from elman.report import words
from elman.report.runs import Row, Run, number
from elman.report.scores import Group, networks_of

ALONE = (
    "There is one run only, so there is nothing to compare it with. Give several folders: "
    "elman report RUN-A RUN-B -o page.html. Runs that share a label count as seeds of one network."
)
DIFFERENT = (
    "These runs are of different tasks ({}): neither their scores nor their losses measure the same thing. Give the "
    "runs of one task a page of their own."
)


@dataclass(frozen=True)
class Metric:
    """What the runs are compared by."""

    name: str
    better: str  # "higher" or "lower"
    how: str
    of: Callable[[Run], float | None]


@dataclass(frozen=True)
class Compared:
    """One label: its runs, and their numbers, in the order of the runs; None where a run does not tell."""

    label: str
    runs: Sequence[Run]
    values: Sequence[float | None]
    parameters: float | None
    seconds: float | None
    ms: float | None

    @property
    def known(self) -> list[float]:
        return [v for v in self.values if v is not None]

    @property
    def mean(self) -> float | None:
        return fmean(self.known) if self.known else None

    @property
    def spread(self) -> float | None:
        return stdev(self.known) if len(self.known) > 1 else None


@dataclass(frozen=True)
class Cell:
    """A cell of the table: its text, and the number it is sorted by, or the text itself."""

    text: str
    sort: str
    spread: str = ""


@dataclass(frozen=True)
class Comparison:
    """The section: the table as rows of cells, what the charts are drawn from, and what is missing, in words."""

    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    how: str = ""
    missing: str = ""
    record: Mapping[str, Any] | None = None


def comparison(runs: Sequence[Run], groups: Sequence[Group]) -> Comparison:
    """The runs of a page by label; the page's `record` counts them as `runs` does."""
    if len(runs) < 2:
        return Comparison(missing=ALONE)
    tasks = list(dict.fromkeys(str(run.config["task"]) for run in runs if "task" in run.config))
    if len(tasks) > 1:
        return Comparison(missing=DIFFERENT.format(", ".join(tasks)))
    metric = _metric(runs, groups)
    labels = list(dict.fromkeys(run.label for run in runs))
    compared = [_compared(label, [run for run in runs if run.label == label], metric) for label in labels]
    columns = ["network", "seeds", metric.name, "parameters", "training time (s)", "ms a step"]
    rows = [
        [
            Cell(c.label, c.label),
            _cell(float(len(c.runs)), str(len(c.runs))),
            _cell(c.mean, text := words.amount(c.mean), "" if c.spread is None else f"± {words.like(text, c.spread)}"),
            _cell(c.parameters, "–" if c.parameters is None else f"{c.parameters:,.0f}"),
            _cell(c.seconds, words.amount(c.seconds)),
            _cell(c.ms, words.amount(c.ms)),
        ]
        for c in compared
    ]
    how = (
        f"{metric.how} Mean ± standard deviation over the seeds, of which one alone has none. Time is that of training "
        "on the machine that did it, validation included, and compares only between runs of one machine."
    )
    record = {
        "metric": {"name": metric.name, "better": metric.better},
        "networks": [
            {
                "label": c.label,
                "runs": [index for index, run in enumerate(runs) if run.label == c.label],
                "seeds": [run.seed for run in c.runs],
                "values": list(c.values),
                "parameters": c.parameters,
                "ms": c.ms,
            }
            for c in compared
        ],
        "memory": memory_of(runs),
    }
    return Comparison(columns, rows, how, record=record)


def _cell(value: float | None, text: str, spread: str = "") -> Cell:
    return Cell(text, "" if value is None else repr(value), spread)


def _metric(runs: Sequence[Run], groups: Sequence[Group]) -> Metric:
    """The score where all labels have one; else the validation loss, where all have that; else the training loss."""
    scored = {group.label: networks_of(group)[0] for group in groups}
    if all(any(r.label == run.label and r.scores for r in runs) for run in runs):
        metric = groups[0].first.metric

        def value(run: Run) -> float | None:
            if run.scores is None:
                return None
            name = next(model for scores, model in scored[run.label].runs if scores is run.scores)
            return run.scores.value(name, metric.key)

        return Metric(metric.name, "higher" if metric.higher else "lower", metric.how, value)
    if all(any(r.label == run.label and lowest(r, "val_loss") is not None for r in runs) for run in runs):
        how = "The lowest validation loss of a run; lower is better. Losses compare only between runs on one task."
        return Metric("validation loss", "lower", how, lambda run: lowest(run, "val_loss"))
    how = "The lowest training loss of an epoch, as not all runs were validated. Lower may mean learnt by heart."
    return Metric("training loss", "lower", how, lambda run: lowest(run, "train_loss"))


def lowest(run: Run, key: str) -> float | None:
    """The lowest finite value of an epoch."""
    return min((v for e in run.epochs if (v := number(e.get(key))) is not None), default=None)


def _compared(label: str, runs: Sequence[Run], metric: Metric) -> Compared:
    seconds = [seconds_of(run) for run in runs]
    steps = [max((int(s) for e in run.events if (s := number(e.get("step")))), default=0) for run in runs]
    each = [1000 * s / n for s, n in zip(seconds, steps, strict=True) if s is not None and n]
    return Compared(
        label,
        runs,
        [metric.of(run) for run in runs],
        _mean([parameters_of(run) for run in runs]),
        _mean(seconds),
        fmean(each) if each else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def seconds_of(run: Run) -> float | None:
    """What training took, or has taken so far."""
    told = [number((run.end or {}).get("seconds")), *(number(e.get("seconds")) for e in reversed(run.epochs))]
    return next((s for s in told if s is not None), None)


def model_of(run: Run) -> Row | None:
    """What the run recorded of its network, as `elman.models.summary` tells it."""
    return next((e for e in run.events if e.get("event") == "model" and isinstance(e.get("layers"), list)), None)


def parameters_of(run: Run) -> float | None:
    return number((model_of(run) or {}).get("parameters"))


def memory_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Accuracy by delay, a line for each network: from the events `memory` with a `delay` and an `accuracy`.

    An event may name its `network`, where each delay had a run of its own, and what is right by `chance`.
    """
    found: dict[str, dict[float, list[float]]] = {}
    chances: dict[str, float | None] = {}
    for run in runs:
        for event in run.events:
            delay, accuracy = number(event.get("delay")), number(event.get("accuracy"))
            if event.get("event") == "memory" and delay is not None and accuracy is not None:
                network = str(event.get("network") or run.label)
                found.setdefault(network, {}).setdefault(delay, []).append(accuracy)
                chances.setdefault(network, number(event.get("chance")))
    return [
        {
            "network": network,
            "delay": sorted(by_delay),
            "accuracy": [fmean(by_delay[delay]) for delay in sorted(by_delay)],
            "chance": chances[network],
        }
        for network, by_delay in found.items()
    ]
