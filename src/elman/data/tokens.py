"""Text as numbers, and back: characters, bytes, byte pairs or words.

The tokens of a text that does not fit into memory are mapped from a file.
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from elman.data.text import pieces
from elman.errors import InputError
from elman.extras import need

Ids = NDArray[np.integer[Any]]

UNKNOWN = 0  # the number of what is not in a vocabulary


class Tokenizer(ABC):
    """Text to numbers and back."""

    kind: ClassVar[str]
    has_unknown: ClassVar[bool] = False
    """Whether number 0 stands for what is unknown."""

    @classmethod
    @abstractmethod
    def learned(cls, texts: Iterable[str], size: int | None = None) -> Self:
        """From texts, which are read once; `size` is the largest vocabulary, where it can be chosen."""

    @abstractmethod
    def __len__(self) -> int:
        """How many numbers there are."""

    @abstractmethod
    def encode(self, text: str) -> Ids:
        """The numbers of a text, shape (T,)."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str: ...

    @property
    @abstractmethod
    def tokens(self) -> list[str]:
        """What each number stands for, for people to read."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; `tokenizer_from` takes it back."""

    def unknown(self, text: str) -> list[str]:
        """What of a text is not in the vocabulary, each once, in the order of its first place."""
        return []

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest that holds all numbers."""
        return np.min_scalar_type(max(0, len(self) - 1))


class Characters(Tokenizer):
    """Each character is a token.

    >>> characters = Characters.learned(["hello\\n"])
    >>> characters.encode("hole").tolist(), characters.decode([4, 2]), characters.unknown("what?")
    ([3, 5, 4, 2], 'le', ['w', 'a', 't', '?'])
    """

    kind = "characters"
    has_unknown = True

    def __init__(self, characters: Sequence[str]):
        self._characters = list(characters)
        codes = np.array([ord(c) for c in self._characters], dtype=np.uint32)
        if (np.diff(codes.astype(np.int64)) <= 0).any():
            raise InputError("expected different characters in the order of their code points")
        self._codes = codes

    @classmethod
    def learned(cls, texts: Iterable[str], size: int | None = None) -> Self:
        """With `size`, the most frequent characters, one less than that."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        kept = [c for c, _ in counts.most_common(None if size is None else max(0, size - 1))]
        return cls(sorted(kept))

    def __len__(self) -> int:
        return 1 + len(self._characters)

    def encode(self, text: str) -> Ids:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        at = np.searchsorted(self._codes, codes).clip(max=max(0, len(self._codes) - 1))
        known = self._codes[at] == codes if len(self._codes) else np.zeros(len(codes), dtype=bool)
        return np.where(known, at + 1, UNKNOWN).astype(self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        return "".join("\N{REPLACEMENT CHARACTER}" if k == UNKNOWN else self._characters[k - 1] for k in ids)

    @property
    def tokens(self) -> list[str]:
        return ["unknown", *self._characters]

    def unknown(self, text: str) -> list[str]:
        known = set(self._characters)
        return list(dict.fromkeys(c for c in text if c not in known))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "characters": "".join(self._characters)}


class Bytes(Tokenizer):
    """Each byte of the text in UTF-8 is a token: nothing is ever unknown.

    >>> Bytes().encode("né").tolist(), Bytes().decode([110, 195, 169])
    ([110, 195, 169], 'né')
    """

    kind = "bytes"

    @classmethod
    def learned(cls, texts: Iterable[str], size: int | None = None) -> Self:
        return cls()

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> Ids:
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)

    def decode(self, ids: Iterable[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    @property
    def tokens(self) -> list[str]:
        return [chr(k) if 32 <= k < 127 else f"0x{k:02x}" for k in range(256)]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}


class Words(Tokenizer):
    """Words and marks are tokens, each with the blank before it left out; capitals are kept unless `lower`.

    >>> words = Words.learned(["The cat sat. The end."], size=4)
    >>> words.tokens, words.encode("The dog .").tolist(), words.decode([1, 3, 2])
    (['unknown', '.', 'The', 'cat'], [2, 0, 1], '. cat The')
    """

    kind = "words"
    has_unknown = True
    # Marks side by side are one token: "..." and ":)" say more than their parts.
    _split = re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*|[^\w\s]+", re.UNICODE)

    def __init__(self, words: Sequence[str], lower: bool = False):
        self._words, self.lower = list(words), lower
        self._ids = {word: k for k, word in enumerate(self._words, 1)}
        if len(self._ids) != len(self._words):
            raise InputError("expected different words in a vocabulary")

    @classmethod
    def learned(cls, texts: Iterable[str], size: int | None = None, *, lower: bool = False, at_least: int = 1) -> Self:
        """The words that come up `at_least` so often; with `size` the most frequent, one less than that."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cls._split.findall(text.lower() if lower else text))
        # The most frequent first, among equals by the alphabet: the same texts in any order give the same vocabulary.
        ordered = sorted((w for w, n in counts.items() if n >= at_least), key=lambda w: (-counts[w], w))
        return cls(ordered[: None if size is None else max(0, size - 1)], lower)

    def __len__(self) -> int:
        return 1 + len(self._words)

    def split(self, text: str) -> list[str]:
        """The words and marks of a text, as they stand in it."""
        return self._split.findall(text)

    def encode(self, text: str) -> Ids:
        words = self.split(text.lower() if self.lower else text)
        return np.array([self._ids.get(word, UNKNOWN) for word in words], dtype=self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self.tokens[k] for k in ids)

    @property
    def tokens(self) -> list[str]:
        return ["unknown", *self._words]

    def unknown(self, text: str) -> list[str]:
        words = self.split(text.lower() if self.lower else text)
        return list(dict.fromkeys(word for word in words if word not in self._ids))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": self._words, "lower": self.lower}


class BytePairs(Tokenizer):
    """The most frequent pairs of bytes, merged again and again (Sennrich et al. 2016, doi:10.18653/v1/P16-1162).

    The learning and the merging are those of the package tokenizers. Any text can be told by 256 bytes, so nothing is
    ever unknown.
    """

    kind = "byte-pairs"

    def __init__(self, rules: str):
        self._rules = rules
        tokenizers = need("tokenizers", "text", "a vocabulary of byte pairs")
        try:
            self._model = tokenizers.Tokenizer.from_str(rules)
        except Exception as error:  # the package has none of its own
            raise InputError(f"the byte pairs are not whole ({error}); the file was changed") from None

    @classmethod
    def learned(cls, texts: Iterable[str], size: int | None = None) -> Self:
        tokenizers = need("tokenizers", "text", "a vocabulary of byte pairs")
        size = 1000 if size is None else size
        if size < 257:
            raise InputError(f"a vocabulary of byte pairs needs more than the 256 bytes, found a size of {size}")
        model = tokenizers.Tokenizer(tokenizers.models.BPE())
        model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = tokenizers.decoders.ByteLevel()
        alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        model.train_from_iterator(texts, trainer)
        return cls(model.to_str())

    def __len__(self) -> int:
        return int(self._model.get_vocab_size())

    def encode(self, text: str) -> Ids:
        return np.array(self._model.encode(text).ids, dtype=self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._model.decode(list(ids)))

    @property
    def tokens(self) -> list[str]:
        return [self.decode([k]) for k in range(len(self))]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "rules": json.loads(self._rules)}


KINDS: dict[str, type[Tokenizer]] = {t.kind: t for t in (Characters, Bytes, BytePairs, Words)}


def tokenizer_from(saved: dict[str, Any]) -> Tokenizer:
    """What `to_dict` gave, as a tokenizer again. InputError where it was changed."""
    kind = saved.get("kind")
    try:
        if kind == "characters":
            return Characters(saved["characters"])
        if kind == "bytes":
            return Bytes()
        if kind == "byte-pairs":
            return BytePairs(json.dumps(saved["rules"]))
        if kind == "words":
            return Words([str(word) for word in saved["words"]], bool(saved["lower"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"the vocabulary of {kind} is not whole ({error!r}); the file was changed") from None
    raise InputError(f"the vocabulary is of the kind {kind!r}; expected one of {', '.join(KINDS)}")


def tokens_of(
    path: str | os.PathLike[str], tokenizer: Tokenizer, folder: str | os.PathLike[str], encoding: str | None = None
) -> Ids:
    """All tokens of a text file, mapped from a file in `folder` that this writes: it may be larger than memory.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("abc" * 3)
    >>> tokens_of(folder / "a.txt", Bytes(), folder).tolist()
    [97, 98, 99, 97, 98, 99, 97, 98, 99]
    """
    target = Path(folder) / "tokens.bin"
    count = 0
    with open(target, "wb") as file:
        for piece in pieces(path, encoding):
            ids = tokenizer.encode(piece)
            count += len(ids)
            file.write(ids.astype(tokenizer.dtype).tobytes())
    if not count:
        raise InputError(f"{path} holds no text: it is empty")
    return np.memmap(target, dtype=tokenizer.dtype, mode="c", shape=(count,))  # torch takes no array that is read-only
