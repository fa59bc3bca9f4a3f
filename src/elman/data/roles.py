"""Which column of a table plays which part."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from elman.data.tables import Table
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
        dated = ["ds"] if "ds" in frame.columns else [c for c in frame.columns if frame[c].dtype.is_temporal()]
        if len(dated) > 1:
            raise InputError(f"{table.name} has several columns of dates ({', '.join(dated)}); name one with time=")
        time = dated[0] if dated else None
    if series is not None:
        table.need(series, "series")
    elif "unique_id" in frame.columns:
        series = "unique_id"
    for role, columns in (("past", past or ()), ("future", future), ("static", static)):
        for column in columns:
            table.need(column, role)
    named = [target, time, series, *future, *static]
    if past is None:
        past = [
            c for c in frame.columns if c not in named and (frame[c].dtype.is_numeric() or frame[c].dtype == pl.Boolean)
        ]
    named += past
    twice = sorted({c for c in named if c is not None and named.count(c) > 1})
    if twice:
        raise InputError(
            f"column {twice[0]!r} is given two roles; each column has one of target, time, series, past, future, static"
        )
    return Roles(target, time, series, tuple(past), tuple(future), tuple(static))
