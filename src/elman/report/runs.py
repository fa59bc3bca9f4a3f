"""A run folder as the page knows it: its record, its scores and its test part; what is missing is told in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import polars as pl

if TYPE_CHECKING:
    from elman.report.scores import Column

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """What the models of a task are ranked by: its column in the rows, what it is called, and what it means."""

    key: str
    name: str
    how: str
    show: Callable[[float | None], str]
    higher: bool = True  # is better
    gap: Callable[[float], str] | None = None  # how far two values lie apart, in words

    def best(self, values: Sequence[float]) -> float:
        return max(values) if self.higher else min(values)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What scores.json holds; each task has a subclass, which also says how they are told (`elman.report.tasks`).

    A row is one model, of a forecast at one lead: a number of steps, or "mean", as all other rows have it.
    """

    task: str
    target: str
    test: Mapping[str, Any]
    notes: Sequence[str]
    rows: Sequence[Row]

    metric: ClassVar[Metric]
    baselines: ClassVar[Mapping[str, str]] = {}  # what they are called on the page
    intro: ClassVar[str]  # above the table of scores
    how: ClassVar[str]  # below it

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From what scores.json says; a KeyError, TypeError, ValueError or AttributeError where that is not whole."""
        return cls(**cls._fields(raw))

    @classmethod
    def _fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the class; a subclass adds its own."""
        return {
            "task": str(raw["task"]),
            "target": str(raw["target"]),
            "test": dict(raw.get("test") or {}),
            "notes": [str(note) for note in raw.get("notes") or ()],
            "rows": [{"kind": "baseline", "lead": "mean", **row} for row in raw["rows"] if "model" in row],
        }

    @property
    def title(self) -> str:
        return self.target

    @property
    def about(self) -> str:
        """What it was tested on; "" where that is not known."""
        raise NotImplementedError

    @property
    def tested(self) -> tuple[object, ...]:
        """What two runs must share to be compared."""
        raise NotImplementedError

    def columns(self) -> list[Column]:
        """Of the table of scores."""
        raise NotImplementedError

    def found(self, network: str, value: float) -> str:
        """What it means that the network's metric is `value`: the begin of a sentence."""
        raise NotImplementedError

    def numbers(self, mean: Callable[..., float | None], best: tuple[str, float] | None) -> list[tuple[str, str]]:
        """The numbers on top of the page: what each is, and its value.

        mean(metric, lead="mean"): of the network, over its seeds.  best: name and metric of the best baseline.
        """
        raise NotImplementedError

    def models(self, kind: str) -> list[str]:
        """The names of the models of one kind, "network" or "baseline", in the order of the file."""
        return list(dict.fromkeys(str(row["model"]) for row in self.rows if row["kind"] == kind))

    def value(self, model: str, metric: str, lead: int | str = "mean") -> float | None:
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
    def task(self) -> str:
        """The name of its task; a run that names none makes forecasts."""
        return self.scores.task if self.scores else str(self.config.get("task", "forecast"))

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
