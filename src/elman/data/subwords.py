"""Words as bags of pieces: words that were never seen are told by their beginnings, endings and insides."""

from zlib import crc32

import numpy as np

SHORTEST, LONGEST = 3, 6  # characters of a piece


def pieces_of(word: str) -> list[str]:
    """The word in small letters, its pieces with marks where it begins and ends, and whether it was in capitals.

    Source: Bojanowski et al. (2017), "Enriching word vectors with subword information", arXiv 1607.04606.

    >>> pieces_of("Cat")
    ['cat', '<ca', 'cat', 'at>', '<cat', 'cat>', '<cat>', '^Aa']
    >>> pieces_of("NO")
    ['no', '<no', 'no>', '<no>', '^AA']
    """
    small = word.lower()
    whole = f"<{small}>"
    sizes = range(SHORTEST, min(LONGEST, len(whole)) + 1)
    found = [small, *(whole[k : k + n] for n in sizes for k in range(len(whole) - n + 1))]
    if word != small:
        found.append("^AA" if word == word.upper() and len(word) > 1 else "^Aa")
    return found


def hashed(word: str, buckets: int) -> np.ndarray:
    """The number of each piece, from 1 to `buckets`; the same on every machine. Different pieces may share one."""
    return np.array([1 + crc32(piece.encode("utf-8", "surrogatepass")) % buckets for piece in pieces_of(word)])


class Subwords:
    """The pieces of the words of some sentences as numbers, in as many `buckets`."""

    def __init__(self, words: list[str], buckets: int):
        self._pieces = [hashed(word, buckets) for word in words]

    def bags(self, which: np.ndarray) -> np.ndarray:
        """`(len(which), G)`: the pieces of these words, 0 behind the last of each."""
        chosen = [self._pieces[k] for k in which]
        bags = np.zeros((len(chosen), max((len(p) for p in chosen), default=1)), dtype=np.int64)
        for row, pieces in zip(bags, chosen, strict=True):
            row[: len(pieces)] = pieces
        return bags
