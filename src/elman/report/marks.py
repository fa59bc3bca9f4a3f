"""The pieces that a chart is drawn from, as SVG text: labels that fit, lines with gaps, bands, dots."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = 12.0  # height of a label in viewBox units


def clean(words: str) -> str:
    """Any string as text inside markup: escaped, control characters shown as blanks (XML allows none)."""
    return html.escape("".join(c if c.isprintable() else " " for c in words))


def width_of(words: str, size: float = SIZE) -> float:
    """About how wide `words` are in a usual sans-serif face; only a browser could say exactly."""
    return sum(_em(c) for c in words) * size


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "iljtfrI.,:;'|!()[] ":
        return 0.33
    return 0.82 if character in "mwMW@%" else 0.66 if character.isupper() else 0.59


def fit(words: str, width: float, size: float = SIZE) -> str:
    """`words`, cut with an ellipsis where they are wider than `width`."""
    if width_of(words, size) <= width:
        return words
    while words and width_of(words, size) + size > width:
        words = words[:-1]
    return words + "…"


def text(
    words: str,
    x: float,
    y: float,
    colour: str,
    *,
    anchor: str = "start",
    size: float = SIZE,
    weight: int = 400,
    halo: str = "",
) -> str:
    """One line of text; a halo in the colour of the ground keeps it readable where lines pass under it."""
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    ring = f' stroke="{halo}" stroke-width="4" paint-order="stroke"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{bold}{side}{ring} fill="{colour}">{clean(words)}</text>'


def stroke(path: str, colour: str, width: float, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed} '
        'stroke-linejoin="round" stroke-linecap="round"/>'
    )


def segments(*columns: Floats) -> Iterator[slice]:
    """The runs of rows in which no column is NaN.

    >>> list(segments(np.array([1, 2, np.nan, 4])))
    [slice(0, 2, None), slice(3, 4, None)]
    """
    whole = np.concatenate([[False], np.all([np.isfinite(c) for c in columns], axis=0), [False]])
    edges = np.flatnonzero(np.diff(whole.astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def line_path(x: Floats, y: Floats) -> str:
    """Through all points in order; a point alone between two gaps becomes a dot (round caps draw it)."""
    parts = []
    for part in segments(x, y):
        points = [f"{a:.1f} {b:.1f}" for a, b in zip(x[part], y[part], strict=True)]
        parts.append(f"M{points[0]}" + ("L" + "L".join(points[1:]) if len(points) > 1 else "h0"))
    return "".join(parts)


def band_path(x: Floats, low: Floats, high: Floats) -> str:
    parts = []
    for part in segments(x, low, high):
        there = [f"{a:.1f} {b:.1f}" for a, b in zip(x[part], high[part], strict=True)]
        back = [f"{a:.1f} {b:.1f}" for a, b in zip(x[part][::-1], low[part][::-1], strict=True)]
        parts.append("M" + "L".join([*there, *back]) + "Z")
    return "".join(parts)


def thin_line(x: Floats, y: Floats, columns: int) -> tuple[Floats, Floats]:
    """At most 2 points for each of `columns` columns of pixels: the lowest and the highest, so that no peak is lost."""
    if len(x) <= 2 * columns:
        return x, y
    keep: list[int] = []
    for bucket in np.array_split(np.arange(len(x)), columns):
        values = y[bucket]
        if np.isnan(values).all():
            keep.append(int(bucket[0]))
        else:
            keep += sorted({int(bucket[np.nanargmin(values)]), int(bucket[np.nanargmax(values)])})
    return x[keep], y[keep]


def thin_band(x: Floats, low: Floats, high: Floats, columns: int) -> tuple[Floats, Floats, Floats]:
    """At most one point for each of `columns` columns of pixels, as wide as the band is anywhere within it."""
    if len(x) <= 2 * columns:
        return x, low, high
    rows = []
    for bucket in np.array_split(np.arange(len(x)), columns):
        whole = bucket[np.isfinite(low[bucket]) & np.isfinite(high[bucket])]
        edges = (np.min(low[whole]), np.max(high[whole])) if len(whole) else (np.nan, np.nan)
        rows.append((np.mean(x[bucket]), *edges))
    thin = np.array(rows, dtype=np.float64)
    return thin[:, 0], thin[:, 1], thin[:, 2]
