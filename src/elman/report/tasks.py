"""The tasks whose scores a page knows. To add one: a room with its `Scores` and its panels, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elman.report.class_panels import chance, class_panels
from elman.report.class_scores import ClassScores, TagScores
from elman.report.forecast_scores import ForecastScores
from elman.report.forecasts import forecast_panels
from elman.report.number_scores import NumberScores, number_panels
from elman.report.panels import Panel
from elman.report.runs import Run, Scores
from elman.report.scores import Group


def _nothing(groups: Sequence[Group]) -> list[str]:
    return []


@dataclass(frozen=True)
class Task:
    """How a page reads the scores of a task, and what it draws of them.

    panels(groups, run): sections below the table of scores; the run is the one whose test part is drawn, and there are
    no groups where there are no scores.  more(groups): sentences below the verdict.  columns: that test.parquet has.
    """

    scores: type[Scores]
    panels: Callable[[Sequence[Group], Run], list[Panel]]
    more: Callable[[Sequence[Group]], list[str]] = _nothing
    columns: Sequence[str] = ()


TASKS = {
    "forecast": Task(ForecastScores, forecast_panels, columns=("unique_id", "cutoff", "ds", "lead", "y", "forecast")),
    "classify": Task(ClassScores, class_panels, chance),
    "text": Task(ClassScores, class_panels, chance),
    "tag": Task(TagScores, class_panels),
    "regress": Task(NumberScores, number_panels),
}
