"""What a look inside keeps as arrays: too much for the run's record of small numbers, and wanted at a few steps only.

The arrays of a snapshot have names `LAYER/what`, where LAYER is named as in the record:

- `itemised` (targets, sources), `targets`, `sources`: how strongly h at a target step depends on what was read at a
  source step, as the root mean square, over some sequences, of the norm of d (v h_t) / d x_s with random signs v. Its
  expectation is the Frobenius norm of d h_t / d x_s.
- `low_G`, `high_G` (H): for each unit the shares of steps and sequences at the two ends of gate G.
- `hist_WHAT` (BINS), `limit_WHAT`: the shares of values in even bins between -limit and limit, a power of two, so that
  histograms of two snapshots can be brought to one scale. What lies outside counts for the outermost bins.
- `eigenvalues` (K, S), complex, and `eigen_steps` (K): of the step's Jacobian at K steps of the first sequence; of a
  simple network `eigenvalues_W_hh` (H) too.

`samples/NAME` is what the network says on a few fixed cases, as a task gives it: of numbers `history` (N, past),
`truth` and `forecast` (N, ahead) and `label` (N); of texts `text` (N), with what is given and not said in `prompt` (N).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from elman.layers.classic import RNN
from elman.layers.jacobian import read_by
from elman.layers.recurrent import Recurrent
from elman.training.record import BINS, Arrays

if TYPE_CHECKING:
    from elman.training.diagnostics import Call

SOURCES, TARGETS, SEQUENCES = 64, 24, 6  # of the itemised gradient, at most
EIGEN_STEPS = 3
LARGEST = 512  # numbers in a state; the Jacobian of a larger one would cost more than it tells
LOW, HIGH = 0.1, 0.9  # a gate outside of these is nearly shut or nearly open
SATURATED = 0.97  # the same for what a tanh gives
SQUASHED_BY_TANH = ("g", "n")
OUTSIDE = 0.005  # of the values may lie beyond the limit of a histogram


def arrays_of(calls: Sequence[Call]) -> Arrays:
    """The arrays of each layer and direction of traced calls."""
    found: Arrays = {}
    seen: dict[str, int] = {}
    for call in calls:
        for index in range(len(call.trace.layers)):
            name = call.layer_name(index)
            seen[name] = seen.get(name, 0) + 1
            key = name if seen[name] == 1 else f"{name}, call {seen[name]}"
            found |= {f"{key}/{what}": array for what, array in _layer(call, index).items()}
    return found


def _layer(call: Call, index: int) -> Arrays:
    trace = call.trace.layers[index]
    found = itemised(call, index)
    for letter, gate in trace.gates.items():
        if letter == "h":  # a simple network's, which is no gate
            continue
        ends = (end.flatten(0, 1).float().mean(0).numpy() for end in at_ends(gate, letter))
        found[f"low_{letter}"], found[f"high_{letter}"] = ends
    values: Mapping[str, Tensor | None] = {
        "h": trace.h,
        "c": trace.c,
        **{f"{letter}_bar": bar for letter, bar in trace.bars.items()},
        "W_hh": hidden_weights(call.layer, index) if hasattr(call.layer, "weight_hh_l0") else None,
    }
    for what, tensor in values.items():
        if tensor is not None:
            shares, limit = histogram(tensor.detach())
            found[f"hist_{what}"], found[f"limit_{what}"] = shares, np.array(limit)
    return found | _eigenvalues(call, index)


def itemised(call: Call, index: int) -> Arrays:
    """How strongly h at some steps depends on what was read at the steps before: see the module's docstring.

    All targets are one batch, in which each has the sequences to itself, so one forward and one backward do.
    """
    layer = call.layer
    if not isinstance(call.x, Tensor):
        return {}
    read = read_by(layer, call.trace, call.x, index)[:, :SEQUENCES].detach()
    steps, sequences = read.shape[:2]
    sources, targets = evenly(steps, SOURCES), evenly(steps, TARGETS)
    rows = read.repeat(1, len(targets), 1).requires_grad_()  # row k * sequences + n is sequence n for target k
    parts = None
    if call.state is not None:
        state = call.state if isinstance(call.state, tuple | list) else (call.state,)
        chosen = [part.detach()[index] for part in state]
        parts = tuple((p if p.dim() == 2 else p[None])[:sequences].repeat(len(targets), 1) for p in chosen)
    with torch.enable_grad():
        y = layer.one_layer(index, rows, parts)
        y = torch.view_as_real(y).flatten(-2) if y.is_complex() else y
        at = torch.tensor(targets).repeat_interleave(sequences)
        picked = y[at, torch.arange(len(at))]
        signs = torch.randint(0, 2, picked.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        (gradient,) = torch.autograd.grad((picked * signs).sum(), rows)
    squares = gradient.double().square().sum(-1).view(steps, len(targets), sequences).mean(-1)
    norms = squares.sqrt()[sources].T
    return {
        "itemised": norms.float().numpy(),
        "targets": np.array(targets, dtype=np.int32),
        "sources": np.array(sources, dtype=np.int32),
    }


def _eigenvalues(call: Call, index: int) -> Arrays:
    found: Arrays = {}
    if isinstance(call.layer, RNN) and call.layer.hidden_size <= LARGEST:
        weights = hidden_weights(call.layer, index)
        if torch.isfinite(weights).all():
            found["eigenvalues_W_hh"] = torch.linalg.eigvals(weights.detach()).numpy()
    size = sum(call.layer.state_sizes)
    taken = call.jacobians(index, EIGEN_STEPS if size <= LARGEST // 2 else 1) if size <= LARGEST else None
    if taken:
        steps, _, eigenvalues = taken
        found["eigenvalues"] = eigenvalues.to(torch.complex64).numpy()
        found["eigen_steps"] = np.array(steps, dtype=np.int32)
    return found


def at_ends(gate: Tensor, letter: str) -> tuple[Tensor, Tensor]:
    """Which values of a gate lie at its low end, and which at its high one."""
    if letter in SQUASHED_BY_TANH:
        return gate < -SATURATED, gate > SATURATED
    return gate < LOW, gate > HIGH


def hidden_weights(layer: Recurrent, index: int) -> Tensor:
    """W_hh of one layer and direction, counted as in a trace."""
    depth, backward = divmod(index, 2) if layer.bidirectional else (index, 0)
    weights: Tensor = getattr(layer, f"weight_hh_l{depth}" + ("_reverse" if backward else ""))
    return weights


def histogram(values: Tensor) -> tuple[np.ndarray, np.float32]:
    """Shares in BINS even bins between -limit and limit, and the limit: the power of two that holds all but a few.

    >>> shares, limit = histogram(torch.tensor([-1.0, 0.1, 0.2, 3.0]))
    >>> float(limit), int((shares > 0).sum()), float(shares.sum())
    (4.0, 4, 1.0)
    """
    flat = torch.view_as_real(values).flatten() if values.is_complex() else values.flatten()
    flat = flat[torch.isfinite(flat)].float()
    if not len(flat):
        return np.zeros(BINS, dtype=np.float32), np.float32(1.0)
    inside = min(len(flat), math.floor((1 - OUTSIDE) * len(flat)) + 1)
    largest = flat.abs().kthvalue(inside).values.item()
    limit = 2.0 ** max(-20, math.ceil(math.log2(max(largest, 1e-30))))
    counts = torch.histc(flat.clamp(-limit, limit), BINS, -limit, limit)
    return (counts / len(flat)).numpy(), np.float32(limit)


def evenly(steps: int, most: int) -> list[int]:
    """At most so many of the steps, evenly apart, the first and the last among them.

    >>> evenly(3, 5), evenly(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    return sorted({round(t) for t in np.linspace(0, steps - 1, min(steps, most))})
