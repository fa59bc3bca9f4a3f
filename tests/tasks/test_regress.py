"""The regressor: it learns numbers of sequences, images and rows, in their unit."""

import numpy as np
import polars as pl
import pytest
from sklearn.utils.estimator_checks import check_estimator

import elman
from elman import InputError, SequenceRegressor

SMALL = {"hidden_size": 12, "epochs": 25, "learning_rate": 0.02, "probe": 0}

# Its data is a table of ten columns in no order and 200 rows; a recurrent network can tell them apart by counting only.
NO_SERIES = {"check_regressors_train": "expects R2 > 0.5 on a table whose columns have no order in time"}


def sums(n=120, seed=0):
    random = np.random.default_rng(seed)
    X = [random.normal(size=(random.integers(4, 9), 2)) for _ in range(n)]
    return X, np.array([500 + 40 * x[:, 0].mean() for x in X])


@pytest.mark.parametrize("architecture", ["rnn", "lstm", "gru", "cnn", "transformer"])
def test_it_learns_and_says_the_same_when_loaded(architecture, tmp_path):
    X, y = sums()
    regressor = SequenceRegressor(**SMALL | {"architecture": architecture}).fit(X, y)
    others, truth = sums(60, seed=1)
    assert regressor.score(others, truth) > 0.6
    assert abs(regressor.predict(others).mean() - 500) < 10
    regressor.save(tmp_path / "model")
    again = elman.load(tmp_path / "model")
    assert isinstance(again, SequenceRegressor)
    assert np.array_equal(again.predict(others), regressor.predict(others))


def test_scores_stand_beside_baselines():
    X, y = sums()
    scores = SequenceRegressor(**SMALL).fit(X, y, test=0.25).evaluate(X, y, test=0.25)
    assert scores.rows["model"].to_list() == ["gru", "mean", "ridge", "boosting"]
    assert scores.value("mean", "r2") < 0.1 < 0.95 < scores.value("ridge", "r2")
    assert scores.value("gru", "rmse") < scores.value("mean", "rmse")
    assert scores.predictions.height == scores.summary["test"]["cases"] == 30


def test_rows_of_a_table():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"size": random.uniform(1, 5, 200), "place": random.choice(["sea", "town"], 200)})
    table = table.with_columns(price=10 * pl.col("size") + pl.when(pl.col("place") == "sea").then(30).otherwise(0))
    regressor = SequenceRegressor(**SMALL | {"architecture": "mlp"}, label="price").fit(table)
    assert regressor.score(table) > 0.97
    assert regressor.predict_table(table).columns == ["case", "price"]


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], ["many"]])
def test_an_answer_that_is_no_number_is_refused(bad):
    X, y = sums(10)
    with pytest.raises(ValueError, match=r"NaN|infinity|could not convert"):
        SequenceRegressor(**SMALL).fit(X, [*y[:-1], *bad])


def test_a_label_of_words_is_refused_by_name():
    table = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "y": ["1", "2", "x", "4"]})
    with pytest.raises(InputError, match=r"row 3.*column 'y'.*a number was expected, found 'x'"):
        SequenceRegressor(**SMALL | {"architecture": "mlp"}).fit(table)


def test_a_constant_is_learned():
    X, _ = sums(20)
    assert SequenceRegressor(**SMALL).fit(X, np.full(20, 7.0)).predict(X) == pytest.approx(7.0, abs=0.5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("architecture", "expected"), [("gru", NO_SERIES), ("cnn", {}), ("mlp", {})])
def test_scikit_learns_own_checks_pass(architecture, expected):
    regressor = SequenceRegressor(**SMALL | {"architecture": architecture})
    found = check_estimator(regressor, on_fail=None, on_skip=None, expected_failed_checks=expected)
    failed = [(r["check_name"], repr(r["exception"])) for r in found if r["status"] == "failed"]
    assert not failed
    assert sum(r["status"] == "passed" for r in found) > 45
