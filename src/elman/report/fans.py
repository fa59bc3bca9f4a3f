"""Every forecast of the test part as it was issued, made small enough to travel inside a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from elman.report.forecast_scores import ForecastScores
from elman.report.inside import packed
from elman.report.runs import Run

MOST = 60_000  # numbers in all
PAST = 3  # horizons of measured values shown before a forecast begins


def fans_of(run: Run) -> dict[str, Any]:
    """The forecasts of the first series, as JSON takes them, or `{"missing": why}`.

    `cutoffs (C)` are times as text; `y`, `forecast` and each of `bands`, narrow to wide, are `(C, horizon)`; `past` is
    what was measured before, `(C, PAST * horizon)`, up to the cut-off. Of too many cut-offs every so many-th is kept.
    `ranks` counts measured values between neighbouring quantiles, and `acf` is the autocorrelation of the errors one
    step ahead, both over all cut-offs.
    """
    scores, table = run.scores, run.test
    if not isinstance(scores, ForecastScores) or table is None:
        return {"missing": run.no_test or run.no_scores or "The run makes no forecasts."}
    series = table["unique_id"].unique(maintain_order=True)
    table = table.filter(pl.col("unique_id") == series[0]).sort("cutoff", "lead")
    H = scores.horizon
    table = table.filter(pl.len().over("cutoff") == H)
    if table.is_empty():
        return {"missing": "No forecast of the test part is whole."}
    columns = ["y", "forecast", *(f"{side}-{level}" for level in scores.levels for side in ("lo", "hi"))]
    numbers = {
        name: table[name].cast(pl.Float64).to_numpy().reshape(-1, H) for name in columns if name in table.columns
    }
    cutoffs = table["cutoff"].gather_every(H)
    keep = np.arange(0, len(cutoffs), max(1, -(-len(cutoffs) * H * (len(numbers) + PAST) // MOST)))
    measured = dict(zip(table["ds"].to_list(), table["y"].to_list(), strict=True))
    times = sorted({*measured, *cutoffs.to_list()})
    values = np.array([np.nan if (v := measured.get(t)) is None else v for t in times], dtype=np.float64)
    at = {time: k for k, time in enumerate(times)}
    back = np.array([at[t] for t in cutoffs.gather(keep).to_list()])[:, None] + np.arange(1 - PAST * H, 1)
    past = np.where(back >= 0, values[back.clip(min=0)], np.nan)
    errors = numbers["forecast"][:, 0] - numbers["y"][:, 0]
    return {
        "series": str(series[0]),
        "others": len(series) - 1,
        "target": scores.target,
        "horizon": H,
        "freq": scores.freq,
        "cutoffs": [str(t).removesuffix(" 00:00:00") for t in cutoffs.gather(keep).to_list()],
        "times": [[str(t).removesuffix(" 00:00:00") for t in row] for row in _ahead(table, H, keep)],
        "every": int(keep[1] - keep[0]) if len(keep) > 1 else 1,
        "y": packed(numbers["y"][keep]),
        "forecast": packed(numbers["forecast"][keep]),
        "past": packed(past),
        "bands": [
            {"level": level, "low": packed(numbers[f"lo-{level}"][keep]), "high": packed(numbers[f"hi-{level}"][keep])}
            for level in scores.levels
            if f"lo-{level}" in numbers and f"hi-{level}" in numbers
        ],
        "ranks": _ranks(numbers, scores.levels),
        "acf": _autocorrelation(errors),
        "count": len(cutoffs),
    }


def _ahead(table: pl.DataFrame, H: int, keep: Any) -> list[list[Any]]:
    """The first and the last time of each forecast that is kept."""
    times = table["ds"]
    return [[times[int(k) * H], times[int(k) * H + H - 1]] for k in keep]


def _ranks(numbers: dict[str, Any], levels: Any) -> dict[str, Any] | None:
    """How often the measured value fell between neighbouring quantiles, and how often it should have."""
    known = [level for level in levels if f"lo-{level}" in numbers and f"hi-{level}" in numbers]
    if not known:
        return None
    ends = sorted((float(level) for level in known), reverse=True)
    edges = [*((100 - level) / 200 for level in ends), *((100 + level) / 200 for level in reversed(ends))]
    names = [f"lo-{level:g}" for level in ends] + [f"hi-{level:g}" for level in reversed(ends)]
    y = numbers["y"].ravel()
    place = sum((y > numbers[name].ravel()).astype(int) for name in names)
    counts = np.bincount(place[np.isfinite(y)], minlength=len(names) + 1)
    return {"edges": [0.0, *edges, 1.0], "counts": counts.tolist()}


def _autocorrelation(errors: Any, most: int = 30) -> list[float | None]:
    """Of the errors from each cut-off to the next, by lag from 1; None where there are too few."""
    off = errors - np.nanmean(errors) if np.isfinite(errors).any() else errors
    total, found = np.nanmean(off**2) if np.isfinite(off).any() else 0.0, []
    for lag in range(1, min(most, len(off) // 3) + 1):
        pairs = off[lag:] * off[:-lag]
        found.append(None if not np.isfinite(pairs).any() or total <= 0 else round(float(np.nanmean(pairs) / total), 4))
    return found
