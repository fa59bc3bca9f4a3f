"""Scores of several runs put side by side: groups of seeds, the verdict in words, and the score table."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from elman.report import words
from elman.report.runs import Run, Scores

BASELINES = {
    "persistence": "persistence",
    "seasonal_naive": "seasonal naive",
    "climatology": "climatology",
    "ridge": "ridge on lags",
}


@dataclass(frozen=True)
class Group:
    """The runs that share a label, in the order given: seeds of one network. At least one has scores."""

    label: str
    runs: Sequence[Run]

    @property
    def scored(self) -> list[Scores]:
        return [run.scores for run in self.runs if run.scores]

    @property
    def first(self) -> Scores:
        return self.scored[0]


@dataclass(frozen=True)
class Model:
    """One line of the score table and of the charts. `runs` pairs each run's scores with the model's name in it."""

    name: str
    kind: str
    runs: Sequence[tuple[Scores, str]]

    def values(self, lead: int | str, metric: str) -> list[float]:
        """One value for each seed that has one."""
        found = (scores.value(model, lead, metric) for scores, model in self.runs)
        return [value for value in found if value is not None]

    def mean(self, lead: int | str, metric: str) -> float | None:
        values = self.values(lead, metric)
        return fmean(values) if values else None


def groups_of(runs: Sequence[Run]) -> list[Group]:
    """Runs by label, in the order in which the labels appear; runs without scores count only beside ones with."""
    labels = dict.fromkeys(run.label for run in runs)
    groups = [Group(label, [run for run in runs if run.label == label]) for label in labels]
    return [group for group in groups if group.scored]


def networks_of(group: Group) -> list[Model]:
    names = group.first.models("network")
    titles = [group.label if len(names) == 1 else f"{group.label}: {name}" for name in names]
    return [
        Model(title, "network", [(scores, name) for scores in group.scored])
        for title, name in zip(titles, names, strict=True)
    ]


def baselines_of(group: Group) -> list[Model]:
    """From the first run alone: a baseline has no seed, so all runs of a group have the same ones."""
    return [Model(BASELINES.get(n, n), "baseline", [(group.first, n)]) for n in group.first.models("baseline")]


def models_of(groups: Sequence[Group]) -> list[Model]:
    """All networks, then all baselines; a baseline that scores the same beside two networks is listed once."""
    networks = [network for group in groups for network in networks_of(group)]
    baselines: dict[str, list[tuple[Group, Model]]] = {}
    for group in groups:
        for model in baselines_of(group):
            same = baselines.setdefault(model.name, [])
            if not any(_mean_row(model) == _mean_row(other) for _, other in same):
                same.append((group, model))
    return networks + [
        model if len(same) == 1 else Model(f"{model.name} ({group.label})", model.kind, model.runs)
        for same in baselines.values()
        for group, model in same
    ]


def _mean_row(model: Model) -> list[float | None]:
    return [model.mean("mean", metric) for metric in ("nse", "rmse", "mae")]


def best_baseline(group: Group) -> tuple[str, float] | None:
    """The baseline with the highest mean NSE beside this group, and that NSE."""
    rated = [(value, m.name) for m in baselines_of(group) if (value := m.mean("mean", "nse")) is not None]
    return (max(rated)[1], max(rated)[0]) if rated else None


def verdict(groups: Sequence[Group]) -> list[str]:
    """What came out: a sentence on the first label, and a shorter one on each of up to three others.

    NSE, the share of variance explained, is 1 - squared error / variance; at or below 0 the mean would do as well.
    """
    group = groups[0]
    scores, network = group.first, networks_of(group)[0]
    values = network.values("mean", "nse")
    if not values:
        return [f"{quoted(group.label)} has no mean NSE: the test part holds too few values of {scores.target}."]
    nse = fmean(values)
    span = words.leads(scores.horizon, scores.freq)
    seeds = f" over {words.count(len(values), _seed_word(group))}" if len(values) > 1 else ""
    if nse > 0:
        found = f"explains {words.percent(nse, 0)} of the variance of {scores.target}"
    else:
        found = f"forecasts {scores.target} no better than its plain mean would"
    ahead = f"{span[0].upper()}{span[1:]} ahead, {quoted(group.label)}"
    sentences = [f"{ahead} {found} (mean NSE {words.score(nse, 2)}{seeds}){_against(group, nse)}."]
    for other in groups[1:4]:
        value = networks_of(other)[0].mean("mean", "nse")
        if value is not None:
            sentences.append(f"{quoted(other.label)} reaches {words.score(value, 2)}{_against(other, value)}.")
    return sentences


def _against(group: Group, nse: float) -> str:
    best = best_baseline(group)
    if not best:
        return ""
    name, value = best
    verb = "reaches" if value <= nse else "is better:"
    return f"; the best baseline, {name}, {verb} {words.score(value, 2)}"


def quoted(label: str) -> str:
    """A label of one word reads as a name; a longer one needs quotes to be told from the sentence around it."""
    return f"the {label}" if label.isupper() else f"“{label}”"


def _seed_word(group: Group) -> str:
    seeds = [run.seed for run in group.runs if run.scores]
    return "seed" if len(set(seeds)) == len(seeds) else "run"


def headline(group: Group) -> list[tuple[str, str]]:
    """The numbers on top of the page: what each is, and its value (the mean over the seeds of the first label)."""
    scores, network, best = group.first, networks_of(group)[0], best_baseline(group)
    first, last = (words.lead(lead, scores.freq) for lead in (1, scores.horizon))
    numbers = [("mean NSE (1 is perfect)", words.score(network.mean("mean", "nse"), 2))]
    if best:
        numbers.append((f"mean NSE of the best baseline, {best[0]}", words.score(best[1], 2)))
    numbers.append((f"RMSE {first} ahead, in the unit of {scores.target}", words.amount(network.mean(1, "rmse"))))
    if scores.horizon > 1:
        value = words.amount(network.mean(scores.horizon, "rmse"))
        numbers.append((f"RMSE {last} ahead, in the unit of {scores.target}", value))
    if scores.levels:
        level = scores.levels[-1]
        covered = words.percent(network.mean("mean", f"coverage_{level}"))
        numbers.append((f"of measured values inside the {level} % interval", covered))
    return numbers


@dataclass(frozen=True)
class Cell:
    text: str
    spread: str = ""
    best: bool = False


@dataclass(frozen=True)
class ScoreRow:
    name: str
    kind: str
    seeds: int
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Column:
    """`better`: what a value's distance from the best possible is, or None where there is no single best."""

    heading: str
    lead: int | str
    metric: str
    show: Callable[[float | None], str]
    better: Callable[[float], float] | None = None


def columns_of(scores: Scores) -> list[Column]:
    high, low = operator.neg, operator.pos
    columns = [
        Column("NSE", "mean", "nse", words.score, high),
        Column("KGE", "mean", "kge", words.score, high),
        Column("RMSE", "mean", "rmse", words.amount, low),
        Column("MAE", "mean", "mae", words.amount, low),
        Column("MASE", "mean", "mase", words.score, low),
        Column("pinball", "mean", "pinball", words.amount, low),
    ]
    for level in scores.levels:
        columns.append(
            Column(f"coverage {level}", "mean", f"coverage_{level}", words.percent, _distance_to(float(level) / 100))
        )
        # The narrowest interval is not the best one where it covers too little, so no width is marked.
        columns.append(Column(f"width {level}", "mean", f"width_{level}", words.amount))
    for lead in (1, scores.horizon) if scores.horizon > 1 else ():
        columns.append(Column(f"NSE at {words.lead(lead, scores.freq)}", lead, "nse", words.score, high))
    return columns


def _distance_to(nominal: float) -> Callable[[float], float]:
    return lambda value: abs(value - nominal)


def score_table(groups: Sequence[Group]) -> tuple[list[str], list[ScoreRow]]:
    """Headings, and a row for each model. The best of a column is marked where at least two models have a value."""
    columns, models = columns_of(groups[0].first), models_of(groups)
    shown = [[column.show(model.mean(column.lead, column.metric)) for column in columns] for model in models]
    best: list[set[str]] = []
    for index, column in enumerate(columns):
        rated = [
            (column.better(value), shown[row][index])
            for row, model in enumerate(models)
            if column.better and (value := model.mean(column.lead, column.metric)) is not None
        ]
        # By the text shown, so that two models that look equal are both marked.
        best.append({min(rated)[1]} if len(rated) > 1 else set())
    rows = []
    for model, texts in zip(models, shown, strict=True):
        cells = []
        for column, text, winners in zip(columns, texts, best, strict=True):
            values = model.values(column.lead, column.metric)
            spread = f"± {words.like(text, stdev(values))}" if len(values) > 1 else ""
            cells.append(Cell(text, spread, text in winners))
        rows.append(ScoreRow(model.name, model.kind, len(model.runs), cells))
    return [column.heading for column in columns], rows
