"""The compiled kernels as torch meets them: their status, element types, and threads shared with torch."""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from elman import compiled

DTYPES = (torch.float32, torch.float64)  # in the order of csrc/bindings.cpp
MOST_THREADS = 1024  # that of csrc/bindings.h
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
    if compiled.WHY_NOT:
        return NativeStatus(False, compiled.WHY_NOT, (), (), None, False)
    compiled_sets, supported = compiled._native.compiled(), compiled._native.supported()
    return NativeStatus(True, None, tuple(compiled_sets), tuple(supported), compiled.chosen_isa(), _share_threads())


def threads_for(multiplications: int) -> int:
    """How many threads that much work deserves; never more than torch may use."""
    most = min(torch.get_num_threads(), MOST_THREADS) if _share_threads() else 1
    return min(most, max(1, multiplications // WORTH_A_THREAD))


@cache
def _share_threads() -> bool:
    """Hands the kernels the OpenMP library that torch uses: a second one would fight it for the processor.

    Others, such as scikit-learn's own, may be loaded beside it; libtorch knows which one it was linked with.
    """
    functions = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    addresses = [0] * len(functions)
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        addresses = [ctypes.cast(library[name], ctypes.c_void_p).value or 0 for name in functions]
    except (OSError, AttributeError):  # another system, or another OpenMP
        pass
    compiled._native.use_threads_of(*addresses)
    return all(addresses)


def plain(t: Tensor | None) -> Tensor | None:
    """`t` as its numbers lie in memory: dense, row by row, neither negated nor conjugated by a flag alone."""
    return None if t is None else t.contiguous().resolve_conj().resolve_neg()


def own_copy(t: Tensor | None, like: Tensor, *shape: int) -> Tensor:
    """`t` in memory of its own; zeros for None."""
    return like.new_zeros(shape) if t is None else like.new_empty(shape).copy_(t)


def address(t: Tensor | None) -> int:
    """Where the numbers of a contiguous tensor lie; 0 for none."""
    if t is None:
        return 0
    where = t.data_ptr()
    if where == 0 and t.numel():
        raise RuntimeError(
            f"expected tensors with memory on the CPU, found one without: {tuple(t.shape)} on {t.device}"
        )
    return where
