"""Vectors of words, learned elsewhere, from a text file: a word and its numbers in each line."""

import gzip
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from elman.errors import InputError


def read_vectors(path: str | os.PathLike[str], words: Collection[str]) -> dict[str, np.ndarray]:
    """The vectors `(E)` of those of `words` that the file has, as float32; of equal words the first.

    The file is read line by line, so it may be larger than memory; it may be compressed (.gz), and its first line may
    say how many words and numbers there are (word2vec) or not (GloVe).

    Raises InputError that names the line where one has other than as many numbers as those before, or what is no
    finite number.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> _ = path.write_text("2 3\\nriver 1 0 0.5\\nlake 0 1 0\\n")
    >>> read_vectors(path, {"river", "sea"})
    {'river': array([1. , 0. , 0.5], dtype=float32)}
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; word vectors were expected")
    wanted, found = set(words), dict[str, np.ndarray]()
    size = None
    try:
        for number, line in enumerate(_lines(path), 1):
            parts = line.rstrip().split(" ")
            if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                continue
            if size is None:
                size = len(parts) - 1
            if len(parts) - 1 < size or size < 1:
                raise InputError(
                    f"{path}, line {number}: a word and {max(1, size)} numbers with a blank between were expected, "
                    f"found {len(parts)} parts"
                )
            word = " ".join(parts[: len(parts) - size])  # some words have blanks in them
            if word not in wanted or word in found:
                continue
            try:
                vector = np.array(parts[len(parts) - size :], dtype=np.float32)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
            if not np.isfinite(vector).all():
                raise InputError(f"{path}, line {number}: the vector of {word!r} has a number that is not finite")
            found[word] = vector
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is not a whole text file of word vectors: {error}") from None
    if size is None:
        raise InputError(f"{path} holds no word vectors: it is empty")
    return found


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from file
