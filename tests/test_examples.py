"""Every example runs as its reader would run it, on small settings; each asserts its own headline figure."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = {
    "adding_problem.py": ["--steps", "20", "--updates", "20", "--run", "adding"],
    "copy_task.py": ["--delays", "3", "--updates", "20", "--run", "copying"],
    "flood_warning.py": ["--epochs", "8"],
    "next_character.py": ["--characters", "6000", "--epochs", "1", "--hidden-size", "16"],
    "remember_digits.py": ["--trials", "5"],
    "sequential_digits.py": ["--epochs", "1"],
    "without_a_gradient.py": ["--evaluations", "100"],
}


def test_each_example_has_quick_settings():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(QUICK)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_example_runs(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *QUICK[name]], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout and not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(QUICK))
def test_example_reaches_its_headline_figure(name, tmp_path):
    done = subprocess.run([sys.executable, EXAMPLES / name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
