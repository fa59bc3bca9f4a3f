"""Steps at which something began to go wrong, where `elman.training.diagnosis` judges a whole run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from elman.report.recording import gates_of, layers_of, of_kind
from elman.report.runs import Row, number
from elman.training.diagnosis import HUGE, KEEPING, RECENT

USUAL = 101  # steps whose median norm is held to be usual
SHORT = 0.1  # of the steps; a memory horizon below it is an alert
STUCK = 0.95  # of a gate's values at one end
RISING = 3  # epochs in a row, by more than NOISE of the loss in all
NOISE = 0.02
MOST = 40  # alerts on a page; more would not be read


@dataclass(frozen=True)
class Alert:
    """Something that began at a step of training, in words. `kind` is one word, for its colour."""

    step: int
    kind: str
    words: str


def alerts(events: Sequence[Row]) -> list[Alert]:
    """All that is to be said of a run's events, in the order of their steps, the first of each kind that lasts.

    >>> alerts([{"event": "error", "step": 3, "message": "the loss is nan"}])[0].words
    'The run broke off: the loss is nan.'
    """
    found = [*_errors(events), *_wild_gradients(events), *_inside(events), *_rising(events)]
    return sorted(found, key=lambda alert: alert.step)[:MOST]


def _errors(events: Sequence[Row]) -> Iterator[Alert]:
    for event in of_kind(events, "error"):
        yield Alert(
            int(event["step"]), "error", f"The run broke off: {event.get('message', 'no reason was recorded')}."
        )


def _wild_gradients(events: Sequence[Row]) -> Iterator[Alert]:
    """Norms far above what was usual before them; neighbours are one alert."""
    before: deque[float] = deque(maxlen=USUAL)
    last = -RECENT
    for event in of_kind(events, "step", "grad_norm"):
        norm, step = float(event["grad_norm"]), int(event["step"])
        usual = median(before) if len(before) >= RECENT else 0.0
        if usual and norm > HUGE * usual:
            if step - last > RECENT:
                yield Alert(
                    step,
                    "gradient",
                    f"The gradient's norm is {norm:.3g}, {norm / usual:,.0f} times its usual {usual:.2g}.",
                )
            last = step
        before.append(norm)


def _inside(events: Sequence[Row]) -> Iterator[Alert]:
    """Where a look inside first sees a short memory or a gate at one end, and again after it was well in between."""
    ill: set[tuple[str, str]] = set()
    for probe in of_kind(events, "probe"):
        for name, layer in layers_of(probe).items():
            for what, words in _complaints(name, layer).items():
                if words and (name, what) not in ill:
                    yield Alert(int(probe["step"]), "memory" if what == "horizon" else "gate", words)
                (ill.add if words else ill.discard)((name, what))


def _complaints(name: str, layer: Row) -> dict[str, str]:
    """What can be wrong with a layer, and the words for what is."""
    said = {"horizon": ""}
    horizon, steps = number(layer.get("horizon")), number(layer.get("steps"))
    if horizon is not None and steps and horizon < SHORT * steps:
        said["horizon"] = f"The gradient of {name} reaches {horizon:.0f} of {steps:.0f} steps back: less than a tenth."
    for letter, shares in gates_of(layer).items():
        # Where a network remembers for long, the gate that keeps its state does so nearly always.
        keeping = KEEPING.get((str(layer.get("cell")), letter))
        low, high = (
            0.0 if end == keeping else number(s) or 0.0 for end, s in zip(("shut", "open"), shares, strict=True)
        )
        share, end = max((low, "low"), (high, "high"))
        at_end = f"Gate {letter} of {name} is at its {end} end in {share:.0%} of units and steps."
        said[f"gate {letter}"] = at_end if share > STUCK else ""
    return said


def _rising(events: Sequence[Row]) -> Iterator[Alert]:
    """A validation loss that rises several epochs in a row, once for each such stretch."""
    epochs = of_kind(events, "epoch", "val_loss")
    rises, low, said = 0, 0.0, False
    for before, now in pairwise(epochs):
        if now["val_loss"] <= before["val_loss"]:
            rises, said = 0, False
            continue
        rises, low = rises + 1, low if rises else before["val_loss"]
        if rises >= RISING and not said and now["val_loss"] - low > NOISE * abs(low):
            said = True
            yield Alert(
                int(now["step"]),
                "validation",
                f"The validation loss has risen for {rises} epochs in a row, to {now['val_loss']:.3g}.",
            )
