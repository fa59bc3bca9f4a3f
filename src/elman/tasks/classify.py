"""Classify sequences, images and rows: calibrated probabilities of classes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from elman.tasks.case_baselines import classifiers
from elman.tasks.case_reading import Given
from elman.tasks.cases import CaseEstimator
from elman.tasks.classes import Classes
from elman.tasks.settings import ClassifySettings


@dataclass(kw_only=True, repr=False, eq=False)
class SequenceClassifier(Classes, ClassifySettings, CaseEstimator):
    """Which class a sequence is of, and how sure that is. Images and rows of tables are classified as well.

    The settings are described in `elman.tasks.settings`. The weights are those of the epoch with the lowest loss on the
    validation part, which also calibrates the probabilities (one temperature, Guo et al. 2017).

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> y = np.repeat(["rises", "falls"], 20)
    >>> X = random.normal(size=(40, 12)) + np.outer(np.where(y == "rises", 1, -1), np.arange(12))
    >>> classifier = SequenceClassifier(hidden_size=8, epochs=10, learning_rate=0.01).fit(X, y)
    >>> classifier.predict(X[[0, 20]]).tolist()
    ['rises', 'falls']
    >>> classifier.predict_proba(X[:1]).shape
    (1, 2)
    """

    task: ClassVar[str] = "classify"

    def _baselines(self, given: Given, codes: np.ndarray, learn: np.ndarray, on: np.ndarray) -> dict[str, np.ndarray]:
        categories = [] if self.form_.columns is None else self.form_.columns.sizes
        return classifiers(given.cases, codes, learn, on, len(self.classes_), categories)
