"""How patterns become the weights of a network that remembers them: three rules.

A rule takes patterns `(P, N)` of -1 and 1 and gives symmetric weights `W (N, N)`, W[i, j] from unit j to unit i.

"hebbian": `W = sum_p x_p x_p^T / N`. Units that are alike in a pattern are coupled by it (Hebb 1949 in words; for such
networks Nakano 1971, Amari 1972, Hopfield 1982). Of random patterns it holds about 0.138 N (Amit, Gutfreund and
Sompolinsky 1985).

"storkey": one pattern after the other, each less what the earlier ones say of it already (Storkey 1997, "Increasing the
capacity of a Hopfield network without sacrificing functionality"). As local as Hebb's rule; it holds more.

"pseudo-inverse": the projection on the space that the patterns span, `W = X^+ X` (Kohonen 1972 for linear memories;
Personnaz, Guyon and Dreyfus 1985 for these networks). Every pattern is a fixed point as long as fewer than N are
linearly independent.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import blas

Array = np.ndarray


def hebbian(patterns: Array) -> Array:
    """
    >>> hebbian(np.array([[1.0, 1.0, -1.0, -1.0]]))[0]
    array([ 0.25,  0.25, -0.25, -0.25])
    """
    return patterns.T @ patterns / patterns.shape[1]


def storkey(patterns: Array) -> Array:
    """For each pattern x: `W[i, j] += (x_i x_j - x_i h_ji - h_ij x_j) / N`, h_ij the field of i without i and j.

    The diagonal is zero, as h_ij knows no coupling of a unit to itself.
    """
    N = patterns.shape[1]
    # Only the lower triangle is kept up, of W / scale: each pattern costs one pass over half of the matrix.
    W, scale = np.zeros((N, N), order="F"), 1.0
    for x in patterns.astype(np.float64):
        # With a zero diagonal h_ij = h_i - W_ij x_j, and x_j x_j = 1: both subtracted terms give back a W_ij.
        b = 0.5 * x - blas.dsymv(scale, W, x, lower=1)
        scale *= 1 + 2 / N
        W = blas.dsyr2(1 / (N * scale), x, b, lower=1, a=W, overwrite_a=1)
        np.fill_diagonal(W, 0)
    whole: Array = scale * (W + W.T)
    return whole


def pseudo_inverse(patterns: Array) -> Array:
    """
    >>> x = np.array([[1.0, 1.0, 1.0, -1.0], [1.0, -1.0, 1.0, 1.0], [1.0, 1.0, -1.0, 1.0]])
    >>> np.allclose(x @ pseudo_inverse(x), x)
    True
    """
    _, sizes, directions = np.linalg.svd(patterns, full_matrices=False)
    span = directions[sizes > tolerance(patterns, sizes)]
    return span.T @ span


def rank(patterns: Array) -> int:
    """How many of the patterns are linearly independent."""
    sizes = np.linalg.svd(patterns, compute_uv=False)
    return int((sizes > tolerance(patterns, sizes)).sum())


def tolerance(patterns: Array, sizes: Array) -> float:
    """Below this a singular value is rounding, by the convention of numpy.linalg.matrix_rank."""
    return float(sizes.max() * max(patterns.shape) * np.finfo(np.float64).eps)


RULES: dict[str, Callable[[Array], Array]] = {
    "hebbian": hebbian,
    "storkey": storkey,
    "pseudo-inverse": pseudo_inverse,
}
