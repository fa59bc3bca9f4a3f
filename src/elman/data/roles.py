"""Which column of a table plays which part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from elman.data.tables import Table, parse_times
from elman.errors import InputError


@dataclass(frozen=True)
class Roles:
    """Columns by part: `past` inputs are known up to now, `future` ones also ahead, `static` ones never change."""

    target: str
    time: str | None = None
    series: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.past, *self.future, *self.static)


def guess_roles(
    table: Table,
    target: str | None = None,
    *,
    time: str | None = None,
    series: str | None = None,
    past: Sequence[str] | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
) -> Roles:
    """The roles that a user named, completed: `ds`, `unique_id`, `y` by name, time by type, other numbers as `past`."""
    frame = table.frame
    if target is None:
        if "y" not in frame.columns:
            raise InputError(
                f"{table.name}: which column is to be forecast? There is none named 'y'; name it with target= "
                f"(--target). The columns are: {', '.join(frame.columns)}"
            )
        target = "y"
    table.need(target, "target")
    if time is not None:
        table.need(time, "time")
    else:
        others = (target, series, *(past or ()), *future, *static)
        dated = [c for c in frame.columns if c == "ds" or (c not in others and _holds_times(frame[c]))]
        dated = ["ds"] if "ds" in dated else dated
        if len(dated) > 1:
            raise InputError(f"{table.name} has several columns of dates ({', '.join(dated)}); name one with time=")
        time = dated[0] if dated else None
        for column in frame.columns if time is None else ():
            text = frame[column].drop_nulls().head(1).to_list() if frame[column].dtype == pl.String else []
            if text and column not in others and re.match(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}", text[0]):
                raise InputError(
                    f"{table.name} has no column of times that can be read; {column!r} holds {text[0]!r}. Write dates "
                    "as 2024-01-31 or 2024-01-31 06:00"
                )
    if series is not None:
        table.need(series, "series")
    elif "unique_id" in frame.columns:
        series = "unique_id"
    for role, columns in (("past", past or ()), ("future", future), ("static", static)):
        for column in columns:
            table.need(column, role)
    named = [target, time, series, *future, *static]
    if past is None:
        past = [c for c in frame.columns if c not in named and holds_numbers(frame[c])]
    named += past
    twice = sorted({c for c in named if c is not None and named.count(c) > 1})
    if twice:
        raise InputError(
            f"column {twice[0]!r} is given two roles; each column has one of target, time, series, past, future, static"
        )
    return Roles(target, time, series, tuple(past), tuple(future), tuple(static))


# One wrong word makes text of a column of numbers or times. It keeps its role, and the word is named when it is read.


def holds_numbers(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return _mostly(values, values.cast(pl.Float64, strict=False))
    return values.dtype.is_numeric() or values.dtype == pl.Boolean


def _holds_times(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return _mostly(values, parse_times(values))
    return values.dtype.is_temporal()


def _mostly(text: pl.Series, parsed: pl.Series) -> bool:
    return bool(2 * parsed.count() > text.count())
