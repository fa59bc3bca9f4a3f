"""The native kernels as functions on tensors, with first derivatives: `rnn`, `lstm` and `gru` as in `reference.py`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .checks import check_shapes

WHY_NOT: str | None = None
try:
    import elman.kernels._native as _native  # not "from . import": its error would talk of circular imports
except ModuleNotFoundError:
    WHY_NOT = (
        "the native kernels were not built: a working C++20 compiler or Python's headers were missing when elman was "
        "installed (pip's -v shows what went wrong)"
    )
except ImportError as error:
    WHY_NOT = f"the native kernels were built but can't be loaded ({error})"

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru")  # in the order of csrc/kernels.h, as these are:
DTYPES = (torch.float32, torch.float64)
SAVED = {"rnn_tanh": 0, "rnn_relu": 0, "lstm": 4, "gru": 4}
GRADS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 4}
WORTH_A_THREAD = 1_000_000  # multiplications; below that waking a thread costs more than it does


@dataclass(frozen=True)
class NativeStatus:
    """What is known about the native kernels on this machine."""

    built: bool
    why_not: str | None
    compiled: tuple[str, ...]
    """Instruction sets for which the kernels were compiled, plainest first."""
    supported: tuple[str, ...]
    """Those of them that this machine can run."""
    isa: str | None
    """The one that is used."""


def native_status() -> NativeStatus:
    """What `elman doctor` tells about the native kernels. Raises where ELMAN_ISA names what can't be had."""
    if WHY_NOT:
        return NativeStatus(False, WHY_NOT, (), (), None)
    return NativeStatus(True, None, tuple(_native.compiled()), tuple(_native.supported()), chosen_isa())


@cache
def chosen_isa() -> str:
    """The instruction set in use: the best one that this machine can run, or what ELMAN_ISA says."""
    compiled, supported = _native.compiled(), _native.supported()
    forced = os.environ.get("ELMAN_ISA", "")
    if not forced:
        return supported[-1]
    if forced not in compiled:
        raise ValueError(f"ELMAN_ISA: expected one of {', '.join(compiled)}; found {forced!r}")
    if forced not in supported:
        raise RuntimeError(f"ELMAN_ISA={forced}, but this machine can run only {', '.join(supported)}")
    return forced


def covers(cell: str) -> str:
    return f"they cover this call ({chosen_isa()})"


def obstacle(cell: str, tensors: Iterable[Tensor]) -> str | None:
    """Why the native kernels can't run the cell on these tensors, or None if they can."""
    if WHY_NOT:
        return WHY_NOT
    x, *others = tensors
    if x.device.type != "cpu" or any(t.device != x.device for t in others):
        return "the native kernels work on the CPU only"
    if x.dtype not in DTYPES or any(t.dtype != x.dtype for t in others):
        return "the native kernels take float32 or float64, all alike"
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
    W_hr: Tensor | None = None,
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


def _run(cell, x, h, c, W_ih, W_hh, b_ih, b_hh, lengths, reset=None, isa=None):
    lengths = None if lengths is None else lengths.to("cpu", torch.int64).contiguous()
    return Recurrence.apply(cell, x, h, c, W_ih, W_hh, b_ih, b_hh, lengths, reset, isa)


def _threads(work: int) -> int:
    return min(torch.get_num_threads(), max(1, work // WORTH_A_THREAD))


class Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, cell, x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, lengths, reset, isa):
        T, B, I = x.shape
        H = W_hh.shape[1]
        index, number, dtype = _isa(isa), CELLS.index(cell), DTYPES.index(x.dtype)
        x, W_ih, W_hh = x.contiguous(), W_ih.contiguous(), W_hh.contiguous()
        h_0, c_0, b_ih, b_hh = (None if t is None else t.contiguous() for t in (h_0, c_0, b_ih, b_hh))
        y, h_n = x.new_empty(T, B, H), x.new_empty(B, H)
        c_n = x.new_empty(B, H) if cell == "lstm" else None
        wanted = any(ctx.needs_input_grad)
        saved = x.new_empty(T, B, SAVED[cell] * H) if wanted and SAVED[cell] else None
        c = x.new_empty(T, B, H) if wanted and cell == "lstm" else None
        packed = x.new_empty(_native.forward_workspace(index, number, dtype, T, B, I, H))
        _native.forward(
            index, number, dtype, _threads(T * B * H * (I + H) * 2), T, B, I, H,
            x.data_ptr(), _address(h_0), _address(c_0), W_ih.data_ptr(), W_hh.data_ptr(), _address(b_ih), _address(b_hh),
            _address(lengths), _address(reset), y.data_ptr(), h_n.data_ptr(), _address(c_n), _address(saved), _address(c),
            packed.data_ptr(), packed.numel(),
        )  # fmt: skip
        if wanted:
            ctx.cell, ctx.isa = cell, index
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x, h_0, c_0, W_ih, W_hh, lengths, reset, y, saved, c)
            ctx.biased = b_ih is not None
        return y, h_n, c_n

    @staticmethod
    def backward(ctx, dy, dh_n, dc_n):
        x, h_0, c_0, W_ih, W_hh, lengths, reset, y, saved, c = ctx.saved_tensors
        cell = ctx.cell
        T, B, I = x.shape
        H = W_hh.shape[1]
        dy, dh_n, dc_n = (None if t is None else t.contiguous() for t in (dy, dh_n, dc_n))
        number, dtype = CELLS.index(cell), DTYPES.index(x.dtype)
        grads, dh_0 = x.new_empty(T, B, GRADS[cell] * H), x.new_empty(B, H)
        dc_0 = x.new_empty(B, H) if cell == "lstm" else None
        packed = x.new_empty(_native.backward_workspace(ctx.isa, number, dtype, H))
        _native.backward(
            ctx.isa, number, dtype, _threads(T * B * H * H * 2), T, B, H,
            W_hh.data_ptr(), _address(h_0), _address(c_0), _address(lengths), _address(reset), y.data_ptr(),
            _address(saved), _address(c), _address(dy), _address(dh_n), _address(dc_n), grads.data_ptr(), dh_0.data_ptr(),
            _address(dc_0), packed.data_ptr(), packed.numel(),
        )  # fmt: skip
        flat, X = grads.view(T * B, -1), x.view(T * B, I)
        if lengths is not None:
            valid = torch.arange(T)[:, None] < lengths
            X = (x * valid[..., None]).nan_to_num() .view(T*B, I) if False else x.masked_fill(~valid[..., None], 0).view(T * B, I)
        to_x, to_h = (flat[:, : 3 * H], flat[:, H:]) if cell == "gru" else (flat, flat)
        dx = dW_ih = dW_hh = db_ih = db_hh = None
        if cell == "gru":
            n, rz = flat[:, :H], flat[:, H : 3 * H]
            if ctx.needs_input_grad[1]:
                dx = torch.mm(rz, W_ih[: 2 * H]).addmm_(n, W_ih[2 * H :]).view_as(x)
            dW_ih = torch.empty_like(W_ih)
            torch.mm(rz.t(), X, out=dW_ih[: 2 * H])
            torch.mm(n.t(), X, out=dW_ih[2 * H :])
        else:
            if ctx.needs_input_grad[1]:
                dx = torch.mm(flat, W_ih).view_as(x)
            dW_ih = torch.mm(flat.t(), X)
        before = y[:-1].reshape(-1, H)
        dW_hh = torch.mm(to_h[B:].t(), before)
        if h_0 is not None:
            dW_hh.addmm_(to_h[:B].t(), h_0)
        if ctx.biased:
            db = flat.sum(0)
            db_ih = torch.cat([db[H : 3 * H], db[:H]]) if cell == "gru" else db
            db_hh = db[H:] if cell == "gru" else db
        return None, dx, dh_0 if h_0 is not None else None, dc_0 if c_0 is not None else None, dW_ih, dW_hh, db_ih, db_hh, None, None, None


def _isa(isa: str | None) -> int:
    return _native.compiled().index(isa or chosen_isa())


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()


def _gomp() -> int:
    import ctypes

    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "libgomp" in line}
    for path in paths:
        return ctypes.cast(ctypes.CDLL(path).GOMP_parallel, ctypes.c_void_p).value or 0
    return 0


_native.use_threads_of(_gomp())
