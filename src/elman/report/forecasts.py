"""The section that lays the forecasts of the test part over what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.report import words
from elman.report.charts import Band, Chart, Line, Rule
from elman.report.event_warnings import event_warnings
from elman.report.forecast_scores import ForecastScores
from elman.report.panels import Figure, Panel
from elman.report.runs import Run
from elman.report.scores import Group
from elman.report.skill import coverage, skill
from elman.report.ticks import round_range

CLOSE_UP = 120  # steps shown around the largest measured value; a test part up to half as long again is shown once
HEADING = "Forecast against truth"


def forecast_panels(groups: Sequence[Group], run: Run) -> list[Panel]:
    """All that the page draws of forecasts' scores; `run`: whose forecasts are drawn."""
    if not groups:
        return [forecasts(run)]
    sections = [skill(groups), forecasts(run), coverage(groups), event_warnings(run)]
    return [section for section in sections if section]


def forecasts(run: Run) -> Panel:
    """The first and the last lead over the whole test part and around its peak, and the forecasts as issued."""
    scores = run.scores
    if not isinstance(scores, ForecastScores) or run.test is None:
        return Panel("forecasts", HEADING, missing=f"{run.label}, seed {run.seed}: {run.no_test or run.no_scores}")
    every = run.test["unique_id"].unique(maintain_order=True)
    table = _naive(run.test.filter(pl.col("unique_id") == every[0]))
    intro = f"{run.label}, seed {run.seed}."
    if len(every) > 1:
        intro += f" The run holds {len(every)} series; the charts show the first, {every[0]}."
    peak = _peak(table)
    times = table["ds"].unique().sort()
    leads = list(dict.fromkeys((1, scores.horizon)))
    figures = []
    if len(times) > 1.5 * CLOSE_UP:
        figures += _over_time(table, scores, leads, "the whole test part", "whole")
        if peak is not None:
            near = _around(times, peak, CLOSE_UP // 2, CLOSE_UP // 2)
            close = table.filter(pl.col("ds").is_between(near[0], near[-1]))
            where = f"{words.lead(len(near), scores.freq)} around the peak"
            figures += _over_time(close, scores, leads, where, "half")
    else:
        figures += _over_time(table, scores, leads, "the test part", "whole")
    if peak is not None and scores.horizon > 1:
        figures += _fans(table, scores, times, peak)
    return Panel("forecasts", HEADING, intro, figures)


def _naive(table: pl.DataFrame) -> pl.DataFrame:
    """Dates of any kind as datetimes without a time zone, at the clock time they were given in."""
    dates = [name for name in ("cutoff", "ds") if table.schema[name].is_temporal()]
    for name in dates:
        column = pl.col(name).cast(pl.Datetime("us")) if table.schema[name] == pl.Date else pl.col(name)
        table = table.with_columns(column.dt.replace_time_zone(None))
    return table


def _peak(table: pl.DataFrame) -> Any:
    """When the largest value was measured; None where nothing was."""
    measured = table.filter(pl.col("y").is_not_null() & pl.col("y").is_not_nan()).sort("ds")
    return None if measured.is_empty() else measured["ds"][int(measured["y"].arg_max() or 0)]


def _around(times: pl.Series, centre: Any, before: int, after: int) -> pl.Series:
    at = int(times.search_sorted(centre))
    return times.slice(max(0, at - before), before + after + min(0, at - before))


def _over_time(
    table: pl.DataFrame, scores: ForecastScores, leads: Sequence[int], where: str, size: str
) -> list[Figure]:
    """For each lead, on one scale, all forecasts that were issued so many steps before the time they are for."""
    parts = [table.filter(pl.col("lead") == lead).sort("ds") for lead in leads]
    limits = _limits(parts, scores.levels)
    figures = []
    for lead, part in zip(leads, parts, strict=True):
        x, columns = _with_gaps(part)
        ahead = words.lead(lead, scores.freq)
        chart = Chart(
            f"Forecast {ahead} ahead: {where}",
            _time_label(part),
            scores.target,
            [Line("forecast", x, columns["forecast"], "s1", 2.4), Line("measured", x, columns["y"], "ink", 1.2)],
            bands=_bands(x, columns, scores.levels),
            y_range=limits,
        )
        how = f"Each point of the blue line was forecast {ahead} earlier; the thin line was measured then."
        if scores.levels:
            how += " The shades show how sure the forecast was: the wider, the less sure."
        figures.append(Figure(chart, how, size))
    return figures


def _fans(table: pl.DataFrame, scores: ForecastScores, times: pl.Series, peak: Any) -> list[Figure]:
    """The forecasts as issued at up to three cut-offs before the peak, on one scale: how it came into sight."""
    issued = table.filter(pl.col("ds") == peak).sort("lead", descending=True)
    picks = sorted({0, len(issued) // 2, len(issued) - 1})
    span = _around(times, peak, 2 * scores.horizon, scores.horizon + 1)
    truth = table.filter(pl.col("ds").is_between(span[0], span[-1])).unique("ds").sort("ds")
    fans = [table.filter(pl.col("cutoff") == issued["cutoff"][pick]).sort("lead") for pick in picks]
    fans = [fan.filter(pl.col("ds").is_between(span[0], span[-1])) for fan in fans]
    limits = _limits([truth, *fans], scores.levels)
    figures = []
    for pick, fan in zip(picks, fans, strict=True):
        cutoff = issued["cutoff"][pick]
        past, later = truth.filter(pl.col("ds") <= cutoff), truth.filter(pl.col("ds") >= cutoff)
        x, columns = _with_gaps(fan)
        before = words.lead(int(issued["lead"][pick]), scores.freq)
        chart = Chart(
            f"As issued {before} before the peak",
            _time_label(truth),
            scores.target,
            [
                Line("known by then", _times(past["ds"]), _values(past["y"]), "ink"),
                Line("measured later", _times(later["ds"]), _values(later["y"]), "ink", 1.2, "2 4"),
                Line("forecast", x, columns["forecast"], "s1", dots=True),
            ],
            bands=_bands(x, columns, scores.levels),
            rules=[Rule(_times(fan["cutoff"])[0], "x", "issued")],
            y_range=limits,
        )
        how = "Left of the rule is what was known, right of it one whole forecast; dotted, what came."
        figures.append(Figure(chart, how, "third"))
    return figures


def _limits(tables: Sequence[pl.DataFrame], levels: Sequence[str]) -> tuple[float, float] | None:
    """One y range, from round number to round number, for charts that are to be compared; None without any value."""
    names = ["y", "forecast", *(f"{side}-{level}" for level in levels for side in ("lo", "hi"))]
    values = np.concatenate([_values(t[name]) for t in tables for name in names if name in t.columns])
    values = values[np.isfinite(values)]
    return round_range(float(values.min()), float(values.max()), 6) if len(values) else None


def _bands(x: NDArray[Any], columns: dict[str, NDArray[np.float64]], levels: Sequence[str]) -> list[Band]:
    """The widest interval first, so that the narrower ones lie on top and look darker."""
    return [
        Band(f"{level} % interval", x, columns[f"lo-{level}"], columns[f"hi-{level}"])
        for level in reversed(levels)
        if f"lo-{level}" in columns and f"hi-{level}" in columns
    ]


def _with_gaps(rows: pl.DataFrame) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]]]:
    """Times, and every number column; where times are missing from a regular series, a row of NaN breaks the lines."""
    x = _times(rows["ds"])
    numbers = {name: _values(rows[name]) for name, kind in rows.schema.items() if kind.is_numeric() and name != "ds"}
    if len(x) < 3:
        return x, numbers
    steps = np.diff(x)
    breaks = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1
    middle = x[breaks - 1] + steps[breaks - 1] // 2
    return np.insert(x, breaks, middle), {name: np.insert(y, breaks, np.nan) for name, y in numbers.items()}


def _times(column: pl.Series) -> NDArray[Any]:
    return column.to_numpy()


def _values(column: pl.Series) -> NDArray[np.float64]:
    return column.cast(pl.Float64).to_numpy()


def _time_label(rows: pl.DataFrame) -> str:
    return "date" if rows.schema["ds"].is_temporal() else "step"
