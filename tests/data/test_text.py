"""Text of any encoding and size as numbers, and back."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data import text as rooms
from elman.data.text import pieces, read_text
from elman.data.tokens import KINDS, UNKNOWN, BytePairs, Bytes, Characters, Words, tokenizer_from, tokens_of
from elman.errors import InputError

RUSSIAN = "Сердце красавицы склонно к измене и к перемене, как ветер мая. " * 20
MIXED = "Über Käse – «naïve» 漢字 🎈\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_say_so_or_are_utf_8(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes(MIXED.encode(encoding))
    assert read_text(path) == MIXED


@pytest.mark.parametrize(
    ("encoding", "text"), [("latin-1", "Grüße aus Köln, schöne Straße. " * 30), ("cp1251", RUSSIAN)]
)
def test_other_encodings_are_guessed(tmp_path, encoding, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert read_text(path) == text


def test_without_a_guess_the_error_names_the_byte(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc\xff" + b"x" * 50)
    with pytest.raises(InputError, match=r"a\.txt is not utf-8: byte 3 can't be read.*encoding='latin-1'"):
        read_text(path)
    assert read_text(path, "latin-1").startswith("abcÿ")


@pytest.mark.parametrize("before", [0, 10, 63, 64, 65, 1000])
def test_the_byte_is_right_wherever_a_piece_ends(tmp_path, monkeypatch, before):
    monkeypatch.setattr(rooms, "PIECE", 64)
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * before + "é".encode() + b"\xe2\x82" + b"zz")
    with pytest.raises(InputError, match=f"byte {before + 2:,} can't be read"):
        list(pieces(path, "utf-8"))


def test_an_encoding_that_does_not_exist(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    with pytest.raises(InputError, match="encoding='utf-9' is not known"):
        read_text(tmp_path / "a.txt", "utf-9")


def test_a_file_that_is_missing_a_folder_or_empty(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(InputError, match="can't be read"):
        read_text(tmp_path)
    for content, what in (("", "empty"), (" \n\t\n", "blank")):
        (tmp_path / "a.txt").write_text(content)
        with pytest.raises(InputError, match=f"holds no text: it is {what}"):
            read_text(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match="it is empty"):
        tokens_of(tmp_path / "a.txt", Bytes(), tmp_path)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1 << 20])
def test_line_ends_of_every_kind_in_pieces_of_every_size(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(rooms, "PIECE", piece)
    path = tmp_path / "a.txt"
    path.write_bytes("één\r\ntwee\rdrie\n\r\nvier".encode())
    found = list(pieces(path))
    assert "".join(found) == "één\ntwee\ndrie\n\nvier"
    if piece > 10:
        assert found == ["één\ntwee\ndrie\n\n", "vier"]


@given(st.text(max_size=200), st.integers(1, 20))
def test_any_text_comes_back_from_pieces(tmp_path_factory, content, piece):
    content = content.encode("utf-8", "ignore").decode()
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "PIECE", piece)
        assert "".join(pieces(path, "utf-8")) == content.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_survives_json(kind):
    tokenizer = KINDS[kind].learned(
        [MIXED, "the cat sat on the mat </script>\n"], 300 if kind == "byte-pairs" else None
    )
    again = tokenizer_from(json.loads(json.dumps(tokenizer.to_dict())))
    text = "the mat 漢字 Über"
    assert len(again) == len(tokenizer) == len(tokenizer.tokens)
    np.testing.assert_array_equal(again.encode(text), tokenizer.encode(text))
    assert again.decode(again.encode(text).tolist()) == text
    assert again.tokens == tokenizer.tokens


@pytest.mark.parametrize(
    "saved",
    [{}, {"kind": "letters"}, {"kind": "characters"}, {"kind": "characters", "characters": "ba"}, {"kind": "words"},
     {"kind": "words", "words": ["a", "a"], "lower": False}, {"kind": "byte-pairs", "rules": {"a": 1}}],
)  # fmt: skip
def test_a_spoilt_vocabulary_is_refused(saved):
    with pytest.raises(InputError):
        tokenizer_from(saved)


@given(st.text(max_size=60))
def test_bytes_and_byte_pairs_know_every_text(text):
    text = text.encode("utf-8", "ignore").decode()
    for tokenizer in (Bytes(), BytePairs.learned(["low lower lowest"], 270)):
        assert tokenizer.decode(tokenizer.encode(text).tolist()) == text
        assert tokenizer.unknown(text) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_characters_that_were_not_seen_are_unknown(seen, text):
    characters = Characters.learned([seen])
    ids = characters.encode(text)
    assert [int(k) == UNKNOWN for k in ids] == [c not in seen for c in text]
    assert characters.unknown(text) == list(dict.fromkeys(c for c in text if c not in seen))
    assert characters.decode(ids.tolist()) == "".join(c if c in seen else "\N{REPLACEMENT CHARACTER}" for c in text)


def test_the_most_frequent_are_kept():
    assert Characters.learned(["aaabbc", "b"], size=3).tokens == ["unknown", "a", "b"]
    words = Words.learned(["b b a a c.", "A"], size=3)
    assert words.tokens == ["unknown", "a", "b"]
    assert Words.learned(["b b a A c"], lower=True, at_least=2).tokens == ["unknown", "a", "b"]


def test_words_and_marks():
    words = Words.learned(["Don't stop-gap, naïve U2!"])
    assert words.split("Don't stop-gap, naïve U2! ...:)") == ["Don't", "stop-gap", ",", "naïve", "U2", "!", "...:)"]


def test_byte_pairs_merge_what_is_frequent():
    pairs = BytePairs.learned(["the cat and the hat and the bat " * 20], 280)
    assert len(pairs) <= 280 and len(pairs.encode("the the")) == 2
    with pytest.raises(InputError, match="size of 256"):
        BytePairs.learned(["abc"], 256)


def test_byte_pairs_need_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"needs tokenizers: pip install 'elman\[text\]'"):
        BytePairs.learned(["abc"], 300)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_a_large_file_are_those_of_its_text(tmp_path, monkeypatch, kind):
    """Pieces end after a line, so no token is cut."""
    monkeypatch.setattr(rooms, "PIECE", 100)
    path, text = tmp_path / "a.txt", "".join(f"Line {k} of the naïve text, 漢字.\n" for k in range(200))
    path.write_text(text, encoding="utf-8")
    tokenizer = KINDS[kind].learned(pieces(path), 300 if kind == "byte-pairs" else None)
    found = tokens_of(path, tokenizer, tmp_path)
    assert isinstance(found, np.memmap) and found.dtype == tokenizer.dtype
    np.testing.assert_array_equal(found, tokenizer.encode(text))
