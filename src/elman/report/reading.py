"""A run folder, read for the page as far as it goes: what is there, and in plain words what is not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from elman.errors import InputError
from elman.files import read_json
from elman.report.runs import Run, Scores, number
from elman.report.tasks import TASKS


def read_run(path: Path) -> Run:
    """Read a run folder as far as it goes; only its config.toml has to be there and whole (else InputError)."""
    config_path = path / "config.toml"
    expected = "expected a run folder, as `elman fit` makes one, with a config.toml in it"
    if not config_path.is_file():
        found = "which is not there" if not path.exists() else "which has no config.toml" if path.is_dir() else "a file"
        raise InputError(f"{expected}; found {path}, {found}. Give the folder that was named after -o when it was made")
    try:
        config = tomllib.loads(config_path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{expected}; found {config_path}, which is no TOML ({error}). Fit again") from None
    events = _read_events(path / "events.jsonl")
    task = str(config.get("task", "forecast"))
    scores, no_scores = _read_scores(path / "scores.json", task)
    test, no_test = _read_test(path / "test.parquet", TASKS[task].columns if task in TASKS else ())
    return Run(
        path=path,
        label=str(config.get("label") or config.get("settings", {}).get("architecture", "").upper() or path.name),
        config=config,
        events=events,
        epochs=[e for e in events if e.get("event") == "epoch" and number(e.get("epoch")) is not None],
        end=next((e for e in reversed(events) if e.get("event") == "end"), None),
        scores=scores,
        no_scores=no_scores,
        test=test,
        no_test=no_test,
    )


def _read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines: a run that is still writing, or was cut off, may leave a torn one."""
    events = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _read_scores(path: Path, task: str) -> tuple[Scores | None, str]:
    if not path.is_file():
        return None, "There is no scores.json: no test part was kept aside, or the run has not come to its end yet."
    try:
        raw = read_json(path)
        task = str(raw.get("task", task))
        if task not in TASKS:
            return None, f"Its scores.json holds the scores of the task {task!r}, which this page does not draw."
        scores = TASKS[task].scores.read({**raw, "task": task})
    except (InputError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return None, f"Its scores.json can't be read ({error}): it was truncated or changed."
    if not scores.models("network"):
        return None, "Its scores.json holds no row of a network."
    return scores, ""


def _read_test(path: Path, columns: Sequence[str]) -> tuple[pl.DataFrame | None, str]:
    if not path.is_file():
        return None, "There is no test.parquet: no test part was kept aside, or the run has not come to its end yet."
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        return None, f"Its test.parquet can't be read ({error}): it was truncated or changed."
    missing = [name for name in columns if name not in table.columns]
    if missing:
        return None, f"Its test.parquet lacks the columns {', '.join(missing)}."
    if table.is_empty():
        return None, "Its test.parquet holds no prediction."
    return table, ""
