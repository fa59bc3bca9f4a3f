"""The section on event warnings: how well the forecast says that a threshold will be passed."""

from __future__ import annotations

from collections.abc import Sequence

from elman.report import words
from elman.report.charts import Chart, Line, Table
from elman.report.forecast_scores import ForecastScores
from elman.report.panels import Figure, Panel, gaps
from elman.report.reliability import reliability
from elman.report.runs import Row, Run, number
from elman.report.skill import lead_axis


def event_warnings(run: Run) -> Panel | None:
    """Event warnings of one run, or None where no event was asked for."""
    scores = run.scores
    if not isinstance(scores, ForecastScores) or not scores.event:
        return None
    event, name = scores.event, f"{scores.target} {scores.event.get('condition', '')}"
    rows = [row for row in event.get("rows") or () if isinstance(row, dict)]
    by_lead = sorted((row for row in rows if row.get("lead") != "all"), key=lambda row: int(row["lead"]))
    everything: Row = next((row for row in rows if row.get("lead") == "all"), {})
    size, _ = words.step_of(scores.freq)
    x = [int(row["lead"]) * size for row in by_lead]
    shares = [
        ("hit rate", "hit_rate", "s1", ""),
        ("false alarms", "false_alarm_ratio", "s2", "7 4"),
        ("CSI", "csi", "s3", "2 4"),
    ]
    rivals = {
        key: value for key in everything if key.startswith("csi_") if (value := number(everything[key])) is not None
    }
    if rivals:
        best = max(rivals, key=rivals.__getitem__)
        shares.append((f"CSI of the best baseline, {_baseline(best)}", best, "s6", "2 4"))
    warned = Chart(
        "Warnings by lead time: events warned of, false alarms, and both in one (CSI)",
        lead_axis(scores)[2],
        "share (0 to 1)",
        [
            Line(title, x, gaps([number(row.get(key)) for row in by_lead]), colour, dash=dash, dots=True)
            for title, key, colour, dash in shares
        ],
        y_range=(0.0, 1.0),
        x_integer=True,
    )
    how = (
        "Hit rate: the share of events that were warned of, best 1. False alarms: the share of warnings without an "
        "event, best 0. CSI: hits among all events and warnings together, best 1."
    )
    if number(event.get("warn_from")) is not None:
        how += f" A warning is a probability of at least {words.plain(event['warn_from'])}."
    figures = [Figure(warned, how, "half")]
    bins: list[Row] = [b for b in event.get("reliability") or () if isinstance(b, dict)]
    if bins:
        figures.append(
            reliability(
                bins,
                "Reliability: the probability given, and how often the event came",
                "Dots on the dotted line: an event given 30 % came in 30 of 100 cases. Below it the warnings cry wolf.",
                "share of cases in which the event came",
                ("forecasts", "forecasts"),
                ("observed_frequency", "event came"),
            )
        )
    intro = f"How well the forecast warns of {name}."
    if everything:
        seen = f"{words.cases(everything.get('events'))} of {words.cases(everything.get('forecasts'))} forecasts"
        intro += f" The event came true in {seen} of the test part, all lead times taken together."
    tables = [("By lead time", _event_table(by_lead, everything, scores.freq))]
    return Panel("warnings", f"Warnings of {name}", intro, figures, tables)


def _event_table(by_lead: Sequence[Row], everything: Row, freq: str) -> Table:
    columns = {
        "brier": "Brier",
        "brier_climatology": "Brier of climatology",
        "hit_rate": "hit rate",
        "false_alarm_ratio": "false alarms",
        "csi": "CSI",
        **{key: f"CSI of {_baseline(key)}" for key in everything if key.startswith("csi_")},
    }
    rows = []
    for row in [*by_lead, *([everything] if everything else [])]:
        lead = "all" if row is everything else words.lead(int(row["lead"]), freq)
        counts = [words.cases(row.get("events")), words.cases(row.get("forecasts"))]
        rows.append([lead, *counts, *(words.score(number(row.get(key))) for key in columns)])
    note = "Brier: the mean squared error of the probabilities; lower is better, and it should beat climatology's."
    return Table(["lead time", "events", "forecasts", *columns.values()], rows, note)


def _baseline(key: str) -> str:
    name = key.removeprefix("csi_")
    return ForecastScores.baselines.get(name, name)
