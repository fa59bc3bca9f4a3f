"""Rows to regular series: the step found, order made, gaps and faults named by row and date."""

import io
from datetime import date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from elman.data.roles import Roles
from elman.data.series import read_panel, times_after
from elman.data.tables import read_table
from elman.errors import InputError


def every(step, count, start, zone=None):
    """`count` times, counted from the first by polars' own calendar."""
    number, unit = int(step.rstrip("dhmosy")), step.lstrip("0123456789")
    first = pl.Series([start]).dt.replace_time_zone(zone)
    return pl.concat([first.dt.offset_by(f"{number * k}{unit}") for k in range(count)])


def days(*numbers):
    return [datetime(2024, 1, n) for n in numbers]


def without(times, *rows):
    return times.filter(~pl.int_range(len(times), eager=True).is_in(rows))


# The step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "start"),
    [
        ("1d", datetime(2024, 2, 26)),
        ("1h", datetime(2024, 2, 28, 22)),
        ("15m", datetime(2024, 1, 1)),
        ("10s", datetime(2024, 1, 1)),
        ("7d", datetime(2024, 1, 3)),
        ("1mo", datetime(2024, 1, 1)),
        ("1mo", datetime(2024, 1, 31)),
        ("1mo", datetime(2023, 1, 30, 6)),
        ("3mo", datetime(2024, 1, 1)),
        ("3mo", datetime(2023, 12, 31)),
        ("6mo", datetime(2024, 1, 1)),
        ("1y", datetime(2020, 1, 1)),
        ("1y", datetime(2020, 2, 29)),
    ],
)
@pytest.mark.parametrize("gap", [(), (3,)])
def test_the_step_is_found_and_the_grid_goes_on(panel_of, step, start, gap):
    times = every(step, 14, start)
    panel = panel_of(without(times[:10], *gap))
    (series,) = panel.series
    assert panel.step == step
    assert series.times.to_list() == times[:10].to_list()
    assert times_after(series.times, 4, step).to_list() == times[10:].to_list()


@pytest.mark.parametrize(
    ("step", "ends"),
    [
        ("1mo", [(2024, 4, 30), (2024, 5, 31), (2024, 6, 30), (2024, 7, 31), (2024, 8, 31)]),
        ("1mo", [(2023, 2, 28), (2023, 3, 31), (2023, 4, 30), (2023, 5, 31), (2023, 6, 30)]),
        ("1mo", [(2023, 11, 30), (2023, 12, 31), (2024, 1, 31), (2024, 2, 29), (2024, 3, 31)]),
        ("3mo", [(2023, 6, 30), (2023, 9, 30), (2023, 12, 31), (2024, 3, 31), (2024, 6, 30)]),
        ("1y", [(2022, 2, 28), (2023, 2, 28), (2024, 2, 29), (2025, 2, 28), (2026, 2, 28)]),
    ],
)
def test_month_ends_stay_month_ends_wherever_they_begin(panel_of, step, ends):
    ends = [datetime(*end, 12) for end in ends]
    panel = panel_of(ends[:3])
    assert panel.step == step
    assert panel.series[0].times.to_list() == ends[:3]
    assert times_after(panel.series[0].times, 2, step).to_list() == ends[3:]
    assert not panel.notes


def test_a_month_that_is_missing_among_month_ends_is_a_gap(panel_of):
    panel = panel_of([date(2024, 4, 30), date(2024, 5, 31), date(2024, 7, 31), date(2024, 8, 31), date(2024, 9, 30)])
    assert panel.series[0].times[2] == datetime(2024, 6, 30)
    assert "at 2024-06-30" in panel.notes[0]


@pytest.mark.parametrize(("times", "step", "after"), [([3, 4, 5, 7], "1i", [8, 9]), ([-5, 0, 5, 15], "5i", [20, 25])])
def test_whole_numbers_are_times_too(panel_of, times, step, after):
    panel = panel_of(times)
    assert panel.step == step
    assert panel.series[0].times.to_list() == list(range(times[0], times[-1] + 1, int(step[:-1])))
    assert times_after(panel.series[0].times, 2, step).to_list() == after


def test_of_several_commonest_steps_the_smallest_is_taken(panel_of):
    for times in ([1, 3, 4], [1, 2, 4], [1, 4, 6, 7], [1, 2, 5, 7]):
        assert panel_of(times).step == "1i"
    for numbers in ([1, 3, 4], [1, 2, 4]):
        assert panel_of(days(*numbers)).step == "1d"


def test_a_step_that_is_given_holds(panel_of):
    panel = panel_of(days(1, 3, 5), step="1d")
    assert panel.step == "1d"
    assert np.isnan(panel.series[0].target).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("step", ["", "d", "0d", "-1d", "1h30m", "1 d", "day", "5i", "1q"])
def test_a_step_that_is_none_is_refused(panel_of, step):
    with pytest.raises(InputError, match=r"step='.*': the time between rows was expected, such as 1d, 15m or 3mo"):
        panel_of(days(1, 2, 3), step=step)


def test_a_step_in_days_does_not_suit_whole_numbers(panel_of):
    with pytest.raises(InputError, match=r"step='1d': .* such as 5i"):
        panel_of([1, 2, 3], step="1d")


def test_one_row_has_no_step(panel_of):
    with pytest.raises(InputError, match="one row for each series; a series needs at least two"):
        panel_of(days(1))


# Times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times",
    [
        [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)],
        ["2024-01-01", "2024-01-02", "2024-01-03"],
        ["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-03 00:00"],
        ["2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00"],
        ["01.01.2024", "02.01.2024", "03.01.2024"],
        pl.Series(days(1, 2, 3), dtype=pl.Datetime("ns")),
        pl.Series(days(1, 2, 3), dtype=pl.Datetime("ms")),
    ],
)
def test_days_in_every_usual_dress(panel_of, times):
    panel = panel_of(times)
    assert panel.series[0].times.to_list() == days(1, 2, 3)
    assert panel.step == "1d"
    assert panel.notes == ()


@pytest.mark.parametrize("start", [datetime(2024, 3, 30), datetime(2024, 10, 26)])
@pytest.mark.parametrize("step", ["1d", "1h", "15m"])
def test_clocks_that_change_make_no_gap(panel_of, start, step):
    """Berlin: a day is 23 hours long on 31 March and 25 on 27 October; each hour of it is a step."""
    count = {"1d": 4, "1h": 60, "15m": 240}[step]
    times = every(step, count + 5, start, "Europe/Berlin")
    panel = panel_of(times[:count])
    (series,) = panel.series
    assert (panel.step, panel.notes) == (step, ())
    assert series.times.equals(times[:count])
    assert times_after(series.times, 5, step).equals(times[count:])


def test_a_series_may_begin_in_the_hour_that_comes_twice(panel_of):
    times = every("1h", 30, datetime(2024, 10, 26, 20), "Europe/Berlin")[7:]
    assert str(times[0]) == "2024-10-27 02:00:00+01:00"
    assert panel_of(times).series[0].times.equals(times)


def test_offsets_are_heeded(panel_of):
    east = timezone(timedelta(hours=2))
    panel = panel_of(["2024-01-01T00:00+02:00", "2024-01-02T00:00+02:00", "2024-01-03T00:00+02:00"])
    assert panel.series[0].times.to_list() == [datetime(2024, 1, n, tzinfo=east) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            ["2024-01-01", "2024-01-32", "2024-01-03"],
            "the table, row 2, column 't': a time such as .* found '2024-01-32'",
        ),
        (["soon", "2024-01-02", "2024-01-03"], "row 1, column 't': .* found 'soon'"),
        (["soon", "later", "never"], "row 1, column 't': .* found 'soon'"),
        ([datetime(2024, 1, 1), None, datetime(2024, 1, 3)], r"row 2: the time \(column 't'\) is missing"),
        ([1.0, 2.0, 3.0], "column 't' of the table holds Float64; dates or whole numbers were expected as time"),
        ([timedelta(1), timedelta(2), timedelta(3)], "holds Duration.*dates or whole numbers were expected"),
    ],
)
def test_a_time_that_is_none_is_named_by_row(panel_of, times, message):
    with pytest.raises(InputError, match=message):
        panel_of(times)


def test_the_line_of_a_file_is_named_too():
    table = read_table(io.BytesIO(b"t,y\n2024-01-01,1\n2024-01-02,2\nsoon,3\n"))
    with pytest.raises(InputError, match=r"standard input, row 3 \(line 4\), column 't': .* found 'soon'"):
        read_panel(table, Roles("y", time="t"))


def test_without_a_column_of_times_the_rows_count_in_each_series():
    frame = pl.DataFrame({"u": list("abaab"), "y": [1.0, 2, 3, 4, 5]})
    (whole,) = read_panel(read_table(frame), Roles("y")).series
    assert whole.times.to_list() == [0, 1, 2, 3, 4]
    panel = read_panel(read_table(frame), Roles("y", series="u"))
    assert [(s.name, s.times.to_list(), s.target.tolist()) for s in panel.series] == [
        ("a", [0, 1, 2], [1, 3, 4]),
        ("b", [0, 1], [2, 5]),
    ]


# Order, duplicates, gaps, stray times ---------------------------------------------------------------------------


def test_unsorted_rows_are_sorted_with_a_note(panel_of):
    panel = panel_of(days(3, 1, 2, 4), [3.0, 1, 2, 4], x=[30.0, 10, 20, 40], past=["x"])
    assert panel.series[0].target.tolist() == [1, 2, 3, 4]
    assert panel.series[0].past[:, 0].tolist() == [10, 20, 30, 40]
    assert panel.notes == ("the rows of the table were not in order of time; they were sorted",)


def test_series_that_take_turns_are_in_order_and_need_no_note(panel_of):
    assert panel_of(days(1, 1, 2, 2), u=list("abab")).notes == ()
    assert panel_of(days(1, 2, 1, 2), u=list("bbaa")).notes == ()
    assert "were sorted" in panel_of(days(2, 1, 1, 2), u=list("aabb")).notes[0]


def test_a_time_that_stands_twice_is_refused_with_both_rows(panel_of):
    with pytest.raises(InputError, match=r"the time 2024-01-02 stands in row 1 and again in row 3; .* series="):
        panel_of(days(2, 1, 2, 3))
    with pytest.raises(InputError, match="the time 2024-01-01 of series 'b' stands in row 2 and again in row 4"):
        panel_of(days(1, 1, 2, 1), u=list("abab"))
    assert len(panel_of(days(1, 1, 2, 2), u=list("abab")).series) == 2


def test_a_gap_is_named_and_masked(panel_of):
    panel = panel_of(days(1, 2, 5, 6, 8, 9), x=[1.0, 2, 3, 4, 5, 6], past=["x"])
    (series,) = panel.series
    assert series.times.to_list() == days(*range(1, 10))
    expected = [0, 1, np.nan, np.nan, 2, 3, np.nan, 4, 5]
    np.testing.assert_array_equal(series.target, expected)
    np.testing.assert_array_equal(series.past[:, 0], np.array(expected) + 1)
    assert panel.notes == ("3 of 9 steps have no row; the first gap is after row 2, at 2024-01-03; they are masked",)


def test_a_gap_may_be_filled_with_what_was_last_known(panel_of):
    panel = panel_of(days(1, 2, 5, 6), [1.0, 2, None, 4], gaps="forward", x=[None, 7.0, 8, 9], future=["x"])
    (series,) = panel.series
    np.testing.assert_array_equal(series.target, [1, 2, 2, 2, np.nan, 4])  # a row with a missing value is no gap
    np.testing.assert_array_equal(series.future[:, 0], [np.nan, 7, 7, 7, 8, 9])
    assert "the last values are repeated there" in panel.notes[0]


@pytest.mark.parametrize("gaps", ["mask", "forward"])
def test_law_what_comes_later_never_fills_a_gap(panel_of, gaps):
    times, row = days(1, 2, 4, 7, 8, 9), 3  # everything from row 3 on is changed
    x, y = [None, None, None, 4.0, 5, 6], [5.0, None, 3, 2, 1, 0]  # of x nothing is known before
    before = panel_of(times, y, gaps=gaps, x=x, past=["x"]).series[0]
    changed = panel_of(
        times, y[:row] + [k + 99 for k in y[row:]], gaps=gaps, x=x[:row] + [k + 99 for k in x[row:]], past=["x"]
    ).series[0]
    known = 6  # the steps before row 3, the gap included
    np.testing.assert_array_equal(before.target[:known], changed.target[:known])
    np.testing.assert_array_equal(before.past[:known], changed.past[:known])
    assert not np.array_equal(before.target[known:], changed.target[known:])


def test_a_gap_may_be_refused(panel_of):
    with pytest.raises(InputError, match=r"1 of 4 steps have no row; the first gap is after row 2, at 2024-01-03; add"):
        panel_of(days(1, 2, 4), gaps="refuse", step="1d")
    assert panel_of(days(1, 2, 3), gaps="refuse").notes == ()


def test_a_time_off_the_grid_is_refused_with_its_row(panel_of):
    times = [*days(1, 2, 3), datetime(2024, 1, 3, 12), *days(4, 5)]
    with pytest.raises(
        InputError, match=r"row 4: the time 2024-01-03 12:00:00 does not lie on the grid of .* every 1d"
    ):
        panel_of(times)
    with pytest.raises(InputError, match="row 3: the time 12 does not lie on the grid of one row every 5i"):
        panel_of([0, 5, 12, 15, 20, 25])


# Values ---------------------------------------------------------------------------------------------------------


def test_missing_values_stay_missing_and_are_counted(panel_of):
    panel = panel_of(days(1, 2, 3, 4), [1.0, None, None, 4], x=[None, 2.0, 3, 4], past=["x"])
    np.testing.assert_array_equal(panel.series[0].target, [1, np.nan, np.nan, 4])
    assert panel.notes == (
        "2 of 4 values of 'y' are missing; they are masked",
        "1 of 4 values of 'x' are missing; they are masked",
    )


def test_a_target_without_any_value_is_refused(panel_of):
    with pytest.raises(InputError, match="the target 'y' has no value in any of the 3 rows of the table"):
        panel_of(days(1, 2, 3), [None] * 3)


def test_text_among_numbers_is_named(panel_of):
    with pytest.raises(InputError, match="the table, row 2, column 'x': a number was expected, found 'wet'"):
        panel_of(days(1, 2, 3), x=["1", "wet", "3"], past=["x"])


def test_each_column_goes_to_its_part(panel_of):
    columns = {name: [k + 0.1, k + 0.2, k + 0.3] for k, name in enumerate("abcd")}
    (s,) = panel_of(days(1, 2, 3), e=[7.0] * 3, f=[8.0] * 3, **columns, past="ba", future="dc", static="fe").series
    np.testing.assert_array_equal(s.past.T, [columns["b"], columns["a"]])
    np.testing.assert_array_equal(s.future.T, [columns["d"], columns["c"]])
    np.testing.assert_array_equal(s.static, [8, 7])


# Several series -------------------------------------------------------------------------------------------------


def test_each_series_has_its_own_start_end_and_gaps(panel_of):
    panel = panel_of(
        days(5, 6, 8, 1, 2, 3, 4), [50.0, 60, 80, 1, 2, 3, 4],
        u=list("bbbaaaa"), x=[9.0] * 3 + [7.0] * 4, static=["x"],
    )  # fmt: skip
    a, b = panel.series
    assert [a.name, b.name] == ["a", "b"]
    assert (a.times.to_list(), b.times.to_list()) == (days(1, 2, 3, 4), days(5, 6, 7, 8))
    np.testing.assert_array_equal(b.target, [50, 60, np.nan, 80])
    assert (a.static.tolist(), b.static.tolist()) == ([7], [9])
    assert panel.notes == (
        "1 of 4 steps of series 'b' have no row; the first gap is after row 2, at 2024-01-07; they are masked",
    )


def test_a_static_input_that_changes_is_refused(panel_of):
    with pytest.raises(InputError, match="static column 'x' changes within the series of series 'b'; name it as past"):
        panel_of(days(1, 2, 1, 2), u=list("aabb"), x=[1.0, 1, 2, 3], static=["x"])


def test_a_static_input_known_in_one_row_is_known(panel_of):
    panel = panel_of(days(1, 2, 1, 2), u=list("aabb"), x=[None, 5.0, None, None], static=["x"])
    np.testing.assert_array_equal([s.static[0] for s in panel.series], [5, np.nan])


def test_a_row_without_a_series_is_refused(panel_of):
    with pytest.raises(InputError, match=r"row 3: the name of the series \(column 'u'\) is missing"):
        panel_of(days(1, 2, 1), u=["a", "a", None])


def test_series_may_be_numbered(panel_of):
    assert [s.name for s in panel_of(days(1, 2, 1, 2), u=[10, 10, 9, 9]).series] == ["10", "9"]


# Parts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def long_and_short(panel_of):
    """Ten days of `a`, of which the last two are known ahead only, and four of `b`."""
    y = [0.0, 1, 2, 3, 4, 5, 6, 7, None, None, 0, 1, 2, 3]
    return panel_of(days(*range(1, 11), *range(1, 5)), y, u=["a"] * 10 + ["b"] * 4)


def test_steps_after_the_last_observed_target_do_not_count(long_and_short, panel_of):
    assert long_and_short.observed_lengths() == [8, 4]
    panel = panel_of(days(1, 2, 1, 2), [None, 1.0, None, None], u=list("aabb"))
    assert panel.observed_lengths() == [2, 0]


@pytest.mark.parametrize(
    ("test", "begins"),
    [
        (None, [8, 4]),
        (1, [7, 3]),
        (3.0, [5, 1]),
        (6, [2, 0]),
        (0.25, [6, 3]),
        ("2024-01-04", [3, 3]),
        ("2024-01-07", [6, 4]),
        (date(2024, 1, 4), [3, 3]),
        (datetime(2024, 1, 3, 18), [3, 3]),
    ],
)
def test_where_the_test_part_begins(long_and_short, test, begins):
    assert long_and_short.test_begins(test) == begins


def test_without_a_test_part_a_default_begins_it(long_and_short):
    assert long_and_short.test_begins(None, default=0) == [0, 0]
    assert long_and_short.test_begins(2, default=0) == [6, 2]


def test_the_test_part_of_numbered_times(panel_of):
    assert panel_of(list(range(10, 20))).test_begins("17") == [7]
    with pytest.raises(InputError, match="a whole number was expected, found 'May'"):
        panel_of([1, 2, 3]).test_begins("May")


def test_the_test_part_of_times_with_a_zone(panel_of):
    panel = panel_of(every("1d", 6, datetime(2024, 3, 29), "Europe/Berlin"))
    assert panel.test_begins("2024-04-01") == [3]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (0, "a test part of 0 steps was asked for; the longest series has 8"),
        (8, "a test part of 8 steps was asked for; the longest series has 8"),
        (-1, "a test part of -1 steps"),
        ("2024-01-01", "to begin at 2024-01-01; that must lie within the table, from 2024-01-01 .* to 2024-01-08"),
        ("2024-01-09", "to begin at 2024-01-09; that must lie within the table"),
        ("May", "a time such as 2024-01-31 was expected, found 'May'"),
    ],
)
def test_a_test_part_that_can_not_be_is_refused(long_and_short, test, message):
    with pytest.raises(InputError, match=message):
        long_and_short.test_begins(test)


def test_the_head_of_a_panel(long_and_short, two_rivers):
    a, b = long_and_short.head([3, 0]).series
    assert (a.target.tolist(), a.times.to_list(), len(b)) == ([0, 1, 2], days(1, 2, 3), 0)
    (elbe, _), whole = two_rivers.head([5, 5]).series, two_rivers.series[0]
    np.testing.assert_array_equal(elbe.past, whole.past[:5])
    np.testing.assert_array_equal(elbe.future, whole.future[:5])
    np.testing.assert_array_equal(elbe.static, whole.static)
