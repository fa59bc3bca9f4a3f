"""Sequences, of equal length or not, from arrays, lists and long tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from elman.data.cases import Batch
from elman.data.features import Features
from elman.data.tables import Table
from elman.errors import InputError

Layout = Literal["time-first", "channels-first", "image"]


@dataclass(frozen=True)
class Sequences:
    """N sequences, one after another: `values (S, F)` has a row for each step, NaN where missing; `lengths (N)`.

    >>> two = Sequences.of([np.ones((3, 2)), np.zeros((1, 2))])
    >>> x, lengths = two.batch(torch.tensor([1, 0]))
    >>> x.shape, lengths.tolist()
    (torch.Size([2, 3, 2]), [1, 3])
    """

    values: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[np.ndarray]) -> "Sequences":
        """Arrays of shape `(T_i, F)`."""
        return cls(np.concatenate(parts), np.array([len(part) for part in parts], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def ragged(self) -> bool:
        return bool((self.lengths != self.lengths[0]).any())

    @property
    def begins(self) -> np.ndarray:
        """(N): the row of the first step of each."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, indices: np.ndarray) -> "Sequences":
        parts = [self.values[b : b + n] for b, n in zip(self.begins[indices], self.lengths[indices], strict=True)]
        return Sequences(np.concatenate(parts) if parts else self.values[:0], self.lengths[indices])

    def scaled(self, features: Features) -> "Sequences":
        return replace(self, values=features.transform(self.values))

    def batch(self, indices: Tensor) -> Batch:
        """`x (B, T, F)`, zero behind each end, and `lengths (B)` where they differ."""
        where = indices.numpy()
        lengths = self.lengths[where]
        steps = np.arange(lengths.max())
        within = steps < lengths[:, None]
        rows = np.where(within, self.begins[where][:, None] + steps, 0)
        x = torch.from_numpy(self.values[rows])
        if within.all():
            return (x,)
        return x.masked_fill(~torch.from_numpy(within)[..., None], 0), torch.from_numpy(lengths)

    def fingerprints(self) -> list[bytes]:
        return [self.values[b : b + n].tobytes() for b, n in zip(self.begins, self.lengths, strict=True)]


def read_sequences(X: Any, layout: Layout = "time-first", features: int | None = None) -> Sequences:
    """An array `(n, T, F)`, or a list of arrays `(T_i, F)` or `(T_i)`; `layout` says which side is time.

    features: how many of them there must be, as a model was fitted on so many.

    >>> read_sequences(np.zeros((5, 12, 3))).lengths.tolist()
    [12, 12, 12, 12, 12]
    >>> read_sequences([[0.5, 1.0], [2.0]]).values.shape
    (3, 1)
    """
    if isinstance(X, np.ndarray) and X.dtype != object:
        if X.ndim != 3:
            raise InputError(f"expected sequences of shape {_shape('n', layout)}, found an array of shape {X.shape}")
        parts = list(X)
    else:
        parts = [one if isinstance(one, np.ndarray) else _array(one, k) for k, one in enumerate(X)]
    if not parts:
        raise InputError("expected at least one sequence, found none")
    read = []
    for k, part in enumerate(parts):
        if part.ndim == 1:
            part = part[:, None] if layout != "channels-first" else part[None]
        if part.ndim != 2:
            raise InputError(f"sequence {k}: expected {_shape('', layout)}, found an array of shape {part.shape}")
        part = _numbers(part, f"sequence {k}")
        read.append(part.T if layout == "channels-first" else part)
        if not len(read[k]):
            raise InputError(f"sequence {k} has no step; each sequence needs one at least")
    widths = [part.shape[1] for part in read]
    expected = features if features is not None else widths[0]
    for k, part in enumerate(read):
        if part.shape[1] != expected:
            _refuse(parts[k].shape, k, layout, expected, fitted=features is not None, steps_fit=len(part) == expected)
    return Sequences.of(read)


def _refuse(shape: tuple[int, ...], k: int, layout: Layout, expected: int, *, fitted: bool, steps_fit: bool) -> None:
    as_fitted = "as the model was fitted on" if fitted else "as in sequence 0"
    message = (
        f"sequence {k} has shape {shape}; layout={layout!r} expects {_shape('', layout)} with {expected} features, "
        f"{as_fitted}, and finds {shape[0 if layout == 'channels-first' else -1]}"
    )
    if steps_fit:
        other = "time-first" if layout == "channels-first" else "channels-first"
        message += f". The other side has {expected}: are these arrays {_shape('', other)}? Turn them, or fit with "
        message += f"layout={other!r}"
    raise InputError(message)


def _shape(n: str, layout: str) -> str:
    sides = "features, T" if layout == "channels-first" else "T, features"
    return f"({n + ', ' if n else ''}{sides})"


def _array(one: Any, k: int) -> np.ndarray:
    try:
        return np.asarray(one)
    except ValueError as error:
        raise InputError(f"sequence {k} is no array of shape (T, features): {error}") from None


def _numbers(part: np.ndarray, name: str) -> np.ndarray:
    """`part` as float64; InputError where it holds what is no finite number. NaN is a missing value."""
    try:
        found = np.array(part, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds {part.dtype}; numbers were expected") from None
    if np.isinf(found).any():
        at = tuple(int(i) for i in np.argwhere(np.isinf(found))[0])
        raise InputError(
            f"{name} holds an infinity at {at}; finite numbers, or NaN where one is missing, were expected"
        )
    return found


def read_long(
    table: Table, group: str, inputs: Sequence[str], time: str | None = None
) -> tuple[Sequences, pl.DataFrame, pl.DataFrame]:
    """A sequence for each value of the column `group`, in the order of its first rows, each sorted by `time`.

    Also returns the table's rows in that order, and the first row of each sequence.
    """
    table.need(group, "group")
    frame = table.frame
    if frame[group].null_count():
        row = int(frame[group].is_null().arg_true()[0])
        raise InputError(
            f"{table.name}, {table.row(row)}: column {group!r} says which sequence a row is of; it is empty"
        )
    first = frame.select(pl.col(group)).unique(maintain_order=True).with_row_index("__case")
    frame = frame.with_row_index("__row").join(first, on=group, how="left", maintain_order="left")
    if time is not None:
        table.need(time, "time")
        if frame[time].null_count():
            row = int(frame[time].is_null().arg_true()[0])
            raise InputError(f"{table.name}, {table.row(row)}: column {time!r} is empty; a sequence is sorted by it")
        twice = frame.filter(pl.struct("__case", time).is_duplicated())
        if not twice.is_empty():
            raise InputError(
                f"{table.name}: {group!r} {twice[group][0]} has several rows at {time!r} {twice[time][0]}; which comes "
                "first?"
            )
    frame = frame.sort("__case", time or "__row", maintain_order=True)
    numbers = np.column_stack([table.numbers(c).to_numpy()[frame["__row"].to_numpy()] for c in inputs])
    lengths = frame.group_by("__case", maintain_order=True).len()["len"].to_numpy().astype(np.int64)
    rows = frame.drop("__case", "__row")
    begins = np.cumsum(lengths) - lengths
    return Sequences(numbers.astype(np.float64), lengths), rows, rows[begins]
