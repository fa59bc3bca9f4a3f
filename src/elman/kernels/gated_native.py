"""The native recurrence of cells whose gates look at the input alone; `gated_reference.py` and the scan are its twin.

First derivatives are native. Higher ones, and those of a vmapped backward, are taken of the reference. What traces or
transforms a call never comes here: there the reference's operations and the ops of `scan_native.py` run.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from elman import compiled

from . import gated_reference, scan_native
from .buffers import empty
from .gated_reference import BLOCKS, LETTERS
from .native import DTYPES, address, plain, threads_for
from .scan_native import WHOLE
from .trace import Trace

Maybe = Tensor | None

CELLS = tuple(BLOCKS)
WORK = 60  # a step of one unit takes as long as so many multiplications


def check(cell: str, p: Tensor, decay: Maybe, h_0: Maybe, lengths: Maybe, reset: Maybe) -> None:
    """Raises a ValueError that names every shape and type unless all of them fit together."""
    if cell not in BLOCKS:
        raise ValueError(f"gated_scan: expected cell as one of {', '.join(BLOCKS)}, found {cell!r}")
    given = {"p": p, "decay": decay, "h_0": h_0, "lengths": lengths, "reset": reset}
    found = {name: t for name, t in given.items() if t is not None}
    T, B, rows = p.shape if p.dim() == 3 else (0, 0, 0)
    H = rows // BLOCKS[cell]
    wanted = {"p": (T, B, BLOCKS[cell] * H), "decay": (H,), "h_0": (B, H), "lengths": (B,), "reset": (T, B)}
    fits = (
        T > 0
        and H > 0
        and all(tuple(t.shape) == wanted[name] for name, t in found.items())
        and len({t.dtype for name, t in found.items() if name in ("p", "decay", "h_0")}) == 1
        and (decay is None) == (cell != "rglru")
        and (lengths is None or lengths.dtype in WHOLE)
        and (reset is None or reset.dtype == torch.bool)
    )
    if not fits:
        listed = ", ".join(f"{name} {tuple(t.shape)} {str(t.dtype)[6:]}" for name, t in found.items())
        raise ValueError(
            f"gated_scan: these arguments do not fit together: {listed}; expected p (T, B, {BLOCKS[cell]} * H), "
            f"{'decay (H), ' if cell == 'rglru' else ''}h_0 (B, H), lengths (B), reset (T, B) with at least one step, "
            "all but lengths of whole numbers and reset of bool of one dtype"
        )


def obstacle(p: Tensor, *others: Tensor) -> str | None:
    """Why the native kernel can't run on these tensors, or None if it can."""
    if p.dtype not in DTYPES:
        return "the native gates take float32 or float64"
    return next((problem for t in (p, *others) if (problem := scan_native.obstacle(p, t))), None)


def gated_scan(
    cell: str,
    p: Tensor,
    decay: Maybe,
    h_0: Maybe,
    lengths: Maybe,
    reset: Maybe,
    trace: Trace | None = None,
) -> tuple[Tensor, Tensor]:
    """`h (T, B, H)`, zero past a sequence's length, and the state of each sequence's last step. Fills a trace."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (p, decay, h_0)):
        h, h_n = _GatedScan.apply(cell, trace, p, decay, h_0, lengths, reset)
    else:
        h, h_n = _forward(cell, p, decay, h_0, lengths, reset)
    return h, h_n


def _how(cell: str, p: Tensor) -> list[Any]:
    T, B, rows = p.shape
    H = rows // BLOCKS[cell]
    dtype = DTYPES.index(p.dtype)
    return [compiled.isa_index(None), CELLS.index(cell), dtype, threads_for(WORK * T * B * H), T, B, H]


def _lengths(lengths: Maybe) -> Maybe:
    return None if lengths is None else lengths.to("cpu", torch.int64).contiguous()


def _forward(cell: str, p: Tensor, decay: Maybe, h_0: Maybe, lengths: Maybe, reset: Maybe) -> tuple[Tensor, Tensor]:
    check(cell, p, decay, h_0, lengths, reset)
    how = _how(cell, p)
    T, B, H = how[-3:]
    h, h_n = empty(p, T, B, H), p.new_empty(B, H)
    arrays = (
        *map(plain, (p, decay, h_0)),
        _lengths(lengths),
        plain(reset),
    )  # holds the memory until the kernel is done
    compiled._native.gated_forward(*how, *map(address, (*arrays, h, h_n)))
    return h, h_n


class _GatedScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        trace: Trace | None,
        p: Tensor,
        decay: Maybe,
        h_0: Maybe,
        lengths: Maybe,
        reset: Maybe,
    ) -> Any:
        h, h_n = _forward(cell, p, decay, h_0, lengths, reset)
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.trace = cell, trace
        ctx.save_for_backward(p, decay, h_0, lengths, reset, h)
        return h, h_n

    @staticmethod
    def backward(ctx: Any, dh: Maybe, dh_n: Maybe) -> Any:
        if dh is None and dh_n is None:
            return (None,) * 7
        cell: str = ctx.cell
        p, decay, h_0, lengths, reset, h = ctx.saved_tensors
        batched = any(t is not None and torch._C._functorch.is_legacy_batchedtensor(t) for t in (dh, dh_n))
        if (
            torch.is_grad_enabled()
            or batched
            or torch._C._are_functorch_transforms_active()
            or forward_ad._current_level >= 0
        ):
            return None, None, *_by_reference(cell, ctx.saved_tensors[:-1], dh, dh_n), None, None
        how = _how(cell, p)
        T, B, H = how[-3:]
        dp, dh_0 = empty(p, *p.shape), p.new_empty(B, H)
        ddecay = None if decay is None else torch.empty_like(decay)
        total = None if ctx.trace is None else empty(p, T, B, H)
        given = (*map(plain, (p, decay, h, h_0)), _lengths(lengths), *map(plain, (reset, dh, dh_n)))
        compiled._native.gated_backward(*how, *map(address, (*given, dp, ddecay, dh_0, total)))
        if total is not None:
            note_gradient(ctx.trace, total)
        return None, None, dp, ddecay, None if h_0 is None else dh_0, None, None


def _by_reference(cell: str, given: tuple[Maybe, ...], dh: Maybe, dh_n: Maybe) -> list[Maybe]:
    """dL/dp, dL/d(decay) and dL/dh_0 as functions that can be differentiated on."""
    *inputs, lengths, reset = given
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        p, decay, h_0 = (None if t is None else t.view_as(t) for t in inputs)
        assert p is not None
        a, b, _ = gated_reference.coefficients(cell, p, decay)
        results = scan_native.scan(a, b, h_0, lengths=lengths, reset=reset)
        wanted = [t for t in (p, decay, h_0) if t is not None and t.requires_grad]
        pairs = [(result, d) for result, d in zip(results, (dh, dh_n), strict=True) if d is not None]
        found = iter(
            torch.autograd.grad(
                [result for result, _ in pairs],
                wanted,
                [d for _, d in pairs],
                create_graph=differentiable,
                allow_unused=True,
            )
        )
    return [next(found) if t is not None and t.requires_grad else None for t in (p, decay, h_0)]


def note_gates(trace: Trace, cell: str, p: Tensor, gates: dict[str, Tensor], lengths: Maybe) -> None:
    """Fills a trace with the gates before and after they were squashed, zero past each length."""
    letters = LETTERS[cell.partition("_")[0]]
    bars = dict(zip(letters, p.detach().chunk(len(letters), dim=-1), strict=True))
    valid = None
    if lengths is not None:
        valid = torch.arange(p.shape[0], device=p.device)[:, None, None] < lengths.to(p.device)[:, None]

    def kept(t: Tensor) -> Tensor:
        return t.detach() if valid is None else t.detach().masked_fill(~valid, 0)

    trace.bars = {letter: kept(t) for letter, t in bars.items()}
    trace.gates = {letter: kept(t) for letter, t in gates.items()}


def note_gradient(trace: Trace, dh: Tensor) -> None:
    """Fills a trace with the sums of squares of dL/dh_t: `dh (T, B, H)`, what comes back from later steps included."""
    squares = dh.detach().abs().square().sum(-1)
    trace.squares = torch.stack([squares, torch.zeros_like(squares)], dim=-1)
