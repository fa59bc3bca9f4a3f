"""The random sparse matrices that reservoirs are made of, and their spectral radius."""

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.linalg import eigvals
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, eigs

from elman.errors import InputError

Array = NDArray[np.float64]
Places = tuple[NDArray[np.int64], NDArray[np.int64]]

TOPOLOGIES = ("random", "ring", "small-world", "block")
REWIRED = 0.1  # of a small world's connections
WITHIN = 0.9  # of a block's connections
DENSE = 200  # units up to which all eigenvalues are computed
ALL = 3000  # the same, where the sparse solver has found none


def places(topology: str, N: int, entries: int, random: np.random.Generator) -> Places:
    """Rows and columns of the connections among N units, `entries` of them (a ring has N): row reads from column.

    random: any other units, in each row as many as in any other, or one more.
    ring: each unit reads from the one before (a simple cycle reservoir, Rodan and Tino 2011,
    doi:10.1109/TNN.2010.2089641).
    small-world: the nearest units on a ring, one connection in ten rewired to any (Watts and Strogatz 1998,
    doi:10.1038/30918).
    block: about sqrt(N) blocks of neighbours, nine connections in ten within (Jarvis et al. 2010,
    doi:10.3389/fninf.2010.00011).
    """
    if topology == "ring":
        return np.arange(N), np.roll(np.arange(N), 1)
    counts = np.full(N, entries // N)
    counts[random.permutation(N)[: entries % N]] += 1
    rows = np.repeat(np.arange(N), counts)
    if topology == "random":
        return rows, np.concatenate([random.choice(N, k, replace=False) for k in counts])
    picked = [_near(topology, row, k, N, random) for row, k in enumerate(counts)]
    return rows, np.concatenate(picked)


def _near(topology: str, row: int, k: int, N: int, random: np.random.Generator) -> NDArray[np.int64]:
    """k different columns, most of them close to `row`."""
    if topology == "small-world":
        steps = np.arange(1, k + 1)
        near = (row + (steps + 1) // 2 * np.where(steps % 2, 1, -1)) % N  # one to the right, one to the left, two ...
        stay = int((random.random(k) >= REWIRED).sum())
    else:
        size = max(2, round(N**0.5))
        first = min(row // size * size, max(0, N - size))
        near = first + random.permutation(min(size, N))
        stay = min(int((random.random(k) < WITHIN).sum()), len(near))
    kept = near[:stay]
    others = np.setdiff1d(np.arange(N), kept)
    return np.concatenate([kept, random.choice(others, k - stay, replace=False)])


def spectral_radius(W: sparse.csr_array, random: np.random.Generator | None = None) -> float:
    """The largest magnitude of an eigenvalue of a square matrix.

    The sparse solver (ARPACK) is asked for several eigenvalues: those of a random matrix lie close together on a
    circle, and asked for one it may give one that is not the largest. `random` draws where it starts from.

    >>> round(spectral_radius(sparse.csr_array([[0.0, 2.0], [-2.0, 0.0]])), 9)
    2.0
    """
    N = W.shape[0]
    if N <= DENSE:
        return float(np.abs(eigvals(W.toarray())).max())
    start = (random or np.random.default_rng(0)).uniform(-1, 1, N)
    try:
        found = eigs(W, k=6, ncv=64, v0=start, return_eigenvectors=False, tol=1e-10)
    except ArpackNoConvergence as error:
        found = error.eigenvalues
    except ArpackError:  # such as that the start is in the null space
        found = np.empty(0)
    if len(found):
        return float(np.abs(found).max())
    return float(np.abs(eigvals(W.toarray())).max()) if N <= ALL else _growth(W, start)


def _growth(W: sparse.csr_array, start: Array, steps: int = 2000) -> float:
    """By how much a product with W stretches a vector in the long run, which is its spectral radius."""
    logarithms = []
    for _ in range(steps):
        start = W @ start
        norm = float(np.linalg.norm(start))
        if norm == 0:
            return 0.0
        logarithms.append(np.log(norm))
        start = start / norm
    return float(np.exp(np.mean(logarithms[steps // 2 :])))


def scaled(N: int, entries: int, radius: float, topology: str, random: np.random.Generator) -> sparse.coo_array:
    """Uniform weights at `places`, scaled to the spectral radius; InputError where they have none.

    A ring's weights are all alike: its eigenvalues are then evenly apart on a circle.

    >>> W = scaled(50, 500, 0.9, "random", np.random.default_rng(0))
    >>> W.nnz, round(spectral_radius(W.tocsr()), 6)
    (500, 0.9)
    """
    rows, columns = places(topology, N, entries, random)
    if topology == "ring":
        return sparse.coo_array((np.full(N, radius), (rows, columns)), shape=(N, N))
    values = random.uniform(-1, 1, len(rows))
    W = sparse.coo_array((values, (rows, columns)), shape=(N, N))
    if not _has_loop(W):
        raise InputError(
            f"a reservoir of {N} units with {len(rows)} connections has no loop, so its spectral radius is 0 and can't "
            f"be scaled to {radius:g}: what it read is gone after some steps. Give each unit more connections"
        )
    W.data *= radius / spectral_radius(W.tocsr(), random)
    return W


def _has_loop(W: sparse.coo_array) -> bool:
    """Whether some unit reaches itself; otherwise all eigenvalues are 0, which rounding would hide."""
    return bool((W.coords[0] == W.coords[1]).any()) or connected_components(W, connection="strong")[0] < W.shape[0]


def orthogonal(N: int, random: np.random.Generator) -> Array:
    """A random orthogonal matrix, evenly drawn from all (Mezzadri 2007, arXiv math-ph/0609050).

    >>> Q = orthogonal(5, np.random.default_rng(0))
    >>> np.allclose(Q @ Q.T, np.eye(5))
    True
    """
    Q, R = np.linalg.qr(random.standard_normal((N, N)))
    return Q * np.sign(np.diag(R))
