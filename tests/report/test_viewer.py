"""The viewer's built files are what its sources say, and carry the licence of what is bundled with them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VIEWER, BUILT = ROOT / "viewer", ROOT / "src" / "elman" / "report"
NAMES = ("viewer.js", "live.js", "viewer.css")


def hash_of_sources() -> str:
    """As viewer/build.mjs makes it."""
    files = [VIEWER / name for name in ("build.mjs", "package-lock.json", "package.json")]
    files += (VIEWER / "src").iterdir()
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(VIEWER).as_posix(), path) for path in files):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_the_built_files_were_built_from_these_sources(name):
    first = (BUILT / name).read_text(encoding="utf-8").splitlines()[0]
    assert hash_of_sources() in first, f"{name} is older than viewer/src: run `make viewer`"


@pytest.mark.parametrize("name", NAMES)
def test_the_built_files_match_the_source(name, tmp_path):
    if not shutil.which("node"):
        pytest.skip("there is no node here")
    if not (VIEWER / "node_modules" / "esbuild").is_dir():
        pytest.skip("viewer/node_modules is not there: `make viewer` makes it")
    subprocess.run(["node", VIEWER / "build.mjs", tmp_path], check=True)
    assert (tmp_path / name).read_bytes() == (BUILT / name).read_bytes(), "run `make viewer`"


@pytest.mark.parametrize("name", NAMES)
def test_the_licence_travels_along_and_nothing_ends_the_element_early(name):
    text = (BUILT / name).read_text(encoding="utf-8")
    assert "The MIT License (MIT)" in text and "Leon Sorokin" in text and "AS IS" in text
    assert "</script" not in text.lower() and "</style" not in text.lower() and "<!--" not in text
    assert len(text) < 280_000


def test_the_lock_file_names_no_host():
    assert "://" not in (VIEWER / "package-lock.json").read_text()
