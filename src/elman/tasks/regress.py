"""Predict a number for each sequence, image or row."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, column_or_1d
from torch import Tensor

from elman.data.cases import Cases
from elman.data.scaling import Scaler
from elman.data.tables import Table
from elman.tasks.case_inside import Told
from elman.tasks.case_reading import Given
from elman.tasks.case_scoring import CaseScores, score_numbers
from elman.tasks.cases import CaseEstimator
from elman.tasks.settings import RegressSettings
from elman.training.losses import mse


@dataclass(kw_only=True, repr=False, eq=False)
class SequenceRegressor(RegressorMixin, RegressSettings, CaseEstimator):
    """A number for each sequence, image or row of a table: the mean that is expected of it.

    The settings are described in `elman.tasks.settings`. The weights are those of the epoch with the lowest squared
    error on the validation part.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 12))
    >>> regressor = SequenceRegressor(hidden_size=8, epochs=30, learning_rate=0.01).fit(X, X.mean(axis=1))
    >>> regressor.score(X, X.mean(axis=1)) > 0.9
    True
    """

    task: ClassVar[str] = "regress"

    def predict(self, X: Any) -> np.ndarray:
        """(n), in the unit of y."""
        given = self._read_again(X)
        return self._numbers(given.cases)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R2: 1 is perfect, 0 as good as the mean; of a table, y may be in the column `label`."""
        if y is None:
            self._label(X, y)
            y = self._answers_of(self._read_again(X), None)
        return float(super().score(X, y, sample_weight))

    def _numbers(self, cases: Cases) -> np.ndarray:
        return self.target_.inverse(self._said(cases)[:, 0])

    def _check_answers(self, y: Any) -> np.ndarray:
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_min_samples=0, input_name="y")
        return column_or_1d(y, warn=True)

    def _check_label(self, table: Table, label: str) -> None:
        table.numbers(label)

    def _answers_in(self, column: pl.Series) -> np.ndarray:
        return column.cast(pl.Float64).to_numpy()

    def _learn_answers(self, y: np.ndarray) -> None:
        self.target_ = Scaler.fit(y, "none", "y")

    def _encoded(self, y: np.ndarray) -> Tensor:
        return torch.from_numpy(self.target_.transform(y)).float()

    def _outputs(self) -> int:
        return 1

    def _cost(self, outputs: Tensor, y: Tensor) -> Tensor:
        return mse(outputs[:, 0], y)

    def _constant(self, y: np.ndarray) -> float:
        return float(np.var(self.target_.transform(y)))

    def _answer(self, outputs: Tensor) -> Tensor:
        return outputs.sum()

    def _told(self, y: np.ndarray) -> Told:
        mean, std = self.target_.mean, self.target_.std
        target = self.label or "prediction"
        return Told("values", [target], target, lambda k: f"{y[k]:.4g}", lambda outputs: outputs * std + mean, y)

    def _columns(self, cases: Cases) -> dict[str, Any]:
        return {self.label or "prediction": self._numbers(cases)}

    def _scored(self, given: Given, y: np.ndarray, on: np.ndarray, others: np.ndarray | None) -> CaseScores:
        return score_numbers(
            self.architecture,
            given,
            self._numbers(given.cases.take(on)),
            y,
            mean=self.target_.mean,
            on=on,
            others=others,
            label=self.label or "prediction",
            group=self.group,
            categories=[] if self.form_.columns is None else self.form_.columns.sizes,
            notes=self.notes_,
        )

    def _answers_learned(self) -> dict[str, Any]:
        return self.target_.to_dict()

    def _restore_answers(self, learned: dict[str, Any]) -> None:
        self.target_ = Scaler(float(learned["mean"]), float(learned["std"]), "none")
