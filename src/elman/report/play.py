"""Which networks a page plays with. `elman.report.networks` makes them ready, and alone needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elman.report.memory import is_memory
from elman.report.runs import Run

LARGEST = 1_500_000  # parameters of all networks of a page; 4 MB of it
NO_MODEL = (
    "There is no trained network here, so there is nothing to play with: a run keeps it in its folder (model/) when "
    "training ends, and a model that was loaded from a file has no data to begin with."
)


def networks_of_page(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, Any]]:
    """What the page plays with: one network for each label, the first of its runs that has one, as far as room goes.

    Where no run has one, why the first has none.
    """
    found: dict[str, dict[str, Any]] = {}
    missing: list[dict[str, Any]] = []
    room = LARGEST
    for run, name in zip(runs, names, strict=True):
        if run.label in found:
            continue
        network = _playable(run)
        if "missing" in network:
            missing.append(network)
        elif network["parameters"] <= room:
            room -= network["parameters"]
            found[run.label] = {"name": name, **network}
    return list(found.values()) or missing[:1]


def _playable(run: Run) -> dict[str, Any]:
    if not (run.path / "model").is_dir():
        return {"missing": NO_MODEL}
    if is_memory(run):
        from elman.report.play_memory import playable_memory

        return playable_memory(run)
    from elman.report.networks import playable

    return playable(run)
