"""Imports point down: a room imports only rooms on lower floors, and none on its own."""

import ast
from pathlib import Path

import pytest

FLOORS = {
    "errors": -2,
    "extras": -1,
    "files": 0,
    "compiled": -1,
    "kernels": 0,
    "layers": 1,
    "models": 2,
    "data": 2,
    "training": 2,
    "report": 3,
    "stream": 3,
    "export": 3,
    "tasks": 4,
    "search": 5,
    "compare": 5,
    "watch": 5,
    "serve": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}


def imported_rooms(path: Path, package: Path) -> list[tuple[int, str]]:
    """Line and room of every import from the package in a file; imports inside functions and for typing count too."""
    found = []
    here = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from elman import layers` and `from .. import layers` name the room only behind "import".
            names = [alias.name for alias in node.names if not alias.name.startswith("__")]
            modules = [f"{base}.{name}" for name in names] if base == package.name else [base]
        else:
            continue
        for module in modules:
            top, *rest = module.split(".")
            if top == package.name:
                known = bool(rest) and (rest[0] in FLOORS or (package / rest[0]).is_dir())
                found.append((node.lineno, rest[0] if known else "__init__"))
    return found


def violations(package: Path) -> list[str]:
    complaints = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        room = relative.parts[0].removesuffix(".py")
        if room not in FLOORS:
            complaints.append(f"{relative}: room {room!r} has no floor; give it one in tests/test_floors.py")
            continue
        allowed = sorted(other for other, floor in FLOORS.items() if floor < FLOORS[room])
        for line, other in imported_rooms(path, package):
            if other != room and other not in allowed:
                complaints.append(
                    f"{relative}:{line} imports {other}; {room} may import {', '.join(allowed) or 'none'}"
                )
    return complaints


def test_imports_point_down():
    found = violations(Path(__file__).parents[1] / "src" / "elman")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("kernels/ops.py", "import elman.layers.recurrent", "imports layers"),
        ("kernels/ops.py", "from ..layers import LSTM", "imports layers"),
        ("kernels/ops.py", "from .. import layers", "imports layers"),
        ("kernels/ops.py", "from elman import layers", "imports layers"),
        ("kernels/ops.py", "def late():\n    from elman.cli import main", "imports cli"),
        ("layers/cells.py", "if TYPE_CHECKING:\n    from elman.tasks import base", "imports tasks"),
        ("data/series.py", "from elman.training import loop", "imports training"),
        ("stream.py", "from .report import page", "imports report"),
        ("tasks/base.py", "from elman import Forecaster", "imports __init__"),
        ("novelty/new.py", "", "has no floor"),
        ("kernels/ops.py", "from . import reference\nfrom .reference import lstm\nimport torch", None),
        ("layers/cells.py", "from elman import kernels\nfrom ..kernels.ops import lstm", None),
        ("files.py", "from elman.errors import InputError\nfrom elman import __version__", None),
        ("cli.py", "from elman.tasks import base\nfrom elman import data, report", None),
    ],
)
def test_the_checker_sees_what_it_should(tmp_path, file, line, complaint):
    path = tmp_path / "elman" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line)
    found = violations(tmp_path / "elman")
    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1
        assert file in found[0]
        assert complaint in found[0]
