"""Units seen from outside: where each is highest, which of them go together, and the path of them all."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

APART = 6  # steps between two of a unit's spans in one sequence, at least


def spans(h: Floats, count: int = 10) -> tuple[Ints, Floats]:
    """Where each unit is highest: `h (N, T, H)` gives sequence and step `(H, count, 2)`, and values `(H, count)`.

    From the highest on, at least `APART` steps from each that was taken before. Where there are fewer such places than
    `count`, the rest is -1, and its values are NaN.

    >>> h = np.zeros((2, 30, 1)); h[0, 5], h[0, 6], h[1, 20] = 3.0, 2.5, 2.0
    >>> spans(h, 2)[0].tolist(), spans(h, 2)[1].tolist()
    ([[[0, 5], [1, 20]]], [[3.0, 2.0]])
    """
    T, H = h.shape[1:]
    where, values = np.full((H, count, 2), -1), np.full((H, count), np.nan)
    steps = np.arange(T)
    left = np.moveaxis(h, -1, 0).astype(np.float64)
    for unit, of_unit in enumerate(left):
        for k in range(count):
            sequence, step = divmod(int(of_unit.argmax()), T)
            if of_unit[sequence, step] == -np.inf:
                break
            where[unit, k], values[unit, k] = (sequence, step), of_unit[sequence, step]
            of_unit[sequence, abs(steps - step) < APART] = -np.inf
    return where, values


def alike(h: Floats) -> list[int]:
    """An order of the units of `h (N, T, H)` in which those that go together are neighbours.

    The leaves of an average-linkage clustering by 1 - correlation; units that never move come last.

    >>> t = np.linspace(0, 9, 50)
    >>> alike(np.stack([np.sin(t), np.cos(t), np.zeros(50), 2 * np.sin(t)], axis=1)[None])[-1]
    2
    """
    flat = h.reshape(-1, h.shape[-1]).astype(np.float64)
    moving = np.flatnonzero(flat.std(axis=0) > 1e-9)
    still = [k for k in range(flat.shape[1]) if k not in set(moving.tolist())]
    if len(moving) < 3:
        return [*moving.tolist(), *still]
    together = np.atleast_2d(np.corrcoef(flat[:, moving], rowvar=False))
    pairs = np.clip(1 - together[np.triu_indices(len(moving), 1)], 0, 2)
    return [*moving[leaves_list(linkage(pairs, "average"))].tolist(), *still]


def correlation(h: Floats, of: Floats) -> Floats:
    """Of each unit of `h (N, T, H)` with `of (N, T)`, where that is known: `(H)`, 0 for what never moves.

    >>> x = np.arange(5.0)[None]
    >>> correlation(np.stack([x, -x, 0 * x], axis=-1), x).round(6).tolist()
    [1.0, -1.0, 0.0]
    """
    known = np.isfinite(of)
    if known.sum() < 3:
        return np.zeros(h.shape[-1])
    units, one = h[known].astype(np.float64), of[known].astype(np.float64)
    units, one = units - units.mean(axis=0), one - one.mean()
    size = np.sqrt((units**2).sum(axis=0) * (one**2).sum())
    return np.divide(one @ units, size, out=np.zeros(len(size)), where=size > 1e-12)


def explained(h: Floats, words: Ints) -> Floats:
    """The share of each unit's variance that the word read at the step explains (eta squared): `(H)`, from 0 to 1.

    >>> explained(np.array([[[1.0, 0.0], [3.0, 1.0], [1.0, 1.0], [3.0, 0.0]]]), np.array([[0, 1, 0, 1]])).tolist()
    [1.0, 0.0]
    """
    flat, word = h.reshape(-1, h.shape[-1]).astype(np.float64), np.unique(words, return_inverse=True)[1].ravel()
    counts = np.bincount(word)[:, None]
    means = np.stack([np.bincount(word, unit) for unit in flat.T], axis=1) / counts
    total = flat.var(axis=0)
    between = (counts * (means - flat.mean(axis=0)) ** 2).sum(axis=0) / len(flat)
    return np.divide(between, total, out=np.zeros(len(total)), where=total > 1e-12)


def path(h: Floats) -> tuple[Floats, Floats]:
    """The two directions in which the states of `h (N, T, H)` vary most: `(N, T, 2)`, and their shares of the variance.

    >>> line = np.linspace(0, 1, 8)[None, :, None] * np.array([1.0, 2.0, 0.0])
    >>> path(line)[1].round(6).tolist()
    [1.0, 0.0]
    """
    flat = h.reshape(-1, h.shape[-1]).astype(np.float64)
    values, vectors = np.linalg.eigh((centred := flat - flat.mean(axis=0)).T @ centred)
    two = vectors[:, ::-1][:, :2]
    if two.shape[1] < 2:
        two = np.pad(two, ((0, 0), (0, 2 - two.shape[1])))
    shares = np.pad(values[::-1][:2].clip(min=0), (0, max(0, 2 - len(values)))) / max(values.sum(), 1e-30)
    return (centred @ two).reshape(*h.shape[:2], 2), shares
