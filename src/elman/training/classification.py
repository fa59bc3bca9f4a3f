"""Scores and calibration of probabilities over classes: arrays (N, C) that sum to 1, and labels (N) from 0 to C - 1."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

HOTTEST = 20.0


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    r"""The $T$ for which $\mathrm{softmax}(z / T)$ is likeliest (Guo et al. 2017, arXiv 1706.04599).

    The labels count as nearly certain only, $(N + 1) / (N + 2)$, as Platt's do (1999): where all N of them were got
    right, the likeliest T would else be 0.

    >>> z = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    >>> temperature(z, np.array([0, 0, 1, 1])) < temperature(z, np.array([0, 1, 1, 1]))
    True
    """
    n, classes = logits.shape
    if classes < 2:
        return 1.0
    unsure = 1 / (n + 2)
    target = np.full((n, classes), unsure / (classes - 1))
    target[np.arange(n), labels] = 1 - unsure

    def cost(log_t: float) -> float:
        return float(-(target * log_softmax(logits / np.exp(log_t), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(cost, bounds=(-np.log(HOTTEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def brier(probability: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance of the probabilities from the truth, from 0 to 2 (Brier 1950).

    >>> brier(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]))
    0.25
    """
    truth = np.zeros_like(probability)
    truth[np.arange(len(labels)), labels] = 1
    return float(((probability - truth) ** 2).sum(axis=1).mean())


def reliability(probability: np.ndarray, labels: np.ndarray, bins: int = 10) -> list[dict[str, Any]]:
    """For each bin of the probability of the class that was named: how many cases, their mean, and how many were right.

    >>> [row["cases"] for row in reliability(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0]), bins=2)]
    [0, 2]
    """
    named, sure = probability.argmax(axis=1), probability.max(axis=1)
    right = named == labels
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    rows = []
    for k in range(bins):
        inside = bin_of == k
        rows.append(
            {
                "low": k / bins,
                "high": (k + 1) / bins,
                "cases": int(inside.sum()),
                "mean_probability": float(sure[inside].mean()) if inside.any() else float("nan"),
                "accuracy": float(right[inside].mean()) if inside.any() else float("nan"),
            }
        )
    return rows


def calibration_error(probability: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: the mean distance, over cases, of how sure a bin was from how often it was right."""
    rows = [row for row in reliability(probability, labels, bins) if row["cases"]]
    return sum(row["cases"] * abs(row["mean_probability"] - row["accuracy"]) for row in rows) / len(labels)
