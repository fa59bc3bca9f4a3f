"""The training section in words: what ails each run, with its cures, and the steps where something began to go wrong.

The charts below these words are drawn in the browser from what `elman.report.recording` puts into the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elman.report.alerts import Alert, alerts
from elman.report.recording import layers_of, of_kind
from elman.report.runs import Row, Run
from elman.training.diagnosis import Finding, diagnose, note_of


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
    try:
        findings = diagnose(whole)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return RunWords(name, f"Its record can't be judged ({error!r}): it was changed.", [], alerts(whole))
    return RunWords(name, note_of(whole, findings), findings, alerts(whole))


def whole_events(events: Sequence[Row]) -> list[Row]:
    """The events that have what is judged in them; one whose numbers are missing or not finite says nothing."""
    return [
        *(e for e in events if e.get("event") == "fact"),
        *of_kind(events, "step", "loss", "grad_norm"),
        *of_kind(events, "epoch", "epoch", "train_loss"),
        *(p for p in of_kind(events, "probe") if layers_of(p) or p.get("layers") == []),
        *(e for e in of_kind(events, "error") if "message" in e),
    ]
