"""Intrinsic plasticity: each unit of a reservoir adapts its gain and bias to what it sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from elman.errors import InputError

Array = NDArray[np.float64]


def adapted(
    x: Array, weights: Mapping[str, NDArray[Any]], leak: Array, *, epochs: int, mean: float, spread: float, rate: float
) -> tuple[Array, Array, Array]:
    r"""`W_in (N, I)`, W's values and `b (N)` after N units have read `x (T, B, I)`, `epochs` times.

    A unit computes :math:`y = \tanh(a \bar h + b)`, with a gain a that is 1 at first. After each step, the mean over
    the batch of what brings the distribution of y closer to a normal one, of mean mu and spread sigma, is added:

    .. math::
        \Delta b &= -\eta (-\mu / \sigma^2 + y / \sigma^2 (2 \sigma^2 + 1 - y^2 + \mu y)) \\
        \Delta a &= \eta / a + \bar h \Delta b

    (Schrauwen et al. 2008, doi:10.1016/j.neucom.2007.12.020, equations 8 and 9.) weights: as `Reservoir` has them, by
    kind. leak: `(N)`. The gains multiply rows of what is returned.
    """
    W_in, rows = weights["weight_ih"].astype(np.float64), weights["rows"]
    N, variance = len(W_in), spread**2
    W = sparse.csr_array((weights["values"].astype(np.float64), (rows, weights["columns"])), shape=(N, N))
    turn = weights.get("turn")
    a, b, leak = np.ones((N, 1)), weights["bias"].astype(np.float64)[:, None], leak[:, None]
    for _ in range(epochs):
        h = np.zeros((N, x.shape[1]))
        for x_t in x:
            h_bar = W_in @ x_t.T + W @ h
            y = np.tanh(a * h_bar + b)
            h = (1 - leak) * (h if turn is None else turn @ h) + leak * y
            more_b = -rate * (-mean / variance + y / variance * (2 * variance + 1 - y**2 + mean * y))
            a = a + (rate / a + h_bar * more_b).mean(1, keepdims=True)
            b = b + more_b.mean(1, keepdims=True)
            if not (a > 0).all():
                raise InputError(f"a unit's gain has left the numbers above 0: choose a rate smaller than {rate:g}")
    return a * W_in, weights["values"] * a[rows, 0], b[:, 0]
