"""Linear readouts in closed form: ridge regression from sums over any number of steps, and step by step (RLS).

All in float64. `F` features, `O` outputs, `n` steps. Nothing here grows with the number of steps.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh
from scipy.linalg.blas import dger

from elman.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """`y = x @ slope + intercept`: slope `(F, O)`, intercept `(O)`."""

    slope: Array
    intercept: Array

    def __call__(self, x: NDArray[np.floating]) -> Array:
        return x @ self.slope + self.intercept


class Sums:
    """Means and centred products of all steps added so far: all that ridge regression needs of them.

    Centred sums of two parts are put together with Chan's formula (Chan, Golub and LeVeque 1983,
    doi:10.1080/00031305.1983.10483115), which keeps the digits that sums of raw products would lose.

    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(100, 3))
    >>> sums = Sums(3, 1).add(x[:40], x[:40] @ [[1], [2], [3]] + 5).add(x[40:], x[40:] @ [[1], [2], [3]] + 5)
    >>> fitted = ridge(sums, 1e-9)
    >>> fitted.slope.round(6).ravel().tolist(), fitted.intercept.round(6).tolist()
    ([1.0, 2.0, 3.0], [5.0])
    """

    def __init__(self, features: int, outputs: int):
        self.n = 0
        self.x_mean, self.y_mean = np.zeros(features), np.zeros(outputs)
        self.xx, self.xy, self.yy = np.zeros((features, features)), np.zeros((features, outputs)), np.zeros(outputs)

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Self:
        """Steps `x (n, F)` with `y (n, O)`; steps whose y is missing (NaN) in some output are left out."""
        known = ~np.isnan(y).any(axis=1)
        if not known.all():
            x, y = x[known], y[known]
        n = len(x)
        if not n:
            return self
        x_mean, y_mean = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
        centred, y = x - x_mean, y - y_mean
        xx = centred.T @ centred  # numpy sees that it is symmetric, and computes half of it
        self._merge(n, x_mean, y_mean, xx, centred.T @ y, (y * y).sum(0))
        return self

    @classmethod
    def together(cls, parts: Iterable["Sums"]) -> Self:
        """The sums of all steps of several, which share none."""
        parts = list(parts)
        whole = cls(*parts[0].xy.shape)
        for part in parts:
            if part.n:
                whole._merge(part.n, part.x_mean, part.y_mean, part.xx, part.xy, part.yy)
        return whole

    def _merge(self, n: int, x_mean: Array, y_mean: Array, xx: Array, xy: Array, yy: Array) -> None:
        total = self.n + n
        dx, dy, weight = x_mean - self.x_mean, y_mean - self.y_mean, self.n * n / total
        self.xx += xx
        self.xy += xy + weight * np.outer(dx, dy)
        if weight:
            self.xx += weight * np.outer(dx, dx)
        self.yy += yy + weight * dy * dy
        self.x_mean = self.x_mean + n / total * dx
        self.y_mean = self.y_mean + n / total * dy
        self.n = total

    @property
    def smallest(self) -> float:
        """The size below which an eigenvalue of xx is rounding."""
        return float(len(self.xx) * np.finfo(np.float64).eps * np.trace(self.xx))

    def linear(self, slope: Array) -> Linear:
        return Linear(slope, self.y_mean - self.x_mean @ slope)


class RidgePath:
    """Ridge regressions of all penalties from one eigendecomposition.

    A penalty alpha is what the squared slopes are weighed with beside the sum of squared errors; the intercept is free.
    """

    def __init__(self, sums: Sums):
        if sums.n < 2:
            raise InputError(f"a readout is fitted to at least 2 steps; there are {sums.n}")
        self.sums = sums
        self.values, self.vectors = eigh(sums.xx, driver="evd", check_finite=False)
        self._turned = self.vectors.T @ sums.xy
        self._real = self.values > sums.smallest

    @property
    def rank(self) -> int:
        """How many directions the features span, as far as rounding lets it be seen."""
        return int(self._real.sum())

    def solve(self, alpha: float) -> Linear:
        """With alpha=0, or one that is lost in rounding, of all that fit alike the one with the least norm."""
        shares = np.zeros_like(self.values)
        kept = self._real if alpha <= self.sums.smallest else np.ones_like(self._real)
        np.divide(1, np.maximum(self.values, 0) + alpha, out=shares, where=kept)
        return self.sums.linear(self.vectors @ (shares[:, None] * self._turned))

    def gcv(self, alpha: float) -> float:
        """Generalised cross-validation (Golub, Heath and Wahba 1979, doi:10.1080/00401706.1979.10489751).

        An estimate of the mean squared error on new steps like these, beside the variance of the outputs; their mean.
        """
        n, real = self.sums.n, self._real
        values, squares = self.values[real], self._turned[real] ** 2
        keep = values / (values + alpha)
        fitted = squares / values[:, None]
        floor = np.maximum(self.sums.yy - fitted.sum(0), 0)
        rest = floor + ((1 - keep) ** 2 @ fitted)
        free = n - 1 - keep.sum()
        if free <= 0:
            return float("inf")
        return float((n * rest / free**2 / np.maximum(self.sums.yy / n, 1e-300)).mean())

    @cached_property
    def told(self) -> str:
        features = len(self.values)
        return (
            f"the readout is singular: its {features} features span {self.rank} directions in {self.sums.n} steps; of "
            "all readouts that fit alike, that with the smallest weights is taken. A ridge above 0 would choose better"
        )


def ridge(sums: Sums, alpha: float) -> Linear:
    """One ridge regression. A singular one is told by a warning, and solved by the least norm.

    Raises InputError for fewer than 2 steps.
    """
    if alpha < 0:
        raise InputError(f"ridge={alpha}: a number from 0 on was expected")
    if sums.n >= 2 and alpha > sums.smallest:
        try:
            whole = sums.xx.copy()
            whole.flat[:: len(whole) + 1] += alpha
            factor = cho_factor(whole, lower=True, overwrite_a=True, check_finite=False)
            return sums.linear(cho_solve(factor, sums.xy, check_finite=False))
        except LinAlgError:  # not positive in its last digits
            pass
    path = RidgePath(sums)
    if alpha <= sums.smallest and path.rank < len(path.values):
        warnings.warn(path.told, stacklevel=2)
    return path.solve(alpha)


class Scored:
    """How well several readouts predict steps that they were not fitted to; gathered part by part."""

    def __init__(self, readouts: Sequence[Linear]):
        self._slopes = np.concatenate([r.slope for r in readouts], axis=1)
        self._intercepts = np.concatenate([r.intercept for r in readouts])
        self.many, self.outputs = len(readouts), readouts[0].slope.shape[1]
        self.n, self.squares = 0, np.zeros((self.many, self.outputs))

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        known = ~np.isnan(y).any(axis=1)
        said = (x[known] @ self._slopes + self._intercepts).reshape(-1, self.many, self.outputs)
        self.squares += ((said - y[known][:, None]) ** 2).sum(0)
        self.n += int(known.sum())


class RecursiveLeastSquares:
    """Ridge regression that learns from one step after the other, and may forget old ones.

    The square root S of the covariance `P = S S^T` is kept instead of P (Potter's form; Bierman 1977, "Factorization
    methods for discrete sequential estimation", chapter II), so that rounding can't make it lose its sign. Each step
    costs F * F.

    Args:
        forgetting: what a step counts after one more step, above 0 up to 1; 1 never forgets.
        alpha: the penalty of the slopes at the beginning.

    With forgetting=1 it ends at the ridge regression whose intercept is penalised as the slopes are:

    >>> random = np.random.default_rng(0)
    >>> x, y = random.normal(size=(50, 3)), random.normal(size=(50, 1))
    >>> rls = RecursiveLeastSquares(3, 1, alpha=0.5)
    >>> for x_t, y_t in zip(x, y):
    ...     _ = rls.learn(x_t, y_t)
    >>> X = np.column_stack([x, np.ones(50)])
    >>> np.allclose(rls.weights, np.linalg.solve(X.T @ X + 0.5 * np.eye(4), X.T @ y))
    True
    """

    def __init__(self, features: int, outputs: int, *, forgetting: float = 1.0, alpha: float = 1.0):
        if not 0 < forgetting <= 1 or not alpha > 0:
            raise InputError(
                f"expected forgetting above 0 up to 1 and a ridge above 0; found {forgetting:g} and {alpha:g}"
            )
        self.forgetting = forgetting
        self.weights = np.zeros((features + 1, outputs))  # the last row is the intercept
        self.root = np.asfortranarray(np.eye(features + 1) / np.sqrt(alpha))
        self._most = float((features + 1) / alpha)  # of the trace of P: without it, what is never seen would blow up

    def learn(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Array:
        """Learn from one step, `x (F)` and `y (O)`; what was predicted for it before. A missing y teaches nothing."""
        x = np.append(x, 1.0)
        said = x @ self.weights
        if np.isnan(y).any():
            return said
        f = x @ self.root
        left = self.forgetting
        whole = left + f @ f
        gain = self.root @ f
        self.weights += np.outer(gain / whole, y - said)
        dger(-1 / (whole + np.sqrt(left * whole)), gain, f, a=self.root, overwrite_a=True)
        if left < 1:
            stretched = float(np.linalg.norm(self.root)) ** 2 / left
            self.root *= np.sqrt(min(1.0, self._most / stretched) / left)
        return said

    @property
    def linear(self) -> Linear:
        return Linear(self.weights[:-1], self.weights[-1])
