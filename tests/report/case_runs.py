"""Run folders of classifiers, taggers and regressors as `evaluate` leaves them, of made-up answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import confusion_matrix

from elman.tasks.case_scoring import class_metrics, number_metrics
from elman.training.classification import reliability

CLASSES = ("blue", "green", "red")


def class_run(
    path: Path,
    *,
    classes: Sequence[str] = CLASSES,
    cases: int = 120,
    seed: int = 0,
    label: str = "GRU",
    error: float = 0.15,
    baseline: float = 0.3,
    task: str = "classify",
    target: str = "team",
) -> Path:
    """A share `error` of the network's answers is wrong, and `baseline` of those of logistic regression."""
    y = np.random.default_rng(9).integers(0, len(classes), cases)
    p = {"gru": probabilities(y, error, len(classes), seed), "logistic": probabilities(y, baseline, len(classes), 77)}
    rows = [
        {"model": name, "kind": "network" if name == "gru" else "baseline", **class_metrics(one, y)}
        for name, one in p.items()
    ]
    scores = {
        "task": task,
        "target": target,
        "classes": list(classes),
        "test": {"cases": cases},
        "notes": [],
        "rows": rows,
        "confusion": {
            n: confusion_matrix(y, one.argmax(1), labels=range(len(classes))).tolist() for n, one in p.items()
        },
        "reliability": reliability(p["gru"], y),
    }
    names = np.array(classes, dtype=object)
    test = pl.DataFrame(
        {
            "case": range(1, cases + 1),
            "y": names[y].tolist(),
            **{name: names[one.argmax(1)].tolist() for name, one in p.items()},
            **{f"p_{name}": p["gru"][:, k] for k, name in enumerate(classes)},
        }
    )
    return write(path, scores, test, task, label, seed)


def probabilities(y: np.ndarray, error: float, classes: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(y), classes))
    wrong = random.random(len(y)) < error
    said = np.where(wrong, (y + random.integers(1, classes, len(y))) % classes, y)
    logits[np.arange(len(y)), said] += 5
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def number_run(path: Path, *, cases: int = 80, seed: int = 0, label: str = "GRU", error: float = 0.3) -> Path:
    y = np.random.default_rng(9).normal(size=cases) * 2 + 5
    random = np.random.default_rng(seed)
    models = {"gru": y + error * random.normal(size=cases), "mean": np.full(cases, y.mean()), "ridge": y + 1.0}
    rows = [
        {"model": name, "kind": "network" if name == "gru" else "baseline", **number_metrics(said, y)}
        for name, said in models.items()
    ]
    scores = {"task": "regress", "target": "cost", "test": {"cases": cases}, "notes": [], "rows": rows}
    return write(path, scores, pl.DataFrame({"case": range(1, cases + 1), "y": y, **models}), "regress", label, seed)


def write(path: Path, scores: dict[str, Any], test: pl.DataFrame, task: str, label: str, seed: int) -> Path:
    path.mkdir(parents=True)
    test.write_parquet(path / "test.parquet")
    (path / "scores.json").write_text(json.dumps(scores).replace("NaN", "null"))
    epoch = {"event": "epoch", "epoch": 0, "step": 9, "train_loss": 1.0, "val_loss": 1.0, "best": True, "seconds": 1.0}
    events = [{"event": "step", "step": 0, "loss": 1.0, "grad_norm": 1.0}, epoch, {"event": "end", "reason": "done"}]
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (path / "config.toml").write_text(
        f"task = {json.dumps(task)}\nlabel = {json.dumps(label)}\n[settings]\narchitecture = 'gru'\nseed = {seed}\n"
    )
    return path
