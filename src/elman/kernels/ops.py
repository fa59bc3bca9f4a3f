"""The native kernels as functions on tensors: what they cover, and the way down to them.

So far they cover the forward pass of the simple recurrent network; a call that needs a gradient runs elsewhere.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

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

COVERED = {"rnn"}
DTYPES = (torch.float32, torch.float64)  # in the order of csrc/kernels.h


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
    if cell not in COVERED:
        return f"there is no native {cell} yet"
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
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *others)):
        return f"a gradient is needed, and the native {cell} has no backward pass yet"
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
    isa: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The native `rnn`, forward only. Memory safety rests here: nothing unchecked gets past."""
    tensors = [t for t in (x, state, W_ih, W_hh, b_ih, b_hh) if t is not None]
    if problem := obstacle("rnn", tensors):
        raise RuntimeError(problem)
    check_shapes("rnn", x, None if state is None else (state,), W_ih, W_hh, b_ih, b_hh, None, lengths)
    T, B, I = x.shape
    H = W_hh.shape[1]
    index, dtype = _native.compiled().index(isa or chosen_isa()), DTYPES.index(x.dtype)

    # These names hold the memory until the kernel is done with it.
    x, W_ih, W_hh = x.contiguous(), W_ih.contiguous(), W_hh.contiguous()
    h_0, b_ih, b_hh = (None if t is None else t.contiguous() for t in (state, b_ih, b_hh))
    lengths = None if lengths is None else lengths.to("cpu", torch.int64).contiguous()
    workspace = x.new_empty(_native.rnn_workspace(index, dtype, I, H))
    y, h_n = x.new_empty(T, B, H), x.new_empty(B, H)
    _native.rnn_forward(
        index,
        dtype,
        nonlinearity == "relu",
        *(T, B, I, H),
        x=x.data_ptr(),
        h_0=_address(h_0),
        W_ih=W_ih.data_ptr(),
        W_hh=W_hh.data_ptr(),
        b_ih=_address(b_ih),
        b_hh=_address(b_hh),
        lengths=_address(lengths),
        y=y.data_ptr(),
        h_n=h_n.data_ptr(),
        workspace=workspace.data_ptr(),
        workspace_size=workspace.numel(),
    )
    return y, h_n


def _address(t: Tensor | None) -> int:
    return 0 if t is None else t.data_ptr()
