"""How many threads torch, and numpy's products, may use while a network trains."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

SMALL_SUMS = 600  # features; up to here a matrix of all pairs of them is too small to be worth sharing out
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


@contextmanager
def threads_for_sums(features: int, wanted: int | None = None) -> Iterator[None]:
    """Inside, torch and numpy use `wanted` threads; by default one where there are few features, as `threads_for`."""
    size = SMALL if features <= SMALL_SUMS else SMALL + 1
    with threads_for(size, wanted), threadpool_limits(torch.get_num_threads(), user_api="blas"):
        yield
