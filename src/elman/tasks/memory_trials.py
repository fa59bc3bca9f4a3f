"""What a memory's page shows: some recalls of damaged patterns from begin to end, and how much damage is too much."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elman.data.patterns import damaged
from elman.files import write_json
from elman.layers.associative import AssociativeMemory, Order
from elman.tasks.capacity import capacity_curve

if TYPE_CHECKING:
    from elman.tasks.memory import HopfieldNetwork

TRIALS = "memory.json"
SHOWN = 6  # patterns whose recall is shown, and of which overlaps are
DAMAGE = 0.2
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
LOADS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9)
UNITS = 128  # of a network of random patterns, at most
FRAMES = 8  # of a recall
STATES = 60_000  # numbers in all frames of a page
ASKED = 200  # stored patterns that are recalled at each noise


def save_trials(network: "HopfieldNetwork", folder: Path) -> None:
    """Leave them in a run folder."""
    write_json(folder / TRIALS, trials_of(network))


def trials_of(network: "HopfieldNetwork") -> dict[str, Any]:
    """As JSON: `recalls`, how recall goes by `noise`, and the `capacity` for random patterns."""
    patterns = network.network_.patterns.numpy()
    draw = np.random.default_rng(network.seed)
    asked = np.sort(draw.permutation(len(patterns))[: max(1, min(SHOWN, STATES // (FRAMES * patterns.shape[1])))])
    return {
        "kind": network.kind,
        "shape": list(network.coding_.shape),
        "patterns": len(patterns),
        "recalls": [_recalled(network, patterns, int(p), draw) for p in asked],
        "noise": [_by_noise(network, patterns, noise, draw) for noise in NOISES],
        "capacity": None if network.kind == "modern" else _capacity(network),
    }


def spoiled(network: "HopfieldNetwork", patterns: np.ndarray, share: float, draw: np.random.Generator) -> np.ndarray:
    """Patterns with a share of their units turned; of patterns of numbers, these take any of the stored numbers."""
    if network.kind != "modern":
        return damaged(patterns, share, draw)
    others = draw.choice(network.network_.patterns.numpy().ravel(), patterns.shape)
    return np.where(damaged(np.ones_like(patterns), share, draw) < 0, others, patterns)


def _recalled(network: "HopfieldNetwork", patterns: np.ndarray, p: int, draw: np.random.Generator) -> dict[str, Any]:
    cue = spoiled(network, patterns[[p]], DAMAGE, draw)
    way = network.recall(network.coding_.write(cue))
    kept = _kept(len(way.states))
    # The pattern itself, and of the others those that the way came nearest to.
    near = [p, *[int(k) for k in (-way.overlaps[:, 0].max(axis=0)).argsort() if k != p][: SHOWN - 1]]
    told: dict[str, Any] = {
        "pattern": p,
        "truth": _short(patterns[p]),
        "at": kept,
        "frames": [_short(way.states[k, 0]) for k in kept],
        "energy": _short(way.energy[:, 0]),
        "near": near,
        "overlaps": [_short(way.overlaps[:, 0, k]) for k in near],
        "cycle": int(way.cycle[0]),
        "right": bool(network.right(way.states[-1], patterns[[p]])[0]),
    }
    if way.attention is not None:
        told["attention"] = [_short(way.attention[k, 0, near]) for k in kept]
    if network.kind == "binary":
        assert isinstance(network.network_, AssociativeMemory)
        told["descents"] = _descents(network.network_, cue, network.order, network.seed)
    return told


def _descents(memory: AssociativeMemory, cue: np.ndarray, order: Order, seed: int) -> dict[str, list[float]]:
    """The energy of one cue after each unit that turns, one by one, and after each step in which all turn at once.

    `turned`: how many units have turned by each of these steps.
    """
    one = memory.settle(cue, order=order, seed=seed, record=True)
    all_at_once = memory.settle(cue, update="synchronous", steps=30, record=True)
    start, states = memory.energy(cue), all_at_once.states or []
    return {
        "asynchronous": _short(start[0] + np.concatenate([[0.0], *[fall for *_, fall in one.falls]]).cumsum()),
        "synchronous": _short(np.array([memory.energy(s)[0] for s in states])),
        "turned": _short(np.cumsum([0, *[(a != b).sum() for a, b in pairwise(states)]])),
    }


def _by_noise(
    network: "HopfieldNetwork", patterns: np.ndarray, noise: float, draw: np.random.Generator
) -> dict[str, float]:
    """How many of the stored patterns are recalled from cues with so much noise: whole, and how alike on the mean."""
    asked = patterns[draw.permutation(len(patterns))[:ASKED]]
    final = network.settled(spoiled(network, asked, noise, draw))
    length = np.linalg.norm(final, axis=1) * np.linalg.norm(asked, axis=1)
    alike = (final * asked).sum(axis=1) / np.maximum(length, 1e-300)
    return {"noise": noise, "right": float(network.right(final, asked).mean()), "overlap": float(alike.mean())}


def _capacity(network: "HopfieldNetwork") -> dict[str, Any]:
    """What the same rule and update make of random patterns, in a network of as many units, up to UNITS."""
    N = min(network.n_features_in_, UNITS)
    loads = [load for load in LOADS if round(load * N) >= 1]
    if not loads:
        return {"missing": f"A network of {N} units is too small to measure how much it holds."}
    curve = capacity_curve(
        N, loads, noises=NOISES, storages=[network.storage], update=network.update, trials=3, seed=network.seed
    )
    found = curve.sort("noise", "load")["found"].to_numpy().reshape(len(NOISES), len(loads))
    return {"units": N, "storage": network.storage, "loads": loads, "noises": NOISES, "found": found.tolist()}


def _kept(states: int) -> list[int]:
    """At most FRAMES of so many states, the first and the last among them; more of the first, in which most happens."""
    if states <= FRAMES:
        return list(range(states))
    return sorted({0, *(round(k) for k in np.geomspace(1, states - 1, FRAMES - 1))})


def _short(values: np.ndarray) -> list[float]:
    """Six digits are enough for a drawing, and a page is to stay small."""
    return [float(f"{value:.6g}") for value in values]
