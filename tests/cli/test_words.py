"""elman fit text, fit tag, explain and predict: texts and words, from files and from the command line itself."""

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.tasks.test_tag import sentences
from tests.tasks.test_text import reviews

from elman.cli import run

QUICK = ["--hidden-size", "12", "--buckets", "2000", "--quiet"]


@pytest.fixture(scope="module")
def opinions(tmp_path_factory) -> tuple[Path, Path]:
    """A table of reviews, and the run of a classifier that has learned from it."""
    folder = tmp_path_factory.mktemp("words")
    texts, labels = reviews(120)
    pl.DataFrame({"text": texts, "view": labels}).write_csv(folder / "reviews.tsv", separator="\t")
    told = [
        "fit",
        "text",
        str(folder / "reviews.tsv"),
        "--label",
        "view",
        *QUICK,
        "--epochs",
        "2",
        "-o",
        str(folder / "run"),
    ]
    assert run(told) == 0
    return folder / "reviews.tsv", folder / "run"


@pytest.fixture(scope="module")
def tagged(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tagged")
    X, y = sentences(60)
    rows = ["\n".join(f"{w}\t{t}" for w, t in zip(a, b, strict=True)) for a, b in zip(X, y, strict=True)]
    (folder / "words.tsv").write_text("\n\n".join(rows) + "\n")
    told = ["fit", "tag", str(folder / "words.tsv"), "--crf", *QUICK, "--epochs", "20", "-o", str(folder / "run")]
    assert run(told) == 0
    return folder / "words.tsv", folder / "run"


@pytest.mark.parametrize("task", ["text", "tag"])
def test_help_imports_nothing_heavy(task):
    code = (
        f"import sys; from elman.cli import run; run(['fit', '{task}', '--help']); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'polars', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert "--vectors" in done.stdout


def test_a_text_run_has_scores_and_says_why(opinions, capsys):
    _, folder = opinions
    scores = json.loads((folder / "scores.json").read_text())
    assert [row["model"] for row in scores["rows"]] == ["gru", "majority", "tf-idf", "tf-idf+"]
    assert run(["explain", str(folder), "a lovely [bold] day"]) == 0
    out, err = capsys.readouterr()
    assert "lovely" in out and "[" in out and "probability so far" in out and not err
    assert run(["explain", str(folder), "a lovely day", "--json", "--label", "down"]) == 0
    why = json.loads(capsys.readouterr().out)
    assert why["label"] == "down" and why["words"] == ["a", "lovely", "day"]
    assert run(["explain", str(folder), "a lovely day", "--label", "sideways"]) == 2
    assert "one of down, up was expected" in capsys.readouterr().err


def test_lines_of_standard_input_are_explained_one_by_one(opinions, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("good\n\nso sad\n"))
    assert run(["explain", str(opinions[1]), "-", "--json"]) == 0
    assert [json.loads(line)["words"] for line in capsys.readouterr().out.splitlines()] == [
        ["good"],
        [""],
        ["so", "sad"],
    ]


def test_a_table_and_a_text_are_predicted(opinions, capsys):
    table, folder = opinions
    assert run(["predict", str(folder), str(table)]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).columns == ["case", "view", "p_down", "p_up"]
    assert run(["predict", str(folder), "a good day"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).height == 1
    assert run(["predict", str(folder), "none.csv"]) == 2
    assert "none.csv does not exist" in capsys.readouterr().err


def test_words_are_labelled(tagged, capsys, monkeypatch):
    file, folder = tagged
    assert json.loads((folder / "scores.json").read_text())["task"] == "tag"
    assert run(["predict", str(folder), "the dog sings"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out))["label"].to_list() == ["DET", "NOUN", "VERB"]
    assert run(["predict", str(folder), str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["sentence"] == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat\n\na bird sings\n"))
    assert run(["predict", str(folder), "-"]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out))["sentence"].to_list() == [1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["fit", "tag", "none.tsv"], "none.tsv does not exist"),
        (["fit", "tag", "FILE", "--tag", "7"], "line 1: a word and its label"),
        (["fit", "tag", "FILE", "--test", "monday"], "--test monday"),
        (["fit", "text", "FILE"], "2 values were expected, as in the header"),
    ],
)
def test_what_is_wrong_is_named(tagged, tmp_path, capsys, told, message):
    told = [str(tagged[0]) if word == "FILE" else word for word in told]
    assert run([*told, "-o", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
