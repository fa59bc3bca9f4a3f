"""The page of an associative memory: what it recalls of damaged patterns, in numbers and words.

viewer/src/memory.js draws what `memory_of` reads; `elman.tasks.memory_trials` wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elman.errors import InputError
from elman.files import read_json
from elman.report import words
from elman.report.runs import Run

TASK = "memory"
TRIALS = "memory.json"
MOSTLY = 0.9  # share of patterns from which they count as held
DAMAGE = 0.2


def is_memory(run: Run) -> bool:
    return run.config.get("task") == TASK


def memory_of(run: Run) -> dict[str, Any]:
    """What is in the run's memory.json, or why there is none."""
    path = run.path / TRIALS
    if not path.is_file():
        return {"missing": f"The run kept no recalls ({TRIALS}): it was stopped before its end, or fit anew."}
    try:
        told = read_json(path)
        for key in ("kind", "shape", "patterns", "recalls", "noise", "capacity"):
            told[key]
        for recall in told["recalls"]:
            for key in ("pattern", "truth", "frames", "energy", "near", "overlaps", "cycle", "right"):
                recall[key]
            for key in ("asynchronous", "synchronous", "turned") if "descents" in recall else ():
                recall["descents"][key]
        for row in told["noise"]:
            float(row["noise"]), float(row["right"]), float(row["overlap"])
    except (InputError, KeyError, TypeError, ValueError) as error:
        return {"missing": f"Its {TRIALS} can't be read ({error}): it was truncated or changed."}
    found: dict[str, Any] = told
    return found


def memory_title(run: Run, told: Mapping[str, Any]) -> str:
    if "missing" in told:
        return f"{run.label}: an associative memory"
    shape = " × ".join(str(side) for side in told["shape"])
    return f"{run.label}: {words.count(int(told['patterns']), 'pattern')} of {shape} units"


def memory_verdict(told: Mapping[str, Any]) -> list[str]:
    """What becomes of patterns of which a fifth is damaged, and how much damage is too much."""
    if "missing" in told:
        return ["There is nothing to show yet."]
    rates = {float(row["noise"]): float(row["right"]) for row in told["noise"]}
    said = [f"With a fifth of its units damaged, {_share(rates.get(DAMAGE))} is recalled without an error."]
    held = [noise for noise, right in sorted(rates.items()) if right >= MOSTLY]
    if rates.get(0.0, 0.0) < MOSTLY:
        said.append(
            f"Even of patterns that are shown whole, {words.percent(rates.get(0.0), 0)} stay as they are: too many, or "
            "too similar ones, are stored for this rule."
        )
    elif held:
        said.append(
            f"At least nine in ten come back whole with up to {words.percent(max(held), 0)} of their units damaged."
        )
    return said


def memory_numbers(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "missing" in told:
        return []
    units = 1
    for side in told["shape"]:
        units *= int(side)
    rates = {float(row["noise"]): float(row["right"]) for row in told["noise"]}
    steps = [len(recall["energy"]) - 1 for recall in told["recalls"]]
    return [
        ("patterns that are stored", f"{told['patterns']:,}"),
        ("units, each coupled to all others", f"{units:,}"),
        ("patterns a unit, the load", words.amount(told["patterns"] / units)),
        ("recalled without an error, of those shown whole", words.percent(rates.get(0.0), 0)),
        ("steps until a damaged one rests, at most", str(max(steps, default=0))),
    ]


def memories(runs: Sequence[Run]) -> bool:
    """Whether the page is about memories: then it has no section on training, which they don't have."""
    return all(is_memory(run) for run in runs)


def _share(right: float | None) -> str:
    if right is None:
        return "a pattern"
    if right == 1:
        return "every pattern"
    return "no pattern" if right == 0 else f"{words.percent(right, 0)} of the patterns"
