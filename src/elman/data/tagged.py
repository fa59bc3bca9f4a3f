"""Sentences with a label for each word, from lists and from files with a word in each line."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elman.data.text import read_text
from elman.errors import InputError


@dataclass(frozen=True)
class Tagged:
    """Sentences of words, their labels where there are any, and the file that they were read from."""

    words: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[str, ...], ...] | None = None
    path: Path | None = None


def read_tagged(
    path: str | os.PathLike[str], *, with_labels: bool = True, word: int | None = None, label: int | None = None
) -> Tagged:
    """A word in each line, its columns apart by tabs (or blanks), a blank line between sentences.

    word, label: columns, from 1. By default the first and the last; of CoNLL-U's ten columns the second and the fourth
    (its lines that begin with # or span several words are left out). Lines `-DOCSTART-` are left out too.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tsv"
    >>> _ = path.write_text("It\\tPRON\\nrains\\tVERB\\n\\nYes\\tINTJ\\n")
    >>> read_tagged(path).words, read_tagged(path).labels
    ((('It', 'rains'), ('Yes',)), (('PRON', 'VERB'), ('INTJ',)))
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; a file of words was expected")
    words: list[list[str]] = [[]]
    labels: list[list[str]] = [[]]
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            words.append([])
            labels.append([])
            continue
        parts = line.split("\t") if "\t" in line else line.split()
        conllu = len(parts) == 10 and re.fullmatch(r"\d+([-.]\d+)?", parts[0]) is not None
        if parts[0] == "-DOCSTART-" or line.startswith(("# ", "#\t")) or (conllu and not parts[0].isdigit()):
            continue
        at = word or (2 if conllu else 1)
        tag = label or (4 if conllu else len(parts))
        least = max(at, tag) if with_labels else at
        if len(parts) < least or (with_labels and at == tag):
            raise InputError(
                f"{path.name}, line {number}: a word and its label, apart by a tab, were expected; found {line!r}"
            )
        if not parts[at - 1] or (with_labels and not parts[tag - 1].strip()):
            raise InputError(f"{path.name}, line {number}: the word or its label is empty: {line!r}")
        words[-1].append(parts[at - 1])
        labels[-1].append(parts[tag - 1].strip() if with_labels else "")
    kept = [k for k, sentence in enumerate(words) if sentence]
    if not kept:
        raise InputError(f"{path} holds no words")
    found = tuple(tuple(words[k]) for k in kept)
    return Tagged(found, tuple(tuple(labels[k]) for k in kept) if with_labels else None, path)


def as_sentences(X: Any) -> tuple[tuple[str, ...], ...]:
    """A list of sentences, each a list of words."""
    if isinstance(X, str):
        raise InputError("a list of sentences was expected, each a list of words; found one string")
    found = []
    for k, sentence in enumerate(X):
        if isinstance(sentence, str):
            raise InputError(f"sentence {k} is one string; a list of its words was expected (as .split() gives it)")
        words = list(sentence)
        if not words:
            raise InputError(f"sentence {k} has no word; leave it out")
        for place, word in enumerate(words):
            if not isinstance(word, str):
                raise InputError(f"sentence {k}, word {place}: a string was expected, found {word!r}")
        found.append(tuple(str(word) for word in words))
    if not found:
        raise InputError("expected at least one sentence, found none")
    return tuple(found)


def as_labels(y: Any, lengths: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    """A list of labels for each sentence, as many as it has words."""
    if y is None:
        raise InputError("labels are needed to learn from: a list for each sentence, with one for each word")
    given = [tuple(str(label) for label in labels) for labels in y]
    if len(given) != len(lengths):
        raise InputError(f"there are {len(lengths)} sentences and labels for {len(given)}")
    for k, (labels, length) in enumerate(zip(given, lengths, strict=True)):
        if len(labels) != length:
            raise InputError(f"sentence {k} has {length} words and {len(labels)} labels")
    return tuple(given)
