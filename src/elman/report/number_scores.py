"""What a page tells and draws of the scores of regressors: one number for each case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import polars as pl

from elman.report import words
from elman.report.charts import Band, Chart, Line, Rule, Table
from elman.report.panels import Figure, Panel
from elman.report.runs import Metric, Run, Scores
from elman.report.scores import HIGH, LOW, Column, Group, networks_of

UNNAMED = "prediction"  # what a target is called that had no name
DOTS = 1000  # of the scatter; of more cases every so many-th is drawn
FAR = 12  # rows of the table of the largest errors


@dataclass(frozen=True, kw_only=True)
class NumberScores(Scores):
    """Of each model one row."""

    # R2, the share of variance explained, is 1 - squared error / variance.
    metric: ClassVar[Metric] = Metric(
        "r2", "R²", "R²: 1 is perfect, 0 what the plain mean reaches.", partial(words.score, decimals=2)
    )
    baselines: ClassVar[Mapping[str, str]] = {
        "mean": "the mean",
        "ridge": "ridge regression",
        "boosting": "gradient boosting",
    }
    intro: ClassVar[str] = (
        "Each line is one way to predict, judged on the test part. A star marks the best of a column. The baselines "
        "need no network: what they reach is what a network has to beat."
    )
    how: ClassVar[str] = (
        "RMSE and MAE are in the unit of what is predicted; lower is better. R²: the share of the variance that is "
        "explained; 1 is perfect, 0 is as good as the mean, below 0 is worse."
    )

    @classmethod
    def _fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        fields = super()._fields(raw)
        return fields | {"target": "the target" if fields["target"] == UNNAMED else fields["target"]}

    @property
    def title(self) -> str:
        return f"Predicting {self.target}"

    @property
    def about(self) -> str:
        return f"Tested on {words.cases(self.test.get('cases'))} cases, none of which was used in training."

    @property
    def tested(self) -> tuple[object, ...]:
        return self.target, self.test.get("cases")

    def found(self, network: str, value: float) -> str:
        if value > 0:
            return f"{network} explains {words.percent(value, 0)} of the variance of {self.target}"
        return f"{network} predicts {self.target} no better than its plain mean would"

    def numbers(self, mean: Callable[..., float | None], best: tuple[str, float] | None) -> list[tuple[str, str]]:
        unit = f"in the unit of {self.target}"
        numbers = [("R² (1 is perfect)", words.score(mean("r2"), 2))]
        if best:
            numbers.append((f"R² of the best baseline, {best[0]}", words.score(best[1], 2)))
        return [
            *numbers,
            (f"RMSE, {unit}", words.amount(mean("rmse"))),
            (f"mean absolute error, {unit}", words.amount(mean("mae"))),
        ]

    def columns(self) -> list[Column]:
        return [
            Column("R²", "r2", words.score, HIGH),
            Column("RMSE", "rmse", words.amount, LOW),
            Column("MAE", "mae", words.amount, LOW),
        ]


def number_panels(groups: Sequence[Group], run: Run) -> list[Panel]:
    """What was predicted against what came, and the errors, of the network in `run`."""
    if not groups or not isinstance(run.scores, NumberScores):
        return []
    network, test, heading = networks_of(groups[0])[0].runs[0][1], run.test, "Prediction against truth"
    if test is None or not {"y", network} <= set(test.columns):
        missing = run.no_test or "Its test.parquet does not tell case by case."
        return [Panel("predictions", heading, missing=missing)]
    y, said = (test[name].cast(pl.Float64).to_numpy() for name in ("y", network))
    whole = np.isfinite(y) & np.isfinite(said)
    if not whole.any():
        return [Panel("predictions", heading, missing="Its test.parquet holds no prediction that is a number.")]
    target, name = run.scores.target, next(iter(test.columns))
    far = np.flatnonzero(whole)[np.argsort(-np.abs(said - y)[whole], kind="stable")][:FAR]
    rows = [
        [words.plain(test[name][int(k)]), *(words.amount(float(v)) for v in (y[k], said[k], said[k] - y[k]))]
        for k in far
    ]
    return [
        Panel(
            "predictions", heading, f"{run.label}, seed {run.seed}.",
            [_scatter(y[whole], said[whole], target), _residuals(said[whole] - y[whole], target)],
            [("The largest errors", Table([name, "truth", "prediction", "error"], rows))],
        )
    ]  # fmt: skip


def _scatter(y: np.ndarray, said: np.ndarray, target: str) -> Figure:
    every = -(-len(y) // DOTS)
    low, high = float(min(y.min(), said.min())), float(max(y.max(), said.max()))
    chart = Chart(
        "Each case: what was predicted, by what came",
        f"truth ({target})",
        f"prediction ({target})",
        [
            Line("perfect", [low, high], [low, high], "s6", 1.5, "3 4"),
            Line("a case", y[::every], said[::every], dots=True, joined=False),
        ],
    )
    how = "Dots on the dotted line are right; above it too much was predicted, below it too little."
    if every > 1:
        how += f" Of {len(y):,} cases every {words.ordinal(every)} is drawn."
    return Figure(chart, how, "half")


def _residuals(errors: np.ndarray, target: str) -> Figure:
    counts, edges = np.histogram(errors, bins="auto" if len(errors) < 2000 else 40)
    if len(counts) > 40:
        counts, edges = np.histogram(errors, bins=40)
    x, y = np.repeat(edges, 2)[1:-1], np.repeat(counts, 2)
    mean = float(errors.mean())
    chart = Chart(
        "The errors: how many cases are off by how much",
        f"prediction - truth ({target})".replace("-", "\N{MINUS SIGN}", 1),
        "cases",
        bands=[Band("cases", x, np.zeros(len(x)), y, opacity=0.55)],
        rules=[Rule(0.0, "x", "no error")],
    )
    how = (
        f"Around 0 and alike on both sides is as it should be. Their mean is {words.amount(mean)}: far from 0, the "
        "network always says too much, or too little."
    )
    rows = [
        [f"{words.amount(float(a))} to {words.amount(float(b))}", f"{n:,}"]
        for a, b, n in zip(edges, edges[1:], counts.tolist(), strict=False)
    ]
    return Figure(chart, how, "half", Table(["error", "cases"], rows))
