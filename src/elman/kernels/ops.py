"""The native recurrences behind the contract of `reference.py`; what computes them is in `recurrence.py`."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from elman import compiled

from . import recurrence, reference
from .checks import check_shapes
from .native import DTYPES
from .recurrence import Maybe
from .reference import HC


def covers() -> str:
    return f"they cover this call ({compiled.chosen_isa()})"


def obstacle(tensors: Iterable[Tensor], *, projected: bool = False) -> str | None:
    """Why the native kernels can't run on these tensors, or None if they can."""
    if compiled.WHY_NOT:
        return compiled.WHY_NOT
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
    compiled.chosen_isa()  # a wrong ELMAN_ISA raises here
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
    isa: str | None = None,
) -> tuple[Tensor, Tensor]:
    check_shapes("rnn", x, None if state is None else (state,), W_ih, W_hh, b_ih, b_hh, None, lengths)
    y, h, _ = _run(f"rnn_{nonlinearity}", x, state, None, W_ih, W_hh, b_ih, b_hh, lengths, isa)
    return y, h


def lstm(
    x: Tensor,
    state: HC | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    W_hr: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    isa: str | None = None,
) -> tuple[Tensor, HC]:
    check_shapes("lstm", x, state, W_ih, W_hh, b_ih, b_hh, W_hr, lengths)
    h, c = (None, None) if state is None else state
    y, h, c = _run("lstm", x, h, c, W_ih, W_hh, b_ih, b_hh, lengths, isa, projected=W_hr is not None)
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
    isa: str | None = None,
) -> tuple[Tensor, Tensor]:
    check_shapes("gru", x, None if state is None else (state,), W_ih, W_hh, b_ih, b_hh, None, lengths)
    y, h, _ = _run("gru", x, state, None, W_ih, W_hh, b_ih, b_hh, lengths, isa)
    return y, h


def _run(
    cell: str,
    x: Tensor,
    h: Maybe,
    c: Maybe,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe,
    b_hh: Maybe,
    lengths: Maybe,
    isa: str | None,
    *,
    projected: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Memory safety rests here and in the shapes that the caller has checked: nothing else gets past."""
    tensors = [t for t in (x, h, c, W_ih, W_hh, b_ih, b_hh) if t is not None]
    if problem := obstacle(tensors, projected=projected):
        raise RuntimeError(problem)
    lengths = None if lengths is None else lengths.to("cpu", torch.int64)
    given = (cell, x, h, c, W_ih, W_hh, b_ih, b_hh, lengths)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return Recurrence.apply(*given, isa)
    return recurrence.forward(*given, reset=None, keep=False, isa=isa)[:3]


class Recurrence(torch.autograd.Function):
    """The recurrence for eager calls that need a gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        x: Tensor,
        h_0: Maybe,
        c_0: Maybe,
        W_ih: Tensor,
        W_hh: Tensor,
        b_ih: Maybe,
        b_hh: Maybe,
        lengths: Maybe,
        isa: str | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        given = (x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, lengths)
        y, h_n, c_n, saved, c = recurrence.forward(cell, *given, reset=None, keep=True, isa=isa)
        ctx.cell, ctx.isa = cell, isa
        ctx.set_materialize_grads(False)
        if cell != "lstm":
            ctx.mark_non_differentiable(c_n)
        ctx.save_for_backward(*given, y, saved, c)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe) -> tuple[Maybe, ...]:
        *given, y, saved, c = ctx.saved_tensors
        need = ctx.needs_input_grad[1:8]
        if torch.is_grad_enabled():  # create_graph: what the kernels compute can't be differentiated again
            grads: Sequence[Maybe] = _through_the_reference(ctx.cell, given, (dy, dh_n, dc_n), need)
        else:
            x, h_0, c_0, W_ih, W_hh, b_ih, _, lengths = given
            grads = recurrence.backward(
                ctx.cell, x, h_0, c_0, W_ih, W_hh, b_ih is not None, lengths, None, y, saved, c,
                dy, dh_n, dc_n, need[0], ctx.isa,
            )  # fmt: skip
        return None, *(g if wanted else None for g, wanted in zip(grads, need, strict=True)), None, None


def _through_the_reference(cell: str, given: list[Any], dys: Sequence[Maybe], need: Sequence[bool]) -> list[Maybe]:
    """The gradients as a graph that can be differentiated again."""
    x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, lengths = given
    weights = (W_ih, W_hh, b_ih, b_hh)
    outputs: tuple[Tensor, ...]
    if cell == "lstm":
        y, after = reference.lstm(x, None if h_0 is None else (h_0, c_0), *weights, lengths=lengths)
        outputs = (y, *after)
    elif cell == "gru":
        outputs = reference.gru(x, h_0, *weights, lengths=lengths)
    else:
        outputs = reference.rnn(x, h_0, *weights, nonlinearity=cell.removeprefix("rnn_"), lengths=lengths)
    pairs = [(out, dy) for out, dy in zip(outputs, dys, strict=False) if dy is not None]
    wanted = [t for t, w in zip(given, need, strict=False) if w]
    grads = torch.autograd.grad(
        [out for out, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=True, allow_unused=True
    )
    found = iter(grads)
    return [next(found) if w else None for w in need]
