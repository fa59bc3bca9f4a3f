"""What a page draws of the scores of classifiers: which class is taken for which, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from scipy.stats import binomtest

from elman.report import words
from elman.report.charts import Table
from elman.report.class_scores import ClassScores
from elman.report.matrix import Matrix
from elman.report.panels import Figure, Panel
from elman.report.reliability import reliability
from elman.report.runs import Run
from elman.report.scores import Group, best_baseline, networks_of

LARGEST = 60  # classes in one matrix
BESIDE = 20  # classes up to which the matrix of the best baseline stands beside the network's
PAIRS, WRONG = 15, 15  # rows of the tables of mistakes
LONG = 160  # characters of a text that are shown


def class_panels(groups: Sequence[Group], run: Run) -> list[Panel]:
    """Of the network in `run`, and of the best baseline of the first label."""
    if not groups or not isinstance(run.scores, ClassScores):
        return []
    scores, network = run.scores, networks_of(groups[0])[0].runs[0][1]
    best = best_baseline(groups[0])
    rival = None if best is None else (best[0].name, scores.confusion.get(best[0].runs[0][1]))
    of = f"{run.label}, seed {run.seed}"
    found = [_confusion(scores, of, scores.confusion.get(network), rival)]
    if network in scores.confusion:
        found.append(_by_class(scores, of, scores.confusion[network]))
    if scores.reliability:
        found.append(_trust(scores, of))
    return [*found, _mistakes(run, scores, network)]


def chance(groups: Sequence[Group]) -> list[str]:
    """Whether the network and the best baseline differ by more than luck: the exact test of McNemar (1947).

    Of the first run of the first label that keeps what both named.
    """
    group, best = groups[0], best_baseline(groups[0])
    run = next((r for r in group.runs if r.scores and r.test is not None), None)
    if best is None or run is None or run.test is None:
        return []
    network, baseline = networks_of(group)[0].runs[0][1], best[0].runs[0][1]
    if not {"y", network, baseline} <= set(run.test.columns):
        return []
    right = [(run.test[name].cast(pl.String) == run.test["y"].cast(pl.String)) for name in (network, baseline)]
    alone, other = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    if not alone + other:
        return ["Both are right in the same cases."]
    p = float(binomtest(alone, alone + other).pvalue)
    if p < 0.05:
        said = "that is more than chance would make" + (" (p < 0.001)" if p < 0.001 else f" (p = {p:.3f})")
    else:
        said = f"so small a difference can be chance (p = {p:.2f})"
    seeds = f"In the test of seed {run.seed}, " if len(group.scored) > 1 else ""
    sentence = (
        f"{words.count(alone, 'case')} {'is' if alone == 1 else 'are'} named right by the network alone and "
        f"{words.count(other, 'case')} by {best[0].name} alone: {said}."
    )
    return [seeds + sentence if seeds else sentence[0].upper() + sentence[1:]]


def _confusion(scores: ClassScores, of: str, matrix: Any, rival: tuple[str, Any] | None) -> Panel:
    heading = "Which class is taken for which"
    if not matrix:
        return Panel("confusion", heading, missing="Its scores.json holds no confusion matrix of the network.")
    classes, counts, note = _shown(scores.classes, matrix)
    whole = len(classes) > BESIDE
    how = (
        "A row for each true class, a column for each class it was taken for. Blue is right, orange is wrong; the "
        "stronger the colour, the larger the share of its row."
    )
    figures = [Figure(Matrix(f"The network: {of}", classes, counts), how + note, "whole" if whole else "half")]
    if rival and rival[1] and not whole:
        beside = f"The same of the best baseline, {rival[0]}."
        figures.append(Figure(Matrix(f"The best baseline: {rival[0]}", classes, rival[1]), beside, "half"))
    pairs = _pairs(scores.classes, matrix)
    tables = [("The most frequent mistakes", pairs)] if pairs.rows else []
    intro = "" if pairs.rows else "The network made no mistake on the test part."
    return Panel("confusion", heading, intro, figures, tables)


def _shown(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> tuple[Sequence[str], Any, str]:
    """All classes, or of too many those with the most mistakes, and what is said of the others."""
    if len(classes) <= LARGEST:
        return classes, matrix, ""
    wrong = [sum(row) - row[k] + sum(other[k] for other in matrix) - row[k] for k, row in enumerate(matrix)]
    kept = sorted(sorted(range(len(classes)), key=lambda k: -wrong[k])[:LARGEST])
    note = f" Of {len(classes)} classes the {LARGEST} with the most mistakes are shown."
    return [classes[k] for k in kept], [[matrix[i][j] for j in kept] for i in kept], note


def _pairs(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    found = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if n and i != j]
    rows = [
        [classes[i], classes[j], f"{n:,}", words.percent(n / sum(matrix[i]))]
        for n, i, j in sorted(found, key=lambda pair: (-pair[0], pair[1:]))[:PAIRS]
    ]
    return Table(["true class", "taken for", "how often", "of that class"], rows)


def _by_class(scores: ClassScores, of: str, matrix: Sequence[Sequence[int]]) -> Panel:
    rows = []
    for k, name in enumerate(scores.classes):
        there, named, right = sum(matrix[k]), sum(row[k] for row in matrix), matrix[k][k]
        precision = right / named if named else None
        recall = right / there if there else None
        f1 = 2 * right / (there + named) if there + named else None
        shown = [words.percent(precision), words.percent(recall), words.score(f1)]
        rows.append([name, f"{there:,}", f"{named:,}", *shown])
    note = (
        "Precision: of what was named this class, the share that is. Recall: of what is this class, the share that was "
        "named so. F1: both in one, best 1. A dash: there is none to judge by."
    )
    table = Table(["class", scores.unit, "named so", "precision", "recall", "F1"], rows, note)
    return Panel("classes", "Class by class", f"{of}.", tables=[("Precision, recall and F1 by class", table)])


def _trust(scores: ClassScores, of: str) -> Panel:
    how = (
        "Dots on the dotted line: where the network was 80 % sure, it was right in 80 of 100 cases. Below it, it is "
        "too sure of itself; above it, it could be surer."
    )
    figure = reliability(
        scores.reliability,
        "Reliability: how sure it was, and how often it was right",
        how,
        "share of them that it named right",
        ("cases", scores.unit),
        ("accuracy", "right"),
    )
    return Panel("reliability", "How far its probabilities can be trusted", f"{of}.", [figure])


def _mistakes(run: Run, scores: ClassScores, network: str) -> Panel:
    """The cases in which the network was surest and wrong."""
    heading, test = "Most confidently wrong", run.test
    if test is None or not {"y", network} <= set(test.columns):
        return Panel("mistakes", heading, missing=run.no_test or "Its test.parquet does not tell case by case.")
    columns = [f"p_{name}" for name in scores.classes]
    if not set(columns) <= set(test.columns):
        return Panel("mistakes", heading, missing="Its test.parquet holds no probabilities of the classes.")
    named, truth = test[network].cast(pl.String).to_list(), test["y"].cast(pl.String).to_list()
    sure = test.select(pl.max_horizontal(columns)).to_series().to_list()
    wrong = sorted((k for k in range(len(test)) if named[k] != truth[k]), key=lambda k: -(sure[k] or 0.0))
    if not wrong:
        return Panel("mistakes", heading, "Of the test part, no case was named wrong.")
    models = {row["model"] for row in scores.rows}
    about = [name for name in test.columns if name != "y" and name not in models and name not in columns][:3]
    rows = []
    for k in wrong[:WRONG]:
        right = test[f"p_{truth[k]}"][k] if truth[k] in scores.classes else None
        told = [_short(words.plain(test[name][k])) for name in about]
        rows.append([*told, truth[k], named[k], words.percent(sure[k]), words.percent(right)])
    table = Table([*about, "true class", "named", "how sure", "given to the true class"], rows)
    intro = (
        f"Of {len(test):,} {scores.unit}, {len(wrong):,} were named wrong. These are the ones of which the network was "
        "surest: look at them for wrong labels, and for what it does not see."
    )
    return Panel("mistakes", heading, intro, tables=[(f"{run.label}, seed {run.seed}", table)])


def _short(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
