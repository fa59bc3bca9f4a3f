"""How many threads torch may use while a network trains."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 128  # units; up to here the operations of a step are too short to be worth sharing out


@contextmanager
def threads_for(hidden_size: int, wanted: int | None = None) -> Iterator[None]:
    """Inside, torch uses `wanted` threads; by default one for a small network, and otherwise what it used before.

    A second thread gains a small network next to nothing, and costs it ten times the time when the processor is busy,
    because torch's threads spin while they wait for each other many thousand times a second.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or (1 if hidden_size <= SMALL else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
