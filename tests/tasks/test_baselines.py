"""The baselines against what they are by definition, worked out slowly here."""

import numpy as np
import polars as pl
import pytest
import torch

from elman.data.roles import guess_roles
from elman.data.series import read_panel
from elman.data.tables import read_table
from elman.data.windows import Scaling, Windows
from elman.tasks import baselines


def panel_of(values, start="2001-01-01", every="1d"):
    first = pl.Series([start]).str.to_datetime()
    times = pl.concat([first.dt.offset_by(f"{k * int(every[:-1])}{every[-1]}") for k in range(len(values))])
    table = read_table(pl.DataFrame({"ds": times, "y": np.asarray(values, float)}))
    return read_panel(table, guess_roles(table))


def origins(*at: int) -> torch.Tensor:
    return torch.tensor([[0, t] for t in at])


def test_persistence_repeats_the_last_value_that_was_observed():
    panel = panel_of([1, 2, np.nan, 4, 5])
    assert baselines.persistence(panel, origins(1, 2, 3), 2).tolist() == [[2, 2], [2, 2], [4, 4]]


def test_the_seasonal_naive_goes_back_whole_seasons_and_further_over_a_gap():
    panel = panel_of([0, 1, 2, 3, np.nan, 5, 6, 7, 8])
    assert baselines.seasonal_naive(panel, origins(5), 3, season=3).tolist() == [[3, 1, 5]]
    assert baselines.seasonal_naive(panel, origins(2), 5, season=3).tolist() == [[0, 1, 2, 0, 1]]


def test_climatology_is_the_mean_around_that_day_of_the_year_in_the_training_part():
    days = 4 * 365
    values = np.arange(days) % 365 + 1000.0 * (np.arange(days) >= 730)
    panel = panel_of(values)
    train = panel.head([730])
    out = baselines.climatology(panel, train, origins(1094 + 100), 2, days=2)
    day = panel.series[0].times.dt.ordinal_day().to_numpy()
    for lead in (1, 2):
        near = np.abs(day[:730] - day[1194 + lead]) <= 2
        assert out[0, lead - 1] == pytest.approx(values[:730][near].mean())


def test_climatology_by_the_hour_knows_day_from_night():
    hours = np.arange(24 * 60)
    panel = panel_of(10.0 * (hours % 24 >= 12), every="1h")
    out = baselines.climatology(panel, panel, origins(24 * 40 - 1), 24)
    assert out[0].tolist() == [0.0] * 12 + [10.0] * 12


def test_ridge_recovers_a_linear_law_and_sees_no_further_than_its_origin():
    random = np.random.default_rng(0)
    y = np.zeros(600)
    for t in range(2, 600):
        y[t] = 1.6 * y[t - 1] - 0.8 * y[t - 2] + random.normal(0, 0.1)
    changed = y.copy()
    changed[501:] += 50
    forecasts = []
    for values in (y, changed):
        panel = panel_of(values)
        scaling = Scaling.fit(panel.head([400]), "none")
        windows = Windows(panel, scaling, window=30, horizon=2, calendar=())
        forecasts.append(baselines.ridge(windows, origins(500), train_ends=[400], val_ends=[480]))
    assert forecasts[0][0, 0] == pytest.approx(1.6 * y[500] - 0.8 * y[499], abs=0.05)
    assert np.array_equal(*forecasts)


def test_seasons_by_step():
    assert [baselines.season_of(s) for s in ("1d", "1h", "15m", "1mo", "3mo", "1w", "7d", "5i", "1y")] == [
        7, 24, 96, 12, 4, 52, 52, 1, 1,
    ]  # fmt: skip
