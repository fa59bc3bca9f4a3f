"""elman fit memory and elman recall."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

from elman.cli import run

DIGITS = load_digits().images[:10]


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, images=DIGITS)
    return path


@pytest.fixture(scope="module")
def fitted(digits, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert run(["fit", "memory", str(digits), "--storage", "pseudo-inverse", "--quiet", "-o", str(folder)]) == 0
    return folder


def test_help_imports_nothing_heavy():
    for command in (["fit", "memory"], ["recall"]):
        code = (
            f"import sys; from elman.cli import run; run([*{command}, '--help']); "
            "print([m for m in ('torch', 'sklearn', 'scipy', 'polars', 'numpy') if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stderr.strip() == "[]"
    assert "--damage" in done.stdout


def test_a_run_holds_the_model_and_the_page(fitted, digits, tmp_path, capsys):
    assert {p.name for p in fitted.iterdir()} == {"config.toml", "events.jsonl", "memory.json", "model", "report.html"}
    out = tmp_path / "again"
    assert run(["fit", "memory", str(digits), "--config", str(fitted / "config.toml"), "-o", str(out)]) == 0
    said, told = capsys.readouterr()
    assert "▀" in said and "and 6 more" in said and "10 damaged patterns were recalled without an error" in said
    assert "Pixels above 8" in told and "elman recall" in told
    assert (out / "model" / "model.safetensors").read_bytes() == (fitted / "model" / "model.safetensors").read_bytes()
    assert run(["fit", "memory", str(digits), "-o", str(out)]) == 2
    assert run(["fit", "memory", str(digits), "-o", str(out), "--force", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["patterns"] == 10


def test_stored_patterns_are_damaged_and_recalled(fitted, capsys):
    assert run(["recall", str(fitted), "--damage", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "0: stored pattern 0, overlap 1.00" in said and "→" in said
    assert run(["recall", str(fitted), "--damage", "0.1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stored"] for line in lines] == list(range(10)) and all(line["right"] for line in lines)
    assert run(["recall", str(fitted), "--damage", "1.5"]) == 2
    assert "from 0 to 1" in capsys.readouterr().err


def test_a_cue_is_read_in_the_size_of_the_model(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    (tmp_path / "digits").mkdir()
    for k, digit in enumerate(DIGITS):
        image.fromarray((digit * 15).astype(np.uint8)).save(tmp_path / "digits" / f"{k}.png")
    stored = ["fit", "memory", str(tmp_path / "digits"), "--storage", "pseudo-inverse", "--quiet"]
    assert run([*stored, "-o", str(tmp_path / "run")]) == 0
    large = image.fromarray((DIGITS[3] * 15).astype(np.uint8)).resize((80, 80), image.Resampling.NEAREST)
    large.save(tmp_path / "three.png")
    capsys.readouterr()
    assert run(["recall", str(tmp_path / "run"), str(tmp_path / "three.png"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["cue"], said["stored"], said["overlap"], said["steps"]) == ("three", 3, 1.0, 0)
    assert "right" not in said


@pytest.mark.parametrize("kind", ["modern", "continuous"])
def test_other_kinds_of_network(digits, tmp_path, capsys, kind):
    more = ["--storage", "pseudo-inverse"] if kind == "continuous" else []
    arguments = ["fit", "memory", str(digits), "--kind", kind, *more, "--json", "--quiet", "-o", str(tmp_path / "run")]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["recalled"] > 0.7


def test_rows_of_a_table_are_patterns_and_predict_answers_them(tmp_path, capsys):
    x = np.random.default_rng(0).choice([-1, 1], (3, 40))
    names = [f"u{k}" for k in range(40)]
    pl.DataFrame(x, schema=names).write_csv(tmp_path / "x.csv")
    spoiled = x.copy()
    spoiled[:, :4] *= -1
    pl.DataFrame(spoiled, schema=names).write_csv(tmp_path / "cues.csv")
    assert run(["fit", "memory", str(tmp_path / "x.csv"), "--quiet", "-o", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert run(["predict", str(tmp_path / "run"), str(tmp_path / "cues.csv")]) == 0
    np.testing.assert_array_equal(pl.read_csv(capsys.readouterr().out.encode()).to_numpy(), x)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "1"], "--size 1: at least 2 pixels"),
        (["--storage", "hebb"], "storage"),
        (["--kind", "modern", "--storage", "storkey"], "does not apply to kind='modern'"),
    ],
)
def test_wrong_use_is_one_clear_message(digits, tmp_path, capsys, arguments, said):
    assert run(["fit", "memory", str(digits), *arguments, "-o", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert not (tmp_path / "run").exists()


def test_only_memories_recall(tmp_path, capsys):
    assert run(["recall", str(tmp_path)]) == 2
    assert "not a model folder" in capsys.readouterr().err
