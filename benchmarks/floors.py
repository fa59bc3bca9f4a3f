"""The speed that elman promises: a floor that must hold, and a goal."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

Pair = tuple[float, float]  # floor, goal

# Training step, speed-up over torch (an LSTM: over torch with malloc tuned), by the largest hidden size it holds for.
TRAIN: dict[str, dict[int, Pair]] = {
    "rnn": {64: (3.0, 6.0), 128: (2.0, 4.4), 256: (1.7, 2.3), 512: (1.3, 1.7)},
    "gru": {64: (3.5, 8.0), 128: (2.2, 4.0), 256: (1.7, 2.3), 512: (1.3, 1.6)},
    "lstm": {64: (1.4, 2.0), 128: (1.25, 1.6), 256: (1.2, 1.5), 512: (1.0, 1.1)},
}
TRAIN_AT_BATCH_1: dict[str, Pair] = {"rnn": (25.0, 50.0), "gru": (25.0, 50.0), "lstm": (2.0, 3.0)}
FORWARD: dict[str, Pair] = {"rnn": (2.5, 5.0), "gru": (2.5, 5.0), "lstm": (1.5, 2.5)}  # up to 128 units
FORWARD_OVER_ONNXRUNTIME: Pair = (1.0, 1.4)  # GRU and LSTM
FASTEST_PEER: Pair = (1.0, 1.0)
SHARE_OF_SGEMM: Pair = (0.65, 0.85)  # from 32 sequences and 128 units on
STREAM_OVER_TORCH: dict[int, Pair] = {64: (20.0, 40.0), 128: (10.0, 18.0)}
STREAM_OVER_THE_FASTER: dict[int, Pair] = {64: (3.0, 6.0), 256: (2.0, 3.0)}
SCAN: Pair = (8.0, 15.0)  # a training step
RESERVOIR: Pair = (2.0, 3.0)  # from 1,000 units on
MEMORY: Pair = (1.0, 1.0)  # torch's peak over ours


@dataclass(frozen=True)
class Verdict:
    """Whether a floor and a goal are reached by `value`, the larger the better."""

    what: str
    value: float
    floor: float
    goal: float

    @property
    def held(self) -> bool:
        return self.value >= self.floor

    @property
    def reached(self) -> bool:
        return self.value >= self.goal

    def __str__(self) -> str:
        goal = f", goal {self.goal:g} {'held' if self.reached else 'missed'}" if self.goal != self.floor else ""
        return f"{self.floor:g} {'held' if self.held else '**missed**'}{goal}"


def verdict(what: str, value: float, pair: Pair) -> dict[str, Any]:
    return asdict(Verdict(what, value, *pair))


def by_size(table: dict[int, Pair], size: int) -> Pair | None:
    """The floor and goal of the smallest size that `size` does not pass.

    >>> by_size({64: (3.0, 6.0), 128: (2.0, 4.4)}, 96), by_size({64: (3.0, 6.0)}, 96)
    ((2.0, 4.4), None)
    """
    return next((pair for largest, pair in sorted(table.items()) if size <= largest), None)


def summary(verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """How many floors and goals are reached, and the floors that are not, as Markdown."""
    if not verdicts:
        return "No floors here."
    missed = [(name, v) for name, v in verdicts if not v.held]
    goals = sum(v.reached for _, v in verdicts)
    lines = [f"{len(verdicts) - len(missed)} of {len(verdicts)} floors held, {goals} goals."]
    return "\n".join(lines + [f"- missed: {name}, {v.what}: {v.value:.3g} of {v.floor:g}" for name, v in missed])
