"""What all classifiers share: names of classes and their numbers, weights, probabilities, calibration and scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from elman.data.cases import Cases
from elman.errors import InputError
from elman.tasks.answers import OneAnswer
from elman.tasks.case_inside import Told
from elman.tasks.case_reading import Given, names
from elman.tasks.case_scoring import CaseScores, score_classes
from elman.tasks.settings import ClassSettings
from elman.training.classification import temperature
from elman.training.losses import cross_entropy


class Classes(ClassifierMixin, ClassSettings, OneAnswer):
    """An answer is one of a few classes. `classes_` names them in order, `temperature_` calibrates their logits."""

    def _baselines(self, given: Given, codes: np.ndarray, learn: np.ndarray, on: np.ndarray) -> dict[str, np.ndarray]:
        """(N, C): probabilities of the cases `on` by models to be beaten, which learned from `learn`."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """(n): the likeliest class of each case."""
        given = self._read_again(X)
        return self.classes_[self._said(given.cases).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, C): the probability of each class, in the order of `classes_`."""
        given = self._read_again(X)
        return self._probability(given.cases)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of cases that are classified right; of a table, y may be in the column `label`."""
        if y is None:
            self._label(X, y)
            y = self._answers_of(self._read_again(X), None)
        return float(super().score(X, y, sample_weight))

    def settings(self) -> dict[str, Any]:
        values = super().settings()
        if isinstance(self.class_weight, Mapping):  # JSON and TOML have keys of text alone
            values["class_weight"] = {str(name): float(weight) for name, weight in self.class_weight.items()}
        return values

    def _probability(self, cases: Cases) -> np.ndarray:
        return softmax(self._said(cases) / self.temperature_, axis=1)

    def _check_answers(self, y: Any) -> np.ndarray:
        check_classification_targets(y)
        return column_or_1d(y, warn=True)

    def _answers_in(self, column: pl.Series) -> np.ndarray:
        if column.dtype.is_temporal():
            raise InputError(f"the label {column.name!r} holds times; names of classes were expected")
        if column.dtype.is_float() and (column == column.round()).all():
            column = column.cast(pl.Int64)
        values = column.to_numpy()
        return values.astype(str) if values.dtype == object else values

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return np.unique(y, return_inverse=True)[1]

    def _learn_answers(self, y: np.ndarray) -> None:
        self.classes_, counts = np.unique(y, return_counts=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"at least two classes are needed to learn from; all {len(y)} answers are one class, "
                f"{self.classes_.tolist()[0]!r}"
            )
        self.prior_ = counts / counts.sum()

    def _encoded(self, y: np.ndarray) -> Tensor:
        """Numbers of classes; one that was never learned is -1, and counts for nothing."""
        where = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        return torch.from_numpy(np.where(self.classes_[where] == y, where, -1))

    def _outputs(self) -> int:
        return len(self.classes_)

    def _weights(self) -> Tensor | None:
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            return self._balanced
        names = [str(name) for name in self.classes_]
        given = {str(name): float(weight) for name, weight in self.class_weight.items()}
        unknown = [name for name in given if name not in names]
        if unknown or any(weight < 0 for weight in given.values()):
            raise InputError(
                f"class_weight={self.class_weight!r}: a weight from 0 on by class was expected; the classes are "
                f"{', '.join(names)}"
            )
        return torch.tensor([given.get(name, 1.0) for name in names])

    @property
    def _balanced(self) -> Tensor:
        return torch.from_numpy(1 / (len(self.prior_) * self.prior_)).float()

    def _cost(self, outputs: Tensor, y: Tensor) -> Tensor:
        smoothing = self.smoothing if outputs.requires_grad else 0.0
        return cross_entropy(outputs, y, weights=self._weights(), smoothing=smoothing)

    def _constant(self, y: np.ndarray) -> float:
        weights = self._weights()
        share = torch.from_numpy(self.prior_).float() * (1 if weights is None else weights)
        share = share / share.sum()
        return float(torch.special.entr(share).sum())

    def _answer(self, outputs: Tensor) -> Tensor:
        return outputs.max(dim=1).values.sum()

    def _told(self, y: np.ndarray) -> Told:
        names = [str(name) for name in self.classes_]
        return Told("classes", names, "", lambda k: str(y[k]), lambda outputs: outputs / self.temperature_)

    def _calibrate(self, outputs: np.ndarray, y: np.ndarray) -> None:
        self.temperature_ = temperature(outputs, self._encoded(y).numpy())

    def _columns(self, cases: Cases) -> dict[str, Any]:
        probability = self._probability(cases)
        named = {f"p_{name}": probability[:, k] for k, name in enumerate(self.classes_)}
        return {self.label or "class": self.classes_[probability.argmax(axis=1)].tolist(), **named}

    def _scored(self, given: Given, y: np.ndarray, on: np.ndarray, others: np.ndarray | None) -> CaseScores:
        codes = self._encoded(y).numpy()
        models: dict[str, np.ndarray] = {self.architecture: self._probability(given.cases.take(on))}
        models["majority"] = np.tile(self.prior_, (len(on), 1))
        if others is not None:
            models |= self._baselines(given, codes, others[codes[others] >= 0], on)
        return score_classes(
            models,
            codes[on],
            classes=[str(name) for name in self.classes_],
            names=pl.Series(self.group or "case", [names(given, self.group)[k] for k in on]),
            label=self.label or "class",
            notes=self.notes_,
        )

    def _answers_learned(self) -> dict[str, Any]:
        kind = "text" if self.classes_.dtype.kind in "OUS" else str(self.classes_.dtype)
        return {
            "classes": self.classes_.tolist(),
            "kind": kind,
            "prior": self.prior_.tolist(),
            "temperature": self.temperature_,
        }

    def _restore_answers(self, learned: dict[str, Any]) -> None:
        kind = str if learned["kind"] == "text" else np.dtype(learned["kind"])
        self.classes_ = np.array(learned["classes"], dtype=kind)
        self.prior_ = np.array(learned["prior"], dtype=np.float64)
        self.temperature_ = float(learned["temperature"])
        if self.prior_.shape != self.classes_.shape or len(self.classes_) < 2 or not self.temperature_ > 0:
            raise InputError("the classes, their shares and the temperature do not fit each other")
