"""An associative memory in the page itself: what viewer/src/hopfield.js must know to recall as elman does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from elman.data.patterns import Coding
from elman.errors import InputError
from elman.layers.associative import AssociativeMemory
from elman.layers.dense import DenseMemory
from elman.layers.storage import tolerance
from elman.models.checkpoint import load_config, load_weights
from elman.report.networks import UNREADABLE, floats
from elman.report.play import LARGEST
from elman.report.runs import Run

UNITS = 2500  # the page computes all couplings of so many units, 50 MB in the browser
STARTS = 12  # stored patterns that a reader can begin with


def playable_memory(run: Run) -> dict[str, Any]:
    """The memory in `run`'s model folder, as JSON takes it; or `{"missing": why not}`."""
    folder = run.path / "model"
    try:
        config = load_config(folder)
        settings, learned = config["settings"], config["learned"]
        coding, P = Coding.from_dict(learned["coding"]), int(learned["patterns"])
        if coding.units > UNITS:
            raise InputError(f"networks of up to {UNITS:,} units run in the page, and this one has {coding.units:,}")
        modern = settings["kind"] == "modern"
        memory: AssociativeMemory | DenseMemory
        if modern:
            memory = DenseMemory(coding.units, P, normalise=settings["normalise"])
        else:
            memory = AssociativeMemory(coding.units, P)
        load_weights(folder, memory, config)
        told = _dense(memory, settings) if isinstance(memory, DenseMemory) else _coupled(memory, settings)
        if told["parameters"] > LARGEST:
            raise InputError(f"it takes {told['parameters']:,} numbers, and a page holds {LARGEST:,}")
        starts = memory.patterns.numpy()[:STARTS]
        return {
            "kind": "memory",
            "network": settings["kind"],
            "update": settings["update"],
            "shape": list(coding.shape),
            "patterns": P,
            "starts": len(starts),
            "stored": floats(memory.patterns.numpy() if modern or P <= STARTS else starts),
            **told,
        }
    except InputError as error:
        return {"missing": f"There is nothing to play with: {error}."}
    except UNREADABLE as error:
        return {"missing": f"The model's config can't be read ({error!r}): it was changed."}


def _coupled(memory: AssociativeMemory, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The couplings: `factor^T factor` with another diagonal, where that is small; else the lower triangle."""
    W, patterns = memory.W, memory.patterns.numpy()
    if settings["storage"] == "hebbian":
        factor = patterns / np.sqrt(W.shape[0])
    elif settings["storage"] == "pseudo-inverse":
        _, sizes, directions = np.linalg.svd(patterns, full_matrices=False)
        factor = directions[sizes > tolerance(patterns, sizes)]
    else:
        factor = None
    if factor is not None and factor.size < W.size / 2:
        told = {"factor": floats(factor), "rank": len(factor)}
        count = factor.size
    else:
        below = W[np.tril_indices(len(W))]
        told, count = {"below": floats(below)}, below.size
    beta = 10.0 if settings["beta"] is None else float(settings["beta"])
    continuous = settings["kind"] == "continuous"
    return {
        **told,
        "parameters": count,
        "diagonal": floats(W.diagonal()),
        "thresholds": floats(memory.thresholds.numpy()),
        "tie": max(memory.tie(), 1e-6),  # what the numbers lost on their way here is rounding too
        "beta": beta if continuous else None,
        "time_step": (settings["time_step"] or memory.largest_step(beta)) if continuous else None,
    }


def _dense(memory: DenseMemory, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": memory.patterns.numel(),
        "normalise": memory.normalise,
        "beta": memory.usual_beta() if settings["beta"] is None else float(settings["beta"]),
    }
