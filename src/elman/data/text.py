"""Text files of any encoding and size, whole or piece by piece."""

import codecs
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elman.errors import InputError

PIECE = 1 << 20  # characters read at once
SAMPLE = 1 << 18  # bytes from which an encoding is guessed
MARKS = [  # the longer first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


def encoding_of(path: str | os.PathLike[str]) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if it is that, else guessed from its begin.

    A guess needs the package charset-normalizer; without it, or where none fits, an InputError says at which byte the
    file is not UTF-8.
    """
    path = Path(path)
    with _opened(path) as file:
        begin = file.read(SAMPLE)
        for mark, name in MARKS:
            if begin.startswith(mark):
                return name
        file.seek(0)
        try:
            for _ in _decoded(path, file, "utf-8"):
                pass
        except InputError as error:
            guess = _guess(begin)
            if guess is None:
                raise InputError(f"{error}. Name its encoding, such as encoding='latin-1'") from None
            return guess
    return "utf-8"


def _guess(begin: bytes) -> str | None:
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return None
    best = from_bytes(begin).best()
    return None if best is None else best.encoding


def pieces(path: str | os.PathLike[str], encoding: str | None = None) -> Iterator[str]:
    """The text of a file in pieces that end after a line, with `\\n` at the end of every line.

    A piece has about a million characters; a line that is longer comes in several.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = path.write_bytes("zwei\\r\\nWörter\\r".encode("utf-16"))
    >>> list(pieces(path))
    ['zwei\\n', 'Wörter\\n']
    """
    path = Path(path)
    encoding = encoding or encoding_of(path)
    left = ""
    with _opened(path) as file:
        for text in _decoded(path, file, encoding):
            left += text
            cut = left.rfind("\n") + 1
            if cut or len(left) > PIECE:
                cut = cut or len(left)
                yield left[:cut]
                left = left[cut:]
    if left:
        yield left


def read_text(path: str | os.PathLike[str], encoding: str | None = None) -> str:
    """The whole text of a file, with `\\n` at the end of every line. InputError where it can't be read or is empty."""
    text = "".join(pieces(path, encoding))
    if not text.strip():
        raise InputError(f"{path} holds no text: it is {'empty' if not text else 'blank'}")
    return text


def _opened(path: Path) -> Any:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None


def _decoded(path: Path, file: Any, encoding: str) -> Iterator[str]:
    try:
        make = codecs.getincrementaldecoder(encoding)
    except LookupError:
        raise InputError(f"encoding={encoding!r} is not known; expected a name such as utf-8 or latin-1") from None
    # This decoder knows that \r\n may be cut in two by the end of a piece.
    decoder = io.IncrementalNewlineDecoder(make("strict"), translate=True)
    done = 0
    while True:
        data = file.read(PIECE)
        kept = len(decoder.getstate()[0])  # bytes of a character that the piece before has begun
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            at = done - kept + error.start
            raise InputError(f"{path} is not {encoding}: byte {at:,} can't be read ({error.reason})") from None
        done += len(data)
        if text:
            yield text
        if not data:
            return
