"""Windows against a slow, obvious loop, and the laws that keep the future out of them."""

import dataclasses
import tracemalloc
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch

from elman.data.roles import Roles
from elman.data.series import read_panel
from elman.data.tables import read_table
from elman.data.windows import Scaling, Windows, calendar_features, calendar_for
from elman.errors import InputError

NAN = float("nan")
CALENDAR = ("day_of_week", "day_of_year")
FLOAT32 = {"rtol": 1e-6, "atol": 1e-6}


def windows_of(panel, window=6, horizon=3, calendar=CALENDAR, scaling=None):
    return Windows(panel, scaling or Scaling.fit(panel, "none"), window=window, horizon=horizon, calendar=calendar)


@pytest.fixture
def windows(two_rivers):
    return windows_of(two_rivers)


def changed(panel, column, step, value, k=0):
    """`panel` with another value of the target or of an input of series `k` at `step`."""
    series = list(panel.series)
    values = getattr(series[k], column).copy()
    values[step] = value
    series[k] = dataclasses.replace(series[k], **{column: values})
    return dataclasses.replace(panel, series=tuple(series))


# The channels ---------------------------------------------------------------------------------------------------


def slow_window(panel, scaling, k, origin, window, horizon):
    """One window, value by value, as the module's docstring describes it."""
    s, roles = panel.series[k], panel.roles
    rows = []
    for t in range(origin - window + 1, origin + horizon + 1):
        ahead, exists = t > origin, t < len(s)
        values = [NAN if ahead or not exists else scaling.of(s).transform(s.target[t : t + 1])[0]]
        for c, name in enumerate(roles.past):
            values.append(NAN if ahead or not exists else scaling.inputs[name].transform(s.past[t : t + 1, c])[0])
        for c, name in enumerate(roles.future):
            values.append(NAN if not exists else scaling.inputs[name].transform(s.future[t : t + 1, c])[0])
        known = [0.0 if np.isnan(v) else 1.0 for v in values]
        static = [scaling.inputs[name].transform(s.static[c : c + 1])[0] for c, name in enumerate(roles.static)]
        when = s.times[0] + timedelta(days=t)
        week, year = 2 * np.pi * when.weekday() / 7, 2 * np.pi * (when.timetuple().tm_yday - 1) / 365.25
        values = [0.0 if np.isnan(v) else v for v in values]
        static = [0.0 if np.isnan(v) else v for v in static] + [0.0 if np.isnan(v) else 1.0 for v in static]
        rows.append([*values, *known, *static, np.sin(week), np.cos(week), np.sin(year), np.cos(year)])
    return np.array(rows)


def test_every_window_is_the_slow_one(two_rivers, windows):
    scaling = Scaling.fit(two_rivers, "none")
    origins = torch.tensor([[k, o] for k, s in enumerate(two_rivers.series) for o in range(5, len(s))])
    batch = windows.batch(origins)
    assert batch.x.shape == (len(origins), 9, windows.input_size)
    assert windows.input_size == 3 + 3 + 2 + 2 + 4
    for (k, o), x, y in zip(origins.tolist(), batch.x, batch.y, strict=True):
        np.testing.assert_allclose(x, slow_window(two_rivers, scaling, k, o, 6, 3), **FLOAT32)
        s = two_rivers.series[k]
        truth = np.append(s.target, [NAN] * 3)[o + 1 : o + 4]
        np.testing.assert_allclose(y, scaling.of(s).transform(truth), **FLOAT32)


def test_windows_of_one_bare_series(panel_of):
    windows = windows_of(panel_of([3, 4, 5, 6, 7], [1.0, 2, NAN, 4, 9]), window=2, horizon=2, calendar=())
    x, y = windows.batch(torch.tensor([[0, 2]]))
    mean, std = 4.0, np.std([1, 2, 4, 9])
    np.testing.assert_allclose(x[0], [[(2 - mean) / std, 1], [0, 0], [0, 0], [0, 0]], **FLOAT32)
    np.testing.assert_allclose(y[0], [0, (9 - mean) / std], **FLOAT32)


# The laws -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["target", "past"])
@pytest.mark.parametrize("value", [1e6, NAN])
def test_law_the_future_of_the_target_and_of_past_inputs_never_shows(two_rivers, windows, column, value):
    scaling, at = Scaling.fit(two_rivers, "none"), torch.tensor([[0, o] for o in range(5, 20)])
    for step in range(6, 24):
        after = windows_of(changed(two_rivers, column, step, value), scaling=scaling).batch(at).x
        for (_, origin), x, before in zip(at.tolist(), after, windows.batch(at).x, strict=True):
            reads = origin - 5 <= step <= origin
            assert torch.equal(x, before) != (reads and not _already(two_rivers, column, step, value))


def _already(panel, column, step, value):
    return bool(np.isnan(value) and np.isnan(getattr(panel.series[0], column)[step]).all())


def test_law_what_is_known_ahead_shows_from_its_own_step_on(two_rivers, windows):
    scaling, origin = Scaling.fit(two_rivers, "none"), torch.tensor([[0, 15]])
    for step in range(5, 25):
        after = windows_of(changed(two_rivers, "future", step, 9.0), scaling=scaling).batch(origin).x
        differ = (after != windows.batch(origin).x).any(dim=2)[0]
        assert differ.nonzero().flatten().tolist() == ([step - 10] if 10 <= step <= 18 else [])


def test_law_what_lies_ahead_and_what_is_missing_look_the_same(windows):
    x = windows.batch(torch.tensor([[0, 11]])).x[0]  # target and rain of step 11 are missing, those of 12 lie ahead
    assert x[5, [0, 1, 3, 4]].tolist() == x[6, [0, 1, 3, 4]].tolist() == [0, 0, 0, 0]
    assert x[4, [3, 4]].tolist() == [1, 1]


def test_law_series_never_mix(two_rivers, windows):
    """Neither the last steps of one nor the first of the next change when the other does."""
    scaling = Scaling.fit(two_rivers, "none")
    elbe, ilm = two_rivers.series
    other = dataclasses.replace(
        elbe, target=-elbe.target, past=elbe.past + 7, future=1 - elbe.future, static=3 * elbe.static
    )
    after = windows_of(dataclasses.replace(two_rivers, series=(other, ilm)), scaling=scaling)
    origins = torch.tensor([[1, o] for o in range(5, 30)])
    assert torch.equal(after.batch(origins).x, windows.batch(origins).x)
    assert torch.equal(after.batch(origins).y.nan_to_num(99), windows.batch(origins).y.nan_to_num(99))
    assert not torch.equal(
        after.batch(origins - torch.tensor([1, 0])).x, windows.batch(origins - torch.tensor([1, 0])).x
    )
    elbe = torch.tensor([[0, 39]])  # ends in the real future, not in the next river
    assert torch.isnan(windows.batch(elbe).y).all()
    assert (windows.batch(elbe).x[0, 6:, :6] == 0).all()


def test_large_and_small_series_weigh_the_same(two_rivers):
    windows = windows_of(two_rivers)
    y = [windows.batch(windows.origins()[windows.origins()[:, 0] == k]).y for k in (0, 1)]
    assert [float(v.nanmean().abs()) < 0.5 for v in y] == [True, True]
    assert [0.5 < float(v[~v.isnan()].std()) < 1.5 for v in y] == [True, True]


def test_law_a_batch_is_its_own_copy(windows):
    origins = torch.tensor([[0, 10], [0, 12]])
    before = windows.batch(origins).x.clone()
    windows.batch(origins).x.fill_(7)
    assert torch.equal(windows.batch(origins).x, before)


def test_law_memory_grows_with_the_table_not_with_windows_times_length():
    rows, window, horizon = 200_000, 1000, 50
    frame = pl.DataFrame({"y": np.random.default_rng(0).normal(size=rows)})
    panel = read_panel(read_table(frame), Roles("y"))
    scaling = Scaling.fit(panel, "none")
    tracemalloc.start()
    windows = windows_of(panel, window, horizon, (), scaling)
    _, peak = tracemalloc.get_traced_memory()  # numpy's; torch's are counted below
    tracemalloc.stop()
    held = windows.channels.nbytes + windows.target.nbytes + windows.observed.nbytes
    assert held < 50 * rows  # two channels and the target, twice; all windows would be 8,400 bytes a row
    assert peak < 200 * rows
    assert len(windows.origins()) == rows - window - horizon + 1


# Origins --------------------------------------------------------------------------------------------------------


def slow_origins(panel, window, horizon, first=None, last=None):
    found = []
    for k, s in enumerate(panel.series):
        low = 0 if first is None else first[k]
        high = len(s) if last is None else last[k]
        for o in range(len(s)):
            ahead = range(o + 1, o + horizon + 1)
            if (
                o + 1 >= window
                and ahead[0] >= low
                and ahead[-1] < high
                and not np.isnan(s.target[ahead[0] : ahead[-1] + 1]).all()
            ):
                found.append([k, o])
    return found


@pytest.mark.parametrize("first", [None, [0, 20], [30, 0], [38, 29]])
@pytest.mark.parametrize("last", [None, [25, 10], [9, 9], [8, 30], [0, 0]])
def test_origins_are_those_that_read_whole_and_forecast_within_the_part(two_rivers, windows, first, last):
    found = windows.origins(first=0 if first is None else first, last=last)
    assert found.tolist() == slow_origins(two_rivers, 6, 3, first, last)


def test_a_window_without_any_observed_step_ahead_is_left_out(two_rivers):
    one_ahead = windows_of(two_rivers, horizon=1)
    assert 10 not in one_ahead.origins()[:, 1].tolist()[: 40 - 6]  # step 11 is missing
    assert one_ahead.origins().tolist() == slow_origins(two_rivers, 6, 1)


@pytest.mark.parametrize("stride", [2, 7])
def test_every_so_many_origins(two_rivers, windows, stride):
    all_of = slow_origins(two_rivers, 6, 3)
    by_series = [[o for o in all_of if o[0] == k] for k in (0, 1)]
    assert windows.origins(stride=stride).tolist() == [o for part in by_series for o in part[::stride]]


def test_a_series_shorter_than_a_window_has_none(two_rivers):
    windows = windows_of(two_rivers, window=30)
    assert set(windows.origins()[:, 0].tolist()) == {0}
    assert windows_of(two_rivers, window=50).origins().shape == (0, 2)


# The long form --------------------------------------------------------------------------------------------------


def test_each_row_of_the_long_form_is_in_its_place(two_rivers, windows):
    origins = torch.tensor([[0, 8], [1, 9], [1, 28], [0, 39]])
    forecast = np.arange(12.0).reshape(4, 3)
    forecast[1, 2] = NAN
    frame = windows.long_form(origins, {"forecast": forecast, "other": -forecast})
    assert frame.columns == ["unique_id", "cutoff", "ds", "lead", "y", "forecast", "other"]
    starts = {"Elbe": datetime(2020, 2, 20), "Ilm": datetime(2020, 3, 1)}
    row = 0
    for n, (k, origin) in enumerate(origins.tolist()):
        for lead in (1, 2, 3):
            s = two_rivers.series[k]
            at = origin + lead
            truth = s.target[at] if at < len(s) and not np.isnan(s.target[at]) else None
            value = None if (n, lead) == (1, 3) else float(n * 3 + lead - 1)
            assert frame.row(row) == (
                s.name, starts[s.name] + timedelta(days=origin), starts[s.name] + timedelta(days=at), lead,
                truth, value, None if value is None else -value,
            )  # fmt: skip
            row += 1
    assert frame.height == row


def test_law_scaled_forecasts_go_back_to_each_series_unit(two_rivers, windows):
    scaling, origins = Scaling.fit(two_rivers, "none"), windows.origins()
    back = scaling.inverse(two_rivers, origins, windows.batch(origins).y.numpy())
    truth = windows.long_form(origins, {})["y"].fill_null(NAN).to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(back, truth, rtol=1e-5)


# The calendar ---------------------------------------------------------------------------------------------------


def times(step, count, start=datetime(2023, 1, 2)):
    number, unit = int(step.rstrip("dhmo")), step.lstrip("0123456789")
    return pl.concat([pl.Series([start]).dt.offset_by(f"{number * k}{unit}") for k in range(count)])


@pytest.mark.parametrize(
    ("step", "cycles"),
    [("1h", ("time_of_day", "day_of_year")), ("1d", ("day_of_year",)), ("1mo", ("day_of_year",))],
)
def test_the_cycles_that_a_step_can_follow(panel_of, step, cycles):
    y = np.random.default_rng(0).normal(size=200).tolist()
    assert calendar_for(panel_of(times(step, 200), y)) == cycles


def test_whole_numbers_and_years_follow_no_cycle(panel_of):
    assert calendar_for(panel_of([1, 2, 3])) == ()
    assert calendar_for(panel_of([datetime(2000 + k, 1, 1) for k in range(5)])) == ()
    with pytest.raises(InputError, match=r"needs dates; the time of this table is whole numbers. Choose calendar="):
        calendar_features(pl.Series([1, 2]), ("day_of_year",))


def test_the_week_is_taken_where_it_shows(panel_of):
    random = np.random.default_rng(0)
    noise = random.normal(size=140)
    days = times("1d", 140)
    weekend = np.where(np.arange(140) % 7 >= 5, 5.0, 0.0)
    assert "day_of_week" in calendar_for(panel_of(days, (weekend + noise).tolist()))
    assert "day_of_week" not in calendar_for(panel_of(days, noise.tolist()))
    assert "day_of_week" not in calendar_for(panel_of(days, [3.0] * 140))


def test_each_cycle_closes():
    hours = pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 1, 12)])
    (*monday, midnight_sine, midnight_cosine), (*_, noon_sine, noon_cosine) = calendar_features(
        hours, ("day_of_week", "time_of_day")
    )
    np.testing.assert_allclose(monday, [0, 1], atol=1e-12)
    np.testing.assert_allclose([midnight_sine, midnight_cosine], [0, 1], atol=1e-12)
    np.testing.assert_allclose([noon_sine, noon_cosine], [0, -1], atol=1e-12)
    step = np.diff(calendar_features(times("1d", 800), ("day_of_year",)), axis=0)
    assert np.linalg.norm(step, axis=1).max() < 0.03  # no jump, at new year neither
