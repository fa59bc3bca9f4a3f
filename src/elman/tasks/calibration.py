"""Quantiles that keep their promise: split-conformal calibration, and probabilities of events from them."""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from elman.errors import InputError

GRID = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)


def quantiles_for(levels: tuple[float, ...]) -> tuple[float, ...]:
    """The quantiles that a network learns: an even grid, and both ends of the interval of each level (in percent)."""
    ends = {round(q, 6) for level in levels for q in ends_of(level)}
    return tuple(sorted(ends | set(GRID)))


def ends_of(level: float) -> tuple[float, float]:
    """The quantiles between which `level` percent lie.

    >>> ends_of(90)
    (0.05, 0.95)
    """
    return round(0.5 - level / 200, 6), round(0.5 + level / 200, 6)


def conformal_shifts(y: np.ndarray, forecast: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    r"""(H, Q): what to add to each quantile so that, on data like these, y lies below it with its probability.

    y: (N, H), NaN where not observed; forecast: (N, H, Q). Each shift is the $\lceil (n + 1) \tau \rceil$-th
    smallest of the n residuals $y - \hat q_\tau$ for an upper quantile, the $\lfloor (n + 1) \tau \rfloor$-th for a
    lower one, so that the interval between two of them errs on the wide side (after Romano, Patterson and Candes 2019,
    arXiv 1905.03222).
    """
    horizon = y.shape[1]
    shifts = np.zeros((horizon, len(quantiles)))
    for lead in range(horizon):
        seen = ~np.isnan(y[:, lead])
        n = int(seen.sum())
        if n == 0:
            continue
        residuals = np.sort(y[seen, lead, None] - forecast[seen, lead], axis=0)
        for k, tau in enumerate(quantiles):
            rank = np.ceil((n + 1) * tau) if tau >= 0.5 else np.floor((n + 1) * tau)
            shifts[lead, k] = residuals[int(np.clip(rank, 1, n)) - 1, k]
    return shifts


@dataclass(frozen=True)
class Event:
    """A condition on the target, such as `>= 60`."""

    sign: str
    threshold: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        >>> Event.parse(">= 60")
        Event(sign='>=', threshold=60.0)
        """
        found = re.fullmatch(r"\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", text)
        if not found:
            raise InputError(f"event={text!r}: a condition such as '>= 60' or '< 2.5' was expected")
        return cls(found[1], float(found[2]))

    def __str__(self) -> str:
        return f"{self.sign} {self.threshold:g}"

    def happened(self, y: np.ndarray) -> np.ndarray:
        """Whether each value meets the condition; False for NaN."""
        compare = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}
        return np.asarray(compare[self.sign](y, self.threshold))

    def probability(self, forecast: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
        """(...,) from sorted quantiles (..., Q) in the target's unit: the distribution runs straight between them and
        falls off exponentially beyond the outermost, going on with the density that it has there."""
        itself = self.sign in (">", "<=")  # whether the threshold counts as below
        below = _share_below(forecast.reshape(-1, len(quantiles)), np.asarray(quantiles), self.threshold, itself)
        below = below.reshape(forecast.shape[:-1])
        return 1 - below if self.sign[0] == ">" else below


def _share_below(q: np.ndarray, tau: np.ndarray, at: float, itself: bool) -> np.ndarray:
    """(N,) probability of a value below `at`, or up to it; the two differ where quantiles coincide, as in rain."""
    out = np.empty(len(q))
    tiny = 1e-9 * (1 + np.abs(q).max(axis=1))
    right = np.maximum(q[:, -1] - q[:, -2], tiny) / (tau[-1] - tau[-2]) * (1 - tau[-1])
    left = np.maximum(q[:, 1] - q[:, 0], tiny) / (tau[1] - tau[0]) * tau[0]
    for row, values in enumerate(q):
        first, after = np.searchsorted(values, at, "left"), np.searchsorted(values, at, "right")
        if after - first > 1:  # a share of all values is this one
            out[row] = (tau[after - 1] if after < len(tau) else 1.0) if itself else (tau[first] if first else 0.0)
        elif at > values[-1]:
            out[row] = 1 - (1 - tau[-1]) * np.exp(-(at - values[-1]) / right[row])
        elif at < values[0]:
            out[row] = tau[0] * np.exp(-(values[0] - at) / left[row])
        else:
            out[row] = np.interp(at, values, tau)
    return out
