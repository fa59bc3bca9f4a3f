"""The run folder: what a training run leaves behind, readable while it runs."""

import json
import os
import shutil
import time
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from elman.errors import InputError
from elman.files import finite, replacing

FORMAT = 1
MOST = 20  # snapshots in a run folder
BINS = 48  # of a histogram in a snapshot
FLUSHED_EVERY = 1.0  # seconds; whoever watches the run sees it no later
FACTS = ("fact", "model")  # what is told once, at the begin, and holds for all of the run

Arrays = dict[str, np.ndarray]  # of a snapshot, by the names that elman.training.snapshots gives them


class Run:
    """A run folder: `config.toml`, `events.jsonl`, `checkpoint.safetensors` while training, `model/` after it.

    `snapshots/STEP.npz` holds the arrays of a few looks inside. A file named `stop` in it asks the training to stop.
    """

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
        self._stop = str(self.stop_path)
        self.about = {"label": label, "command": command}
        self._pending: list[str] = []
        self._flushed = time.monotonic()
        self._snapshot_steps: list[int] | None = None

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
        """Note one event; it reaches the file at the next `flush`, or with an event a second later."""
        if not self.silent:
            self._pending.append(json.dumps(finite({"event": event, **values})) + "\n")
            if time.monotonic() - self._flushed > FLUSHED_EVERY:
                self.flush()

    def flush(self) -> None:
        self._flushed = time.monotonic()
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

    @property
    def stop_path(self) -> Path:
        return self.path / "stop"

    def asked_to_stop(self) -> bool:
        """Whether somebody has put the file there that asks the training to stop as if it were interrupted."""
        return os.path.exists(self._stop)  # at every step, so no Path is made for it

    def snapshot_path(self, step: int) -> Path:
        return self.path / "snapshots" / f"{step}.npz"

    def snapshot_steps(self) -> list[int]:
        """The steps at which there is a snapshot, in their order."""
        found = (self.path / "snapshots").glob("*.npz")
        return sorted(int(path.stem) for path in found if path.stem.isdecimal())

    def snapshot_due(self, step: int) -> bool:
        """Whether a snapshot at `step` would lie no closer to the one before than those usually do."""
        if self.silent:
            return False
        if self._snapshot_steps is None:
            self._snapshot_steps = self.snapshot_steps()
        steps = self._snapshot_steps
        if len(steps) < 2:
            return True
        return step - steps[-1] >= 0.9 * (steps[-1] - steps[0]) / (len(steps) - 1)

    def snapshot(self, step: int, arrays: Arrays) -> None:
        """Keep arrays under the step; of too many snapshots every second one goes, but the first and this one stay.

        The arrays are plain numbers and texts, never pickled; InputError where one is not.
        """
        if self.silent:
            return
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise InputError(f"a snapshot holds numbers and texts; {name!r} holds Python objects")
        with replacing(self.snapshot_path(step)) as aside, open(aside, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # it has an argument beside the arrays
        steps = self.snapshot_steps()
        if len(steps) > MOST:
            for gone in steps[1:-1:2]:
                self.snapshot_path(gone).unlink(missing_ok=True)
        self._snapshot_steps = self.snapshot_steps()

    def read_snapshot(self, step: int) -> Arrays:
        """The arrays that were kept at a step; InputError where there are none, or the file is not whole."""
        return read_arrays(self.snapshot_path(step))

    def rewind(self, step: int, epoch: int) -> None:
        """Keep the facts, `step` steps and `epoch` epochs: a resumed run does the rest again, and its end."""
        if self.silent:
            return
        self.stop_path.unlink(missing_ok=True)
        for later in self.snapshot_steps():
            if later > step:
                self.snapshot_path(later).unlink(missing_ok=True)
        self._snapshot_steps = None
        self._pending.clear()
        done = {"step": step, "epoch": epoch - 1}
        by = {"step": "step", "probe": "step", "epoch": "epoch"}
        kept = [e for e in self.events() if e["event"] in FACTS or ((k := by.get(e["event"])) and e[k] <= done[k])]
        with replacing(self.events_path) as aside:
            aside.write_text("".join(json.dumps(e) + "\n" for e in kept), encoding="utf-8")


def read_arrays(path: Path) -> Arrays:
    """The arrays of a snapshot by name; InputError where there is none, or it is not whole. Nothing in it is run."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a whole snapshot ({error}); it was truncated or changed") from None


def without_none(value: Any) -> Any:
    """`value` without the None in its mappings, which TOML can't say."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    return [without_none(v) for v in value] if isinstance(value, list | tuple) else value
