"""Numbers, lead times and counts as a reader wants to see them."""

from __future__ import annotations

import math
import re

from elman.report.ticks import MINUS

SMALL_COUNTS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
UNITS = {
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "q": "quarter",
    "y": "year",
}


def count(n: int, noun: str) -> str:
    """
    >>> count(1, "seed"), count(7, "day"), count(724, "forecast")
    ('one seed', 'seven days', '724 forecasts')
    """
    number = SMALL_COUNTS[n] if 0 <= n < len(SMALL_COUNTS) else f"{n:,}"
    return f"{number} {noun}" if n == 1 else f"{number} {noun}s"


def cases(n: object) -> str:
    """
    >>> cases(5068), cases(None)
    ('5,068', '–')
    """
    return f"{n:,}" if isinstance(n, int) else "–"


def ordinal(n: int) -> str:
    """
    >>> [ordinal(n) for n in (2, 3, 11, 21)]
    ['2nd', '3rd', '11th', '21st']
    """
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{n}{'th' if n % 100 in (11, 12, 13) else ends.get(n % 10, 'th')}"


def step_of(freq: str) -> tuple[int, str]:
    """How many of which unit of time one step of a series is; a series without dates goes in steps.

    >>> step_of("1d"), step_of("15m"), step_of("1i")
    ((1, 'day'), (15, 'minute'), (1, 'step'))
    """
    match = re.fullmatch(r"(\d+)([a-z]+)", freq)
    if match and match[2] in UNITS:
        return int(match[1]), UNITS[match[2]]
    return 1, "step"


def lead(steps: int, freq: str) -> str:
    """
    >>> lead(7, "1d"), lead(1, "6h"), lead(1, "1i")
    ('7 days', '6 hours', '1 step')
    """
    size, unit = step_of(freq)
    n = steps * size
    return f"{n:,} {unit}" if n == 1 else f"{n:,} {unit}s"


def leads(horizon: int, freq: str) -> str:
    """The span from the first lead to the last.

    >>> leads(7, "1d"), leads(1, "1d"), leads(24, "1h")
    ('one to seven days', 'one day', '1 to 24 hours')
    """
    size, unit = step_of(freq)
    first, last = size, size * horizon
    if horizon == 1:
        return count(first, unit)
    if last < len(SMALL_COUNTS):
        return f"{SMALL_COUNTS[first]} to {SMALL_COUNTS[last]} {unit}s"
    return f"{first:,} to {last:,} {unit}s"


def score(value: float | None, decimals: int = 3) -> str:
    """A score without a unit: fixed decimals, a true minus sign, a dash where there is none.

    >>> score(0.8634), score(-1.5, 2), score(None)
    ('0.863', '−1.50', '–')
    """
    return "–" if value is None else f"{value:,.{decimals}f}".replace("-", MINUS)


def amount(value: float | None) -> str:
    """A value in the target's unit: three significant digits, all digits before the point.

    >>> amount(3.14159), amount(1234.5), amount(0.000123), amount(None)
    ('3.14', '1,234', '0.000123', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(0, digits)}f}" if digits <= 6 else f"{value:.2e}"
    return text.replace("-", MINUS)


def percent(value: float | None, decimals: int = 1) -> str:
    """
    >>> percent(0.8945), percent(0.86, 0)
    ('89.5 %', '86 %')
    """
    return "–" if value is None else f"{100 * value:.{decimals}f} %".replace("-", MINUS)


def like(text: str, value: float) -> str:
    """A spread with as many decimals as its mean, which was written as `text`; a percentage stays one.

    >>> like("6.76", 0.108), like("1,234", 5.6), like("89.8 %", 0.0042), like("1.2e-08", 3e-9)
    ('0.11', '6', '0.4 %', '3.0e-09')
    """
    if text.endswith("%"):
        return percent(value)
    if "e" in text:
        return f"{value:.1e}"
    return f"{value:,.{len(text.partition('.')[2])}f}"


def plain(value: object) -> str:
    """A setting, or a cell of a data table, as text.

    >>> plain([80, 90]), plain(True), plain(0.0020), plain("adam"), plain(1234567.0), plain(None)
    ('80, 90', 'yes', '0.002', 'adam', '1234567', '–')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        text = f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
        return text.replace("-", MINUS)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(v) for v in value) or "–"
    return str(value)
