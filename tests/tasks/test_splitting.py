"""What is held back: of each class its share, groups whole, and always something to learn from."""

import numpy as np
import pytest

from elman.errors import InputError
from elman.tasks.splitting import held_back, split_of


@pytest.mark.parametrize("seed", range(3))
def test_each_class_gives_its_share(seed):
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    held = held_back(100, 0.2, seed, classes=classes, what="test")
    assert np.bincount(classes[held]).tolist() == [12, 6, 2]
    assert not np.array_equal(held, held_back(100, 0.2, seed + 1, classes=classes, what="test"))
    assert np.array_equal(held, held_back(100, 0.2, seed, classes=classes, what="test"))


def test_a_class_keeps_one_case_to_learn_from():
    classes = np.array([0] * 9 + [1])
    for seed in range(10):
        held = held_back(10, 0.9, seed, classes=classes, what="test")
        assert set(classes[split_of(held, 10)[0]]) == {0, 1}


@pytest.mark.parametrize("classes", [None, np.arange(40) % 2])
def test_a_group_is_never_cut(classes):
    groups = np.repeat(np.arange(8), 5)
    for seed in range(5):
        held = held_back(40, 0.25, seed, classes=classes, groups=groups, what="validation")
        rest, _ = split_of(held, 40)
        assert len(held) and len(rest)
        assert not set(groups[held]) & set(groups[rest])


def test_a_number_of_cases_is_that_many():
    assert len(held_back(10, 3, 0, what="test")) == 3
    assert len(held_back(2, 0.01, 0, what="test")) == 1


@pytest.mark.parametrize(
    ("n", "share", "groups", "said"),
    [
        (1, 0.5, None, "n_samples = 1: at least two cases"),
        (4, 4, None, "4 of 4 cases; at least one has to be left"),
        (4, 0.5, np.zeros(4), "all 4 cases are of one group"),
    ],
)
def test_what_can_not_be_split_is_refused(n, share, groups, said):
    with pytest.raises(InputError, match=said):
        held_back(n, share, 0, groups=groups, what="validation")
