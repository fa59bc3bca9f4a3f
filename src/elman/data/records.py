"""Records: tables with a row for each case, of numbers and categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from elman.data.cases import Batch
from elman.data.features import Features
from elman.data.tables import Table
from elman.errors import InputError


@dataclass(frozen=True)
class Records:
    """N rows: numbers `values (N, F)`, NaN where missing, and categories `codes (N, K)`, 0 where missing or unknown.

    >>> numbers_only = Records.of(np.zeros((5, 3)))
    >>> [part.shape for part in numbers_only.batch(torch.tensor([1, 4]))]
    [torch.Size([2, 3]), torch.Size([2, 0])]
    """

    values: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Records":
        return cls(values, np.zeros((len(values), 0), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lengths(self) -> np.ndarray:
        return np.ones(len(self), dtype=np.int64)

    def take(self, indices: np.ndarray) -> "Records":
        return Records(self.values[indices], self.codes[indices])

    def scaled(self, features: Features) -> "Records":
        return replace(self, values=features.transform(self.values))

    def batch(self, indices: Tensor) -> Batch:
        """Numbers `(B, F)` and codes `(B, K)`"""
        where = indices.numpy()
        return torch.from_numpy(self.values[where]), torch.from_numpy(self.codes[where])

    def fingerprints(self) -> list[bytes]:
        return [n.tobytes() + c.tobytes() for n, c in zip(self.values, self.codes, strict=True)]


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are numbers, and which are categories, with the words that each had.

    >>> from elman.data.tables import read_table
    >>> table = read_table(pl.DataFrame({"age": [30, 41], "place": ["town", "sea"]}))
    >>> columns = Columns.fit(table, ["age", "place"])
    >>> columns.categories
    {'place': ('sea', 'town')}
    >>> columns.read(table).codes.tolist()
    [[2], [1]]
    """

    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def fit(cls, table: Table, inputs: Sequence[str], categories: Sequence[str] = ()) -> "Columns":
        """Text, booleans and what is named in `categories` are categories; other columns are numbers."""
        found: dict[str, tuple[str, ...]] = {}
        for column in inputs:
            kind = table.frame[table.need(column, "input")].dtype
            if column in categories or not kind.is_numeric():
                if kind.is_temporal():
                    raise InputError(
                        f"column {column!r} of {table.name} holds times; leave it out, or name it a category"
                    )
                found[column] = tuple(sorted(words_of(table, column).drop_nulls().unique().to_list()))
        return cls(tuple(c for c in inputs if c not in found), found)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.numbers, *self.categories)

    @property
    def sizes(self) -> list[int]:
        """How many codes each category has, 0 for what is unknown among them."""
        return [1 + len(words) for words in self.categories.values()]

    def read(self, table: Table) -> Records:
        for column in self.names:
            table.need(column, "an input of the model")
        none = np.zeros((table.frame.height, 0))
        values = [table.numbers(column).to_numpy() for column in self.numbers]
        codes = [coded(words_of(table, column), words) for column, words in self.categories.items()]
        return Records(
            np.column_stack([none, *values]).astype(np.float64), np.column_stack([none, *codes]).astype(np.int64)
        )

    def unseen(self, table: Table) -> dict[str, list[str]]:
        """By column, the words of `table` that there were none of while training."""
        found = {c: set(words_of(table, c).drop_nulls().to_list()) - set(w) for c, w in self.categories.items()}
        return {column: sorted(words) for column, words in found.items() if words}

    def to_dict(self) -> dict[str, Any]:
        return {"numbers": list(self.numbers), "categories": {c: list(w) for c, w in self.categories.items()}}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Columns":
        return cls(tuple(saved["numbers"]), {str(c): tuple(w) for c, w in saved["categories"].items()})


def words_of(table: Table, column: str) -> pl.Series:
    """A column of categories as text; whole numbers alike whether or not a missing one has made floats of them."""
    values = table.frame[column]
    if values.dtype.is_float():
        values = values.fill_nan(None)
        if (values.drop_nulls() == values.drop_nulls().round()).all():
            values = values.cast(pl.Int64)
    return values.cast(pl.String)


def coded(text: pl.Series, words: Sequence[str]) -> np.ndarray:
    """The place of each text among `words`, from 1; 0 where it is none of them, or missing."""
    places = {word: k for k, word in enumerate(words, 1)}
    return np.array([places.get(word, 0) for word in text.to_list()], dtype=np.int64)
