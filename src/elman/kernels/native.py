"""The compiled module: whether it is there, which instruction set it uses, and how many threads."""

import ctypes
import os
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

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

__all__ = ["DTYPES", "WHY_NOT", "NativeStatus", "_native", "address", "chosen_isa", "isa_index", "threads_for"]

DTYPES = (torch.float32, torch.float64)  # in the order of csrc/bindings.cpp
WORTH_A_THREAD = 1_000_000  # multiplications; a thread with less to do costs more to wake than it saves


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
    shares_threads: bool
    """Whether they run on torch's own threads, or on the calling one alone."""


def native_status() -> NativeStatus:
    """What `elman doctor` tells about the native kernels. Raises where ELMAN_ISA names what can't be had."""
    if WHY_NOT:
        return NativeStatus(False, WHY_NOT, (), (), None, False)
    return NativeStatus(
        True, None, tuple(_native.compiled()), tuple(_native.supported()), chosen_isa(), _share_threads()
    )


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


def isa_index(isa: str | None) -> int:
    """The number by which the compiled module knows an instruction set; of the one in use where none is named."""
    return _native.compiled().index(isa or chosen_isa())


def threads_for(multiplications: int) -> int:
    """How many threads that much work deserves; never more than torch may use."""
    return min(torch.get_num_threads() if _share_threads() else 1, max(1, multiplications // WORTH_A_THREAD))


@cache
def _share_threads() -> bool:
    """Hands the kernels the OpenMP library that torch has loaded: a second one would fight it for the processor."""
    try:
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if "libgomp" in line}
        run = ctypes.CDLL(loaded.pop()).GOMP_parallel if len(loaded) == 1 else None
    except (OSError, AttributeError):  # another system, or another OpenMP
        run = None
    _native.use_threads_of(ctypes.cast(run, ctypes.c_void_p).value or 0 if run else 0)
    return run is not None


def address(t: Tensor | None) -> int:
    """Where the numbers of a contiguous tensor lie; 0 for none."""
    return 0 if t is None else t.data_ptr()
