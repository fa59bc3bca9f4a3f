"""The compiled module and its instruction set, without torch: what streams alone must not wait for torch to load."""

import os
from functools import cache

WHY_NOT: str | None = None
try:
    import elman.compiled._native as _native  # not "from . import": its error would talk of circular imports
except ModuleNotFoundError:
    WHY_NOT = (
        "the native kernels were not built: a working C++20 compiler or Python's headers were missing when elman was "
        "installed (pip's -v shows what went wrong)"
    )
except ImportError as error:
    WHY_NOT = f"the native kernels were built but can't be loaded ({error})"

__all__ = ["WHY_NOT", "_native", "chosen_isa", "isa_index"]


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
