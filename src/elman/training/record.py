"""The run folder: what a training run leaves behind, readable while it runs."""

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from elman.errors import InputError
from elman.files import finite, replacing

FORMAT = 1
FACTS = ("fact", "model")  # what is told once, at the begin, and holds for all of the run


class Run:
    """A run folder: `config.toml`, `events.jsonl`, `checkpoint.safetensors` while training, `model/` after it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        label: str | None = None,
        command: str | None = None,
        silent: bool = False,
    ):
        """`label` groups runs that differ in their seed only; `command` is what made the run, for whoever reads it.

        silent: read, but write nothing, as another process does that.
        """
        self.path, self.silent = Path(path), silent
        self.about = {"label": label, "command": command}
        self._pending: list[str] = []

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def checkpoint_path(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def model_path(self) -> Path:
        return self.path / "model"

    def start(self, config: Mapping[str, Any], *, force: bool = False) -> None:
        """Begin anew. A folder that holds something is refused; with `force` an earlier run in it is removed first."""
        if self.silent:
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            if not force:
                raise InputError(
                    f"{self.path} exists; nothing is overwritten. Give another folder, --resume to go on with an "
                    "interrupted run, or --force to replace it"
                )
            if not self._is_run():
                raise InputError(
                    f"{self.path} is not a run folder (no config.toml of a run in it), so --force does not remove it"
                )
            shutil.rmtree(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {self.path} can't be made: {error.strerror}") from None
        with replacing(self.path / "config.toml") as aside:
            aside.write_bytes(tomli_w.dumps(without_none({"run_format": FORMAT, **self.about, **config})).encode())

    def _is_run(self) -> bool:
        """Whether `start` made this folder: many a folder of other programs has a config.toml too."""
        try:
            return "run_format" in self.config()
        except (InputError, OSError):
            return False

    def config(self) -> dict[str, Any]:
        path = self.path / "config.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{self.path} is not a run folder: it has no config.toml") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not whole TOML: {error}") from None

    def record(self, event: str, **values: Any) -> None:
        """Note one event; it reaches the file at the next `flush`."""
        if not self.silent:
            self._pending.append(json.dumps(finite({"event": event, **values})) + "\n")

    def flush(self) -> None:
        if self._pending:
            with open(self.events_path, "a", encoding="utf-8") as file:
                file.write("".join(self._pending))
            self._pending.clear()

    def events(self) -> list[dict[str, Any]]:
        """Every whole line of `events.jsonl`; a last line that a crash has torn is left out."""
        if not self.events_path.exists():
            return []
        lines = self.events_path.read_text(encoding="utf-8", errors="replace").splitlines()
        found = []
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict) and "event" in event:
                found.append(event)
            elif number < len(lines):
                raise InputError(f"{self.events_path}, line {number} is not an event; the file was changed")
        return found

    def rewind(self, step: int, epoch: int) -> None:
        """Keep the facts, `step` steps and `epoch` epochs: a resumed run does the rest again, and its end."""
        if self.silent:
            return
        self._pending.clear()
        done = {"step": step, "epoch": epoch - 1}
        by = {"step": "step", "probe": "step", "epoch": "epoch"}
        kept = [e for e in self.events() if e["event"] in FACTS or ((k := by.get(e["event"])) and e[k] <= done[k])]
        with replacing(self.events_path) as aside:
            aside.write_text("".join(json.dumps(e) + "\n" for e in kept), encoding="utf-8")


def without_none(value: Any) -> Any:
    """`value` without the None in its mappings, which TOML can't say."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    return [without_none(v) for v in value] if isinstance(value, list | tuple) else value
