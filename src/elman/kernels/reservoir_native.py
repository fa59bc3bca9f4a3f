"""The native reservoir, also as the torch.library op `elman::reservoir`; `reservoir_reference.py` is its twin.

It has no derivatives, as only a readout is trained. Where one is asked for all the same, backward or forward, the op
runs the reference, which has them all. The zeros that a sparse W leaves out are no factors here: NaN and
infinity spread along the numbers of W only, while in the reference, whose W is dense, they reach every unit.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from elman import compiled

from . import reservoir_reference as reference
from .arguments import expect_tensors
from .buffers import empty
from .native import DTYPES, address, plain, threads_for
from .reservoir_weights import LINE, ReservoirWeights, dense, describe, pack

Maybe = Tensor | None

GATHER = 4  # multiplications that a number of W is worth
MEETING = 1 << 14  # numbers of W from which on a step is worth that its threads wait for each other
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
SHAPES = (
    "x (T, B, I) with at least one step, h (B, N), feedback (T, B, N), all of the weights' dtype, lengths (B) of whole "
    "numbers, reset (T, B) of bool"
)


def check(x: Tensor, h_0: Maybe, feedback: Maybe, lengths: Maybe, reset: Maybe, leak: float, W_in: Tensor) -> None:
    """Raises a ValueError that names every shape and type unless all of them fit together."""
    given = {"x": x, "h": h_0, "feedback": feedback, "lengths": lengths, "reset": reset}
    expect_tensors("reservoir", given.items(), must=("x",))
    N, I = W_in.shape
    T, B = x.shape[:2] if x.dim() == 3 else (0, 0)
    fits = (
        T > 0
        and x.shape[2] == I
        and (h_0 is None or h_0.shape == (B, N))
        and (feedback is None or feedback.shape == (T, B, N))
        and (lengths is None or (lengths.shape == (B,) and lengths.dtype in WHOLE))
        and (reset is None or (reset.shape == (T, B) and reset.dtype == torch.bool))
        and all(t is None or t.dtype == W_in.dtype for t in (x, h_0, feedback))
    )
    if not fits:
        found = describe(x=x, h=h_0, feedback=feedback, lengths=lengths, reset=reset, W_in=W_in)
        raise ValueError(f"reservoir: these arguments do not fit together: {found}; expected {SHAPES}")
    if not 0 <= leak <= 1:
        raise ValueError(f"reservoir: expected a leak from 0 to 1, found {leak}")


def obstacle(x: Tensor, *others: Tensor) -> str | None:
    """Why the native reservoir can't run on these tensors, or None if it can."""
    if compiled.WHY_NOT:
        return compiled.WHY_NOT
    tensors = (x, *others)
    if any(t.device.type != "cpu" for t in tensors):
        return "the native kernels work on the CPU only"
    if x.dtype not in DTYPES or any(t.dtype != x.dtype for t in others):
        return "the native kernels take float32 or float64, all alike"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is active"
    if any(t.layout != torch.strided for t in tensors):
        return "an argument is sparse"
    if x.shape[1] == 0:
        return "the batch is empty"
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return "a gradient is needed, and the native reservoir has none"
    if not torch.compiler.is_compiling():
        compiled.chosen_isa()  # a wrong ELMAN_ISA raises here
    return None


def reservoir(
    x: Tensor,
    h_0: Maybe,
    weights: ReservoirWeights,
    *,
    leak: float,
    feedback: Maybe = None,
    lengths: Maybe = None,
    reset: Maybe = None,
) -> tuple[Tensor, Tensor]:
    """As in `reservoir_reference.py`, for calls without a transform and without a gradient."""
    check(x, h_0, feedback, lengths, reset, leak, weights.W_in)
    if why_not := obstacle(x, *(t for t in (h_0, feedback) if t is not None), *weights.tensors):
        raise RuntimeError(f"reservoir: {why_not}")
    if torch.compiler.is_compiling():
        W = (weights.W_in, weights.rows, weights.columns, weights.values, weights.b)
        return torch.ops.elman.reservoir.default(x, h_0, feedback, lengths, reset, leak, *W)
    return _run(x, h_0, feedback, lengths, reset, leak, weights.W_in.shape[0], weights.packed)


def _run(
    x: Tensor,
    h_0: Maybe,
    feedback: Maybe,
    lengths: Maybe,
    reset: Maybe,
    leak: float,
    N: int,
    packed: list[Tensor],
) -> tuple[Tensor, Tensor]:
    T, B, I = x.shape
    lanes = LINE // x.element_size()
    y, h_n = empty(x, T, B, N), x.new_empty(B, N)
    states = x.new_empty(B, 2, (-(-N // lanes) + 1) * lanes)
    lengths = None if lengths is None else lengths.to("cpu", torch.int64)
    arrays = [plain(t) for t in (x, h_0, feedback, lengths, reset)]
    how: list[Any] = [
        compiled.isa_index(None),
        DTYPES.index(x.dtype),
        *_shares(T, B, I, N, packed[1].numel()),
        T,
        B,
        I,
        N,
        leak,
    ]
    compiled._native.reservoir_forward(*how, *map(address, (*arrays, *packed, y, h_n, states)))
    return y, h_n


def _shares(T: int, B: int, I: int, N: int, entries: int) -> tuple[int, int]:
    """Into how many parts threads cut the batch, and how many do a part together, a share of the units each."""
    threads = threads_for(T * B * (GATHER * entries + N * I))
    return (1, threads) if threads > B and entries >= MEETING else (min(B, threads), 1)


def _op(
    x: Tensor,
    h_0: Maybe,
    feedback: Maybe,
    lengths: Maybe,
    reset: Maybe,
    leak: float,
    W_in: Tensor,
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    b: Maybe,
) -> tuple[Tensor, Tensor]:
    """Checks and packs the weights anew in each call; `ReservoirWeights` does so once."""
    given = {"W_in": W_in, "rows": rows, "columns": columns, "values": values}
    expect_tensors("reservoir", given.items(), must=tuple(given))
    N = W_in.shape[0] if W_in.dim() else 0
    entries = values.numel()
    fits = W_in.dim() == 2 and 0 not in W_in.shape and rows.shape == columns.shape == values.shape == (entries,)
    fits = fits and rows.dtype == columns.dtype == torch.int64 and (b is None or b.shape == (N,))
    if fits and entries:
        fits = bool((rows >= 0).all() and (rows < N).all() and (columns >= 0).all() and (columns < N).all())
    if not fits:
        raise ValueError(
            "reservoir: expected W_in (N, I), rows, columns and values of one length, the first two int64 and below N, "
            f"b (N); found {describe(W_in=W_in, rows=rows, columns=columns, values=values, b=b)}"
        )
    check(x, h_0, feedback, lengths, reset, leak, W_in)
    if why_not := obstacle(x, *(t for t in (h_0, feedback, W_in, values, b) if t is not None)):
        raise RuntimeError(f"reservoir: {why_not}")
    return _run(x, h_0, feedback, lengths, reset, leak, N, pack(W_in, rows, columns, values, b))


def _autograd(keys: Any, *args: Any) -> Any:
    if forward_ad._current_level >= 0 or (torch.is_grad_enabled() and torch._C._any_requires_grad(*args)):
        x, h_0, feedback, lengths, reset, leak, W_in, rows, columns, values, b = args
        W = dense(rows, columns, values, W_in.shape[0])
        return reference.reservoir(x, h_0, W_in, W, b, leak=leak, feedback=feedback, lengths=lengths, reset=reset)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.elman.reservoir.default.redispatch(keys & torch._C._after_autograd_keyset, *args)


def _vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
    """One sample after the other: each may have weights of its own."""

    def sample(k: int) -> list[Any]:
        return [t if d is None else t.select(d, k) for t, d in zip(args, in_dims, strict=True)]

    results = [torch.ops.elman.reservoir.default(*sample(k)) for k in range(info.batch_size)]
    return tuple(torch.stack(parts) for parts in zip(*results, strict=True)), (0, 0)


def _fake(
    x: Tensor, h_0: Maybe, feedback: Maybe, lengths: Maybe, reset: Maybe, leak: float, W_in: Tensor, *_: Any
) -> tuple[Tensor, Tensor]:
    N = W_in.shape[0]
    return x.new_empty(x.shape[0], x.shape[1], N), x.new_empty(x.shape[1], N)


_library = torch.library.Library("elman", "FRAGMENT")
_library.define(
    "reservoir(Tensor x, Tensor? h_0, Tensor? feedback, Tensor? lengths, Tensor? reset, float leak, Tensor W_in, "
    "Tensor rows, Tensor columns, Tensor values, Tensor? b) -> (Tensor, Tensor)"
)
_library.impl("reservoir", _op, "CPU")
_library.impl("reservoir", _autograd, "Autograd", with_keyset=True)
torch.library.register_vmap("elman::reservoir", _vmap, lib=_library)
torch.library.register_fake("elman::reservoir", _fake, lib=_library)
