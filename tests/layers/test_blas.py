"""Products of small networks take one thread, and only theirs."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from elman.layers.blas import SMALL, one_thread_for


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_networks_take_one_thread_and_give_the_others_back():
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has no second thread")
        with one_thread_for(SMALL):
            assert threads() == {1}
        assert threads() == {2}
        with one_thread_for(SMALL + 1):
            assert threads() == {2}
