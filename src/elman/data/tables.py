"""Tables from files and data frames, each in one form: a polars frame that knows where it came from."""

import csv
import hashlib
import os
import re
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO, StringIO
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from elman.errors import InputError

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "?"]


@dataclass(frozen=True)
class Table:
    """A polars frame, what to call it in a message, and the kind of frame that its user works with."""

    frame: pl.DataFrame
    name: str
    first_line: int | None = None  # the line of a text file on which the first row stands
    backend: Any = None  # narwhals' name of the user's data frame library; None for polars
    path: Path | None = None
    sha256: str | None = None  # of the file's bytes, or of the values of a frame in memory

    def row(self, index: int) -> str:
        """How a message names row `index` (from 0): `row 12 (line 13)`."""
        line = "" if self.first_line is None else f" (line {index + self.first_line})"
        return f"row {index + 1}{line}"

    def give_back(self, frame: pl.DataFrame) -> Any:
        """`frame` as the kind of data frame that this table was made from."""
        if self.backend is None:
            return frame
        return nw.from_native(frame, eager_only=True).lazy().collect(self.backend).to_native()

    def need(self, column: str, role: str) -> str:
        """`column`, or an InputError that names the columns there are."""
        if column in self.frame.columns:
            return column
        raise InputError(
            f"{self.name} has no column {column!r} ({role}); its columns are: {', '.join(self.frame.columns)}"
        )

    def numbers(self, column: str) -> pl.Series:
        """`column` as float64 with null for missing; InputError with the row when one is no finite number."""
        raw = self.frame[column]
        if raw.dtype in (pl.Categorical, pl.Enum):
            raw = raw.cast(pl.String)
        if not (raw.dtype.is_numeric() or raw.dtype in (pl.String, pl.Boolean, pl.Null)):
            raise InputError(f"column {column!r} of {self.name} holds {raw.dtype}; numbers were expected")
        values = raw.cast(pl.Float64, strict=False).fill_nan(None)
        for fault, what in (
            ((values.is_null() & raw.is_not_null() & _not_nan(raw)), "a number was expected"),
            (values.is_infinite().fill_null(False), "a finite number was expected"),
        ):
            if fault.any():
                first = int(fault.arg_true()[0])
                hint = " (write decimals with a point)" if isinstance(raw[first], str) and "," in raw[first] else ""
                raise InputError(
                    f"{self.name}, {self.row(first)}, column {column!r}: {what}, found {raw[first]!r}{hint}"
                )
        return values


def _not_nan(values: pl.Series) -> pl.Series:
    return values.is_not_nan().fill_null(False) if values.dtype.is_float() else values.is_not_null()


def read_table(source: Any) -> Table:
    """A CSV or Parquet file by its path or opened, or any eager data frame that narwhals knows (pandas, pyarrow, ...).

    >>> read_table(pl.DataFrame({"ds": [1, 2], "y": [0.5, 0.7]})).frame.shape
    (2, 2)
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            return _parse(path.read_bytes(), path.name, path)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist") from None
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}") from None
    if isinstance(source, BufferedIOBase):
        return _parse(source.read(), "standard input", None)
    try:
        frame = nw.from_native(source, eager_only=True)
    except TypeError:
        raise InputError(
            f"a table was expected (a path to a CSV or Parquet file, or a polars, pandas or pyarrow frame), "
            f"found {type(source).__name__}"
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise InputError(f"the columns of the table need names of their own: {' '.join(str(error).split())}") from None
    frame = _times_as_column(frame)
    backend = None if frame.implementation.is_polars() else frame.implementation
    try:
        own = frame.to_polars()
    except (TypeError, ValueError):  # a column of mixed objects: as text, so that `numbers` can name what is none
        own = pl.DataFrame([pl.Series(c, frame[c].to_list(), strict=False) for c in frame.columns])
    if own.is_empty():
        raise InputError("the table has no rows")
    buffer = BytesIO()
    own.write_ipc(buffer)
    return Table(own, "the table", backend=backend, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())


def _times_as_column(frame: Any) -> Any:
    """pandas keeps times in the index as often as in a column."""
    index = nw.maybe_get_index(frame)
    if index is None or not any(str(dtype).startswith("datetime") for dtype in index.to_frame().dtypes):
        return frame
    return nw.from_native(frame.to_native().reset_index(), eager_only=True)


def _parse(data: bytes, name: str, path: Path | None) -> Table:
    if not data.strip():
        raise InputError(f"{name} is empty; a table with a header line was expected")
    common: dict[str, Any] = {"path": path, "sha256": hashlib.sha256(data).hexdigest()}
    try:
        if data.startswith(b"PAR1"):
            table = Table(pl.read_parquet(BytesIO(data)), name, **common)
        elif b"\0" in data[:65536]:
            raise InputError(f"{name} is not a table: it holds binary data; a CSV or Parquet file was expected")
        else:
            table = Table(_parse_csv(data, name), name, first_line=2, **common)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name} can't be read as a table: {reason}") from None
    if table.frame.is_empty():
        raise InputError(f"{name} has a header line and no rows")
    return table


def _parse_csv(data: bytes, name: str) -> pl.DataFrame:
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=re.sub('"[^"]*"', "", header).count)
    columns = [column.strip() for column in next(csv.reader([header], delimiter=separator))]
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise InputError(f"{name} has {columns.count(twice[0])} columns named {twice[0]!r}; each needs its own name")
    try:
        frame = pl.read_csv(
            text.encode(), separator=separator, try_parse_dates=True, infer_schema_length=None, null_values=MISSING
        )
    except pl.exceptions.PolarsError:
        _refuse_ragged(text, separator, name)
        raise
    if frame.height and frame.to_series(-1).null_count():  # what is missing at the end of a row may be a field
        _refuse_ragged(text, separator, name)
    bare = pl.col(pl.String).str.strip_chars()
    return frame.rename(dict(zip(frame.columns, columns, strict=True))).with_columns(
        pl.when(bare.is_in(MISSING).not_()).then(bare).name.keep()
    )


def _refuse_ragged(text: str, separator: str, name: str) -> None:
    """polars fills short rows with missing values, and does not say which row is too long."""
    rows = csv.reader(StringIO(text), delimiter=separator)
    expected = len(next(rows))
    for row, fields in enumerate(rows, 1):
        if len(fields) != expected and (fields or expected > 1):
            raise InputError(
                f"{name}, row {row} (line {rows.line_num}): {expected} values were expected, as in the header; "
                f"found {len(fields)}"
            )


def parse_times(text: pl.Series) -> pl.Series:
    """`text` as datetimes, null where it is none."""
    try:
        return text.str.to_datetime(strict=False)
    except pl.exceptions.PolarsError:  # not one that looks like a time
        return pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))
