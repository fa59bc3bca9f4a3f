"""Which cases are held back: as many of each class as there are, and never a part of a group."""

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

from elman.errors import InputError


def held_back(
    n: int,
    share: float,
    seed: int,
    *,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    what: str,
) -> np.ndarray:
    """Indices, in order, of the cases held back: a `share` below 1, or so many, and at least one.

    classes (n): each gives its share, but keeps one case at least.  groups (n): each is held back whole or not at all.
    what: a word for the errors.

    >>> held_back(8, 0.25, 0, classes=np.array([0, 0, 0, 0, 1, 1, 1, 1]), what="validation").shape
    (2,)
    """
    if n < 2:
        raise InputError(f"n_samples = {n}: at least two cases are needed, one of them for the {what} part")
    count = max(1, round(share if share >= 1 else n * share))
    if count >= n:
        raise InputError(f"the {what} part is to have {count} of {n} cases; at least one has to be left to train on")
    random = np.random.RandomState(seed % 2**32)
    if groups is not None:
        return _whole_groups(n, count, random, classes, groups, what)
    if classes is None:
        return np.sort(random.permutation(n)[:count])
    order = random.permutation(n)
    # Places within its class, as shares of it: the smallest ones together hold back as much of each class as there is.
    place = np.empty(n)
    for name in np.unique(classes):
        own = order[classes[order] == name]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
        place[own[-1]] = np.inf  # one is always trained on
    ranked = order[np.argsort(place[order], kind="stable")]
    return np.sort(ranked[:count][np.isfinite(place[ranked[:count]])])


def _whole_groups(
    n: int, count: int, random: np.random.RandomState, classes: np.ndarray | None, groups: np.ndarray, what: str
) -> np.ndarray:
    different = len(np.unique(groups))
    if different < 2:
        raise InputError(f"all {n} cases are of one group; none is left for the {what} part. Choose no groups")
    if classes is None:
        split = GroupShuffleSplit(
            1, test_size=min(different - 1, max(1, round(count / n * different))), random_state=random
        )
        return np.sort(next(split.split(np.zeros(n), groups=groups))[1])
    folds = min(different, max(2, round(n / count)))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=random)
    try:
        return np.sort(next(split.split(np.zeros(n), classes, groups))[1])
    except ValueError:  # no class has as many cases as there are folds
        held = random.permutation(np.unique(groups))[: max(1, different // folds)]
        return np.flatnonzero(np.isin(groups, held))


def split_of(indices: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The others, and `indices`."""
    held = np.zeros(n, dtype=bool)
    held[indices] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def as_array(values: Sequence[object]) -> np.ndarray:
    """Names of groups as an array, whatever they are."""
    return np.unique(np.array([str(v) for v in values]), return_inverse=True)[1]
