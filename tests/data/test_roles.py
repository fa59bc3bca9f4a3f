"""Which column plays which part: named, or guessed, or asked for."""

import io

import polars as pl
import pytest

from elman.data.roles import Roles, guess_roles
from elman.data.tables import read_table
from elman.errors import InputError

DAYS = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 4), eager=True)


def guessed(columns, target=None, **named):
    return guess_roles(read_table(pl.DataFrame(columns)), target, **named)


def test_the_usual_names_of_a_long_table():
    roles = guessed({"unique_id": ["a"] * 4, "ds": DAYS, "y": range(4), "rain": range(4)})
    assert roles == Roles("y", time="ds", series="unique_id", past=("rain",))


def test_the_usual_name_of_the_time_wins_over_other_dates():
    assert guessed({"issued": DAYS, "ds": DAYS, "y": range(4)}) == Roles("y", time="ds")


def test_a_wide_table_by_its_target():
    columns = {"day": DAYS, "level": range(4), "rain": [0.5] * 4, "wet": [True] * 4, "remark": list("abcd")}
    assert guessed(columns, "level") == Roles("level", time="day", past=("rain", "wet"))


def test_what_is_named_is_not_guessed():
    columns = {
        "day": DAYS,
        "level": range(4),
        "rain": range(4),
        "holiday": range(4),
        "area": [7] * 4,
        "river": list("abab"),
    }
    roles = guessed(columns, "level", past=[], future=["holiday"], static=["area"], series="river")
    assert roles == Roles("level", time="day", series="river", future=("holiday",), static=("area",))
    assert roles.inputs == ("holiday", "area")
    roles = guessed(columns, "level", future=["holiday"])
    assert roles.past == ("rain", "area")


def test_a_table_without_times_is_one_in_order():
    assert guessed({"y": range(4), "x": range(4)}) == Roles("y", past=("x",))


def test_one_wrong_word_does_not_hide_a_column():
    """It makes text of the column, which would otherwise be left out without a word; now it is named when read."""
    text = "day,level,rain,river\n2024-01-01,1,2,Ilm\n2024-01-02,2,wet,Ilm\n2024-13-03,3,4,Ilm\n2024-01-04,4,5,Ilm\n"
    table = read_table(io.BytesIO(text.encode()))
    roles = guess_roles(table, "level")
    assert roles == Roles("level", time="day", past=("rain",))
    with pytest.raises(InputError, match=r"row 2 \(line 3\), column 'rain'"):
        table.numbers("rain")


def test_a_column_without_any_value_is_no_input():
    assert guessed({"y": range(4), "x": pl.Series([None] * 4, dtype=pl.String)}) == Roles("y")


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        ({"a": [1]}, {}, r"There is none named 'y'; name it with target= \(--target\). The columns are: a"),
        ({"a": [1]}, {"target": "b"}, r"the table has no column 'b' \(target\); its columns are: a"),
        ({"y": [1]}, {"time": "t"}, r"no column 't' \(time\)"),
        ({"y": [1]}, {"series": "s"}, r"no column 's' \(series\)"),
        ({"y": [1]}, {"past": ["p"]}, r"no column 'p' \(past\)"),
        ({"y": [1]}, {"future": ["f"]}, r"no column 'f' \(future\)"),
        ({"y": [1]}, {"static": ["c"]}, r"no column 'c' \(static\)"),
        ({"y": [1, 2, 3, 4], "a": DAYS, "b": DAYS}, {}, r"several columns of dates \(a, b\); name one with time="),
        ({"y": [1], "x": [1]}, {"past": ["x"], "future": ["x"]}, "column 'x' is given two roles"),
        ({"y": [1]}, {"past": ["y"]}, "column 'y' is given two roles"),
        ({"y": [1], "x": [1]}, {"future": ["x", "x"]}, "column 'x' is given two roles"),
    ],
)
def test_what_can_not_be_is_refused(columns, named, message):
    with pytest.raises(InputError, match=message):
        guessed(columns, **named)
