"""What each recurrent layer of a network did over the steps of whole sequences, put together from its traced calls.

Layers that run one after the other over the steps of one sequence, such as an encoder and a decoder, are shown as one
where the state of the first may go on in the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import InputError
from elman.layers.recurrent import Recurrent
from elman.training.contributions import contributions
from elman.training.diagnostics import Call

Array = NDArray[Any]


@dataclass
class Layer:
    """One layer and direction over all steps, from one call or from several, one after the other: `(M, T, ...)`."""

    parts: list[tuple[str, int]]
    """Names of the layers that ran, and the steps of each."""
    cell: str
    depth: int
    backward: bool
    output: int
    h: Array
    c: Array | None
    gates: dict[str, Array]
    bars: dict[str, Array]
    norms: Array
    notes: list[str]

    def facts(self, cut: int) -> dict[str, Any]:
        first, parts = 0, []
        for name, steps in self.parts:
            if first + steps > cut:
                parts.append({"name": name, "first": max(0, first - cut)})
            first += steps
        names = dict.fromkeys(str(part["name"]) for part in parts)
        return {
            "name": " → ".join(names), "parts": parts, "cell": self.cell, "backward": self.backward,
            "units": self.h.shape[-1], "gates": list(self.gates), "has_c": self.c is not None, "notes": self.notes,
        }  # fmt: skip


def layers_of(calls: Sequence[Call], T: int) -> list[Layer]:
    """Calls that together ran over all T steps, each layer and direction by itself."""
    chains: list[list[Call]] = []
    for call in calls:
        if not isinstance(call.x, Tensor) or call.x.dim() != 3:
            raise InputError(f"{call.name or 'the layer'}: expected a batch of sequences as its input (3 dimensions)")
        for chain in chains:
            if _goes_on(chain[0], call) and sum(map(_steps, chain)) + _steps(call) <= T:
                chain.append(call)
                break
        else:
            chains.append([call])
    found = []
    for chain in chains:
        if sum(map(_steps, chain)) == T:
            made = [_of_call(call) for call in chain]
            found += [_joined(list(same)) for same in zip(*made, strict=True)]
    if not found:
        raise InputError(f"no layer of elman.layers ran over all {T} steps of x; there is nothing to look at")
    return found


def _steps(call: Call) -> int:
    return call.trace.layers[0].h.shape[0]


def _goes_on(first: Call, then: Call) -> bool:
    """Whether the second layer may have taken over the state of the first."""
    a, b = first.layer, then.layer
    same = (a.state_sizes, a.num_layers, a.bidirectional) == (b.state_sizes, b.num_layers, b.bidirectional)
    return type(a) is type(b) and same and not a.bidirectional


def _of_call(call: Call) -> list[Layer]:
    layer, directions = call.layer, 2 if call.layer.bidirectional else 1
    x = call.x.transpose(0, 1) if layer.batch_first else call.x
    given = layer._parts(x, call.state, True)
    made = []
    for index, record in enumerate(call.trace.layers):
        depth, backward = index // directions, index % directions == 1
        if depth:
            below = call.trace.layers[(depth - 1) * directions : depth * directions]
            read = torch.cat([b.h for b in below], dim=-1)
        else:
            read = x
        first = None if given is None else tuple(part[index] for part in given)
        h = record.h.flip(0) if backward else record.h
        start = h.new_zeros(h.shape[1:]) if first is None else first[0][:, : h.shape[-1]]
        of = contributions(layer, index, read.flip(0) if backward else read, torch.cat([start[None], h[:-1]]), first)
        norms = of.norms()
        name = f"{call.name}.l{depth}".removeprefix(".") + ("_reverse" if backward else "")
        made.append(
            Layer(
                [(name, len(record.h))], type(layer).__name__, depth, backward, layer.output_size,
                _batch_first(record.h), None if record.c is None else _batch_first(record.c),
                {k: _batch_first(v) for k, v in record.gates.items() if k != "h"},
                {k: _batch_first(v) for k, v in record.bars.items()},
                _batch_first(norms.flip(0) if backward else norms), _notes(layer),
            )
        )  # fmt: skip
    return made


def _notes(layer: Recurrent) -> list[str]:
    """What makes a layer's equations differ from its cell's plain ones."""
    on = ("layer_norm", "peephole", "zoneout", "proj_size")
    notes = [name for name in on if np.any(getattr(layer, name, 0))]
    nonlinearity = getattr(layer, "nonlinearity", "tanh" if type(layer).__name__ == "RNN" else "linear")
    return notes + ([nonlinearity] if nonlinearity in ("relu", "positive") else [])


def _joined(parts: list[Layer]) -> Layer:
    def along(arrays: Sequence[Array]) -> Array:
        return np.concatenate(arrays, axis=1)

    one = parts[0]
    if len(parts) == 1:
        return one
    return Layer(
        [part for p in parts for part in p.parts], one.cell, one.depth, one.backward, one.output,
        along([p.h for p in parts]), None if one.c is None else along([p.c for p in parts if p.c is not None]),
        {k: along([p.gates[k] for p in parts]) for k in one.gates},
        {k: along([p.bars[k] for p in parts]) for k in one.bars},
        along([p.norms for p in parts]), one.notes,
    )  # fmt: skip


def _batch_first(t: Tensor) -> Array:
    return t.detach().transpose(0, 1).float().numpy()
