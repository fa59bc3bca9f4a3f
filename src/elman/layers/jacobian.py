"""How a step's state depends on the state before it."""

import torch
from torch import Tensor

from .recurrent import Recurrent
from .trace import Trace


def step_jacobian(layer: Recurrent, trace: Trace, x: Tensor, index: int) -> Tensor | None:
    """d s_t / d s_(t-1) of one layer and direction, at the middle step of the first sequence of a traced call: (S, S).

    s is the whole state side by side, for an lstm h and c, and S its size. `x` is what the call read; `index` counts
    layers and directions as `trace.layers`. None where there is no such step, or the trace does not tell the state.
    """
    record = trace.layers[index]
    steps = record.h.shape[0]
    directions = 2 if layer.bidirectional else 1
    depth, backward = index // directions, index % directions == 1
    parts = (record.h, record.c) if record.c is not None else (record.h,)
    if steps < 3 or not isinstance(x, Tensor) or tuple(p.shape[-1] for p in parts) != layer.state_sizes:
        return None
    t = steps // 2
    if depth:
        below = trace.layers[(depth - 1) * directions : depth * directions]
        read = torch.cat([b.h[t, 0] for b in below], dim=-1)
    else:
        read = x[t] if x.dim() == 2 else x[0, t] if layer.batch_first else x[t, 0]
    before = t + 1 if backward else t - 1
    size = sum(layer.state_sizes)
    # Row k of a batch gives row k of the Jacobian, since no row of a batch depends on another.
    given = torch.cat([p[before, 0] for p in parts]).expand(size, size).clone().requires_grad_()
    with torch.enable_grad():
        after = torch.cat(
            layer.one_step(index, read.detach().expand(size, -1), given.split(layer.state_sizes, dim=1)), 1
        )
        (rows,) = torch.autograd.grad(after, given, torch.eye(size, dtype=after.dtype))
    return rows
