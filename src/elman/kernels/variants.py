"""The native recurrences with extras and traces, on arguments that have been checked: see `ops.py`.

`recurrence.py` is the same for the plain cells, and faster.
"""

from typing import Any

import torch
from torch import Tensor

from elman import compiled

from .arguments import GATES, LETTERS, Arguments, Maybe
from .buffers import empty
from .native import DTYPES, address, own_copy, plain, threads_for
from .trace import Trace

EXTRAS = ("W_hr", "peephole", "norm_ih", "norm_hh", "norm_c", "bias_c", "mask", "keep_h", "keep_c")
WEIGHTS = ("x", "h_0", "c_0", "W_ih", "W_hh", "reset", *EXTRAS)


def forward(
    a: Arguments, keep: bool, isa: str | None = None, trace: Trace | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As in `recurrence.py`. A trace is filled."""
    x, cell = a.x, a.cell
    (T, B, _), H, R = x.shape, a.hidden_size, a.W_hh.shape[1]
    given = a.addressable((*WEIGHTS, "b_ih", "b_hh"))  # holds the memory meanwhile
    y, h_n = x.new_empty(T, B, R), x.new_empty(B, R)
    c_n = x.new_empty(B, H) if cell == "lstm" else x.new_empty(0)
    saved, c = (empty(x, *size) for size in kept_sizes(a, keep or trace is not None))
    bars = None if trace is None else empty(x, T, B, GATES[cell] * H)
    numbers = _numbers(a, isa)
    scratch = compiled._native.variant_forward_workspace(**numbers, **_shape(a))
    packed = empty(x, scratch)
    made = {"y": y, "h_n": h_n, "c_n": c_n, "saved": saved, "c": c, "bars": bars, "packed": packed}
    compiled._native.variant_forward(
        **numbers,
        zoneout_h=a.zoneout_h,
        zoneout_c=a.zoneout_c,
        **{name: address(t) for name, t in (given | made).items()},
        packed_size=scratch,
    )
    if trace is not None and bars is not None:
        _fill(trace, a, bars, saved, c)
    return y, h_n, c_n, saved, c


def backward(
    a: Arguments,
    y: Tensor,
    saved: Tensor,
    c: Tensor,
    dy: Maybe,
    dh_n: Maybe,
    dc_n: Maybe,
    need_dx: bool,
    isa: str | None = None,
    trace: Trace | None = None,
) -> tuple[Tensor, ...]:
    """As in `recurrence.py`. A trace gets its squares."""
    x, cell, G = a.x, a.cell, GATES[a.cell]
    (T, B, I), H, R = x.shape, a.hidden_size, a.W_hh.shape[1]
    given = a.addressable(WEIGHTS) | {"y": plain(y), "dy": plain(dy), "saved": plain(saved), "c": plain(c)}
    dx = x.new_empty(x.shape if need_dx else (0,))
    dh = own_copy(dh_n, x, B, R)
    dc = own_copy(dc_n, x, B, H) if cell == "lstm" else x.new_empty(0)
    numbers = _numbers(a, isa)
    parts = numbers["parts"]
    dW_ih, dW_hh = empty(x, parts, I + 1, G * H), empty(x, parts, R + 1, G * H)
    dW_hr = None if a.W_hr is None else empty(x, parts, H + 1, R)
    dsmall = empty(x, parts, compiled._native.variant_small_numbers(numbers["cell"], H))
    squares = None if trace is None else x.new_empty(T, B, 2)
    scratch = compiled._native.variant_backward_workspace(**numbers, **_shape(a))
    packed = empty(x, scratch)
    made = {"dx": dx, "dh": dh, "dc": dc, "dW_ih": dW_ih, "dW_hh": dW_hh, "dW_hr": dW_hr, "dsmall": dsmall}
    made |= {"squares": squares, "packed": packed}
    compiled._native.variant_backward(
        **numbers,
        zoneout_h=a.zoneout_h,
        zoneout_c=a.zoneout_c,
        **{name: address(t) for name, t in (given | made).items()},
        packed_size=scratch,
    )
    if trace is not None:
        trace.squares = squares
    to_x, to_h = dW_ih.sum(0), dW_hh.sum(0)
    db_ih, db_hh, dnorm_ih, dnorm_hh, dpeephole, dnorm_c, dbias_c = dsmall.sum(0).split([*[G * H] * 4, 3 * H, H, H])
    if a.norm_ih is None:
        db_ih, db_hh = to_x[-1], to_h[-1]
    found = {
        "W_ih": to_x[:-1].t(), "W_hh": to_h[:-1].t(), "b_ih": db_ih, "b_hh": db_hh,
        "W_hr": None if dW_hr is None else dW_hr.sum(0)[:-1].t(), "peephole": dpeephole.view(3, H), "norm_ih": dnorm_ih,
        "norm_hh": dnorm_hh, "norm_c": dnorm_c, "bias_c": dbias_c,
    }  # fmt: skip

    def whole(name: str, gradient: Maybe) -> Tensor:
        if gradient is None or getattr(a, name) is None:
            return x.new_empty(0)
        return gradient.clone(memory_format=torch.contiguous_format)

    return dx, dh, dc, *(whole(name, gradient) for name, gradient in found.items())


def kept_sizes(a: Arguments, keep: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of `saved` and `c` of csrc/kernels.h."""
    (T, B, _), H = a.x.shape, a.hidden_size
    if not keep:
        return (0,), (0,)
    blocks = {"lstm": 5, "gru": 4}.get(a.cell, 1) * H  # variant_saved of csrc/kernels.h
    if a.norm_ih is not None:
        normed = 2 * GATES[a.cell] + (a.cell == "lstm")
        blocks += normed * H + 2 + (a.cell == "lstm")
    return (T, B, blocks), (T, B, H) if a.cell == "lstm" else (0,)


def _fill(trace: Trace, a: Arguments, bars: Tensor, saved: Tensor, c: Tensor) -> None:
    H, order = a.hidden_size, {"lstm": "ifgo", "gru": "nrz"}.get(a.cell, "h")
    if a.lengths is not None:
        padding = torch.arange(a.x.shape[0])[:, None, None] >= a.lengths.to("cpu")[:, None]
        for t in (bars, saved, *([c] if a.cell == "lstm" else ())):
            t.masked_fill_(padding, 0)  # what is undefined there, and never looked at

    def block(t: Tensor, index: int) -> Tensor:
        return t[..., index * H : (index + 1) * H]

    trace.gates = {letter: block(saved, order.index(letter)) for letter in LETTERS[a.cell]}
    trace.bars = {letter: block(bars, index) for index, letter in enumerate(LETTERS[a.cell])}
    trace.c = c if a.cell == "lstm" else None


def _numbers(a: Arguments, isa: str | None) -> dict[str, Any]:
    (T, B, I), H, R = a.x.shape, a.hidden_size, a.W_hh.shape[1]
    threads = threads_for(2 * T * B * H * (I + R) * GATES[a.cell])
    return {
        "isa": compiled.isa_index(isa), "cell": compiled.CELLS.index(a.cell), "dtype": DTYPES.index(a.x.dtype),
        "T": T, "B": B, "I": I, "H": H, "R": R, "parts": min(B, threads),
    }  # fmt: skip


def _shape(a: Arguments) -> dict[str, bool]:
    return {"projected": a.W_hr is not None, "normed": a.norm_ih is not None}
