"""Scalers: fitted on the training part only, kept as plain numbers."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from elman.errors import InputError

Transform = Literal["none", "sqrt", "log"]

Curve = Callable[[np.ndarray], np.ndarray]
_FORWARD: dict[str, Curve] = {"none": lambda x: x, "sqrt": lambda x: np.sqrt(np.maximum(x, 0.0)), "log": np.log}
_INVERSE: dict[str, Curve] = {"none": lambda z: z, "sqrt": lambda z: np.square(np.maximum(z, 0.0)), "log": np.exp}


@dataclass(frozen=True)
class Scaler:
    r"""$z = (f(x) - m) / s$ with $f$ the identity, the square root or the logarithm; NaN stays NaN.

    >>> scaler = Scaler.fit(np.array([1.0, 2.0, np.nan, 3.0]))
    >>> scaler.transform(np.array([2.0]))
    array([0.])
    >>> scaler.inverse(np.array([0.0]))
    array([2.])
    """

    mean: float
    std: float
    shape: Transform = "none"

    @classmethod
    def fit(cls, values: np.ndarray, shape: Transform | Literal["auto"] = "auto", name: str = "the column") -> "Scaler":
        """From every value of `values` that is not NaN; a constant column gets s = 1, one without values m = 0.

        `auto` takes the square root where no value is negative and the skewness is above 1 (rain, discharge, counts).
        """
        known = values[~np.isnan(values)]
        if shape == "auto":
            shape = "sqrt" if known.size and known.min() >= 0 and _skewness(known) > 1 else "none"
        floor = {"none": -np.inf, "sqrt": 0.0, "log": np.nextafter(0, 1)}[shape]
        if known.size and known.min() < floor:
            raise InputError(
                f"transform={shape!r} needs {'positive' if shape == 'log' else 'non-negative'} values; "
                f"{name} has {known.min():g}. Choose transform='none'"
            )
        known = _FORWARD[shape](known)
        if not known.size:
            return cls(0.0, 1.0, shape)
        mean, std = float(known.mean()), float(known.std())
        return cls(mean, std if std > 1e-12 * np.abs(known).max() else 1.0, shape)  # less is rounding, at any scale

    def transform(self, values: np.ndarray) -> np.ndarray:
        if self.shape == "log":  # a value outside the domain at prediction: as small as the smallest positive one
            values = np.maximum(values, np.finfo(np.float32).tiny)
        return (_FORWARD[self.shape](values) - self.mean) / self.std

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        return _INVERSE[self.shape](scaled * self.std + self.mean)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = np.sqrt(np.mean(centred**2))
    return 0.0 if spread == 0 else float(np.mean(centred**3) / spread**3)
