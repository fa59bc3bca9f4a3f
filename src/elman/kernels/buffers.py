"""Memory of large arrays, kept between calls: asking the system for fresh pages costs more than filling them."""

import weakref
from collections import deque

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 17  # bytes; up to here the allocator keeps memory by itself
KEPT = 1 << 28  # bytes; the most that lies unused
LINE = 64  # bytes; the widest load crosses no line of the cache when an array begins with one

_free: deque[np.ndarray] = deque()


def empty(like: Tensor, *shape: int) -> Tensor:
    """An uninitialised tensor of `like`'s dtype; once nothing refers to its memory, that is kept for the next.

    >>> empty(torch.zeros(1), 3, 4).shape
    torch.Size([3, 4])
    """
    numbers = 1
    for size in shape:
        numbers *= size
    wanted = numbers * like.element_size()
    if wanted <= SMALL:
        return like.new_empty(shape)
    memory = _take(wanted)
    start = -memory.ctypes.data % LINE
    window = memory[start : start + wanted]
    # The tensor holds the window, the window holds nothing else; when it goes, the memory comes back.
    weakref.finalize(window, _give_back, memory).atexit = False
    return torch.from_numpy(window).view(like.dtype).view(shape)


def _take(wanted: int) -> np.ndarray:
    """A kept array that fits and is not twice too large, or a new one. A deque needs no lock."""
    for _ in range(len(_free)):
        try:
            memory = _free.popleft()
        except IndexError:  # another thread took it
            break
        if wanted + LINE <= memory.nbytes <= 2 * (wanted + LINE):
            return memory
        _free.append(memory)
    return np.empty(wanted + LINE, dtype=np.uint8)


def _give_back(memory: np.ndarray) -> None:
    _free.append(memory)
    while sum(kept.nbytes for kept in list(_free)) > KEPT:
        try:
            _free.popleft()
        except IndexError:
            break
