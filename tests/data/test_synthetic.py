import math

import pytest
import torch

from elman.data.synthetic import adding, copying
from elman.errors import InputError


def generator():
    return torch.Generator().manual_seed(3)


def test_the_adding_problem_marks_one_number_in_each_half():
    x, y = adding(500, 31, generator())
    marks = x[..., 1]
    assert torch.equal(marks[:, :15].sum(1), torch.ones(500))
    assert torch.equal(marks[:, 15:].sum(1), torch.ones(500))
    assert torch.equal((x[..., 0] * marks).sum(1), y)
    assert ((y - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.02)
    assert len(torch.unique(marks.argmax(1))) == 15


def test_the_copy_task_asks_after_its_delay():
    x, y = copying(50, 20, generator())
    assert x.shape == y.shape == (50, 40)
    assert torch.equal(x[:, :10], y[:, -10:])
    assert ((x[:, :10] >= 1) & (x[:, :10] <= 8)).all()
    assert (x[:, 29] == 9).all()
    assert (x == 9).sum() == 50
    assert (y[:, :-10] == 0).all()
    share = (x[:, :10] == 5).double().mean().item()
    assert share == pytest.approx(1 / 8, abs=3 * math.sqrt(1 / 8 * 7 / 8 / 500))


def test_a_seed_gives_the_same_sequences():
    assert all(torch.equal(a, b) for a, b in zip(adding(3, 9, generator()), adding(3, 9, generator()), strict=True))


def test_too_short_sequences_are_refused():
    with pytest.raises(InputError, match="two steps"):
        adding(1, 1, generator())
    with pytest.raises(InputError, match="delay"):
        copying(1, 0, generator())
