"""Texts as cases: strings, and what a network reads of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from elman.data.cases import Batch
from elman.data.features import Features
from elman.data.subwords import Subwords
from elman.data.tokens import UNKNOWN, Tokenizer, Words
from elman.errors import InputError


@dataclass(frozen=True)
class Texts:
    """N texts as they were given."""

    texts: tuple[str, ...]

    @property
    def values(self) -> np.ndarray:
        return np.array(self.texts, dtype=object)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(text) for text in self.texts], dtype=np.int64)

    def take(self, indices: np.ndarray) -> "Texts":
        return Texts(tuple(self.texts[k] for k in indices))

    def scaled(self, features: Features) -> Self:
        return self

    def batch(self, indices: Tensor) -> Batch:
        raise TypeError("a network reads the tokens of texts, not texts")

    def fingerprints(self) -> list[bytes]:
        return [text.encode("utf-8", "surrogatepass") for text in self.texts]


def read_texts(X: Any, what: str = "text") -> Texts:
    """A list, tuple, array or column of strings; InputError that names the first that is none."""
    if isinstance(X, str):
        raise InputError(f"one {what} was given where several are expected; give [{what}]")
    try:
        given = list(X)
    except TypeError:
        raise InputError(f"a list of strings was expected, found {type(X).__name__}") from None
    for k, text in enumerate(given):
        if not isinstance(text, str):
            raise InputError(f"{what} {k}: a string was expected, found {text!r}")
    return Texts(tuple(str(text) for text in given))


@dataclass(frozen=True)
class TokenCases(Texts):
    """N texts and the tokens of each: `words` as they stand, `ids (S)` one after another, `lengths_ (N)`.

    A text without a token has one all the same, the empty word, so that it too has an answer.
    buckets: the tokens are words, and come with their pieces in so many buckets (`elman.data.subwords`).
    """

    words: tuple[tuple[str, ...], ...]
    ids: np.ndarray
    lengths_: np.ndarray
    buckets: int | None

    @classmethod
    def of(cls, texts: Texts, tokenizer: Tokenizer, longest: int, buckets: int | None = None) -> "TokenCases":
        """The first `longest` tokens of each text."""
        words: list[tuple[str, ...]] = []
        ids: list[np.ndarray] = []
        for text in texts.texts:
            found = tokenizer.encode(text)[:longest].astype(np.int64)
            if isinstance(tokenizer, Words):
                said = tuple(tokenizer.split(text)[:longest])
            else:
                said = tuple(tokenizer.tokens[k] for k in found)
            if not len(found):
                found, said = np.array([UNKNOWN]), ("",)
            words.append(said)
            ids.append(found)
        lengths = np.array([len(part) for part in ids], dtype=np.int64)
        return cls(texts.texts, tuple(words), np.concatenate(ids), lengths, buckets)

    @property
    def lengths(self) -> np.ndarray:
        return self.lengths_

    @cached_property
    def _begins(self) -> np.ndarray:
        return np.cumsum(self.lengths_) - self.lengths_

    @cached_property
    def _places(self) -> tuple[np.ndarray, Subwords]:
        """For each token of `ids` the number of its word among all different ones, and the pieces of these."""
        assert self.buckets is not None
        different: dict[str, int] = {}
        at = [different.setdefault(word, len(different)) for words in self.words for word in words]
        return np.array(at, dtype=np.int64), Subwords(list(different), self.buckets)

    def take(self, indices: np.ndarray) -> "TokenCases":
        spans = [np.arange(b, b + n) for b, n in zip(self._begins[indices], self.lengths_[indices], strict=True)]
        rows = np.concatenate(spans) if spans else np.arange(0)
        return TokenCases(
            tuple(self.texts[k] for k in indices),
            tuple(self.words[k] for k in indices),
            self.ids[rows],
            self.lengths_[indices],
            self.buckets,
        )

    def batch(self, indices: Tensor) -> Batch:
        """`tokens (B, T)` and `lengths (B)`; with pieces also `places (B, T)`, rows of `bags (U, G)`."""
        where = indices.numpy()
        lengths = self.lengths_[where]
        within = np.arange(lengths.max()) < lengths[:, None]
        rows = np.where(within, self._begins[where][:, None] + np.arange(lengths.max()), 0)
        tokens = torch.from_numpy(np.where(within, self.ids[rows], UNKNOWN))
        if self.buckets is None:
            return tokens, torch.from_numpy(lengths)
        at, subwords = self._places
        different, places = np.unique(at[rows], return_inverse=True)
        bags = torch.from_numpy(subwords.bags(different))
        return tokens, torch.from_numpy(lengths), torch.from_numpy(places.reshape(rows.shape)), bags


def unknown_words(cases: TokenCases) -> dict[str, int]:
    """The words that a vocabulary had not, and how often each comes up, the most frequent first."""
    counts: dict[str, int] = {}
    said: Sequence[str] = [word for words in cases.words for word in words]
    for word, k in zip(said, cases.ids.tolist(), strict=True):
        if k == UNKNOWN and word:
            counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
