"""Files with a word in each line: their kinds, and what is wrong with bad ones."""

import pytest

from elman.data.tagged import as_labels, as_sentences, read_tagged
from elman.errors import InputError


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "words.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_tabs_blanks_and_columns(written):
    assert read_tagged(written("a\tX\nb\tY\n\n\n\nc\tX")).words == (("a", "b"), ("c",))
    assert read_tagged(written("a X\r\nb Y\r\n")).labels == (("X", "Y"),)
    path = written("a NN B-NP O\nb VB I-NP B-PER\n")
    assert read_tagged(path).labels == (("O", "B-PER"),)
    assert read_tagged(path, label=2).labels == (("NN", "VB"),)
    assert read_tagged(path, word=2, label=1).words == (("NN", "VB"),)
    assert read_tagged(written("a\nb\n\nc\n"), with_labels=False).words == (("a", "b"), ("c",))
    assert read_tagged(written("-DOCSTART- -X- O\n\na X\n")).words == (("a",),)


def test_conllu(written):
    rows = [
        "# text = du vas",
        "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_",
        "1\tde\tde\tADP\tP\t_\t0\t_\t_\t_",
        "2\tle\tle\tDET\tD\t_\t1\t_\t_\t_",
    ]
    found = read_tagged(written("\n".join(rows) + "\n"))
    assert found.words == (("de", "le"),) and found.labels == (("ADP", "DET"),)
    assert read_tagged(written("\n".join(rows)), label=5).labels == (("P", "D"),)


def test_a_number_sign_is_a_word_too(written):
    assert read_tagged(written("#\tSYM\n#tag\tX\n")).words[0][-1] == "#tag"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no text"),
        ("-DOCSTART- X\n", "holds no words"),
        ("a\tX\nb\n", r"line 2: a word and its label, apart by a tab, were expected; found 'b'"),
        ("a\tX\nb\t\n", r"line 2: the word or its label is empty"),
        ("\tX\n", r"line 1: the word or its label is empty"),
    ],
)
def test_bad_files(written, content, message):
    with pytest.raises(InputError, match=message):
        read_tagged(written(content))


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_tagged(tmp_path / "none")
    with pytest.raises(InputError, match="is a folder"):
        read_tagged(tmp_path)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("a b", "found one string"),
        (["a b"], "sentence 0 is one string"),
        ([["a"], []], "sentence 1 has no word"),
        ([["a", 3]], "sentence 0, word 1: a string was expected, found 3"),
        ([], "at least one sentence"),
    ],
)
def test_bad_sentences(X, message):
    with pytest.raises(InputError, match=message):
        as_sentences(X)


def test_bad_labels():
    for y, message in (
        (None, "labels are needed"),
        ([["X"]], "2 sentences and labels for 1"),
        ([["X"], []], "1 words and 0"),
    ):
        with pytest.raises(InputError, match=message):
            as_labels(y, [1, 1])
