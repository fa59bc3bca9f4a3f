"""The command line as a user meets it: exit codes, streams, and one clear message for each wrong use."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from tests.tasks.conftest import made_up_river

from elman.cli import run

QUICK = ["--target", "level", "--horizon", "3", "--window", "20", "--hidden-size", "8", "--epochs", "2"]


@pytest.fixture(scope="module")
def river_csv(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "river.csv"
    made_up_river(400).write_csv(path)
    return path


@pytest.fixture(scope="module")
def fitted(river_csv, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "river"
    assert run(["fit", "forecast", str(river_csv), *QUICK, "--level", "90", "--test", "60", "-o", str(folder)]) == 0
    return folder


def elman(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "elman", *arguments], capture_output=True, text=True, **options)


def test_help_imports_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from elman.cli import run; run(['fit', 'forecast', '--help']); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'polars', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert "--horizon" in done.stdout


def test_importing_elman_loads_nothing_heavy_until_it_is_used():
    code = (
        "import sys, elman; print('torch' in sys.modules, 'numpy' in sys.modules); elman.LSTM; "
        "print('torch' in sys.modules); print([n for n in elman.__all__ if not hasattr(elman, n)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:3] == ["False False", "True", "[]"]


def test_the_kernels_are_there_without_an_import_of_their_own():
    code = "import elman; print(elman.kernels.__name__, elman.layers.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["elman.kernels", "elman.layers"], done.stderr


def test_a_run_leaves_its_record_scores_model_and_page(fitted):
    names = {p.name for p in fitted.iterdir()}
    files = {"config.toml", "events.jsonl", "scores.json", "test.parquet", "windows.safetensors", "report.html"}
    assert names == files | {"model", "snapshots", "inside.json", "inside.npz"}
    assert {p.name for p in (fitted / "model").iterdir()} == {"config.json", "model.safetensors"}


def test_predict_writes_csv_on_stdout_and_talks_nowhere(fitted, river_csv, capsys):
    assert run(["predict", str(fitted), str(river_csv)]) == 0
    out, err = capsys.readouterr()
    frame = pl.read_csv(io.StringIO(out), try_parse_dates=True)
    assert frame.columns == ["date", "forecast", "lo-90", "hi-90"]
    assert frame.height == 3
    assert err == ""


def test_predict_as_json_lines_and_over_a_test_part(fitted, river_csv, capsys):
    assert run(["predict", str(fitted), str(river_csv), "--test", "10", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == (10 - 2) * 3
    assert rows[0].keys() == {"cutoff", "date", "lead", "y", "forecast", "lo-90", "hi-90"}


def test_a_dash_is_standard_input(fitted, river_csv):
    from_file = elman("predict", str(fitted), str(river_csv))
    with open(river_csv) as file:
        from_stdin = elman("predict", str(fitted), "-", stdin=file)
    assert from_file.returncode == from_stdin.returncode == 0
    assert from_file.stdout == from_stdin.stdout != ""


def test_nothing_is_overwritten_without_force(fitted, river_csv, tmp_path, capsys):
    again = ["fit", "forecast", str(river_csv), *QUICK, "-o", str(fitted), "--quiet"]
    before = (fitted / "model" / "model.safetensors").read_bytes()
    assert run(again) == 2
    assert "exists; nothing is overwritten" in capsys.readouterr().err
    assert (fitted / "model" / "model.safetensors").read_bytes() == before
    keep = tmp_path / "keep.csv"
    keep.write_text("mine")
    assert run(["predict", str(fitted), str(river_csv), "-o", str(keep)]) == 2
    assert run(["report", str(fitted), "-o", str(keep)]) == 2
    assert keep.read_text() == "mine"
    assert run(["predict", str(fitted), str(river_csv), "-o", str(keep), "--force"]) == 0
    assert keep.read_text().startswith("date,forecast")


def test_force_never_removes_a_folder_that_is_no_run(river_csv, tmp_path, capsys):
    (tmp_path / "photo.jpg").write_text("dear")
    assert run(["fit", "forecast", str(river_csv), *QUICK, "-o", str(tmp_path), "--force"]) == 2
    assert "not a run folder" in capsys.readouterr().err
    assert (tmp_path / "photo.jpg").read_text() == "dear"


def test_json_scores_are_the_scores_of_the_run(river_csv, tmp_path, capsys):
    fit = ["fit", "forecast", str(river_csv), *QUICK, "--test", "60", "-o", str(tmp_path / "run"), "--json", "--quiet"]
    assert run(fit) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads((tmp_path / "run" / "scores.json").read_text())
    assert err == ""


def test_without_a_test_part_there_is_a_model_and_a_page_that_says_so(river_csv, tmp_path, capsys):
    assert run(["fit", "forecast", str(river_csv), *QUICK, "--test", "0", "-o", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "scores.json").exists()
    assert (tmp_path / "run" / "report.html").exists()


def test_a_run_can_be_made_again_from_its_config(fitted, river_csv, tmp_path):
    again = tmp_path / "again"
    fit = ["fit", "forecast", str(river_csv), "--config", str(fitted / "config.toml"), "--test", "60", "-o", str(again)]
    assert run(fit) == 0
    model = Path("model", "model.safetensors")
    assert (again / model).read_bytes() == (fitted / model).read_bytes()


def lines(*rows: str) -> str:
    return "\n".join(["date,rain,level", *rows])


DAYS = [f"2001-{1 + d // 28:02d}-{1 + d % 28:02d},{d % 5},{d % 7}" for d in range(27)]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (lines(*DAYS), ["--target", "flow"], "no column 'flow' (target); its columns are: date, rain, level"),
        (lines(*DAYS[:3], "2001-01-04,2,much", *DAYS[4:]), [], "row 4 (line 5), column 'level': a number was expected"),
        (lines(*DAYS[:3], DAYS[2], *DAYS[3:]), [], "the time 2001-01-03 stands in row 3 (line 4) and again in row 4"),
        (lines(*DAYS), ["--window", "300"], "too short: window=300 and horizon=3 need at least 303 steps"),
        (lines(*DAYS), ["--horizon", "0"], "horizon is 0; it must be between 1 and 10000"),
        (
            lines(*(d.rsplit(",", 1)[0] + "," for d in DAYS)),
            [],
            "the target 'level' has no value in any of the 27 rows",
        ),
        ("", [], "is empty"),
        ("date,rain,level\n", [], "has a header line and no rows"),
        ("\x89PNG\r\n\x1a\n\0\0\0", [], "is not a table: it holds binary data"),
        (lines(*DAYS), ["--gaps", "refuse", "--step", "12h"], "26 of 53 steps have no row"),
        (lines(*DAYS), ["--gaps", "ignore"], "--gaps"),
        (lines(*DAYS), ["--horizn", "3"], "horizn"),
    ],
)
def test_wrong_input_is_one_message_and_exit_2(tmp_path, capsys, table, options, message):
    path = tmp_path / "table.csv"
    path.write_text(table)
    quick = ["--horizon", "3", "--window", "5", "--epochs", "1", "--quiet"]
    if "--target" not in options:
        quick += ["--target", "level"]
    code = run(["fit", "forecast", str(path), *_without(quick, options), *options, "-o", str(tmp_path / "run")])
    out, err = capsys.readouterr()
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err and out == ""
    assert not (tmp_path / "run").exists()


def _without(quick: list[str], options: list[str]) -> list[str]:
    """`quick` without the options that a case sets itself."""
    kept, words = [], iter(quick)
    for word in words:
        if word in options:
            next(words)
        else:
            kept.append(word)
    return kept


def test_unsorted_rows_are_sorted_with_a_note(river_csv, tmp_path, capsys):
    shuffled = tmp_path / "shuffled.csv"
    pl.read_csv(river_csv).sample(fraction=1, shuffle=True, seed=1).write_csv(shuffled)
    assert run(["fit", "forecast", str(shuffled), *QUICK, "-o", str(tmp_path / "run"), "--test", "60"]) == 0
    assert "not in order of time; they were sorted" in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["truncated", "changed", "newer", "no weights", "no config", "other settings"])
def test_a_model_folder_that_is_not_whole_is_refused(fitted, river_csv, tmp_path, capsys, harm):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(fitted / "model", model)
    weights, config = model / "model.safetensors", model / "config.json"
    if harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif harm == "changed":
        data = bytearray(weights.read_bytes())
        data[-5] ^= 1
        weights.write_bytes(data)
    elif harm == "newer":
        config.write_text(json.dumps({**json.loads(config.read_text()), "format": 99}))
    elif harm == "no weights":
        weights.unlink()
    elif harm == "no config":
        config.unlink()
    else:
        told = json.loads(config.read_text())
        told["settings"]["hidden_size"] = 9
        config.write_text(json.dumps(told))
    assert run(["predict", str(model), str(river_csv)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("elman: ") and "Traceback" not in err


def test_ctrl_c_saves_a_checkpoint_and_resume_goes_on(river_csv, tmp_path):
    fit = ["fit", "forecast", str(river_csv), *QUICK[:-1], "300", "--patience", "300", "--test", "60"]
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "elman", *fit, "-o", str(folder)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on" in err and "Traceback" not in err
    assert (folder / "checkpoint.safetensors").exists() and not (folder / "model").exists()
    assert run(["predict", str(folder), str(river_csv)]) == 2
    # Going on to the end would take long; that it resumes from the checkpoint's step shows in the events.
    recorded = len((folder / "events.jsonl").read_text().splitlines())
    process = subprocess.Popen([sys.executable, "-m", "elman", *fit, "-o", str(folder), "--resume"])
    while len((folder / "events.jsonl").read_text().splitlines()) <= recorded and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    done = [e["step"] for e in events if e["event"] == "step"]
    assert len(done) > 0 and done == list(range(1, len(done) + 1))


def test_a_reader_that_leaves_early_is_no_error_message(fitted, river_csv):
    command = f"{sys.executable} -m elman predict {fitted} {river_csv} --test 300 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("cutoff,") and done.stderr == ""


def test_doctor_tells_what_runs(capsys):
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["torch"] and facts["kernels"]


@pytest.mark.parametrize("variable", ["ELMAN_KERNEL", "ELMAN_ISA"])
def test_doctor_names_a_variable_that_asks_for_what_there_is_not(variable):
    done = elman("doctor", env={**os.environ, variable: "bogus"})
    assert done.returncode == 2
    assert f"{variable}: expected one of" in done.stderr and "fault" not in done.stderr


def test_no_colour_where_no_colour_is_wanted(fitted, river_csv):
    done = elman("report", str(fitted), env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0 and "\x1b" not in done.stderr + done.stdout


def test_the_demo_runs_twice_and_trains_once(tmp_path, capsys):
    demo = ["demo", "-o", str(tmp_path / "demo"), "--seeds", "1", "--epochs", "1"]
    assert run(demo) == 0
    first = capsys.readouterr().out
    weights = {p: p.read_bytes() for p in tmp_path.rglob("model.safetensors")}
    assert len(weights) == 2 and "persistence" in first
    assert (tmp_path / "demo" / "report.html").exists()
    assert run(demo) == 0
    assert capsys.readouterr().out == first
    assert run([*demo[:-1], "2"]) == 2
    assert "made with other settings" in capsys.readouterr().err


def test_a_run_stopped_between_training_and_scoring_can_be_scored(river_csv, tmp_path, capsys):
    fit = ["fit", "forecast", str(river_csv), *QUICK, "--test", "60", "-o", str(tmp_path / "run"), "--json", "--quiet"]
    assert run(fit) == 0
    scores = capsys.readouterr().out
    for left in ("scores.json", "test.parquet", "report.html"):
        (tmp_path / "run" / left).unlink()
    assert run([*fit, "--resume"]) == 0
    assert capsys.readouterr().out == scores
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("test", ["nan", "inf", "-1", "2.7"])
def test_a_test_part_that_is_none_is_refused(river_csv, tmp_path, test):
    assert run(["fit", "forecast", str(river_csv), *QUICK, f"--test={test}", "-o", str(tmp_path / "run")]) == 2


def test_an_output_below_a_file_is_refused(river_csv, capsys):
    assert run(["fit", "forecast", str(river_csv), *QUICK, "-o", str(river_csv / "run")]) == 2
    assert "can't be made" in capsys.readouterr().err


def test_diagnose_says_what_ails_a_run(river_csv, tmp_path, capsys):
    assert (
        run(["fit", "forecast", str(river_csv), *QUICK, "--learning-rate", "9", "-o", str(tmp_path / "ill"), "--quiet"])
        == 0
    )
    capsys.readouterr()
    assert run(["diagnose", str(tmp_path / "ill")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Learning rate too high. ")
    assert "\n  1. a third or a tenth of the learning rate\n" in said
    assert run(["diagnose", str(tmp_path / "ill"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["illness"] == "learning rate too high"
    assert found[0]["evidence"]["update"] > 0.2


def test_a_search_that_can_not_be_leaves_no_folder_and_one_that_can_is_diagnosed(river_csv, tmp_path, capsys):
    folder = ["-o", str(tmp_path / "run")]
    fit = [
        "fit",
        "forecast",
        str(river_csv),
        "--target",
        "level",
        "--window",
        "20",
        "--optimizer",
        "de",
        *folder,
        "--quiet",
    ]
    assert run([*fit, "--hidden-size", "64"]) == 2
    assert "Choose fewer units" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert run([*fit, "--hidden-size", "2", "--evaluations", "80"]) == 0
    capsys.readouterr()
    assert run(["diagnose", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert "the gradient and the gates are not judged" in said.err


def test_diagnose_of_no_run_says_so(tmp_path, capsys):
    assert run(["diagnose", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    (tmp_path / "config.toml").write_text("run_format = 1\n")
    assert run(["diagnose", str(tmp_path)]) == 2
    assert "nothing is recorded yet" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_fit_the_model_that_one_fits(river_csv, tmp_path):
    from safetensors.torch import load_file

    command = ["-m", "elman", "fit", "forecast", str(river_csv), *QUICK, "--dropout", "0", "--test", "60", "-o"]
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for folder, launch in (("one", []), ("two", many)):
        done = subprocess.run(
            [sys.executable, *launch, *command, str(tmp_path / folder)],
            capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("persistence") == 1  # one of them speaks
    one, two = (load_file(tmp_path / folder / "model" / "model.safetensors") for folder in ("one", "two"))
    assert all(abs(one[name] - two[name]).max() < 1e-4 for name in one)
    assert (tmp_path / "two" / "report.html").exists()
