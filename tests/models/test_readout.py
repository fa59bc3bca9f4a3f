"""Ridge regression by sums, by the whole path and step by step, against the equations written out."""

import warnings

import numpy as np
import pytest

from elman.errors import InputError
from elman.models.readout import RecursiveLeastSquares, RidgePath, Scored, Sums, ridge

EXACT = {"rtol": 1e-8, "atol": 1e-10}


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 7)) @ random.normal(size=(7, 7)) + 30
    return x, x @ random.normal(size=(7, 2)) + random.normal(size=(120, 2)) + 5


def by_hand(x, y, alpha):
    centred = x - x.mean(0)
    slope = np.linalg.solve(centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ (y - y.mean(0)))
    return slope, y.mean(0) - x.mean(0) @ slope


@pytest.mark.parametrize("alpha", [1e-9, 0.1, 50.0])
def test_sums_in_pieces_give_the_ridge_regression(data, alpha):
    x, y = data
    pieces = [Sums(7, 2).add(x[a:b], y[a:b]) for a, b in ((0, 1), (1, 50), (50, 50), (50, 120))]
    whole, straight = Sums.together(pieces), Sums(7, 2).add(x[:33], y[:33]).add(x[33:], y[33:])
    for sums in (whole, straight):
        assert sums.n == 120
        for found in (ridge(sums, alpha), RidgePath(sums).solve(alpha)):
            np.testing.assert_allclose(found.slope, by_hand(x, y, alpha)[0], **EXACT)
            np.testing.assert_allclose(found.intercept, by_hand(x, y, alpha)[1], rtol=1e-7)


def test_far_from_zero_no_digits_are_lost(data):
    x, y = data
    sums = Sums(7, 2)
    for begin in range(0, 120, 10):
        sums.add(x[begin : begin + 10] + 1e6, y[begin : begin + 10])
    np.testing.assert_allclose(ridge(sums, 1.0).slope, by_hand(x, y, 1.0)[0], rtol=1e-5)


def test_missing_answers_are_left_out(data):
    x, y = data
    holes = y.copy()
    holes[[3, 77], [0, 1]] = np.nan
    keep = ~np.isnan(holes).any(1)
    found = ridge(Sums(7, 2).add(x, holes), 0.1)
    np.testing.assert_allclose(found.slope, by_hand(x[keep], y[keep], 0.1)[0], **EXACT)


def test_a_singular_readout_is_told_and_has_the_least_norm(data):
    x, y = data
    twice = np.column_stack([x, x[:, :3]])
    sums = Sums(10, 2).add(twice, y)
    with pytest.warns(UserWarning, match="its 10 features span 7 directions"):
        found = ridge(sums, 0.0)
    expected = np.linalg.pinv(twice - twice.mean(0)) @ (y - y.mean(0))
    np.testing.assert_allclose(found.slope, expected, rtol=1e-6, atol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ridge(Sums(7, 2).add(x, y), 0.0)  # a regular one is not


def test_fewer_steps_than_features_are_solved_by_the_least_norm(data):
    x, y = data
    with pytest.warns(UserWarning, match="singular"):
        found = ridge(Sums(7, 2).add(x[:4], y[:4]), 0.0)
    np.testing.assert_allclose(found(x[:4]), y[:4], rtol=1e-7)


def test_generalised_cross_validation_is_its_formula(data):
    x, y = data
    path = RidgePath(Sums(7, 2).add(x, y))
    for alpha in (0.01, 1.0, 100.0):
        X = np.column_stack([x - x.mean(0), np.ones(120)])
        penalty = alpha * np.diag([1.0] * 7 + [0.0])
        hat = X @ np.linalg.solve(X.T @ X + penalty, X.T)
        error = 120 * ((y - hat @ y) ** 2).sum(0) / (120 - np.trace(hat)) ** 2 / y.var(0)
        assert path.gcv(alpha) == pytest.approx(error.mean(), rel=1e-8)
    few = RidgePath(Sums(7, 2).add(x[:5], y[:5]))
    assert few.gcv(0.0) == np.inf


def test_all_readouts_are_scored_at_once(data):
    x, y = data
    path = RidgePath(Sums(7, 2).add(x[:80], y[:80]))
    readouts = [path.solve(a) for a in (0.01, 10.0, 1e4)]
    scored = Scored(readouts)
    scored.add(x[80:100], y[80:100])
    scored.add(x[100:], np.where(np.arange(20)[:, None] == 3, np.nan, y[100:]))
    keep = np.delete(np.arange(80, 120), 23)
    for k, readout in enumerate(readouts):
        np.testing.assert_allclose(scored.squares[k], ((readout(x[keep]) - y[keep]) ** 2).sum(0))
    assert scored.n == 39


def test_least_squares_step_by_step_forgets_at_its_rate(data):
    x, y = data
    rls = RecursiveLeastSquares(7, 2, forgetting=0.97, alpha=1e-8)
    for x_t, y_t in zip(x - 30, y, strict=True):
        rls.learn(x_t, y_t)
    X, weight = np.column_stack([x - 30, np.ones(120)]), 0.97 ** np.arange(119, -1, -1)
    expected = np.linalg.solve(X.T @ (weight[:, None] * X), X.T @ (weight[:, None] * y))
    np.testing.assert_allclose(rls.weights, expected, rtol=1e-4, atol=1e-5)


def test_what_is_never_seen_does_not_blow_up():
    """Plain recursive least squares multiplies P by 1 / forgetting at each step, without an end."""
    rls = RecursiveLeastSquares(2, 1, forgetting=0.9, alpha=1.0)
    random = np.random.default_rng(0)
    for x in random.normal(size=(5000, 1)):
        rls.learn(np.array([x[0], 0.0]), 3 * x)
    assert np.linalg.norm(rls.root) ** 2 <= 3.0001
    assert rls.weights[0, 0] == pytest.approx(3, rel=1e-3)  # held back by as much as it has forgotten
    before = rls.weights.copy()
    rls.learn(np.ones(2), np.array([np.nan]))
    np.testing.assert_array_equal(rls.weights, before)


def test_wrong_numbers_are_told(data):
    with pytest.raises(InputError, match="at least 2 steps; there are 0"):
        ridge(Sums(3, 1), 1.0)
    with pytest.raises(InputError, match="ridge=-1"):
        ridge(Sums(3, 1), -1)
    with pytest.raises(InputError, match="forgetting above 0"):
        RecursiveLeastSquares(3, 1, forgetting=0)
    with pytest.raises(InputError, match="ridge above 0"):
        RecursiveLeastSquares(3, 1, alpha=0)
