"""The classic tasks that ask how far a network remembers.

Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
"""

import torch
from torch import Tensor

from elman.errors import InputError

SYMBOLS = 8  # of the copy task; 0 is blank, 9 asks for the answer
BLANK, ASK = 0, SYMBOLS + 1


def adding(n: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The adding problem: x `(n, steps, 2)` and y `(n)`, the sum of the two numbers that are marked.

    Channel 0 holds numbers from 0 to 1; channel 1 marks one step in each half. To answer 1 always costs a mean squared
    error of 1/6, about 0.167.

    >>> x, y = adding(5, 20, torch.Generator().manual_seed(0))
    >>> x.shape, torch.allclose((x[..., 0] * x[..., 1]).sum(1), y)
    (torch.Size([5, 20, 2]), True)
    """
    if steps < 2:
        raise InputError(f"the adding problem needs at least two steps, found {steps}")
    numbers, marks = torch.rand(n, steps, generator=generator), torch.zeros(n, steps)
    half, rows = steps // 2, torch.arange(n)
    for begin, end in ((0, half), (half, steps)):
        marks[rows, torch.randint(begin, end, (n,), generator=generator)] = 1
    return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(1)


def copying(n: int, delay: int, generator: torch.Generator, *, length: int = 10) -> tuple[Tensor, Tensor]:
    """The copy task: x and y `(n, delay + 2 * length)`, whole numbers from 0 to 9.

    x has `length` symbols from 1 to 8, then blanks (0), and asks (9) after `delay` steps; y is blank until then, and is
    to give the symbols again. To answer blank, then at random, costs a cross-entropy of
    `length * log(8) / (delay + 2 * length)`.

    >>> x, y = copying(1, 3, torch.Generator().manual_seed(0), length=2)
    >>> x.shape, x[0, :2].equal(y[0, -2:]), x[0, 4].item()
    (torch.Size([1, 7]), True, 9)
    """
    if delay < 1 or length < 1:
        raise InputError(f"the copy task needs a delay and a length of at least one step, found {delay} and {length}")
    symbols = torch.randint(1, SYMBOLS + 1, (n, length), generator=generator)
    x = torch.full((n, delay + 2 * length), BLANK)
    x[:, :length] = symbols
    x[:, length + delay - 1] = ASK
    y = torch.full_like(x, BLANK)
    y[:, -length:] = symbols
    return x, y
