"""elman fit classify, fit regress, and predict with what they made."""

import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.tasks.cases import long_table, people, tones

from elman.cli import run

QUICK = ["--hidden-size", "8", "--epochs", "2", "--quiet"]
LONG = ["--label", "kind", "--group", "tone", "--time", "step"]


@pytest.fixture(scope="module")
def tones_csv(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "tones.csv"
    long_table(*tones()).write_csv(path)
    return path


@pytest.fixture(scope="module")
def fitted(tones_csv, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tones"
    assert run(["fit", "classify", str(tones_csv), *LONG, *QUICK, "--test", "0.2", "-o", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_help_imports_nothing_heavy(task):
    code = (
        f"import sys; from elman.cli import run; run(['fit', '{task}', '--help']); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'polars', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert "--group" in done.stdout and "--bidirectional" in done.stdout


def test_a_run_leaves_its_record_scores_model_and_page(fitted):
    names = {p.name for p in fitted.iterdir()}
    files = {"config.toml", "events.jsonl", "scores.json", "test.parquet", "report.html"}
    assert names == files | {"model", "snapshots", "inside.npz", "inside.json"}
    scores = json.loads((fitted / "scores.json").read_text())
    assert scores["task"] == "classify" and scores["test"] == {"cases": 18}
    assert "Which class is taken for which" in (fitted / "report.html").read_text()


def test_predict_answers_for_each_group(fitted, tones_csv, capsys):
    assert run(["predict", str(fitted), str(tones_csv)]) == 0
    out, err = capsys.readouterr()
    frame = pl.read_csv(io.StringIO(out))
    assert frame.columns == ["tone", "kind", "p_fast", "p_none", "p_slow"]
    assert frame.height == 90 and not err
    without = io.StringIO()
    pl.read_csv(tones_csv).drop("kind").head(20).write_csv(without)
    path = tones_csv.parent / "new.csv"
    path.write_text(without.getvalue())
    assert run(["predict", str(fitted), str(path), "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["kind"] == frame["kind"][0]
    assert first["p_slow"] == pytest.approx(frame["p_slow"][0], abs=1e-9)


def test_the_table_of_scores_stands_beside_baselines(tones_csv, tmp_path, capsys):
    arguments = ["fit", "classify", str(tones_csv), *LONG, *QUICK, "--test", "18", "-o", str(tmp_path / "run")]
    assert run([*arguments, "--architecture", "lstm", "--class-weight", "balanced", "--no-bidirectional"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("LSTM", "majority", "logistic", "boosting", "Accuracy", "18 cases"))
    assert 'class_weight = "balanced"' in (tmp_path / "run" / "config.toml").read_text()
    again = ["fit", "classify", str(tones_csv), "--config", str(tmp_path / "run" / "config.toml"), "--quiet"]
    assert run([*again, "--test", "18", "-o", str(tmp_path / "again"), "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out)["rows"]
        == json.loads((tmp_path / "run" / "scores.json").read_text())["rows"]
    )


def test_weights_of_classes_are_given_by_name(tones_csv, tmp_path, capsys):
    arguments = ["fit", "classify", str(tones_csv), *LONG, *QUICK, "--test", "0", "-o"]
    assert run([*arguments, str(tmp_path / "a"), "--class-weight", "slow=5,fast=2"]) == 0
    assert "slow = 5.0" in (tmp_path / "a" / "config.toml").read_text()
    again = ["fit", "classify", str(tones_csv), "--config", str(tmp_path / "a" / "config.toml"), "--quiet"]
    assert run([*again, "--test", "0", "-o", str(tmp_path / "again")]) == 0
    assert "slow = 5.0\nfast = 2.0" in (tmp_path / "again" / "config.toml").read_text()
    assert run([*arguments, str(tmp_path / "b"), "--class-weight", "slow=much"]) == 2
    assert "such as yes=5, found 'slow=much'" in capsys.readouterr().err


def test_a_table_of_people_with_words_in_it(tmp_path, capsys):
    path = tmp_path / "people.csv"
    people(120).write_csv(path)
    common = [*QUICK, "--architecture", "mlp"]
    assert run(["fit", "classify", str(path), "--label", "team", *common, "-o", str(tmp_path / "team")]) == 0
    assert run(["fit", "regress", str(path), "--label", "age", *common, "-o", str(tmp_path / "age")]) == 0
    assert "ridge" in capsys.readouterr().out
    assert run(["predict", str(tmp_path / "age"), str(path)]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out)).columns == ["case", "age"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "kin"], "has no column 'kin' (label)"),
        ([], "which column is to be predicted?"),
        ([*LONG, "--architecture", "mlp"], "all need one length"),
        ([*LONG, "--test", "2001-01-01"], "--test 2001-01-01: a share below 1, or a number of cases"),
        ([*LONG, "--kernel-size", "3"], "kernel_size=3 does not apply to architecture='gru'"),
        ([*LONG, "--test", "95"], "test=95, and there are 90 cases"),
    ],
)
def test_wrong_use_is_one_clear_message(tones_csv, tmp_path, capsys, arguments, said):
    assert run(["fit", "classify", str(tones_csv), *QUICK, "-o", str(tmp_path / "run"), *arguments]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err and "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_test_part_is_of_forecasts(fitted, tones_csv, capsys):
    assert run(["predict", str(fitted), str(tones_csv), "--test", "5"]) == 2
    assert "is for the task 'classify'" in capsys.readouterr().err
