"""The native kernels as functions on tensors: what they cover, and the way down to them.

So far they cover the forward pass of the simple recurrent network; a call that needs a gradient runs elsewhere.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

try:
    from . import _native
except ImportError as error:
    _native = None  # type: ignore[assignment]
    WHY_NOT = (
        "the native kernels were not built: when elman was installed, there was no working C++ compiler or no "
        f"Python headers ({error})"
    )

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
    if _native is None:
        return NativeStatus(False, WHY_NOT, (), (), None)
    return NativeStatus(True, None, tuple(_native.compiled()), tuple(_native.supported()), isa())


@cache
def isa() -> str:
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
    return f"they cover this call ({isa()})"


def obstacle(cell: str, tensors: Iterable[Tensor]) -> str | None:
    """Why the native kernels can't run the cell on these tensors, or None if they can."""
    if cell not in COVERED:
        return f"there is no native {cell} yet"
    if _native is None:
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
    isa()  # a wrong ELMAN_ISA raises here
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
    raise NotImplementedError
