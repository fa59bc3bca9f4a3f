"""What classifiers and regressors of numbers share: cases are sequences, images or rows of a table."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import nn

from elman.data.cases import Cases
from elman.data.features import Features
from elman.models.convolution import ImageEncoder
from elman.models.encoders import encoder
from elman.models.feedforward import FeedForward
from elman.models.many_to_one import ImageModel, SequenceModel
from elman.tasks.answers import Learning, OneAnswer
from elman.tasks.case_inside import case_inside
from elman.tasks.case_lessons import CaseLessons
from elman.tasks.case_reading import Form, Given, read_to_fit, read_to_predict
from elman.tasks.settings import RECURRENT, CaseSettings
from elman.training.record import Run

LAYERS = {**dict.fromkeys(RECURRENT, 1), "cnn": 3, "transformer": 2, "mlp": 2}


@dataclass(kw_only=True, repr=False, eq=False)
class CaseEstimator(CaseSettings, OneAnswer):
    """X is an array (n, T) or (n, T, features), a list of (T_i, features), images, or a table."""

    def _first_read(self, X: Any, label: str | None) -> Given:
        """Sets `form_`."""
        self.form_, given = read_to_fit(self, self, X, label)
        self.longest_ = int(max(given.cases.lengths))
        return given

    def _learn_to_read(self, training: Cases) -> None:
        self.features_ = Features.fit(training.values)

    def _as_read(self, cases: Cases) -> Cases:
        return cases.scaled(self.features_)

    def _noise(self) -> float:
        return self.noise

    def _look_inside(self, lessons: CaseLessons, learning: Learning, on: np.ndarray, run: Run) -> None:
        size = len(self.features_.mean)
        names = self.form_.inputs if self.form_.kind == "long" else [f"feature {k + 1}" for k in range(size)]
        seen = case_inside(self.network_, learning.given.cases, lessons.cases, on, names, self._told(learning.y))
        if seen is not None:
            seen.save(run.path)

    def _notes(self, training: Cases) -> list[str]:
        notes = []
        missing = np.isnan(training.values)
        if missing.any():
            notes.append(
                f"{missing.mean():.1%} of the values trained on are missing, in {int(missing.any(axis=0).sum())} of "
                f"{missing.shape[1]} features; the network is told where (a mask beside each of these features)"
            )
        lengths, features = training.lengths, training.values.shape[1]
        if self.form_.kind == "sequences" and self.layout == "time-first" and features > 4 * lengths.max():
            notes.append(
                f"sequences of at most {lengths.max()} steps with {features} features each were read; if the features "
                "come first, say layout='channels-first'"
            )
        return notes

    def _network(self) -> nn.Module:
        size, outputs = self.features_.size, self._outputs()
        shared: dict[str, Any] = {"num_layers": self.num_layers or LAYERS[self.architecture], "dropout": self.dropout}
        if self.architecture == "mlp":
            categories = [] if self.form_.columns is None else self.form_.columns.sizes
            return FeedForward(size, categories, outputs, hidden_size=self.hidden_size, **shared)
        if self.architecture == "cnn" and self.form_.kind == "image":
            images = ImageEncoder(size, self.hidden_size, kernel_size=self.kernel_size or 3, **shared)
            return ImageModel(images, outputs, dropout=self.dropout)
        both = self.bidirectional and self.architecture in RECURRENT
        reader = encoder(
            self.architecture, size, self.hidden_size, bidirectional=both, **shared, **self._own(self.longest_)
        )
        return SequenceModel(
            reader, outputs, pooling=self.pooling or "summary", bidirectional=both, dropout=self.dropout
        )

    def _read_again(self, X: Any) -> Given:
        """Cases to predict, scaled; what is new in them is warned of."""
        check_is_fitted(self)
        given = read_to_predict(self, self, self.form_, X)
        new = self.features_.unmasked(given.cases.values)
        if new:
            named = [self.form_.inputs[k] if self.form_.inputs and self.form_.columns is None else str(k) for k in new]
            warnings.warn(
                f"values are missing in features in which none was while training ({', '.join(named[:5])}); each is "
                "taken for the mean",
                stacklevel=3,
            )
        for column, words in (given.unseen or {}).items():
            warnings.warn(
                f"column {column!r} has words that training had not ({', '.join(words[:5])}); they are taken for "
                "unknown",
                stacklevel=3,
            )
        return Given(self._as_read(given.cases), given.table, given.rows, given.steps)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    def _reading_learned(self) -> dict[str, Any]:
        return {
            "form": self.form_.to_dict(),
            "features": self.features_.to_dict(),
            "longest": self.longest_,
            "n_features_in": getattr(self, "n_features_in_", None),
        }

    def _restore_reading(self, learned: dict[str, Any]) -> None:
        self.form_ = Form.from_dict(learned["form"])
        self.features_ = Features.from_dict(learned["features"])
        self.longest_ = int(learned["longest"])
        if learned["n_features_in"] is not None:
            self.n_features_in_ = int(learned["n_features_in"])
        if self.form_.inputs:
            self.feature_names_in_ = np.array(self.form_.inputs, dtype=object)
