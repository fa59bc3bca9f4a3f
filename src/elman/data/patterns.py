"""Patterns for associative memories: however they are written, -1 and 1 inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from elman.errors import InputError

Kind = Literal["signs", "bits", "bools", "grey", "numbers"]


@dataclass(frozen=True)
class Coding:
    """How patterns are written: their `shape`, and by which two values, `low` and `high`.

    grey: light and dark pixels are told apart at `threshold`.  numbers: any, as they are.
    """

    kind: Kind
    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    threshold: float = 0.0

    @property
    def units(self) -> int:
        return int(np.prod(self.shape))

    def write(self, values: np.ndarray) -> np.ndarray:
        """`values (..., N)` as the patterns were given, `(..., *shape)`; of graded ones only the sign is."""
        shaped = values.reshape(*values.shape[:-1], *self.shape)
        if self.kind == "numbers":
            return shaped
        high = shaped > 0
        return high if self.kind == "bools" else np.where(high, self.high, self.low)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "shape": list(self.shape), "low": self.low, "high": self.high,
            "threshold": self.threshold,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> "Coding":
        numbers = (float(d[key]) for key in ("low", "high", "threshold"))
        return cls(d["kind"], tuple(int(side) for side in d["shape"]), *numbers)


def read_patterns(X: Any, *, numbers: bool = False) -> tuple[np.ndarray, Coding, str]:
    """Patterns as `(n, N)` of -1 and 1, how they were written, and a note where that was not as -1 and 1.

    X: `(n, N)`, a table of n rows, or images `(n, H, W)`, of -1 and 1, of 0 and 1, or of bools; images may be of any
    greys.  numbers: any numbers are patterns as they are.

    >>> read_patterns([[True, False], [False, False]])[0]
    array([[ 1., -1.],
           [-1., -1.]])
    """
    found = _array(X, "patterns")
    if found.ndim not in (2, 3) or not found.size:
        raise InputError(
            f"expected patterns as (n, N), or images as (n, H, W), at least one, found an array of shape {found.shape}"
        )
    if found[0].size < 2:
        raise InputError(
            f"expected patterns of at least two units, which remind each other, found {found[0].size} in each"
        )
    shape, flat = found.shape[1:], found.reshape(len(found), -1)
    coding, note = _coding(found, flat, shape, numbers)
    return _coded(flat, coding, "pattern"), coding, note


def read_cues(X: Any, coding: Coding) -> np.ndarray:
    """Cues as `(n, N)`, written as the patterns were; one alone may come without the n."""
    found = _array(X, "cues")
    if found.shape == coding.shape:
        found = found[None]
    if found.shape[1:] != coding.shape or not len(found):
        wanted = ", ".join(["n", *map(str, coding.shape)])
        raise InputError(
            f"expected cues of shape ({wanted}), as the stored patterns are, found an array of shape {found.shape}"
        )
    if coding.kind == "bools" and found.dtype != bool and not np.isin(found, (0, 1)).all():
        raise InputError("the stored patterns are True or False; expected cues of these, or of 0 and 1")
    return _coded(found.reshape(len(found), -1), coding, "cue")


def damaged(patterns: np.ndarray, share: float, seed: int | np.random.Generator = 0) -> np.ndarray:
    """Patterns `(n, N)` of -1 and 1 with so large a share of units turned in each, at random places.

    >>> (damaged(np.ones((2, 10)), 0.3) == -1).sum(axis=1)
    array([3, 3])
    """
    if not 0 <= share <= 1:
        raise InputError(f"expected a share of units to turn from 0 to 1, found {share}")
    places = np.random.default_rng(seed).random(patterns.shape).argsort(axis=1)
    return np.where(places < round(share * patterns.shape[1]), -patterns, patterns)


def _array(X: Any, what: str) -> np.ndarray:
    try:
        found = np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X)
        return found if found.dtype == bool else found.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"expected {what} as an array of numbers or bools, all of one shape, found what is none"
        ) from None


def _coding(found: np.ndarray, flat: np.ndarray, shape: tuple[int, ...], numbers: bool) -> tuple[Coding, str]:
    _finite(flat, "pattern")
    if numbers:
        return Coding("numbers", shape), ""
    if found.dtype == bool:
        return Coding("bools", shape, 0.0, 1.0), "True is stored as 1 and False as -1"
    if np.isin(flat, (-1, 1)).all():
        return Coding("signs", shape), ""
    if np.isin(flat, (0, 1)).all():
        return Coding("bits", shape, 0.0, 1.0), "0 is stored as -1"
    if len(shape) == 2:
        low, high = float(flat.min()), float(flat.max())
        if low == high:
            raise InputError(f"all pixels of all images are {low:g}: there is nothing to tell them apart")
        middle = (low + high) / 2
        return (
            Coding("grey", shape, low, high, middle),
            f"pixels above {middle:g}, the middle between darkest and lightest, are stored as 1, others as -1",
        )
    row, unit = (int(k) for k in np.argwhere(~np.isin(flat, (-1, 1)))[0])
    raise InputError(
        f"pattern {row}, unit {unit} is {flat[row, unit]:g}; expected only -1 and 1, or only 0 and 1. Give images as "
        "(n, H, W) to have their greys told apart, or patterns of any numbers to kind='modern'"
    )


def _coded(flat: np.ndarray, coding: Coding, what: str) -> np.ndarray:
    """`flat (n, N)` as -1 and 1; InputError for the first value that is not of the coding."""
    _finite(flat, what)
    if coding.kind == "numbers":
        return flat.astype(np.float64)
    if coding.kind == "grey":
        air = (coding.high - coding.low) / 2  # noise may go beyond what is stored, another scale must not
        far = np.argwhere((flat < coding.low - air) | (flat > coding.high + air))
        if len(far):
            row, unit = (int(k) for k in far[0])
            raise InputError(
                f"{what} {row}, pixel {unit} is {flat[row, unit]:g}, but the stored images go from {coding.low:g} to "
                f"{coding.high:g}; bring both to one scale"
            )
        return np.where(flat > coding.threshold, 1.0, -1.0)
    wrong = np.argwhere(~np.isin(flat, (coding.low, coding.high)))
    if len(wrong):
        row, unit = (int(k) for k in wrong[0])
        raise InputError(
            f"{what} {row}, unit {unit} is {flat[row, unit]:g}; expected {coding.low:g} or {coding.high:g}, as in the "
            "stored patterns"
        )
    return np.where(flat == coding.high, 1.0, -1.0)


def _finite(flat: np.ndarray, what: str) -> None:
    wrong = np.argwhere(~np.isfinite(flat))
    if len(wrong):
        row, unit = (int(k) for k in wrong[0])
        raise InputError(
            f"{what} {row}, unit {unit} is {flat[row, unit]}; expected finite numbers: fill it in, or leave the "
            f"{what} out"
        )
