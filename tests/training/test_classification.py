"""Probabilities of classes: their temperature, and scores against numbers worked out by hand or by scikit-learn."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from elman.training.classification import brier, calibration_error, reliability, temperature


def drawn(n=4000, classes=3, heat=1.0, seed=0):
    """Logits, and labels that are drawn from them divided by `heat`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, classes)) * 2
    labels = np.array([random.choice(classes, p=p) for p in softmax(logits / heat, axis=1)])
    return logits, labels


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(heat):
    logits, labels = drawn(heat=heat)
    assert temperature(logits, labels) == pytest.approx(heat, rel=0.1)


def test_calibrated_probabilities_are_right_as_often_as_they_say():
    logits, labels = drawn(heat=3.0)
    raw, cooled = softmax(logits, axis=1), softmax(logits / temperature(logits, labels), axis=1)
    assert calibration_error(cooled, labels) < 0.03 < 0.2 < calibration_error(raw, labels)


def test_a_part_without_an_error_leaves_doubt():
    logits = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 5
    labels = np.array([0, 1, 2, 0, 1, 2])
    sure = softmax(logits / temperature(logits, labels), axis=1).max()
    assert 0.8 < sure < 0.95
    assert temperature(np.zeros((3, 1)), np.zeros(3, dtype=int)) == 1.0


def test_brier_is_that_of_scikit_learn():
    logits, labels = drawn(200)
    p = softmax(logits, axis=1)
    assert brier(p, labels) == pytest.approx(brier_score_loss(labels, p, scale_by_half=False))


def test_reliability_counts_every_case_once():
    logits, labels = drawn(300)
    p = softmax(logits, axis=1)
    rows = reliability(p, labels)
    assert sum(row["cases"] for row in rows) == 300
    full = [row for row in rows if row["cases"]]
    assert all(row["low"] <= row["mean_probability"] <= row["high"] for row in full)
    right = (p.argmax(axis=1) == labels).mean()
    assert sum(row["cases"] * row["accuracy"] for row in full) / 300 == pytest.approx(right)
    assert calibration_error(np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1])) == pytest.approx(0.0)
