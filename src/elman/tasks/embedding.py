"""The embedding of an estimator that reads words, by its settings: learned here, or begun with vectors from a file."""

from collections.abc import Mapping

import numpy as np
import torch

from elman.data.tokens import Tokenizer, Words
from elman.data.vectors import read_vectors
from elman.errors import InputError
from elman.models.text import TokenEmbedding
from elman.tasks.settings import EmbeddingSettings

SPREAD = 0.1  # of the numbers of an embedding that was not learned yet: that of `TokenEmbedding`


def vectors_for(settings: EmbeddingSettings, tokenizer: Tokenizer, size: int) -> tuple[dict[str, np.ndarray], int]:
    """The vectors of the words that the file `settings.vectors` has, {} without one, and how many numbers each has.

    size: numbers of a vector where nothing says another.
    """
    if settings.vectors is None:
        if settings.freeze_vectors:
            raise InputError("freeze_vectors=True, and there are no vectors; name their file with vectors=")
        return {}, settings.embedding_size or size
    if not isinstance(tokenizer, Words):
        raise InputError(f"vectors are of words, and tokens={tokenizer.kind!r}; choose tokens='words'")
    vectors = read_vectors(settings.vectors, tokenizer.tokens[1:])
    if not vectors:
        raise InputError(f"{settings.vectors} has none of the {len(tokenizer) - 1} words of the texts")
    found = len(next(iter(vectors.values())))
    if settings.embedding_size not in (None, found):
        raise InputError(f"embedding_size={settings.embedding_size}, and {settings.vectors} has {found} numbers a word")
    return vectors, found


def note_of(settings: EmbeddingSettings, vectors: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[str]:
    if not vectors:
        return []
    return [f"{len(vectors) / (len(tokenizer) - 1):.1%} of the different words have a vector in {settings.vectors}"]


def embedding_for(
    settings: EmbeddingSettings,
    tokenizer: Tokenizer,
    size: int,
    buckets: int | None,
    vectors: Mapping[str, np.ndarray],
) -> TokenEmbedding:
    """With a table where words have no pieces, or vectors of their own."""
    table = len(tokenizer) if buckets is None or settings.vectors is not None else None
    embedding = TokenEmbedding(size, vocabulary=table, buckets=buckets)
    if vectors and embedding.table is not None:
        with torch.no_grad():
            for k, word in enumerate(tokenizer.tokens):
                if word in vectors:
                    embedding.table.weight[k] = torch.from_numpy(vectors[word])
            if embedding.pieces is not None:  # so that neither drowns the other
                embedding.pieces.weight.mul_(float(np.std(np.stack(list(vectors.values())))) / SPREAD)
    if settings.freeze_vectors and embedding.table is not None:
        embedding.table.weight.requires_grad_(False)
    return embedding
