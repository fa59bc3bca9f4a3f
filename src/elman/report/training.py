"""The training section in words: what ails each run, with its cures, and the steps where something began to go wrong.

The charts below these words are drawn in the browser from what `elman.report.recording` puts into the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elman.report.alerts import Alert, alerts
from elman.report.recording import layers_of, of_kind
from elman.report.runs import Row, Run
from elman.training.diagnosis import Finding, diagnose

HEALTHY = "Nothing found: the loss, the gradient through time, the gates and the units look healthy."
UNSEEN = (
    "Nothing was recorded of the inside (probe=0, or a search without a gradient): the gradient through time, the "
    "gates and the units are not judged."
)


@dataclass(frozen=True)
class RunWords:
    """What is said of one run; `note` stands above the findings, or in their place."""

    name: str
    note: str
    findings: Sequence[Finding]
    alerts: Sequence[Alert]


def words_of(run: Run, name: str) -> RunWords:
    """What the record of one run amounts to, as far as the record is whole."""
    whole = whole_events(run.events)
    kinds = {event["event"] for event in whole}
    if not kinds & {"step", "epoch", "error"}:
        return RunWords(name, "No step of the training is recorded yet: there is nothing to judge.", [], [])
    try:
        findings = diagnose(whole)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return RunWords(name, f"Its record can't be judged ({error!r}): it was changed.", [], alerts(whole))
    unseen = "" if "probe" in kinds else UNSEEN
    return RunWords(name, unseen or ("" if findings else HEALTHY), findings, alerts(whole))


def whole_events(events: Sequence[Row]) -> list[Row]:
    """The events that have what is judged in them; one whose numbers are missing or not finite says nothing."""
    return [
        *(e for e in events if e.get("event") == "fact"),
        *of_kind(events, "step", "loss", "grad_norm"),
        *of_kind(events, "epoch", "epoch", "train_loss"),
        *(p for p in of_kind(events, "probe") if layers_of(p)),
        *(e for e in of_kind(events, "error") if "message" in e),
    ]
