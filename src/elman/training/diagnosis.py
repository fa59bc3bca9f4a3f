"""What ails a training run, in words: each illness is one small function of the run's record.

A rule reads the recorded events (`elman.training.record`, `elman.training.diagnostics`) and says nothing, or what it
found, the numbers that show it, and cures, the likeliest first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from statistics import mean, median
from typing import Any

Event = Mapping[str, Any]

HEALTHY = "Nothing found: the loss, the gradient through time, the gates and the units look healthy."
UNSEEN = (
    "Nothing was recorded of the inside (probe=0, or a search without a gradient): the gradient and the gates are not "
    "judged."
)
UNTRACED = "The gradient through time, the gates and the units were not looked at: this network has no recurrent layer."
SOUND = "Nothing found in the loss and in how far each step moves the weights."

SHORT = 0.5  # of the steps; a gradient that reaches back less far than this has vanished on the way
GROWS = 1e3  # times that at lag 0 is an explosion
HUGE = 100.0  # times the median norm of the gradient, for one step
NEAR = 25  # steps before and after it
STUCK = 0.9  # of a gate's values, or of the units
WORSE = 1.2  # times the best validation loss, or the training loss of the first epoch
RECENT = 5  # steps or epochs
KEEPING = {  # a gate by the end at which its cell keeps the state
    ("LSTM", "f"): "open", ("SLSTM", "f"): "open", ("MinLSTM", "f"): "open", ("GRU", "z"): "open",
    ("MinGRU", "z"): "shut", ("RGLRU", "r"): "shut",
}  # fmt: skip
LEARNT = 0.5  # of the loss of the best constant answer; a network that is below has learnt a good part
UNLEARNT = 0.9  # of it; one that stays above has learnt next to nothing
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 0.2  # of a weight's size in one step; about 1e-3 is usual


@dataclass(frozen=True)
class Finding:
    """One illness: its name, a sentence that says it with its evidence, and cures in the order to try them."""

    illness: str
    sentence: str
    cures: tuple[str, ...]
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """A run's events, apart by kind."""

    steps: Sequence[Event]
    epochs: Sequence[Event]
    probes: Sequence[Event]
    facts: Sequence[Event]
    errors: Sequence[Event]

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        kinds: dict[str, list[Event]] = {k: [] for k in ("step", "epoch", "probe", "fact", "error")}
        for event in events:
            kinds.get(event["event"], []).append(_restored(event) if event["event"] == "probe" else event)
        return cls(*kinds.values())

    @property
    def layers(self) -> Sequence[Event]:
        """What the last probe saw of each layer."""
        return self.probes[-1]["layers"] if self.probes else []

    @property
    def validations(self) -> list[float]:
        return [e["val_loss"] for e in self.epochs if e["val_loss"] is not None]


def _restored(probe: Event) -> Event:
    """A look as it was before it became JSON, which has no infinity and says null."""
    layers = [
        {**layer, "grad_norm": [inf if norm is None else norm for norm in layer["grad_norm"]]}
        for layer in probe["layers"]
    ]
    updates = {name: u for name, u in probe.get("updates", {}).items() if u is not None}
    return {**probe, "layers": layers, "updates": updates}


Rule = Callable[[History], Finding | None]


def diagnose(events: Iterable[Event]) -> list[Finding]:
    """All that was found, what most needs a cure first; nothing for a healthy run.

    >>> diagnose([{"event": "epoch", "epoch": 0, "train_loss": 1.0, "val_loss": 1.0}])
    []
    """
    history = History.of(events)
    return [finding for rule in RULES if (finding := rule(history))]


def note_of(events: Sequence[Event], findings: Sequence[Finding]) -> str:
    """What is to be said beside the findings, or in their place; "" where they say it all."""
    if not any(event["event"] in ("step", "epoch", "error") for event in events):
        return "No step of the training is recorded yet: there is nothing to judge."
    probes = [event for event in events if event["event"] == "probe"]
    if not probes:
        return UNSEEN
    if not any(probe["layers"] for probe in probes):
        return UNTRACED if findings else f"{SOUND} {UNTRACED}"
    return "" if findings else HEALTHY


def exploding(history: History) -> Finding | None:
    """The gradient grows on its way back and the network does not learn, or the run broke off over what grew."""
    cures = (
        "clip the gradient's norm (clip=1)",
        "a smaller learning rate, a tenth of it",
        "orthogonal recurrent initialisation, or for a simple network one whose spectral radius is below 1",
        "a gated cell (LSTM or GRU) in place of a simple one",
        "a shorter truncation",
    )
    if history.errors and (broken := _broken(history)):
        return broken
    if not history.errors and _learnt(history) < LEARNT:
        return None
    for layer in history.layers:
        profile = layer["grad_norm"]
        grown = max(profile) / profile[0] if profile[0] else 0.0
        if grown > GROWS:
            back = layer["lags"][profile.index(max(profile))]
            evidence = {"layer": layer["name"], "factor": grown, "lag": back}
            if "jacobian_radius" in layer:
                evidence["jacobian_radius"] = layer["jacobian_radius"]
            return Finding(
                "exploding gradient",
                f"The gradient of {layer['name']} grows {grown:.2g}-fold on its way {back} steps back.",
                cures, evidence,
            )  # fmt: skip
    norms = [e["grad_norm"] for e in history.steps]
    # Beside those of the steps before and after it: a gradient shrinks as a network learns.
    usual = [median(norms[max(0, k - NEAR) : k + NEAR + 1]) for k in range(len(norms))]
    wild = [k for k in range(len(norms)) if norms[k] > HUGE * usual[k] > 0]
    if wild:
        worst = max(wild, key=lambda k: norms[k] / usual[k])
        step = history.steps[worst]["step"]
        return Finding(
            "exploding gradient",
            f"At step {step} the gradient's norm was {norms[worst]:.3g}; around it the median is {usual[worst]:.3g}. "
            f"More than {HUGE:g} times what was usual it was at {len(wild)} of {len(norms)} steps.",
            cures, {"step": step, "norm": norms[worst], "median": usual[worst], "steps": len(wild)},
        )  # fmt: skip
    if history.errors:
        last = history.errors[-1]
        return Finding(
            "exploding gradient", f"The run broke off at step {last['step']}: {last['message']}.", cures,
            {"step": last["step"]},
        )  # fmt: skip
    return None


def _broken(history: History) -> Finding | None:
    """A run that was never well: what broke it off was there from the begin, or in what it is validated on."""
    last = history.errors[-1]
    if last["step"] > 1 and "validation" not in last["message"]:
        return None
    return Finding(
        "values that are not finite",
        f"The run broke off at step {last['step']}: {last['message']}. It was so from the begin, which no learning "
        "rate explains.",
        ("look for NaN, infinities and very large values in the data", "scale the inputs and the target"),
        {"step": last["step"]},
    )


def vanishing(history: History) -> Finding | None:
    """The gradient is gone before it reaches the sequence's begin, and the network does not learn.

    One that learns all the same has found what it needs near the end, and has learnt to forget the rest.
    """
    layers = [layer for layer in history.layers if any(layer["grad_norm"]) and layer["steps"] >= 10]
    short = [layer for layer in layers if layer["horizon"] < SHORT * layer["steps"]]
    if not short or _learnt(history) < UNLEARNT:
        return None
    layer = min(short, key=lambda layer: layer["horizon"] / layer["steps"])
    simple = layer["cell"] == "RNN"
    return Finding(
        "vanishing gradient",
        f"The gradient of {layer['name']} reaches {layer['horizon']} of {layer['steps']} steps back; further back it "
        "is below a thousandth of what it was at the end, and what happened there can hardly be learnt.",
        (
            *(("an LSTM or GRU in place of the simple cell",) if simple else ()),
            "orthogonal or identity recurrent initialisation" if simple else "a forget-gate bias of 1 or more",
            *(() if simple else ("orthogonal recurrent initialisation",)),
            "a linear recurrence (LRU, MinGRU), whose gradient has no squashing to pass",
            "a longer truncation, if it is cut short of what matters",
            "a shorter window or a coarser step, if nothing far back matters",
        ),
        {"layer": layer["name"], "horizon": layer["horizon"], "steps": layer["steps"]},
    )


def saturated(history: History) -> Finding | None:
    """A gate is at one end for nearly all units and steps, or most units are at an end of their tanh.

    In a network that has learnt its task, a gate that is shut but for two steps may be what the task asks for.
    """
    if _learnt(history) < LEARNT:
        return None
    cures = (
        "a smaller learning rate",
        "inputs scaled to a spread of about 1",
        "layer normalisation in the recurrence (layer_norm)",
        "smaller initial weights or biases",
    )
    for layer in history.layers:
        for letter, (low, high) in layer["gates"].items():
            # Where a network remembers for long, the gate that keeps its state does so nearly always.
            ends = {"shut": low, "open": high}
            ends.pop(KEEPING.get((layer["cell"], letter), ""), None)
            share, end = max((share, end) for end, share in ends.items())
            if low + high > STUCK and letter in ("g", "n"):
                share, end = low + high, "at the ends of its tanh"
            if share > STUCK:
                return Finding(
                    "saturated gate",
                    f"Gate {letter} of {layer['name']} is {end} in {share:.0%} of units and steps: it passes next to "
                    "no gradient.",
                    cures, {"layer": layer["name"], "gate": letter, "share": share},
                )  # fmt: skip
        if layer["stuck"] > 0.5:
            return Finding(
                "saturated units",
                f"{layer['stuck']:.0%} of the {layer['units']} units of {layer['name']} lie at an end of their tanh "
                "nearly always: they pass next to no gradient.",
                cures, {"layer": layer["name"], "share": layer["stuck"]},
            )  # fmt: skip
    return None


def dead(history: History) -> Finding | None:
    """Many units never move."""
    for layer in history.layers:
        if layer["dead"] > 0.25:
            return Finding(
                "dead units",
                f"{layer['dead']:.0%} of the {layer['units']} units of {layer['name']} never move: they carry nothing.",
                (
                    "a smaller learning rate, and weights drawn anew",
                    "tanh in place of relu",
                    "fewer units",
                    "less weight decay",
                ),
                {"layer": layer["name"], "share": layer["dead"]},
            )
    return None


def leaking(history: History) -> Finding | None:
    """What is validated or tested on was also trained on."""
    for fact in history.facts:
        if fact.get("shared"):
            return Finding(
                "leak in the split",
                f"{fact['shared']} of {fact['validated']} examples that are validated on are trained on too: the "
                "validation loss flatters.",
                ("split by time or by group, not by row", "remove duplicates before the split"),
                {"shared": fact["shared"], "validated": fact["validated"]},
            )
    return None


def too_high(history: History) -> Finding | None:
    """The loss ends above where it began, or the steps are large beside the weights, and the network has not learnt."""
    losses = [e["loss"] for e in history.steps]
    updates = max(_updates(history), default=0.0)
    cures = ("a third or a tenth of the learning rate", "warm-up over some hundred steps", "clip=1", "a larger batch")
    if history.errors or len(losses) < 2 or _learnt(history) < LEARNT:
        return None
    epochs = [e["train_loss"] for e in history.epochs]  # a single batch says little
    first, last = (epochs[0], epochs[-1]) if len(epochs) > 1 else (mean(losses[:RECENT]), mean(losses[-RECENT:]))
    rose = len(epochs) > 1 and last > first + (WORSE - 1) * abs(first)
    if updates > LARGE_UPDATE or rose:
        evidence = {"first_loss": first, "last_loss": last, "update": updates}
        said = f"The loss went from {first:.3g} to {last:.3g}"
        if updates:
            said += f", and a step changes a weight by {100 * updates:.2g} % of its size (about 0.1 % is usual)"
        return Finding("learning rate too high", said + ".", cures, evidence)
    return None


def too_low(history: History) -> Finding | None:
    """The loss goes down steadily to the end, but hardly, in steps that are tiny beside the weights."""
    losses = [e["loss"] for e in history.steps]
    update = max(_updates(history), default=0.0)
    if len(losses) < 4 * RECENT or not update:
        return None
    first, last = median(losses[:RECENT]), median(losses[-RECENT:])
    if update < SMALL_UPDATE and last > UNLEARNT * first:
        return Finding(
            "learning rate too low",
            f"A step changes a weight by {100 * update:.2g} % of its size (about 0.1 % is usual), and the loss only "
            f"went from {first:.3g} to {last:.3g}.",
            ("ten times the learning rate", "Adam in place of SGD", "a schedule that does not fall so soon"),
            {"update": update, "first_loss": first, "last_loss": last},
        )
    return None


def overfitting(history: History) -> Finding | None:
    """The validation loss has been rising since its best while the training loss still falls."""
    losses = history.validations
    if len(losses) < 3:
        return None
    best = min(range(len(losses)), key=losses.__getitem__)
    epochs = [e for e in history.epochs if e["val_loss"] is not None]
    last = median(losses[-min(3, len(losses) - best) :])
    falls = epochs[-1]["train_loss"] < epochs[best]["train_loss"]
    if best < len(losses) - 1 and last - losses[best] > (WORSE - 1) * abs(losses[best]) and falls:
        return Finding(
            "overfitting",
            f"The validation loss was best after epoch {epochs[best]['epoch']}, {losses[best]:.3g}, and is {last:.3g} "
            f"now, while the training loss fell on to {epochs[-1]['train_loss']:.3g}. The best weights are kept.",
            (
                "more dropout, or recurrent dropout or zoneout",
                "fewer units",
                "weight decay",
                "more data",
                "fewer epochs (less patience)",
            ),
            {"best": losses[best], "last": last, "epoch": epochs[best]["epoch"]},
        )
    return None


def underfitting(history: History) -> Finding | None:
    """The training loss has come to rest hardly below that of the best constant answer."""
    losses = [e["train_loss"] for e in history.epochs]
    if len(losses) < RECENT or history.errors or too_high(history) or too_low(history):
        return None
    first, last = losses[0], median(losses[-RECENT:])
    if _learnt(history) > UNLEARNT:
        return Finding(
            "underfitting",
            f"The training loss is {last:.3g} after {len(losses)} epochs, and was {first:.3g} after the first: the "
            "network has learnt next to nothing that the best constant answer would not give.",
            (
                "what the other findings say, first of all of the gradient",
                "more units or a second layer",
                "inputs that tell of the target; a longer window",
                "less dropout",
            ),
            {"first": first, "last": last},
        )
    return None


RULES: tuple[Rule, ...] = (
    leaking, too_high, too_low, exploding, vanishing, saturated, dead, overfitting, underfitting
)  # fmt: skip


def _updates(history: History) -> list[float]:
    """For each look inside, the median over weights of the last step's size beside the weight's."""
    return [median(probe["updates"].values()) for probe in history.probes if probe.get("updates")]


def _learnt(history: History) -> float:
    """The training loss at the end as a share of that of the best constant answer, or else of the first; 1 if unknown.

    The fact `constant` is that loss: a network soon learns the mean, and it need not look at its input for that.
    """
    losses, epochs = [e["loss"] for e in history.steps], [e["train_loss"] for e in history.epochs]
    constant = next((fact["constant"] for fact in history.facts if "constant" in fact), None)
    if not losses and not epochs:
        return 1.0
    first = constant or (mean(losses[:RECENT]) if losses else epochs[0])
    last = epochs[-1] if epochs else mean(losses[-RECENT:])
    return last / first if first > 0 and isfinite(last) else 1.0
