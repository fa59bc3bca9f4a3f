"""What an echo state network is given: series, what is to be learned of them, and how both are scaled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from elman.errors import InputError

Array = np.ndarray
AT_ONCE = 65_536  # steps of an input that are looked at together


@dataclass(frozen=True)
class Given:
    """Series `(T_i, I)`, and whether they were given as several, and each with its numbers side by side.

    The arrays are those that were given where they can be, so that one that is mapped into memory stays on the disk.
    """

    series: list[Array]
    several: bool
    flat: bool

    @classmethod
    def read(cls, X: Any, what: str) -> Self:
        """X: one series `(T)` or `(T, I)`, several in a list or as `(n, T, I)`; InputError where it is none."""
        several = is_several(X)
        arrays = [_numbers(one, what) for one in X] if several else [_numbers(X, what)]
        if not arrays:
            raise InputError(f"{what} has no series")
        flat = arrays[0].ndim == 1
        series = []
        for k, array in enumerate(arrays):
            where = f"series {k} of {what}" if several else what
            if array.ndim not in (1, 2) or (array.ndim == 1) != flat or 0 in array.shape:
                raise InputError(f"{where}: a series of shape (T) or (T, features) was expected, found {array.shape}")
            one = array[:, None] if flat else array
            if one.shape[1] != (1 if flat else arrays[0].shape[1]):
                raise InputError(f"{where} has {one.shape[1]} features, and the first series {arrays[0].shape[1]}")
            series.append(one)
        return cls(series, several, flat)

    def check_finite(self, what: str) -> None:
        for k, one in enumerate(self.series):
            for first in range(0, len(one), AT_ONCE):
                bad = ~np.isfinite(one[first : first + AT_ONCE]).all(axis=1)
                if bad.any():
                    at = first + int(bad.argmax())
                    where = f"series {k}, step {at}" if self.several else f"step {at}"
                    raise InputError(
                        f"{what} holds {one[at][~np.isfinite(one[at])][0]} at {where}; a reservoir can't leave a step "
                        "out. Fill such steps first, or cut the series there"
                    )

    def give_back(self, found: Sequence[Array], flat: bool) -> Any:
        """Results `(T_i, O)` as series were given: one or several, of one number a step or of more."""
        shaped = [one[:, 0] if flat else one for one in found]
        return shaped if self.several else shaped[0]


def is_several(X: Any) -> bool:
    if isinstance(X, list | tuple):
        return bool(X) and np.ndim(X[0]) > 0 and not (np.ndim(X[0]) == 1 and all(np.size(one) == 1 for one in X))
    return np.ndim(X) == 3


def _numbers(array: Any, what: str) -> Array:
    array = np.asarray(array) if not isinstance(array, np.ndarray) else array
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{what}: a series of numbers was expected, found {array.dtype}") from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what}: a series of numbers was expected, found {array.dtype}")
    return array


@dataclass(frozen=True)
class Scale:
    """A mean and a spread `(I)`; what is scaled has 0 and 1."""

    mean: Array
    spread: Array

    @classmethod
    def fit(cls, series: Sequence[Array], wanted: bool = True) -> Self:
        """Of all steps together, without missing ones; a feature that never changes keeps its size."""
        features = series[0].shape[1]
        if not wanted:
            return cls(np.zeros(features), np.ones(features))
        n, mean, square = np.zeros(features), np.zeros(features), np.zeros(features)
        for one in series:
            for first in range(0, len(one), AT_ONCE):
                part = np.asarray(one[first : first + AT_ONCE], dtype=np.float64)
                many = np.isfinite(part).sum(0)
                if not many.all():
                    part = np.where(np.isfinite(part), part, np.nan)
                if not many.any():
                    continue
                own = np.nansum(part, 0) / np.maximum(many, 1)
                total = np.maximum(n + many, 1)
                square += np.nansum((part - own) ** 2, 0) + (own - mean) ** 2 * n * many / total
                mean = mean + (own - mean) * many / total
                n = n + many
        spread = np.sqrt(square / np.maximum(n, 1))
        return cls(mean, np.where(spread > 1e-12 * np.maximum(1.0, np.abs(mean)), spread, 1.0))

    def apply(self, x: Array) -> Array:
        return (np.asarray(x, dtype=np.float64) - self.mean) / self.spread

    def undo(self, y: Array) -> Array:
        return y * self.spread + self.mean

    def to_dict(self) -> dict[str, list[float]]:
        return {"mean": self.mean.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, list[float]]) -> Self:
        return cls(np.array(values["mean"]), np.array(values["spread"]))


@dataclass(frozen=True)
class Lesson:
    """One series as it is learned from: a part of it at a time, so that it need not lie in memory as a whole.

    x: the inputs `(T, I)`.  y: what is to be said at each step `(T, O)`; None: what x is some steps ahead, `horizon`.
    feedback: y one step before is an input too.  before: `(O)`, y before the first step, where it is known.
    """

    x: Array
    y: Array | None
    x_scale: Scale
    y_scale: Scale
    horizon: tuple[int, ...] = (1,)
    feedback: bool = False
    before: Array | None = None

    @property
    def steps(self) -> int:
        """Of how many steps it is known what is to be said."""
        return max(0, len(self.x) - max(self.horizon)) if self.y is None else len(self.x)

    def inputs(self, first: int, last: int) -> Array:
        """`(last - first, I)` scaled; with the true last outputs beside them, where these are fed back."""
        x = self.x_scale.apply(self.x[first:last])
        if not self.feedback or self.y is None:
            return x
        last_y = self.y_scale.apply(self.y[max(0, first - 1) : last - 1])
        if first == 0:
            start = np.zeros_like(self.y_scale.mean) if self.before is None else self.y_scale.apply(self.before)
            last_y = np.concatenate([start[None], last_y])
        return np.concatenate([x, last_y], axis=1)

    def outputs(self, first: int, last: int) -> Array:
        """`(last - first, O)` scaled, what is to be said at these steps; for each horizon, side by side."""
        if self.y is not None:
            return self.y_scale.apply(self.y[first:last])
        return np.concatenate([self.x_scale.apply(self.x[first + h : last + h]) for h in self.horizon], axis=1)


def parts(steps: int, at_once: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """`steps` cut into pieces.

    >>> list(parts(10, 4, 1))
    [(1, 5), (5, 9), (9, 10)]
    """
    for begin in range(first, steps, at_once):
        yield begin, min(steps, begin + at_once)


def kind_of(given: Given, Y: Any) -> str:
    """What is to be learned: "forecast" of X itself, Y at "steps", or for each series "classes" or "values"."""
    if Y is None:
        return "forecast"
    if not given.several or is_several(Y):
        return "steps"
    y = np.asarray(Y)
    if y.shape != (len(given.series),):
        raise InputError(
            f"Y: one answer for each of the {len(given.series)} series was expected, or a series of answers for each; "
            f"found an array {y.shape}"
        )
    if y.dtype.kind != "f":
        return "classes"
    if not np.isfinite(y).all():
        raise InputError(f"Y holds {y[~np.isfinite(y)][0]} for series {int((~np.isfinite(y)).argmax())}")
    return "values"
