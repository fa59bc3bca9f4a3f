"""The top of a page whose runs have no scores.json: what their record says of how far they came."""

from __future__ import annotations

import math
from collections.abc import Sequence

from elman.report import words
from elman.report.compare import Comparison, lowest, parameters_of, seconds_of
from elman.report.runs import Run, number
from elman.report.scores import quoted

LANGUAGE = ("language", "write")  # tasks whose loss is the surprise at each next token


def unscored_title(runs: Sequence[Run]) -> str:
    task = runs[0].config.get("task")
    return f"{runs[0].label}: the next character" if task in LANGUAGE else f"{runs[0].label}: no scores yet"


def unscored_verdict(runs: Sequence[Run], comparison: Comparison) -> list[str]:
    """A sentence on a language model by its validation loss, else on which of several runs came lowest."""
    run = runs[0]
    loss, constant = lowest(run, "val_loss"), _constant(run)
    if run.config.get("task") in LANGUAGE and loss is not None:
        name = quoted(run.label)
        said = f"{name[0].upper()}{name[1:]} needs {loss / math.log(2):.2f} bits to guess each character of a new text"
        if constant:
            said += f"; to know how common each is would take {constant / math.log(2):.2f}"
        return [f"{said}."]
    if comparison.record and comparison.rows:
        known = [n for n in comparison.record["networks"] if any(v is not None for v in n["values"])]
        if known:
            name = str(comparison.record["metric"]["name"])
            lowest_of = [(min(v for v in n["values"] if v is not None), n["label"]) for n in known]
            value, label = min(lowest_of)
            of = words.count(len(known), "network")
            return [f"Of {of}, {quoted(label)} has the lowest {name}, {words.amount(value)}."]
    return ["There are no scores to show yet."]


def unscored_numbers(run: Run) -> list[tuple[str, str]]:
    """What each number is, and its value; those that the record does not tell are left out."""
    loss, parameters, seconds = lowest(run, "val_loss"), parameters_of(run), seconds_of(run)
    numbers = []
    if run.config.get("task") in LANGUAGE and loss is not None:
        numbers += [
            ("bits a character, on a text that it has not seen", f"{loss / math.log(2):.2f}"),
            ("equally likely characters would be as hard to guess", words.amount(math.exp(loss))),
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
