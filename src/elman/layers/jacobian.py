"""How a step's state depends on the state before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .recurrent import Recurrent
from .trace import Trace


def step_jacobian(layer: Recurrent, trace: Trace, x: Tensor, index: int) -> Tensor | None:
    """d s_t / d s_(t-1) of one layer and direction, at the middle step of the first sequence of a traced call: (S, S).

    s is the whole state side by side, for an lstm h and c, and S its size. `x` is what the call read; `index` counts
    layers and directions as `trace.layers`. None where there is no such step, or the trace does not tell the state.
    """
    found = step_jacobians(layer, trace, x, index, [trace.layers[index].h.shape[0] // 2])
    return None if found is None else found[0]


def step_jacobians(layer: Recurrent, trace: Trace, x: Tensor, index: int, steps: Sequence[int]) -> Tensor | None:
    """The same at several steps, none of them the first or the last: (K, S, S)."""
    record = trace.layers[index]
    directions = 2 if layer.bidirectional else 1
    backward = index % directions == 1
    parts = (record.h, record.c) if record.c is not None else (record.h,)
    if record.h.shape[0] < 3 or not isinstance(x, Tensor) or tuple(p.shape[-1] for p in parts) != layer.state_sizes:
        return None
    read = read_by(layer, trace, x, index)
    size = sum(layer.state_sizes)
    # Row k of a batch gives row k of the Jacobian, since no row of a batch depends on another.
    before = [torch.cat([p[t + 1 if backward else t - 1, 0] for p in parts]).expand(size, size) for t in steps]
    given = torch.cat(before).clone().requires_grad_()
    with torch.enable_grad():
        rows = torch.cat([read[t, 0].detach().expand(size, -1) for t in steps])
        after = torch.cat(layer.one_step(index, rows, given.split(layer.state_sizes, dim=1)), 1)
        (found,) = torch.autograd.grad(after, given, torch.eye(size, dtype=after.dtype).repeat(len(steps), 1))
    return found.view(len(steps), size, size)


def inner_steps(steps: int, count: int) -> list[int]:
    """At most `count` of the steps of a sequence, evenly apart, none of them the first or the last.

    >>> inner_steps(9, 3), inner_steps(9, 1), inner_steps(4, 8)
    ([1, 4, 7], [4], [1, 2])
    """
    if count == 1:
        return [steps // 2]
    return sorted({round(t) for t in torch.linspace(1, steps - 2, count).tolist()}) if steps > 2 else []


def read_by(layer: Recurrent, trace: Trace, x: Tensor, index: int) -> Tensor:
    """What one layer and direction of a traced call read, time-major: x, or what the layer below gave. (T, B, size)"""
    directions = 2 if layer.bidirectional else 1
    depth = index // directions
    if depth:
        return torch.cat([b.h for b in trace.layers[(depth - 1) * directions : depth * directions]], dim=-1)
    if x.dim() == 2:
        return x.unsqueeze(1)
    return x.transpose(0, 1) if layer.batch_first else x
