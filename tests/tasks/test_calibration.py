"""Calibrated quantiles keep their promise, and probabilities follow from them."""

import numpy as np
import pytest

from elman import InputError
from elman.tasks.calibration import Event, conformal_shifts, ends_of, quantiles_for


def test_both_ends_of_every_level_are_among_the_quantiles():
    taus = quantiles_for((50, 95, 99))
    assert list(taus) == sorted(set(taus))
    assert {q for level in (50, 95, 99) for q in ends_of(level)} <= set(taus)


def test_shifted_quantiles_cover_new_data_of_the_same_kind_however_wrong_they_were():
    random = np.random.default_rng(0)
    taus = (0.05, 0.5, 0.95)
    y, new = random.gamma(2.0, 3.0, (2, 4000, 2))
    forecast = np.broadcast_to(np.array([3.0, 3.1, 3.2]), (4000, 2, 3))  # far too narrow
    shifted = forecast + conformal_shifts(y, forecast, taus)
    below = (new[..., None] <= shifted).mean(axis=0)
    # four standard errors of a share of 4,000, twice: of the calibration and of the test
    assert below == pytest.approx(np.tile(taus, (2, 1)), abs=8 * 0.5 / np.sqrt(4000))


def test_the_shift_is_the_residual_of_the_right_rank():
    y = np.arange(1.0, 10.0)[:, None]
    shifts = conformal_shifts(y, np.zeros((9, 1, 2)), (0.1, 0.9))
    assert shifts.tolist() == [[1.0, 9.0]]  # ranks floor(10 * 0.1) and ceil(10 * 0.9) of nine


def test_missing_truth_counts_for_nothing_and_none_at_all_leaves_the_quantiles():
    y = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    shifts = conformal_shifts(y, np.zeros((3, 2, 1)), (0.5,))
    assert shifts.tolist() == [[3.0], [0.0]]


def test_probability_of_an_event_from_the_quantiles_of_a_known_distribution():
    taus = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2))
    quantiles = -10.0 * np.log(1 - np.array(taus))  # exponential with mean 10
    for threshold in (2.0, 10.0, 20.0, 50.0):
        p = Event(">=", threshold).probability(quantiles[None], taus)[0]
        assert p == pytest.approx(np.exp(-threshold / 10), abs=0.012)
        assert Event("<", threshold).probability(quantiles[None], taus)[0] == pytest.approx(1 - p)


def test_probability_falls_as_the_threshold_rises_and_stays_within_0_and_1():
    taus = (0.1, 0.5, 0.9)
    quantiles = np.array([[[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]]])
    p = np.array([Event(">", t).probability(quantiles, taus)[0] for t in np.linspace(-50, 60, 200)])
    assert p.shape == (200, 2)
    assert (np.diff(p, axis=0) <= 1e-12).all() and (p >= 0).all() and (p <= 1).all()
    assert p[0] == pytest.approx([1, 1], abs=1e-6) and p[-1] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("text", ["60", "> ", "=> 60", ">= sixty", "> 1 2"])
def test_a_condition_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="a condition such as"):
        Event.parse(text)


def test_conditions():
    y = np.array([1.0, 2.0, 3.0, np.nan])
    assert [list(Event.parse(f"{s} 2").happened(y)) for s in (">=", ">", "<=", "<")] == [
        [False, True, True, False],
        [False, False, True, False],
        [True, True, False, False],
        [True, False, False, False],
    ]


def test_where_half_the_quantiles_are_zero_zero_itself_has_half_the_probability():
    taus = (0.1, 0.3, 0.5, 0.7, 0.9)
    dry = np.array([[0.0, 0.0, 0.0, 2.0, 5.0]])
    p = {sign: Event(sign, 0.0).probability(dry, taus)[0] for sign in (">=", ">", "<=", "<")}
    assert p == {">=": 1.0, ">": 0.5, "<=": 0.5, "<": 0.0}
