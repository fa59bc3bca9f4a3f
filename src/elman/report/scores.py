"""Scores of several runs put side by side: groups of seeds, the verdict in words, and the score table.

What differs from task to task is said by the `Scores` of each.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from elman.report import words
from elman.report.runs import Run, Scores

HIGH, LOW = operator.neg, operator.pos  # what is better, for a `Column`


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

    def values(self, metric: str, lead: int | str = "mean") -> list[float]:
        """One value for each seed that has one."""
        found = (scores.value(model, metric, lead) for scores, model in self.runs)
        return [value for value in found if value is not None]

    def mean(self, metric: str, lead: int | str = "mean") -> float | None:
        values = self.values(metric, lead)
        return fmean(values) if values else None


def groups_of(runs: Sequence[Run]) -> list[Group]:
    """Runs by label, in the order in which the labels appear; runs without scores count only beside ones with.

    Runs of another task than the first one's with scores are left out.
    """
    tasks = [run.task for run in runs if run.scores]
    alike = [run for run in runs if run.scores is None or run.task == tasks[0]]
    labels = dict.fromkeys(run.label for run in alike)
    groups = [Group(label, [run for run in alike if run.label == label]) for label in labels]
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
    first = group.first
    return [
        Model(first.baselines.get(n, n.replace("_", " ")), "baseline", [(first, n)]) for n in first.models("baseline")
    ]


def models_of(groups: Sequence[Group]) -> list[Model]:
    """All networks, then all baselines; a baseline that scores the same beside two networks is listed once."""
    metrics = [column.metric for column in groups[0].first.columns()]

    def row(model: Model) -> list[float | None]:
        return [model.mean(metric) for metric in metrics]

    networks = [network for group in groups for network in networks_of(group)]
    baselines: dict[str, list[tuple[Group, Model]]] = {}
    for group in groups:
        for model in baselines_of(group):
            same = baselines.setdefault(model.name, [])
            if not any(row(model) == row(other) for _, other in same):
                same.append((group, model))
    return networks + [
        model if len(same) == 1 else Model(f"{model.name} ({group.label})", model.kind, model.runs)
        for same in baselines.values()
        for group, model in same
    ]


def best_baseline(group: Group) -> tuple[Model, float] | None:
    """The baseline that is best by the task's metric beside this group, and its value."""
    metric = group.first.metric
    rated = {m.name: (m, value) for m in baselines_of(group) if (value := m.mean(metric.key)) is not None}
    if not rated:
        return None
    best = metric.best([value for _, value in rated.values()])
    # Of equals the last by name, so that the page does not depend on the order of the file.
    return rated[max(name for name, (_, value) in rated.items() if value == best)]


def verdict(groups: Sequence[Group]) -> list[str]:
    """What came out: a sentence on the first label, and a shorter one on each of up to three others."""
    group = groups[0]
    scores, network = group.first, networks_of(group)[0]
    metric, values = scores.metric, network.values(scores.metric.key)
    if not values:
        return [f"{quoted(group.label)} has no {metric.name}: the test part holds too few values of {scores.target}."]
    mean = fmean(values)
    seeds = f" over {words.count(len(values), _seed_word(group))}" if len(values) > 1 else ""
    found, shown = scores.found(quoted(group.label), mean), metric.show(mean)
    beside = (seeds.strip() and f"mean{seeds}") if shown in found else f"{metric.name} {shown}{seeds}"
    found += f" ({beside})" if beside else ""
    sentences = [f"{found[0].upper()}{found[1:]}{_against(group, mean)}."]
    for other in groups[1:4]:
        value = networks_of(other)[0].mean(metric.key)
        if value is not None:
            name = quoted(other.label)
            sentences.append(f"{name[0].upper()}{name[1:]} reaches {metric.show(value)}{_against(other, value)}.")
    return sentences


def _against(group: Group, value: float) -> str:
    best = best_baseline(group)
    if not best:
        return ""
    (model, other), metric = best, group.first.metric
    verb = "is better:" if other != value and metric.best([value, other]) == other else "reaches"
    apart = f", {metric.gap(abs(value - other))} {'more' if other > value else 'less'}" if metric.gap else ""
    if other == value:
        apart = ", as much" if metric.gap else ""
    return f"; the best baseline, {model.name}, {verb} {metric.show(other)}{apart}"


def quoted(label: str) -> str:
    """A label of one word reads as a name; a longer one needs quotes to be told from the sentence around it."""
    return f"the {label}" if label.isupper() else f"“{label}”"


def _seed_word(group: Group) -> str:
    seeds = [run.seed for run in group.runs if run.scores]
    return "seed" if len(set(seeds)) == len(seeds) else "run"


def headline(group: Group) -> list[tuple[str, str]]:
    """The numbers on top of the page: what each is, and its value (the mean over the seeds of the first label)."""
    best = best_baseline(group)
    return group.first.numbers(networks_of(group)[0].mean, None if best is None else (best[0].name, best[1]))


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
    metric: str
    show: Callable[[float | None], str]
    better: Callable[[float], float] | None = None
    lead: int | str = "mean"


def score_table(groups: Sequence[Group]) -> tuple[list[str], list[ScoreRow]]:
    """Headings, and a row for each model. The best of a column is marked where at least two models have a value."""
    columns, models = groups[0].first.columns(), models_of(groups)
    shown = [[column.show(model.mean(column.metric, column.lead)) for column in columns] for model in models]
    best: list[set[str]] = []
    for index, column in enumerate(columns):
        rated = [
            (column.better(value), shown[row][index])
            for row, model in enumerate(models)
            if column.better and (value := model.mean(column.metric, column.lead)) is not None
        ]
        # By the text shown, so that two models that look equal are both marked.
        best.append({min(rated)[1]} if len(rated) > 1 else set())
    rows = []
    for model, texts in zip(models, shown, strict=True):
        cells = []
        for column, text, winners in zip(columns, texts, best, strict=True):
            values = model.values(column.metric, column.lead)
            spread = f"± {words.like(text, stdev(values))}" if len(values) > 1 else ""
            cells.append(Cell(text, spread, text in winners))
        rows.append(ScoreRow(model.name, model.kind, len(model.runs), cells))
    return [column.heading for column in columns], rows
