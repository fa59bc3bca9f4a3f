"""A table as regular time series: roles of columns, one step between rows, gaps and missing values named.

Inside, a missing value is NaN in a float64 array; it stays one until `data.windows` turns it into a masked input.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

import numpy as np
import polars as pl

from elman.data.roles import Roles
from elman.data.tables import Table, parse_times
from elman.errors import InputError

Gaps = Literal["mask", "forward", "refuse"]
# A test part: so many last steps of each series, a share of each below 1, or everything from a time on.
Held = int | float | str | date | datetime


@dataclass(frozen=True)
class Series:
    """One regular series of T steps; NaN is missing."""

    name: str
    times: pl.Series  # (T,) datetimes or integers, one step apart
    target: np.ndarray  # (T,)
    past: np.ndarray  # (T, P)
    future: np.ndarray  # (T, F)
    static: np.ndarray  # (S,)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def of(self) -> str:
        """How a message says which series is meant; nothing where there is one only."""
        return f" of series {self.name!r}" if self.name else ""

    def head(self, length: int) -> "Series":
        """The first `length` steps."""
        return replace(
            self,
            times=self.times[:length],
            target=self.target[:length],
            past=self.past[:length],
            future=self.future[:length],
        )


@dataclass(frozen=True)
class Panel:
    """All series of a table, in order of name, one step of time for all."""

    roles: Roles
    step: str  # "1d", "15m", "1mo", ... (polars' durations); "1i" where time is an integer
    series: tuple[Series, ...]
    notes: tuple[str, ...] = field(default=())

    def only(self, which: Sequence[int]) -> "Panel":
        """The series of those positions."""
        return replace(self, series=tuple(self.series[k] for k in which))

    def head(self, lengths: Sequence[int]) -> "Panel":
        """Each series cut to its first `lengths[k]` steps."""
        return replace(self, series=tuple(s.head(n) for s, n in zip(self.series, lengths, strict=True)))

    def observed_lengths(self) -> list[int]:
        """For each series, its steps up to the last observed target; rows after it hold inputs known ahead."""
        seen = [np.flatnonzero(~np.isnan(s.target)) for s in self.series]
        return [int(at[-1]) + 1 if len(at) else 0 for at in seen]

    def test_begins(self, test: Held | None, default: int | None = None) -> list[int]:
        """For each series, the first step of its `test` part; without one its end, or `default`."""
        lengths = self.observed_lengths()
        if test is None:
            return lengths if default is None else [default] * len(lengths)
        if isinstance(test, float) and 0 < test < 1:
            return [n - round(n * test) for n in lengths]
        if isinstance(test, int | float):
            test = int(test)
            if not 0 < test < max(lengths):
                raise InputError(f"a test part of {test} steps was asked for; the longest series has {max(lengths)}")
            return [max(0, n - test) for n in lengths]
        start = self._as_time(test)
        begins = [min(int((s.times < start).sum()), n) for s, n in zip(self.series, lengths, strict=True)]
        if not max(begins) > 0 or begins == lengths:
            first, last = self.series[0].times[0], self.series[0].times[lengths[0] - 1]
            raise InputError(
                f"the test part is to begin at {test}; that must lie within the table, from {first} to {last}"
            )
        return begins

    def _as_time(self, when: str | date | datetime) -> object:
        dtype = self.series[0].times.dtype
        try:
            if dtype.is_integer():
                return int(str(when))
            value = pl.Series([str(when)]).str.to_datetime(time_unit="us")
            return value.dt.replace_time_zone(dtype.time_zone)[0]  # type: ignore[attr-defined]
        except (ValueError, pl.exceptions.PolarsError):
            kind = "a whole number" if dtype.is_integer() else "a time such as 2024-01-31"
            raise InputError(f"{kind} was expected, found {when!r}") from None


def read_panel(table: Table, roles: Roles, *, step: str | None = None, gaps: Gaps = "mask") -> Panel:
    """The series of `table`, sorted by time, on one regular grid.

    step: the time between rows (`"1d"`, `"15m"`, `"1mo"`, ...); found from the rows when None.
    gaps: what becomes of steps that have no row: `"mask"` leaves them missing, `"forward"` repeats the last values
        (never later ones, which a forecast could not have known), `"refuse"` raises.

    Raises InputError for duplicate times, times off the grid, text among numbers, or a target without any value.
    """
    notes: list[str] = []
    names = _names(table, roles.series)
    frame = pl.DataFrame(
        {
            "row": pl.int_range(table.frame.height, eager=True),
            "series": names,
            "time": _counted(names) if roles.time is None else _times(table, roles.time),
        }
    ).hstack([table.numbers(c).alias(f"value:{c}") for c in (roles.target, *roles.inputs)])
    if frame[f"value:{roles.target}"].null_count() == frame.height:
        raise InputError(f"the target {roles.target!r} has no value in any of the {frame.height} rows of {table.name}")

    if frame.select((pl.col("time").shift().over("series") > pl.col("time")).any()).item():
        notes.append(f"the rows of {table.name} were not in order of time; they were sorted")
    frame = frame.sort("series", "time", "row")
    double = frame.filter(pl.struct("series", "time").is_duplicated())
    if double.height:
        a, b = double["row"][0], double["row"][1]
        of = f" of series {double['series'][0]!r}" if roles.series else ""
        raise InputError(
            f"{table.name}: the time {_show(double['time'][0])}{of} stands in {table.row(a)} and again in "
            f"{table.row(b)}; each time may stand once (if there are several series, name the column that tells them "
            "apart: series=)"
        )

    step = _find_step(frame, table) if step is None else _check_step(step, frame["time"].dtype)
    built = []
    for part in frame.partition_by("series", maintain_order=True):
        built.append(_regular(part, table, roles, step, gaps, notes))
    return Panel(roles, step, tuple(built), tuple(notes))


def _names(table: Table, column: str | None) -> pl.Series:
    """To which series each row belongs; all to one without a name where there is no such column."""
    if column is None:
        return pl.repeat("", table.frame.height, eager=True)
    names = table.frame[column]
    if names.dtype.is_nested():
        raise InputError(f"column {column!r} of {table.name} holds {names.dtype}; names of series were expected")
    if names.null_count():
        row = int(names.is_null().arg_true()[0])
        raise InputError(f"{table.name}, {table.row(row)}: the name of the series (column {column!r}) is missing")
    return names.cast(pl.String)


def _counted(names: pl.Series) -> pl.Series:
    """The number of each row within its series, from 0: the time where there is none."""
    return names.to_frame("series").select(pl.int_range(pl.len()).over("series")).to_series()


def _times(table: Table, column: str) -> pl.Series:
    times = table.frame[column]
    if times.dtype == pl.String:
        parsed = parse_times(times)
        wrong = parsed.is_null() & times.is_not_null()
        if wrong.any():
            row = int(wrong.arg_true()[0])
            raise InputError(
                f"{table.name}, {table.row(row)}, column {column!r}: a time such as 2024-01-31 or 2024-01-31 06:00 "
                f"was expected, found {times[row]!r}"
            )
        times = parsed
    if times.null_count():
        row = int(times.is_null().arg_true()[0])
        raise InputError(f"{table.name}, {table.row(row)}: the time (column {column!r}) is missing")
    if times.dtype == pl.Date:
        return times.cast(pl.Datetime("us"))
    if times.dtype == pl.Datetime:
        return times.dt.cast_time_unit("us")
    if times.dtype.is_integer():
        return times.cast(pl.Int64)
    raise InputError(
        f"column {column!r} of {table.name} holds {times.dtype}; dates or whole numbers were expected as time"
    )


def _show(time: object) -> str:
    text = str(time)
    return text.removesuffix(" 00:00:00")


def _check_step(step: str, times: pl.DataType) -> str:
    units = "i" if times.is_integer() else "us|s|m|h|d|w|mo|y"
    if re.fullmatch(rf"[1-9][0-9]*({units})", step):
        return step
    such = "5i (the time is whole numbers)" if times.is_integer() else "1d, 15m or 3mo (us s m h d w mo y)"
    raise InputError(f"step={step!r}: the time between rows was expected, such as {such}")


SPARSEST = 100  # steps for each row
CALENDAR_STEPS = {"1mo": (28, 31), "3mo": (90, 92), "6mo": (181, 184), "1y": (365, 366)}


def _find_step(frame: pl.DataFrame, table: Table) -> str:
    """The commonest difference of neighbouring times, the smallest of several, as a polars duration."""
    differences = frame.select(pl.col("time").diff().over("series")).to_series().drop_nulls()
    if differences.is_empty():
        raise InputError(f"{table.name} has one row for each series; a series needs at least two")
    common = differences.value_counts().sort("count", "time", descending=[True, False])["time"][0]
    if frame["time"].dtype.is_integer():
        return f"{common}i"
    days = common.total_seconds() / 86400
    times = frame["time"].dt.replace_time_zone(None)
    ends = (times.dt.month_end() == times).all()
    by_calendar = differences.n_unique() > 1 or ends or times.dt.day().n_unique() == 1  # else 28 days are four weeks
    for step, (low, high) in CALENDAR_STEPS.items():
        if by_calendar and low <= days <= high:
            return step
    seconds = round(common.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{round(common.total_seconds() * 1e6)}us"


def _check_size(part: pl.DataFrame, table: Table, step: str, of: str) -> None:
    """Refuse a grid of far more steps than rows: a mistyped year or step would fill the memory."""
    times = part["time"]
    number, unit = int(step.rstrip("abcdefghijklmnopqrstuvwxyz")), step.lstrip("0123456789")
    span = times[-1] - times[0]
    size = {"us": 1e-6, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 2.6e6, "y": 3.15e7}
    steps = span / number if unit == "i" else span.total_seconds() / (number * size[unit])
    if steps > 10_000 + SPARSEST * len(times):
        after = int(times.diff().arg_max() or 0)
        raise InputError(
            f"{table.name}: {len(times)} rows{of} would fill {steps:.0f} steps of {step}; the widest gap ends in "
            f"{table.row(int(part['row'][after]))}, at {_show(times[after])}. Correct that time, or give step="
        )


def time_grid(times: pl.Series, step: str) -> pl.Series:
    """The regular times from the first of the sorted `times` to the last, one `step` apart."""
    if step.endswith("i"):
        return pl.int_range(times[0], times[-1] + 1, int(step[:-1]), eager=True)
    first = times.dt.month_start() if _month_ends(times, step) else times
    grid = pl.select(pl.datetime_range(pl.lit(first).first(), pl.lit(times).last(), step)).to_series()
    return grid if first is times else grid.dt.month_end()


def times_after(times: pl.Series, count: int, step: str) -> pl.Series:
    """The `count` times that follow the regular `times`; counted from the first, so that month ends stay month ends."""
    n = len(times)
    number, unit = int(step.rstrip("abcdefghijklmnopqrstuvwxyz")), step.lstrip("0123456789")
    if unit == "i":
        return pl.int_range(times[-1] + number, times[-1] + number * (count + 1), number, eager=True)
    ends = _month_ends(times, step)
    first = times[:1].dt.month_start() if ends else times[:1]
    after = pl.concat([first.dt.offset_by(f"{number * (n + k)}{unit}") for k in range(count)])
    return after.dt.month_end() if ends else after


def _month_ends(times: pl.Series, step: str) -> bool:
    """Whether a month from 30 April is 31 May: where each of `times` is the last day of its month."""
    return step.endswith(("mo", "y")) and bool((times.dt.month_end() == times).all())


def _regular(part: pl.DataFrame, table: Table, roles: Roles, step: str, gaps: Gaps, notes: list[str]) -> Series:
    """One sorted series on its full grid; what was not there is named in `notes`, or refused."""
    name = str(part["series"][0])
    of = f" of series {name!r}" if name else ""
    _check_size(part, table, step, of)
    times = part["time"]
    grid = time_grid(times, step)
    stray = ~times.is_in(grid.implode())
    if stray.any():
        position = int(stray.arg_true()[0])
        row = int(part["row"][position])
        raise InputError(
            f"{table.name}, {table.row(row)}: the time {_show(part['time'][position])}{of} does not lie on the "
            f"grid of one row every {step} that starts at {_show(times[0])}; give step= if the rows are closer"
        )
    full = pl.DataFrame({"time": grid}).join(part, on="time", how="left", maintain_order="left")
    absent = full["row"].is_null()
    if absent.any():
        first = int(absent.arg_true()[0])
        after = int(full["row"][first - 1])
        found = (
            f"{int(absent.sum())} of {len(grid)} steps{of} have no row; the first gap is after {table.row(after)}, "
            f"at {_show(grid[first])}"
        )
        if gaps == "refuse":
            raise InputError(f"{table.name}: {found}; add the rows, or choose gaps='mask' or 'forward'")
        notes.append(found + ("; they are masked" if gaps == "mask" else "; the last values are repeated there"))
        if gaps == "forward":
            values = pl.col("^value:.*$")
            full = full.with_columns(pl.when(pl.lit(absent)).then(values.forward_fill()).otherwise(values).name.keep())
    present = full.filter(pl.col("row").is_not_null())
    for column in (roles.target, *roles.inputs):
        lost = present[f"value:{column}"].null_count()
        if lost:
            notes.append(f"{lost} of {present.height} values of {column!r}{of} are missing; they are masked")

    def array(columns: tuple[str, ...]) -> np.ndarray:
        return (
            full.select(f"value:{c}" for c in columns)
            .cast(pl.Float64)
            .fill_null(float("nan"))
            .to_numpy()
            .reshape(len(grid), len(columns))
        )

    statics, fixed = array(roles.static), []
    for k, column in enumerate(roles.static):
        known = statics[~np.isnan(statics[:, k]), k]
        if len(known) and (known != known[0]).any():
            raise InputError(
                f"{table.name}: the static column {column!r} changes within the series{of}; "
                "name it as past or future instead"
            )
        fixed.append(known[0] if len(known) else np.nan)
    return Series(name, grid, array((roles.target,))[:, 0], array(roles.past), array(roles.future), np.array(fixed))
