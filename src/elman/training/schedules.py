"""Learning-rate schedules: functions of the step, and of the validation losses so far, to a factor on the rate.

They hold nothing of their own, so a resumed run has the same rates as one that was never stopped.
"""

from collections.abc import Callable, Sequence
from math import cos, inf, pi

from elman.errors import InputError

Schedule = Callable[[int, Sequence[float]], float]


def constant(warmup: int = 0) -> Schedule:
    """Up along a line for `warmup` steps, then 1.

    >>> [constant(warmup=4)(step, []) for step in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return lambda step, losses: _climb(step, warmup)


def cosine(steps: int, warmup: int = 0) -> Schedule:
    """Up along a line for `warmup` steps, then down along half a cosine to 0 at `steps` (arXiv 1608.03983).

    >>> [round(cosine(10, warmup=2)(step, []), 2) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def factor(step: int, losses: Sequence[float]) -> float:
        if step < warmup:
            return _climb(step, warmup)
        return _fall(step - warmup, steps - warmup)

    return factor


def one_cycle(steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Schedule:
    """From `start` to 1 over the first `rise` of the steps, then to `end`, along half cosines (arXiv 1708.07120).

    >>> [round(one_cycle(10)(step, []), 2) for step in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    top = max(1, round(rise * steps))

    def factor(step: int, losses: Sequence[float]) -> float:
        if step < top:
            return 1 - (1 - start) * _fall(step, top)
        return end + (1 - end) * _fall(step - top, steps - top)

    return factor


def plateau(patience: int = 5, by: float = 0.3, warmup: int = 0, least: float = 1e-4) -> Schedule:
    """Times `by` whenever `patience` validations in a row brought no new best, down to `least`.

    >>> [plateau(patience=2)(9, losses) for losses in ([], [3, 2, 2.5], [3, 2, 2.5, 2])]
    [1.0, 1.0, 0.3]
    """

    def factor(step: int, losses: Sequence[float]) -> float:
        best, waited, now = inf, 0, 1.0
        for loss in losses:
            best, waited = (loss, 0) if loss < best else (best, waited + 1)
            if waited >= patience:
                now, waited = max(now * by, least), 0
        return now * _climb(step, warmup)

    return factor


def schedule(name: str, *, steps: int, warmup: int = 0, patience: int = 5) -> Schedule:
    """The schedule called `name` for a run of so many steps."""
    if name == "constant":
        return constant(warmup)
    if name == "cosine":
        return cosine(steps, warmup)
    if name == "one-cycle":
        return one_cycle(steps, *([warmup / max(1, steps)] if warmup else []))
    if name == "plateau":
        return plateau(patience, warmup=warmup)
    raise InputError(f"schedule={name!r} is not known; it is one of constant, cosine, one-cycle, plateau")


def _climb(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def _fall(step: int, steps: int) -> float:
    """Half a cosine from 1 at 0 to 0 at `steps` and after."""
    return 0.5 * (1 + cos(pi * min(1.0, step / max(1, steps))))
