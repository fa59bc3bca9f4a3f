"""Tables from files and data frames, each in one form: a polars frame that knows where it came from."""

import hashlib
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from elman.errors import InputError
from elman.files import sha256

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "?"]


@dataclass(frozen=True)
class Table:
    """A polars frame, what to call it in a message, and the kind of frame that its user works with."""

    frame: pl.DataFrame
    name: str
    first_line: int | None = None  # the line of a text file on which the first row stands
    backend: Any = None  # narwhals' name of the user's data frame library; None for polars
    path: Path | None = None

    def sha256(self) -> str:
        """The hash of the file or, of a frame in memory, of its values: a run can tell whether it goes on with the same data."""
        if self.path:
            return sha256(self.path)
        buffer = BytesIO()
        self.frame.write_ipc(buffer)
        return hashlib.sha256(buffer.getvalue()).hexdigest()

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
        """`column` as float64 with null for missing; InputError with row and value when it holds text or an infinity."""
        raw = self.frame[column]
        if raw.dtype.is_temporal() or raw.dtype.is_nested():
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
    """A CSV or Parquet file by its path, or any eager data frame that narwhals knows (polars, pandas, pyarrow, ...).

    >>> read_table(pl.DataFrame({"ds": [1, 2], "y": [0.5, 0.7]})).frame.shape
    (2, 2)
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source))
    try:
        frame = nw.from_native(source, eager_only=True)
    except TypeError:
        raise InputError(
            f"a table was expected (a path to a CSV or Parquet file, or a polars, pandas or pyarrow frame), "
            f"found {type(source).__name__}"
        ) from None
    backend = None if frame.implementation.is_polars() else frame.implementation
    table = Table(frame.to_polars(), "the table", backend=backend)
    if table.frame.is_empty():
        raise InputError("the table has no rows")
    return table


def _read_file(path: Path) -> Table:
    name = path.name
    try:
        with open(path, "rb") as file:
            head = file.read(65536)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
    if not head.strip():
        raise InputError(f"{name} is empty; a table with a header line was expected")
    try:
        if head.startswith(b"PAR1"):
            table = Table(pl.read_parquet(path), name, path=path)
        elif b"\0" in head:
            raise InputError(f"{name} is not a table: it holds binary data; a CSV or Parquet file was expected")
        else:
            table = Table(_read_csv(path, head), name, first_line=2, path=path)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name} can't be read as a table: {reason}") from None
    if table.frame.is_empty():
        raise InputError(f"{name} has a header line and no rows")
    return table


def _read_csv(path: Path, head: bytes) -> pl.DataFrame:
    try:
        header = head.decode("utf-8-sig", errors="strict" if len(head) < 65536 else "ignore").splitlines()[0]
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    separator = max(",;\t", key=header.count)
    frame = pl.read_csv(
        path, separator=separator, try_parse_dates=True, infer_schema_length=None, null_values=MISSING, encoding="utf8"
    )
    return frame.rename({column: column.strip() for column in frame.columns})
