"""Sequences, images and records: what is read, in which layout, and what is refused with which words."""

import io

import numpy as np
import polars as pl
import pytest
import torch

from elman.data.features import Features
from elman.data.images import read_images
from elman.data.records import Columns, Records
from elman.data.sequences import Sequences, read_long, read_sequences
from elman.data.tables import read_table
from elman.errors import InputError

RANDOM = np.random.default_rng(0)
RAGGED = [RANDOM.normal(size=(n, 2)) for n in (4, 1, 3)]


def test_arrays_lists_and_layouts_are_read_alike():
    whole = RANDOM.normal(size=(5, 7, 2))
    expected = read_sequences(whole)
    for given, layout in [
        (list(whole), "time-first"),
        (whole.tolist(), "time-first"),
        (whole.transpose(0, 2, 1), "channels-first"),
        ([one.T for one in whole], "channels-first"),
    ]:
        read = read_sequences(given, layout)
        assert np.array_equal(read.values, expected.values)
        assert np.array_equal(read.lengths, expected.lengths)
    assert read_sequences([one[:, 0] for one in RAGGED]).lengths.tolist() == [4, 1, 3]
    assert read_sequences([one[:, 0] for one in RAGGED], "channels-first").lengths.tolist() == [4, 1, 3]


def test_a_batch_is_padded_with_zeros_in_the_order_asked_for():
    sequences = read_sequences(RAGGED)
    x, lengths = sequences.batch(torch.tensor([1, 0]))
    assert lengths.tolist() == [1, 4]
    assert np.array_equal(x[0].numpy(), np.concatenate([RAGGED[1], np.zeros((3, 2))]))
    assert np.array_equal(x[1].numpy(), RAGGED[0])
    (same,) = sequences.batch(torch.tensor([2, 2]))
    assert same.shape == (2, 3, 2)


def test_taking_some_is_reading_some():
    some = read_sequences(RAGGED).take(np.array([2, 0]))
    expected = read_sequences([RAGGED[2], RAGGED[0]])
    assert np.array_equal(some.values, expected.values) and np.array_equal(some.lengths, expected.lengths)
    assert some.fingerprints() == expected.fingerprints()


def test_the_wrong_layout_is_told_by_shape_expected_and_seen():
    array = np.zeros((5, 12, 30))
    with pytest.raises(InputError) as error:
        read_sequences(array, features=12)
    said = str(error.value)
    assert "sequence 0 has shape (12, 30)" in said
    assert "'time-first' expects (T, features) with 12 features, as the model was fitted on, and finds 30" in said
    assert "layout='channels-first'" in said
    with pytest.raises(InputError, match=r"\(features, T\) with 30 features.*finds 12.*layout='time-first'"):
        read_sequences(array, "channels-first", features=30)
    with pytest.raises(InputError, match=r"sequence 1 has shape \(3, 2\).*with 4 features, as in sequence 0") as error:
        read_sequences([np.zeros((3, 4)), np.zeros((3, 2))])
    assert "other side" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "at least one sequence, found none"),
        ([np.zeros((0, 2))], "sequence 0 has no step"),
        ([np.zeros((3, 2)), [["a", "b"]]], "sequence 1 holds .*numbers were expected"),
        ([np.array([[1.0, np.inf]])], r"an infinity at \(0, 1\)"),
        ([np.zeros((2, 2, 2))], "sequence 0: expected"),
        (np.zeros((2, 2)), r"expected sequences of shape \(n, T, features\)"),
    ],
)
def test_what_is_no_sequence_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        read_sequences(given)


def test_scaling_knows_the_training_part_and_minds_constants_and_gaps():
    train = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])
    features = Features.fit(train)
    assert features.size == 4 and features.masked.tolist() == [False, False, True]
    assert np.array_equal(
        features.transform(np.array([[5.0, 6.0, np.nan], [np.nan, 5.0, 2.0]])),
        np.array([[3, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float32),
    )
    assert features.unmasked(np.array([[np.nan, 5.0, np.nan]])) == [0]
    again = Features.from_dict(features.to_dict())
    assert np.array_equal(again.transform(train), features.transform(train))
    with pytest.raises(InputError, match="positive spreads"):
        Features.from_dict({"mean": [0.0], "std": [0.0], "masked": [False]})


LONG = """who,when,a,b,label
x,2,1,10,yes
y,1,5,50,no
x,1,2,20,yes
y,2,,60,no
"""


def long_table(text=LONG):
    return read_table(io.BufferedReader(io.BytesIO(text.encode())))


def test_a_long_table_is_cut_by_group_and_sorted_by_time():
    cases, steps, first = read_long(long_table(), "who", ["a", "b"], "when")
    assert cases.lengths.tolist() == [2, 2]
    assert np.array_equal(cases.values, [[2, 20], [1, 10], [5, 50], [np.nan, 60]], equal_nan=True)
    assert first["who"].to_list() == ["x", "y"] and steps.height == 4
    as_they_stand, *_ = read_long(long_table(), "who", ["a"])
    assert as_they_stand.values[:2, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LONG.replace("y,2,", ",2,"), r"row 4 \(line 5\): column 'who' says which sequence"),
        (LONG.replace("x,2", "x,"), r"row 1 \(line 2\): column 'when' is empty"),
        (LONG.replace("x,2", "x,1"), "'who' x has several rows at 'when' 1"),
        (LONG.replace("5,50", "five,50"), r"row 2 \(line 3\), column 'a': a number was expected, found 'five'"),
    ],
)
def test_what_is_amiss_in_a_long_table_is_named(text, said):
    with pytest.raises(InputError, match=said):
        read_long(long_table(text), "who", ["a", "b"], "when")


def test_images_have_channels_last_or_none():
    grey, colour = RANDOM.normal(size=(3, 4, 5)), RANDOM.normal(size=(3, 4, 5, 2))
    images = read_images(colour)
    assert images.batch(torch.tensor([2]))[0].numpy() == pytest.approx(colour[2].transpose(2, 0, 1)[None])
    assert read_images(grey).pixels.shape == (3, 4, 5, 1)
    assert np.array_equal(images.take(np.array([1])).pixels[0], colour[1])
    with pytest.raises(InputError, match=r"\(H, W, C\) = \(4, 5, 1\).*found an array of shape \(3, 5, 4\)"):
        read_images(grey.transpose(0, 2, 1), (4, 5, 1))
    with pytest.raises(InputError, match="all of one size"):
        read_images([np.zeros((2, 2)), np.zeros((3, 3))])
    with pytest.raises(InputError, match="infinity"):
        read_images(np.full((1, 2, 2), np.inf))


def test_categories_are_words_and_unknown_ones_are_none_of_them():
    table = read_table(pl.DataFrame({"place": ["sea", "town", None], "open": [True, False, True], "age": [3, 4, None]}))
    columns = Columns.fit(table, ["place", "open", "age"])
    assert columns.categories == {"place": ("sea", "town"), "open": ("false", "true")} and columns.numbers == ("age",)
    assert columns.sizes == [3, 3]
    records = columns.read(table)
    assert records.codes.tolist() == [[1, 2], [2, 1], [0, 2]]
    other = read_table(pl.DataFrame({"place": ["moor"], "open": [True], "age": [1.5]}))
    assert columns.read(other).codes.tolist() == [[0, 2]]
    assert columns.unseen(other) == {"place": ["moor"]}
    assert Columns.from_dict(columns.to_dict()) == columns


def test_numbers_may_be_categories_whether_or_not_one_is_missing():
    columns = Columns.fit(read_table(pl.DataFrame({"party": [0, 3, 6]})), ["party"], ["party"])
    assert columns.categories == {"party": ("0", "3", "6")}
    assert columns.read(read_table(pl.DataFrame({"party": [3.0, None]}))).codes.tolist() == [[2], [0]]


def test_times_are_no_input_of_a_record():
    table = read_table(pl.DataFrame({"day": pl.date_range(pl.date(2001, 1, 1), pl.date(2001, 1, 3), eager=True)}))
    with pytest.raises(InputError, match="'day' of the table holds times"):
        Columns.fit(table, ["day"])


def test_all_kinds_of_cases_have_one_signature():
    for cases in (read_sequences(RAGGED), read_images(np.zeros((3, 2, 2))), Records.of(np.zeros((3, 4)))):
        assert len(cases) == len(cases.lengths) == len(cases.fingerprints()) == 3
        scaled = cases.scaled(Features.fit(cases.values))
        assert scaled.values.dtype == np.float32
        assert len(scaled.take(np.array([0, 2]))) == 2
        assert all(len(part) == 2 for part in scaled.batch(torch.tensor([0, 2])))
    assert isinstance(read_sequences(RAGGED), Sequences)
