"""Patterns however they are written, and what is said of those that can't be used."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from elman.data.patterns import Coding, damaged, read_cues, read_patterns
from elman.errors import InputError


@pytest.mark.parametrize(
    ("X", "kind", "note"),
    [
        (np.array([[1, -1, 1], [-1, -1, 1]]), "signs", ""),
        (np.array([[1, 0, 1], [0, 0, 1]]), "bits", "0 is stored as -1"),
        (np.array([[True, False, True], [False, False, True]]), "bools", "True is stored as 1"),
        ([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]], "signs", ""),
        (pl.DataFrame({"a": [1, 0], "b": [0, 0], "c": [1, 1]}), "bits", "0 is stored"),
        (pd.DataFrame({"a": [1, 0], "b": [0, 0], "c": [1, 1]}), "bits", "0 is stored"),
    ],
)
def test_each_way_of_writing(X, kind, note):
    values, coding, said = read_patterns(X)
    np.testing.assert_array_equal(values, [[1, -1, 1], [-1, -1, 1]])
    assert coding.kind == kind and note in said
    found = coding.write(values)
    np.testing.assert_array_equal(found, np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X))
    assert (found.dtype == bool) == (kind == "bools")
    np.testing.assert_array_equal(read_cues(found, coding), values)
    np.testing.assert_array_equal(read_cues(found[0], coding), values[:1])
    assert Coding.from_dict(coding.to_dict()) == coding


def test_greys_of_images_are_told_apart_at_their_middle():
    images = np.array([[[0, 16], [9, 8]], [[16, 7], [0, 0]]])
    values, coding, note = read_patterns(images)
    np.testing.assert_array_equal(values, [[-1, 1, 1, -1], [1, -1, -1, -1]])
    assert "above 8" in note and coding.shape == (2, 2)
    np.testing.assert_array_equal(coding.write(values)[0], [[0, 16], [16, 0]])
    np.testing.assert_array_equal(read_cues(np.full((2, 2), 8.5), coding), [[1, 1, 1, 1]])  # of new greys, by the same


def test_greys_of_another_scale_are_refused():
    coding = read_patterns(np.array([[[0, 16], [9, 8]]]))[1]
    np.testing.assert_array_equal(read_cues([[[-3, 17], [9, 8]]], coding), [[-1, 1, 1, -1]])
    with pytest.raises(InputError, match=r"cue 0, pixel 1 is 255, but the stored images go from 0 to 16"):
        read_cues([[[0, 255], [9, 8]]], coding)


def test_any_numbers_are_patterns_where_they_are_wanted():
    X = np.array([[0.5, 3.0], [-2.0, 1.0]])
    values, coding, _ = read_patterns(X, numbers=True)
    np.testing.assert_array_equal(coding.write(values), X)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ([[1, -1], [1, 2]], "pattern 1, unit 1 is 2; expected only -1 and 1, or only 0 and 1"),
        ([[1, 0], [1, -1]], "pattern 0, unit 1 is 0"),
        ([[1, -1], [1, np.nan]], "pattern 1, unit 1 is nan; expected finite numbers"),
        ([[[1, np.inf]]], "pattern 0, unit 1 is inf"),
        ([[1], [-1]], "at least two units, which remind each other, found 1"),
        ([1, -1], r"found an array of shape \(2,\)"),
        (np.zeros((0, 4)), r"found an array of shape \(0, 4\)"),
        (np.ones((2, 2, 2, 2)), r"found an array of shape \(2, 2, 2, 2\)"),
        ([[1, -1], [1]], "all of one shape"),
        ([["a", "b"]], "an array of numbers or bools"),
        (np.full((2, 2, 2), 7.0), "all pixels of all images are 7"),
    ],
)
def test_patterns_that_can_not_be_used(X, said):
    with pytest.raises(InputError, match=said):
        read_patterns(X)


@pytest.mark.parametrize(
    ("cue", "said"),
    [
        ([[1, -1, 1, 1]], r"cues of shape \(n, 3\), as the stored patterns are, found an array of shape \(1, 4\)"),
        ([[1, 0, 1]], "cue 0, unit 1 is 0; expected -1 or 1, as in the stored patterns"),
        ([[1, np.nan, 1]], "cue 0, unit 1 is nan"),
        (np.zeros((0, 3)), r"found an array of shape \(0, 3\)"),
    ],
)
def test_cues_that_can_not_be_used(cue, said):
    with pytest.raises(InputError, match=said):
        read_cues(cue, Coding("signs", (3,)))


def test_cues_of_bools_may_be_bits_and_nothing_else():
    coding = read_patterns(np.array([[True, False]]))[1]
    np.testing.assert_array_equal(read_cues([[0, 1]], coding), [[-1, 1]])
    with pytest.raises(InputError, match="True or False"):
        read_cues([[0.5, 1]], coding)


def test_damage_turns_just_so_many_units_of_each():
    x = np.random.default_rng(0).choice([-1.0, 1.0], (50, 40))
    turned = damaged(x, 0.25, 3) != x
    assert (turned.sum(axis=1) == 10).all() and len(np.unique(turned, axis=0)) == 50
    np.testing.assert_array_equal(damaged(x, 0.25, 3), damaged(x, 0.25, 3))
    with pytest.raises(InputError, match=r"from 0 to 1, found 1\.5"):
        damaged(x, 1.5)
