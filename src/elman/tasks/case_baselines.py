"""What a network must beat that answers once for each case: scikit-learn's models on what can be said of it at once."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from elman.data.cases import Cases
from elman.data.records import Records
from elman.data.sequences import Sequences

ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
LARGEST = 2000  # numbers that are told of each case


def classifiers(
    cases: Cases, codes: np.ndarray, learn: np.ndarray, on: np.ndarray, classes: int, categories: Sequence[int]
) -> dict[str, np.ndarray]:
    """(N, C) probabilities of the cases `on` by models that learned from `learn`."""
    x = described(cases, categories)
    made = {}
    for name, model in {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "boosting": HistGradientBoostingClassifier(random_state=0),
    }.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[learn], codes[learn])
        whole = np.zeros((len(on), classes))
        whole[:, model.classes_] = model.predict_proba(x[on])
        made[name] = whole
    return made


def regressors(
    cases: Cases, y: np.ndarray, learn: np.ndarray, on: np.ndarray, categories: Sequence[int]
) -> dict[str, np.ndarray]:
    """(N) predictions for the cases `on` by models that learned from `learn`."""
    x = described(cases, categories)
    models = {
        "ridge": make_pipeline(StandardScaler(), RidgeCV(ALPHAS)),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }
    return {name: model.fit(x[learn], y[learn]).predict(x[on]) for name, model in models.items()}


def described(cases: Cases, categories: Sequence[int] = ()) -> np.ndarray:
    """(N, K): numbers that describe each scaled case: all it has, where that is few and of one length, else statistics.

    The categories of rows are written as a 0 or 1 for each.
    """
    if isinstance(cases, Records):
        ones = [np.eye(size)[cases.codes[:, k]] for k, size in enumerate(categories)]
        return np.concatenate([cases.values, *ones], axis=1)
    n = len(cases)
    if not isinstance(cases, Sequences):  # images
        return cases.values.reshape(n, -1)
    summary = statistics(cases)
    if cases.ragged or cases.values.size > n * LARGEST:
        return summary
    return np.concatenate([cases.values.reshape(n, -1), summary], axis=1)


def statistics(cases: Sequences) -> np.ndarray:
    """(N, 6 F + 1): mean, spread, smallest, largest, first and last of each feature, and how many steps there are."""
    begins, ends = cases.begins, cases.begins + cases.lengths
    counts = cases.lengths[:, None]
    mean = np.add.reduceat(cases.values, begins) / counts
    spread = np.sqrt(np.maximum(np.add.reduceat(cases.values.astype(np.float64) ** 2, begins) / counts - mean**2, 0))
    low, high = np.minimum.reduceat(cases.values, begins), np.maximum.reduceat(cases.values, begins)
    return np.concatenate([mean, spread, low, high, cases.values[begins], cases.values[ends - 1], counts], axis=1)
