"""Scaling of features, one by one, and what the network is told where a value is missing."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.scaling import Scaler
from elman.errors import InputError


@dataclass(frozen=True)
class Features:
    """Mean and spread of each feature, and which of them have a mask beside them: those with a value missing.

    >>> features = Features.fit(np.array([[1.0, 5.0], [3.0, np.nan]]))
    >>> features.transform(np.array([[2.0, np.nan]]))
    array([[0., 0., 0.]], dtype=float32)
    >>> features.size
    3
    """

    mean: np.ndarray  # (F)
    std: np.ndarray  # (F)
    masked: np.ndarray  # (F), bool

    @classmethod
    def fit(cls, values: np.ndarray) -> "Features":
        """From the training part alone, `(S, F)`, NaN where missing. A constant feature is not divided."""
        scalers = [Scaler.fit(column, "none") for column in values.T]
        mean, std = (np.array([getattr(s, name) for s in scalers], dtype=np.float64) for name in ("mean", "std"))
        return cls(mean, std, np.isnan(values).any(axis=0))

    @property
    def size(self) -> int:
        """How many numbers the network reads of each row: the features, and the masks."""
        return len(self.mean) + int(self.masked.sum())

    def transform(self, values: np.ndarray) -> np.ndarray:
        """`(S, F)` to float32 `(S, size)`: scaled, 0 (the mean) where missing, then a 1 for each mask where not."""
        scaled = (values - self.mean) / self.std
        seen = ~np.isnan(values)
        return np.concatenate([np.where(seen, scaled, 0.0), seen[:, self.masked]], axis=1).astype(np.float32)

    def unmasked(self, values: np.ndarray) -> list[int]:
        """The features with a value missing in `values` of which none was missing while training."""
        return [int(k) for k in np.flatnonzero(np.isnan(values).any(axis=0) & ~self.masked)]

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), "masked": self.masked.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Features":
        """What `to_dict` gave; InputError where the three do not fit each other or are not finite."""
        mean, std = (np.array(saved[name], dtype=np.float64) for name in ("mean", "std"))
        masked = np.array(saved["masked"], dtype=bool)
        if not (mean.shape == std.shape == masked.shape and mean.ndim == 1):
            raise InputError("the scaling needs a mean, a spread and a mask for each feature")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise InputError("the scaling needs finite means and positive spreads")
        return cls(mean, std, masked)
