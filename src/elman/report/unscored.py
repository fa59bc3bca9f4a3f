"""The top of a page whose runs have no scores.json: what their record says of how far they came."""

from __future__ import annotations

import math
from collections.abc import Sequence

from elman.report import words
from elman.report.compare import Comparison, lowest, parameters_of, seconds_of
from elman.report.runs import Run, number

LANGUAGE = "language"


def unscored_title(runs: Sequence[Run]) -> str:
    task = runs[0].config.get("task")
    return f"{runs[0].label}: the next character" if task == LANGUAGE else f"{runs[0].label}: no scores yet"


def unscored_verdict(runs: Sequence[Run], comparison: Comparison) -> list[str]:
    """A sentence on a language model by its validation loss, else on which of several runs came lowest."""
    run = runs[0]
    loss, constant = lowest(run, "val_loss"), _constant(run)
    if run.config.get("task") == LANGUAGE and loss is not None:
        said = f"“{run.label}” needs {loss / math.log(2):.2f} bits for each character that it has not seen"
        if constant:
            said += f"; who only knows how common each is needs {constant / math.log(2):.2f}"
        return [f"{said}."]
    if comparison.record and comparison.rows:
        known = [n for n in comparison.record["networks"] if any(v is not None for v in n["values"])]
        if known:
            name = str(comparison.record["metric"]["name"])
            lowest_of = [(min(v for v in n["values"] if v is not None), n["label"]) for n in known]
            value, label = min(lowest_of)
            return [f"Of {words.count(len(known), 'network')}, “{label}” has the lowest {name}, {words.amount(value)}."]
    return ["There are no scores to show yet."]


def unscored_numbers(run: Run) -> list[tuple[str, str]]:
    """What each number is, and its value; those that the record does not tell are left out."""
    loss, parameters, seconds = lowest(run, "val_loss"), parameters_of(run), seconds_of(run)
    numbers = []
    if run.config.get("task") == LANGUAGE and loss is not None:
        numbers += [
            ("bits a character, on text it has not seen", f"{loss / math.log(2):.2f}"),
            ("characters it wavers between, as it were", f"{math.exp(loss):.1f}"),
        ]
    elif loss is not None:
        numbers.append(("lowest validation loss", words.amount(loss)))
    if parameters is not None:
        numbers.append(("parameters, numbers that were learned", f"{parameters:,.0f}"))
    if seconds is not None:
        numbers.append(("seconds of training", words.amount(seconds)))
    return numbers


def _constant(run: Run) -> float | None:
    return next((c for e in run.events if e.get("event") == "fact" and (c := number(e.get("constant")))), None)
