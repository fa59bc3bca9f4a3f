"""Where the ticks of an axis stand and what is written at them: round numbers, and round dates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

MINUS = "\N{MINUS SIGN}"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86400
MONTH, YEAR = 30.44 * DAY, 365.25 * DAY
MONDAY = 4 * DAY  # 1970-01-05, the first Monday after the epoch: weekly ticks stand on Mondays
# Each step of a date axis: numpy's unit, how many of it, and about how many seconds that is.
TIME_STEPS = (
    *(("s", n, n * SECOND) for n in (1, 5, 15, 30)),
    *(("m", n, n * MINUTE) for n in (1, 5, 15, 30)),
    *(("h", n, n * HOUR) for n in (1, 3, 6, 12)),
    *(("D", n, n * DAY) for n in (1, 2, 7, 14)),
    *(("M", n, n * MONTH) for n in (1, 2, 3, 6)),
    *(("Y", n, n * YEAR) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
)


@dataclass(frozen=True)
class Tick:
    """A tick at `at` (axis units) with its label and, on date axes, a second line such as the year."""

    at: float
    label: str
    below: str = ""


def number_step(low: float, high: float, count: int, *, integer: bool = False) -> float:
    """The smallest step of the form 1, 2 or 5 times a power of ten that needs at most `count` steps from low to high.

    >>> number_step(0, 93, 5)
    20.0
    """
    rough = (high - low) / max(count, 1)
    if not (rough > 0 and math.isfinite(rough)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    return max(step, 1.0) if integer else step


def round_range(low: float, high: float, count: int) -> tuple[float, float]:
    """From round number to round number around [low, high]; never empty.

    >>> round_range(3, 268, 6), round_range(5, 5, 6)
    ((0.0, 300.0), (2.0, 8.0))
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # the same value everywhere, to rounding
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    step = number_step(low, high, count)
    return math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step


def number_label(value: float, step: float) -> str:
    """`value` written with as many decimals as `step` needs, with a true minus sign.

    >>> number_label(-0.5, 0.25), number_label(12000, 2000)
    ('−0.50', '12,000')
    """
    if step >= 1e7 or step < 1e-5:
        text = f"{value:.3g}"
    else:
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if round(step, decimals) != round(step, decimals + 1):  # 0.25 needs one more than 0.2
            decimals += 1
        text = f"{value:,.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def number_ticks(low: float, high: float, count: int, *, integer: bool = False) -> list[Tick]:
    """Ticks at round numbers within [low, high], at most about `count` of them.

    >>> [t.label for t in number_ticks(0, 1, 5)]
    ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']
    """
    step = number_step(low, high, count, integer=integer)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [Tick(k * step, number_label(k * step, step)) for k in range(first, last + 1)]


def time_ticks(low: float, high: float, count: int) -> list[Tick]:
    """Ticks at round dates within [low, high], both in seconds since 1970, at most about `count` of them.

    The second line of a label (the year, or the day) is written where it changes.

    >>> [(t.label, t.below) for t in time_ticks(0, 300 * 86400, 4)]
    [('Jan', '1970'), ('Apr', ''), ('Jul', ''), ('Oct', '')]
    """
    span = max(high - low, 1.0)
    unit, n, seconds = next((s for s in TIME_STEPS if span / s[2] <= max(count, 1)), TIME_STEPS[-1])
    ticks: list[Tick] = []
    before = ""
    for at in _round_times(low, high, unit, n, seconds):
        moment = np.datetime64(int(at), "s").item()
        day = f"{moment.day} {MONTHS[moment.month - 1]}"
        label, below = {
            "s": (f"{moment:%H:%M:%S}", f"{day} {moment.year}"),
            "m": (f"{moment:%H:%M}", f"{day} {moment.year}"),
            "h": (f"{moment:%H:%M}", f"{day} {moment.year}"),
            "D": (day, str(moment.year)),
            "M": (MONTHS[moment.month - 1], str(moment.year)),
            "Y": (str(moment.year), ""),
        }[unit]
        ticks.append(Tick(at, label, below if below != before else ""))
        before = below
    return ticks


def _round_times(low: float, high: float, unit: str, n: int, seconds: float) -> list[float]:
    """Every n-th unit within [low, high], in seconds since 1970; months and years have their true lengths."""
    if unit in "MY":
        first, last = (int(np.datetime64(int(edge), "s").astype(f"M8[{unit}]").astype(int)) for edge in (low, high))
        # numpy counts years from 1970, but round years are multiples of n from year 0.
        origin = 1970 if unit == "Y" else 0
        steps = np.arange(-(-(first + origin) // n) * n - origin, last + 1, n)
        times = steps.astype(f"M8[{unit}]").astype("M8[s]").astype(float)
    else:
        origin = MONDAY if unit == "D" and n >= 7 else 0
        times = np.arange(math.ceil((low - origin) / seconds), math.floor((high - origin) / seconds) + 1) * seconds
        times = times + origin
    return [float(t) for t in times if low <= t <= high]
