"""Where a run stands, in a few numbers: the strip above the charts."""

from __future__ import annotations

from typing import Any

from elman.report.runs import Run, number


def status_of(run: Run) -> dict[str, Any]:
    """Epochs done and in all, the pace so far, what is left at most, the best validation, and how the run ended.

    Numbers that nothing is known of are None; `state` is "open" as long as the record does not tell an end.
    """
    settings = run.config.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    epochs = number(settings.get("epochs"))
    last = run.epochs[-1] if run.epochs else {}
    done = len({e["epoch"] for e in run.epochs})
    seconds, step = number(last.get("seconds")), number(last.get("step"))
    scored = [v for e in run.epochs if (v := number(e.get("val_loss"))) is not None]
    broken = next((e for e in reversed(run.events) if e.get("event") in ("error", "end")), {})
    state = {"end": "ended", "error": "broken"}.get(str(broken.get("event")), "open")
    left = max(0.0, epochs - done) if epochs is not None else None
    return {
        "state": state,
        "reason": str(broken.get("reason") or broken.get("message") or ""),
        "epoch": done,
        "epochs": None if epochs is None else int(epochs),
        "seconds": seconds,
        "rate": step / seconds if step and seconds else None,
        "left": None if state != "open" or left is None or not seconds or not done else left * seconds / done,
        "best": min(scored) if scored else None,
    }
