"""A run folder, read for the page: what is there, and in plain words what is not."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from elman.errors import InputError
from elman.files import read_json

TEST_COLUMNS = ("unique_id", "cutoff", "ds", "lead", "y", "forecast")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scores:
    """What scores.json holds. A row is one model at one lead; its lead is a number of steps, or "mean"."""

    target: str
    horizon: int
    freq: str
    test: Mapping[str, Any]
    levels: Sequence[str]  # in percent, from narrow to wide, as they stand in the names of columns: "80", "97.5"
    notes: Sequence[str]
    rows: Sequence[Row]
    event: Mapping[str, Any] | None

    def models(self, kind: str) -> list[str]:
        """The names of the models of one kind, "network" or "baseline", in the order of the file."""
        return list(dict.fromkeys(str(row["model"]) for row in self.rows if row["kind"] == kind))

    def value(self, model: str, lead: int | str, metric: str) -> float | None:
        """None where the metric does not apply to the model, or is not finite."""
        for row in self.rows:
            if row["model"] == model and row["lead"] == lead:
                return number(row.get(metric))
        return None


@dataclass(frozen=True)
class Run:
    """One run folder. `scores` and `test` are None where `no_scores` and `no_test` say why."""

    path: Path
    label: str
    config: Mapping[str, Any]
    events: Sequence[Row]
    epochs: Sequence[Row]
    end: Row | None
    scores: Scores | None
    no_scores: str
    test: pl.DataFrame | None
    no_test: str

    @property
    def seed(self) -> str:
        return str(self.config.get("settings", {}).get("seed", "not recorded"))


def names_of(runs: Sequence[Run]) -> list[str]:
    """Label and seed of each run, and its folder where that does not tell them apart."""
    names = [f"{run.label}, seed {run.seed}" for run in runs]
    return [
        f"{name} ({run.path.name})" if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)
    ]


def number(value: object) -> float | None:
    """`value` as a finite float, or None."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


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
    scores, no_scores = _read_scores(path / "scores.json")
    test, no_test = _read_test(path / "test.parquet")
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


def _read_scores(path: Path) -> tuple[Scores | None, str]:
    if not path.is_file():
        return None, "There is no scores.json: no test part was kept aside, or the run has not come to its end yet."
    try:
        raw = read_json(path)
        if raw.get("task", "forecast") != "forecast":
            return None, f"Its scores.json holds the scores of the task {raw['task']!r}, which this page does not draw."
        scores = Scores(
            target=str(raw["target"]),
            horizon=int(raw["horizon"]),
            freq=str(raw.get("freq", "")),
            test=dict(raw.get("test") or {}),
            levels=[f"{level:g}" for level in sorted(float(level) for level in raw.get("levels") or ())],
            notes=[str(note) for note in raw.get("notes") or ()],
            rows=[{"kind": "baseline", **row} for row in raw["rows"] if "model" in row and "lead" in row],
            event=dict(raw["event"]) if raw.get("event") else None,
        )
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        return None, f"Its scores.json can't be read ({error}): it was truncated or changed."
    if not scores.models("network"):
        return None, "Its scores.json holds no row of a network."
    return scores, ""


def _read_test(path: Path) -> tuple[pl.DataFrame | None, str]:
    if not path.is_file():
        return None, "There is no test.parquet: no test part was kept aside, or the run has not come to its end yet."
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        return None, f"Its test.parquet can't be read ({error}): it was truncated or changed."
    missing = [name for name in TEST_COLUMNS if name not in table.columns]
    if missing:
        return None, f"Its test.parquet lacks the columns {', '.join(missing)}."
    if table.is_empty():
        return None, "Its test.parquet holds no forecast."
    return table, ""
