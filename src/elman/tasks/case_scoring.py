"""Scores of one answer for each case, each beside those of baselines: does the network earn its keep?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from sklearn import metrics

from elman.files import read_json, replacing, write_json
from elman.tasks import case_baselines
from elman.tasks.case_reading import Given, names
from elman.training import classification

SMALLEST = 1e-12  # a probability, in the logarithmic loss


@dataclass(frozen=True)
class CaseScores:
    """What a test part says of a classifier or regressor: a row for each model, and each case's prediction."""

    summary: dict[str, Any]  # `scores.json`
    predictions: pl.DataFrame  # `test.parquet`

    @property
    def rows(self) -> pl.DataFrame:
        """Columns model, kind ("network" or "baseline"), and the metrics."""
        return pl.DataFrame(self.summary["rows"], infer_schema_length=None)

    def value(self, model: str, metric: str) -> float:
        """One metric of one model."""
        return float(self.rows.filter(pl.col("model") == model)[metric][0])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` has written into a run folder."""
        return cls(read_json(folder / "scores.json"), pl.read_parquet(folder / "test.parquet"))

    def save(self, folder: Path) -> None:
        """Write `scores.json` and `test.parquet` into a run folder."""
        with replacing(folder / "test.parquet") as aside:
            self.predictions.write_parquet(aside)
        write_json(folder / "scores.json", self.summary)


def score_classes(
    models: Mapping[str, np.ndarray],
    truth: np.ndarray,
    *,
    classes: Sequence[str],
    names: pl.Series,
    label: str,
    notes: Sequence[str],
) -> CaseScores:
    """Score the probabilities (N, C) of each of `models`, of which the first is the network.

    truth (N): the class of every case by its number, -1 where training had none of it; such cases count as wrong.
    names (N): what the cases are called.
    """
    network, probability = next(iter(models.items()))
    unknown = int((truth < 0).sum())
    rows = [
        {"model": name, "kind": "network" if name == network else "baseline", **class_metrics(p, truth)}
        for name, p in models.items()
    ]
    known = truth >= 0
    summary = {
        "task": "classify",
        "target": label,
        "classes": list(classes),
        "test": {"cases": len(truth)},
        "notes": [*notes, *([f"{unknown} cases are of a class that training had none of"] if unknown else [])],
        "rows": rows,
        "confusion": {
            name: metrics.confusion_matrix(truth[known], p[known].argmax(axis=1), labels=range(len(classes))).tolist()
            for name, p in models.items()
        },
        "reliability": classification.reliability(probability[known], truth[known]),
    }
    words = np.array([*classes, "unknown"], dtype=object)
    frame = pl.DataFrame(
        {
            names.name: names,
            "y": words[truth].tolist(),
            **{name: words[p.argmax(axis=1)].tolist() for name, p in models.items()},
            **{f"p_{name}": probability[:, k] for k, name in enumerate(classes)},
        }
    )
    return CaseScores(summary, frame)


def class_metrics(probability: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of probabilities (N, C) and the classes' numbers (N), of which -1 is one that can't be named.

    >>> found = class_metrics(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
    >>> round(found["accuracy"], 3), round(found["balanced_accuracy"], 3), round(found["log_loss"], 3)
    (0.667, 0.75, 0.415)
    """
    named = probability.argmax(axis=1)
    known = truth >= 0
    p, t = probability[known], truth[known]
    there = np.unique(truth)
    recalls = [float((named[truth == k] == k).mean()) for k in there]
    return {
        "accuracy": float((named == truth).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "f1_macro": float(metrics.f1_score(truth, named, average="macro", zero_division=0)),
        "log_loss": float(-np.log(np.maximum(p[np.arange(len(t)), t], SMALLEST)).mean()) if len(t) else float("nan"),
        "brier": classification.brier(p, t) if len(t) else float("nan"),
        "calibration_error": classification.calibration_error(p, t) if len(t) else float("nan"),
    }


def score_numbers(
    network: str,
    given: Given,
    prediction: np.ndarray,
    y: np.ndarray,
    *,
    mean: float,
    on: np.ndarray,
    others: np.ndarray | None,
    label: str,
    group: str | None,
    categories: Sequence[int],
    notes: Sequence[str],
) -> CaseScores:
    """Score the network's `prediction` of the scaled cases `on`; y: of every case."""
    models = {network: prediction, "mean": np.full(len(on), mean)}
    if others is not None:
        models |= case_baselines.regressors(given.cases, y, others, on, categories)
    rows = [
        {"model": name, "kind": "network" if name == network else "baseline", **number_metrics(p, y[on])}
        for name, p in models.items()
    ]
    summary = {
        "task": "regress", "target": label, "test": {"cases": len(on)}, "notes": list(notes), "rows": rows,
    }  # fmt: skip
    frame = pl.DataFrame({group or "case": [names(given, group)[k] for k in on], "y": y[on], **models})
    return CaseScores(summary, frame)


def number_metrics(prediction: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """
    >>> number_metrics(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    {'rmse': 1.4142135623730951, 'mae': 1.0, 'r2': 0.11111111111111116}
    """
    error = prediction - y
    spread = float(((y - y.mean()) ** 2).sum())
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 else float("nan"),
    }
