"""How many threads numpy's products take."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

SMALL = 2000  # rows of a matrix up to which one thread is enough


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through all loaded libraries, which takes some milliseconds


@contextmanager
def one_thread_for(units: int) -> Iterator[None]:
    """One thread for the products of networks of few units.

    The threads of a BLAS spin while they wait for each other: where another process keeps a core busy, many small
    products took ten times as long on two threads as on one.
    """
    if units > SMALL:
        yield
        return
    with _pools().limit(limits=1, user_api="blas"):
        yield
