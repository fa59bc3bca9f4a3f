"""How many random patterns an associative memory holds, measured: recall against load and against noise."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from elman.data.patterns import damaged
from elman.errors import InputError
from elman.layers.associative import AssociativeMemory, Storage, Update
from elman.tasks.settings import MemorySettings, check_settings

LOADS = (0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.3, 0.5, 0.7, 0.9)
CUES = 100  # patterns of each trial that are recalled
FOUND = 0.9  # overlap from which a pattern counts as found: below the transition it is above 0.96, past it near 0.35


def capacity_curve(
    N: int,
    loads: Sequence[float] | None = None,
    *,
    noises: Sequence[float] = (0.0,),
    storages: Sequence[Storage] = ("hebbian", "storkey", "pseudo-inverse"),
    update: Update = "asynchronous",
    trials: int = 5,
    max_steps: int = 200,
    seed: int = 0,
) -> pl.DataFrame:
    """Recall of random patterns in N units: a row for each rule, load (patterns / N) and noise (share of units turned).

    `found`: the share of cues that came to an overlap of 0.9 or more with their pattern; `exact`: that came to it
    without an error; `overlap`: the mean at the end. Of each of the `trials` with new patterns, up to 100 are recalled.
    All rules are given the same patterns and cues. loads: by default from 0.02 to 0.9.

    >>> capacity_curve(100, [0.05, 0.5], storages=["hebbian"], trials=2)["found"].to_list()[0]
    1.0
    """
    if N < 2 or trials < 1:
        raise InputError(f"expected at least two units and one trial, found N={N} and trials={trials}")
    if loads is None:
        loads = [load for load in LOADS if round(load * N) >= 1]
    for load in loads:
        if round(load * N) < 1:
            raise InputError(f"a load of {load:g} of {N} units is no pattern; expected at least {1 / N:g}")
    for storage in storages:
        check_settings(MemorySettings(storage=storage, update=update, max_steps=max_steps))
    rows = []
    for load in loads:
        P = round(load * N)
        for noise in noises:
            ends: dict[str, list[np.ndarray]] = {storage: [] for storage in storages}
            for trial in range(trials):
                draw = np.random.default_rng([seed, trial, P])
                patterns = draw.choice([-1.0, 1.0], (P, N))
                asked = patterns[:CUES]
                cues = damaged(asked, noise, draw)
                for storage in storages:
                    memory = AssociativeMemory.storing(patterns, storage)
                    path = memory.settle(cues, update=update, order="random", seed=trial, steps=max_steps)
                    ends[storage].append((path.final * asked).mean(axis=1))
            for storage in storages:
                overlap = np.concatenate(ends[storage])
                rows.append(
                    {
                        "storage": storage, "load": P / N, "patterns": P, "noise": float(noise),
                        "found": float((overlap >= FOUND).mean()), "exact": float((overlap == 1).mean()),
                        "overlap": float(overlap.mean()), "cues": len(overlap),
                    }
                )  # fmt: skip
    order = {storage: k for k, storage in enumerate(storages)}
    return pl.DataFrame(rows).sort(pl.col("storage").replace_strict(order), "noise", "load", maintain_order=True)


def transition(curve: pl.DataFrame) -> float | None:
    """The load at which half of the cues are found, between its neighbours, of a curve of one rule and one noise.

    None where it is not crossed.

    >>> transition(pl.DataFrame({"load": [0.1, 0.14, 0.2], "found": [1.0, 0.6, 0.2]}))
    0.155
    """
    load, found = (curve.sort("load")[name].to_list() for name in ("load", "found"))
    for k in range(1, len(load)):
        if found[k - 1] >= 0.5 > found[k]:
            share = (found[k - 1] - 0.5) / (found[k - 1] - found[k])
            return round(load[k - 1] + share * (load[k] - load[k - 1]), 6)
    return None
