"""`elman diagnose`: what ails a run, in words."""

from pathlib import Path

from elman.cli.options import Json
from elman.cli.terminal import say


def diagnose(run: Path, /, *, json: Json = False) -> None:
    """Say what ails a training run, what shows it, and what may cure it.

    Parameters
    ----------
    run
        folder that `elman fit` made, finished or not
    """
    from dataclasses import asdict

    from elman.errors import InputError
    from elman.training.diagnosis import UNSEEN, note_of
    from elman.training.diagnosis import diagnose as findings_of
    from elman.training.record import Run

    record = Run(run)
    record.config()  # an InputError where it is no run folder
    events = record.events()
    if not any(event["event"] in ("step", "epoch", "error") for event in events):
        raise InputError(f"nothing is recorded yet in {run}; there is nothing to diagnose")
    findings = findings_of(events)
    if json:
        import json as js

        print(js.dumps([asdict(finding) for finding in findings]))
        return
    note = note_of(events, findings)
    if note == UNSEEN:
        say(note)
        note = "" if findings else "Nothing found in the rest: the loss looks healthy."
    if note:
        print(note)
    for finding in findings:
        print(f"{finding.illness.capitalize()}. {finding.sentence}")
        for number, cure in enumerate(finding.cures, 1):
            print(f"  {number}. {cure}")
