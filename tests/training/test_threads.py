"""Threads are few while a small network trains, and as before afterwards."""

import pytest
import torch

from elman.training.threads import SMALL, threads_for


@pytest.mark.parametrize(
    ("hidden_size", "wanted", "inside"), [(SMALL, None, 1), (SMALL + 1, None, 2), (SMALL, 3, 3), (SMALL + 1, 1, 1)]
)
def test_how_many_threads(hidden_size, wanted, inside):
    torch.set_num_threads(2)  # the fixture of this room puts back what was before
    with threads_for(hidden_size, wanted):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 2


def test_a_crash_puts_them_back_too():
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError), threads_for(8):
        raise RuntimeError
    assert torch.get_num_threads() == 2
