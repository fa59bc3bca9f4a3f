"""The classic tasks that ask how far a network remembers, and chaotic series that ask how well it foresees.

Source of the first two: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
"""

import numpy as np
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


def mackey_glass(steps: int, *, tau: float = 17.0, seed: int = 0, fine: int = 10) -> np.ndarray:
    """`(steps)` of the Mackey-Glass equation, one unit of time apart, behind 1000 that are left out.

    dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t), chaotic from tau = 17 on (Mackey and Glass 1977,
    doi:10.1126/science.267326). Solved by Runge and Kutta's fourth-order method, `fine` steps a unit; the delayed value
    between two of these is their mean.

    >>> x = mackey_glass(500)
    >>> x.shape, bool(x.min() > 0.2), bool(x.max() < 1.4)
    ((500,), True, True)
    """
    back = round(tau * fine)
    if steps < 1 or back < 1 or fine < 1:
        raise InputError(f"expected steps, tau and fine above 0; found {steps}, {tau} and {fine}")
    total = (steps + 1000) * fine
    x = np.empty(back + 1 + total)
    x[: back + 1] = 1.2 + 0.1 * np.random.default_rng(seed).uniform(-1, 1, back + 1)
    dt = 1 / fine

    def slope(now: float, before: float) -> float:
        return 0.2 * before / (1 + before**10) - 0.1 * now

    for t in range(back, back + total):
        old, next_old, now = float(x[t - back]), float(x[t - back + 1]), float(x[t])
        middle = (old + next_old) / 2
        a = slope(now, old)
        b = slope(now + dt / 2 * a, middle)
        c = slope(now + dt / 2 * b, middle)
        x[t + 1] = now + dt / 6 * (a + 2 * b + 2 * c + slope(now + dt * c, next_old))
    return x[back + 1 :: fine][1000 : 1000 + steps]


LYAPUNOV = 0.9056  # of the Lorenz system with the parameters below, a unit of time (Sprott 2003, appendix A)


def lorenz(steps: int, *, dt: float = 0.02, seed: int = 0, fine: int = 10) -> np.ndarray:
    """`(steps, 3)` of the Lorenz system (sigma 10, rho 28, beta 8/3), `dt` apart, behind 2000 that are left out.

    Source: Lorenz 1963, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2. Two paths part by a factor of e in
    1 / `LYAPUNOV` units of time, about 1.1.

    >>> lorenz(100).shape
    (100, 3)
    """
    if steps < 1 or dt <= 0 or fine < 1:
        raise InputError(f"expected steps, dt and fine above 0; found {steps}, {dt} and {fine}")
    h = dt / fine
    x = np.array([1.0, 1.0, 25.0]) + np.random.default_rng(seed).uniform(-1, 1, 3)
    found = np.empty((steps + 2000, 3))

    def slope(p: np.ndarray) -> np.ndarray:
        return np.array([10 * (p[1] - p[0]), p[0] * (28 - p[2]) - p[1], p[0] * p[1] - 8 / 3 * p[2]])

    for t in range(len(found)):
        for _ in range(fine):
            a = slope(x)
            b = slope(x + h / 2 * a)
            c = slope(x + h / 2 * b)
            x = x + h / 6 * (a + 2 * b + 2 * c + slope(x + h * c))
        found[t] = x
    return found[2000:]
