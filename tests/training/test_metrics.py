"""Scores against cases worked by hand, scikit-learn and numpy, with values missing and with nothing left."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from elman.training import metrics

NAN = float("nan")


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    y = random.gamma(2, 10, (40, 3))
    return y, y + random.normal(1, 4, y.shape)


def test_errors_are_scikit_learns(pair):
    y, forecast = pair
    flat = y.ravel(), forecast.ravel()
    assert metrics.rmse(y, forecast) == pytest.approx(root_mean_squared_error(*flat))
    assert metrics.mae(y, forecast) == pytest.approx(mean_absolute_error(*flat))
    assert metrics.nse(y, forecast) == pytest.approx(r2_score(*flat))
    for q in (0.05, 0.5, 0.9):
        assert metrics.pinball(y, forecast, q) == pytest.approx(mean_pinball_loss(*flat, alpha=q))


@pytest.mark.parametrize("score", [metrics.rmse, metrics.mae, metrics.nse, metrics.kge])
def test_law_pairs_with_a_missing_value_are_left_out(score, pair):
    y, forecast = pair
    missing_y, missing_forecast = y.copy(), forecast.copy()
    missing_y[3] = NAN
    missing_forecast[7, 1] = NAN
    both = np.ones(y.shape, dtype=bool)
    both[3] = both[7, 1] = False
    assert score(missing_y, missing_forecast) == pytest.approx(score(y[both], forecast[both]))
    assert score(y[both], forecast[both]) != score(y, forecast)
    assert np.isnan(score(np.full(4, NAN), np.arange(4.0)))


def test_a_perfect_forecast(pair):
    y, _ = pair
    assert metrics.nse(y, y) == 1
    assert metrics.kge(y, y) == pytest.approx(1, abs=1e-12)
    assert metrics.rmse(y, y) == metrics.mae(y, y) == metrics.pinball(y, y, 0.3) == 0


def test_the_mean_as_forecast_has_an_nse_of_0(pair):
    y, _ = pair
    assert metrics.nse(y, np.full_like(y, y.mean())) == pytest.approx(0, abs=1e-12)


def test_kge_by_hand():
    y = np.array([1.0, 2.0, 3.0, 6.0])
    assert metrics.kge(y, 2 * y) == pytest.approx(1 - np.sqrt(0 + 1 + 1))  # spread and bias doubled
    assert metrics.kge(y, y + 3) == pytest.approx(1 - np.sqrt(0 + 0 + 1))  # a bias of one mean
    assert metrics.kge(y, 6 - y) == pytest.approx(1 - np.sqrt(4 + 0 + 0))  # mirrored at its mean, 3: r = -1


def test_where_a_score_has_no_meaning_it_is_nan():
    flat, ramp = np.full(4, 2.0), np.arange(4.0)
    assert np.isnan(metrics.nse(flat, ramp))
    assert np.isnan(metrics.kge(flat, ramp))
    assert np.isnan(metrics.kge(ramp, flat))
    assert np.isnan(metrics.kge(ramp - ramp.mean(), ramp))
    assert np.isnan(metrics.mase(ramp, flat, scale=0.0))
    assert np.isnan(metrics.mase(ramp, flat, scale=NAN))


def test_mase_counts_in_errors_of_the_naive_forecast():
    assert metrics.mase(np.array([1.0, NAN, 5.0]), np.array([2.0, 0.0, 2.0]), scale=4.0) == pytest.approx(0.5)


def test_coverage_counts_the_ends_as_inside_and_leaves_the_missing_out():
    y = np.array([1.0, 2.0, 3.0, 4.0, NAN, 5.0])
    low = np.array([1.0, 2.5, 2.0, 0.0, 0.0, NAN])
    high = np.array([2.0, 3.0, 3.0, 1.0, 9.0, 9.0])
    assert metrics.coverage(y, low, high) == 2 / 4


def test_brier_is_scikit_learns():
    random = np.random.default_rng(1)
    happened, p = random.random(50) < 0.3, random.random(50)
    assert metrics.brier(happened, p) == pytest.approx(brier_score_loss(happened, p))
    assert metrics.brier(happened, happened.astype(float)) == 0
    assert np.isnan(metrics.brier(np.array([], dtype=bool), np.array([])))


def test_contingency_by_hand():
    #                    hits 3     misses 2   false alarms 1   quiet 4
    happened = np.array([1, 1, 1] + [1, 1] + [0] + [0] * 4, dtype=bool)
    warned = np.array([1, 1, 1] + [0, 0] + [1] + [0] * 4, dtype=bool)
    assert metrics.contingency(happened, warned) == {"hit_rate": 3 / 5, "false_alarm_ratio": 1 / 4, "csi": 3 / 6}
    never = np.zeros(4, dtype=bool)
    assert all(np.isnan(v) for v in metrics.contingency(never, never).values())


def test_each_forecast_lies_in_one_bin_of_the_reliability_table():
    random = np.random.default_rng(2)
    p = np.concatenate([random.random(300), np.arange(11) / 10])  # both ends and every edge, too
    happened = random.random(p.size) < p
    table = metrics.reliability(happened, p)
    assert sum(row["forecasts"] for row in table) == p.size
    assert [row["low"] for row in table][1:] == [row["high"] for row in table][:-1]
    assert sum(row["forecasts"] * row["mean_probability"] for row in table) == pytest.approx(p.sum())
    assert sum(row["forecasts"] * row["observed_frequency"] for row in table) == pytest.approx(happened.sum())
    assert all(row["low"] <= row["mean_probability"] <= row["high"] for row in table)


def test_reliability_by_hand():
    table = metrics.reliability(np.array([True, False, True]), np.array([0.1, 0.2, 1.0]), bins=2)
    assert table[0] == {
        "low": 0.0, "high": 0.5, "forecasts": 2, "mean_probability": pytest.approx(0.15), "observed_frequency": 0.5,
    }  # fmt: skip
    assert (table[1]["forecasts"], table[1]["observed_frequency"]) == (1, 1.0)
    assert np.isnan(metrics.reliability(np.array([True]), np.array([0.1]), bins=2)[1]["mean_probability"])
