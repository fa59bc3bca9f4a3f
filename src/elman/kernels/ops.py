"""The native recurrences behind the contract of `reference.py`, and as torch.library ops.

Eager calls go through a plain autograd Function, which costs least; torch.compile and torch.export see the ops
`elman::recurrence` and `elman::recurrence_backward`. Both run the same code, in `recurrence.py`.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from . import native, recurrence, reference
from .native import DTYPES, WHY_NOT, chosen_isa
from .recurrence import Maybe


def covers() -> str:
    return f"they cover this call ({chosen_isa()})"


def obstacle(tensors: Iterable[Tensor], *, projected: bool = False) -> str | None:
    """Why the native kernels can't run on these tensors, or None if they can."""
    if WHY_NOT:
        return WHY_NOT
    x, *others = tensors
    if x.device.type != "cpu" or any(t.device != x.device for t in others):
        return "the native kernels work on the CPU only"
    if x.dtype not in DTYPES or any(t.dtype != x.dtype for t in others):
        return "the native kernels take float32 or float64, all alike"
    if projected:
        return "the native kernels have no projection (proj_size)"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is active"
    if any(t.layout != torch.strided or t.is_neg() for t in (x, *others)):
        return "an argument is sparse or a lazily negated view"
    if x.shape[1] == 0:
        return "the batch is empty"
    chosen_isa()  # a wrong ELMAN_ISA raises here
    return None


def rnn(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    y, h, _ = _run(f"rnn_{nonlinearity}", x, state, None, W_ih, W_hh, b_ih, b_hh, lengths)
    return y, h


def lstm(
    x: Tensor,
    state: tuple[Tensor, Tensor] | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    W_hr: None = None,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    h, c = (None, None) if state is None else state
    y, h, c = _run("lstm", x, h, c, W_ih, W_hh, b_ih, b_hh, lengths)
    return y, (h, c)


def gru(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    y, h, _ = _run("gru", x, state, None, W_ih, W_hh, b_ih, b_hh, lengths)
    return y, h


def _run(
    cell: str, x: Tensor, h: Maybe, c: Maybe, W_ih: Tensor, W_hh: Tensor, b_ih: Maybe, b_hh: Maybe, lengths: Maybe,
    reset: Maybe = None, isa: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    lengths = None if lengths is None else lengths.to("cpu", torch.int64)
    arguments = (cell, x, h, c, W_ih, W_hh, b_ih, b_hh, lengths, reset)
    keep = torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in arguments)
    if keep:
        return Recurrence.apply(*arguments, isa)
    return recurrence.forward(*arguments, False, isa)[:3]


class Recurrence(torch.autograd.Function):
    """The recurrence for eager calls that need a gradient."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        *given, ctx.isa = arguments
        y, h_n, c_n, saved, c = recurrence.forward(*given, True, ctx.isa)
        ctx.cell = given[0]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(() if ctx.cell == "lstm" else (c_n,)))
        ctx.save_for_backward(*given[1:], y, saved, c)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx: Any, *dys: Maybe) -> tuple[Maybe, ...]:
        *given, y, saved, c = ctx.saved_tensors
        need = ctx.needs_input_grad[1:8]
        if torch.is_grad_enabled():  # create_graph: the kernels' own gradients have no derivatives
            grads = _through_the_reference(ctx.cell, given, dys, need)
        else:
            x, h_0, c_0, W_ih, W_hh, b_ih, _, lengths, reset = given
            grads = recurrence.backward(
                ctx.cell, x, h_0, c_0, W_ih, W_hh, b_ih is not None, lengths, reset, y, saved, c, *dys, need[0], ctx.isa
            )
        return None, *(g if wanted else None for g, wanted in zip(grads, need, strict=True)), None, None, None


def _through_the_reference(cell: str, given: list[Any], dys: tuple[Maybe, ...], need: Iterable[bool]) -> list[Maybe]:
    """The gradients as a graph that can be differentiated again."""
    x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, lengths, reset = given
    weights = (W_ih, W_hh, b_ih, b_hh)
    if cell == "lstm":
        state = None if h_0 is None else (h_0, c_0)
        y, (h, c) = reference.lstm(x, state, *weights, lengths=lengths)
        outputs = [y, h, c]
    elif cell == "gru":
        outputs = [*reference.gru(x, h_0, *weights, lengths=lengths)]
    else:
        outputs = [*reference.rnn(x, h_0, *weights, nonlinearity=cell[4:], lengths=lengths)]
    wanted = [t for t, w in zip(given, need, strict=False) if w]
    pairs = [(out, dy) for out, dy in zip(outputs, dys, strict=False) if dy is not None]
    found = iter(
        torch.autograd.grad([o for o, _ in pairs], wanted, [d for _, d in pairs], create_graph=True, allow_unused=True)
    )
    return [next(found) if w else None for w in need]
