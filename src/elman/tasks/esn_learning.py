"""How the readout of an echo state network is fitted: from sums over all steps, or from one step after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.errors import InputError
from elman.models.echo_state import EchoState
from elman.models.readout import Linear, RecursiveLeastSquares, RidgePath, Scored, Sums, ridge
from elman.tasks.esn_series import Lesson, parts
from elman.tasks.settings import EchoStateSettings

Array = np.ndarray
NUMBERS = 1 << 22  # that are held at once: 32 MB of features
SHORTEST, LONGEST = 256, 8192  # steps that are run at once
PENALTIES = np.logspace(-14, 1, 31)  # tried, in units of the mean square that the features have in sum


@dataclass
class Chosen:
    """A readout, its penalty, and how it was chosen: penalties, errors beside the spread of the outputs, and norms."""

    linear: Linear
    ridge: float
    path: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Learner:
    """Runs a network over lessons and fits its readout, in memory that does not grow with the number of steps."""

    settings: EchoStateSettings
    network: EchoState
    own: int
    """The last columns of the inputs, so many, are what will be its own output when it runs freely."""

    def __post_init__(self) -> None:
        self.dtype = self.network.last_output.dtype

    @property
    def at_once(self) -> int:
        return min(LONGEST, max(SHORTEST, NUMBERS // self.network.feature_size))

    def stretches(
        self, lessons: Sequence[Lesson], state: Tensor | None = None, *, washout: int | None = None
    ) -> Iterator[tuple[int, Array, Array]]:
        """Features and outputs of all steps that are learned from, part by part, and how many came before.

        The state after the last step is left in the network. The noise is the same at each call.
        """
        washout = self.settings.washout if washout is None else washout
        random = np.random.default_rng(self.settings.seed + 1)
        before = 0
        for lesson in lessons:
            held = state
            for first, last in parts(lesson.steps, self.at_once):
                x = lesson.inputs(first, last)
                if self.settings.noise and self.own:
                    x[:, -self.own :] += self.settings.noise * random.standard_normal((len(x), self.own))
                found, held = self.network.features(torch.from_numpy(x)[None].to(self.dtype), held)
                skipped = max(0, washout - first)
                if skipped < last - first:
                    features = found[0, skipped:].double().numpy()
                    yield before, features, lesson.outputs(first + skipped, last)
                    before += len(features)
            if held is not None:
                self.network.last_state.copy_(held)

    def fit(self, lessons: Sequence[Lesson]) -> Chosen:
        total = sum(max(0, lesson.steps - self.settings.washout) for lesson in lessons)
        if total < 2:
            longest = max(lesson.steps for lesson in lessons)
            raise InputError(
                f"washout={self.settings.washout} leaves {total} steps to learn from: the longest series has {longest} "
                "of which it is known what comes. Choose a smaller washout, or give longer series"
            )
        if self.settings.ridge is not None or self.settings.choice == "gcv":
            return self.solve(self.sums(lessons, [(0, total)])[0])
        return self.choose(lessons, _held_out(self.settings, total), total)

    def sums(self, lessons: Sequence[Lesson], ranges: Sequence[tuple[int, int]]) -> list[Sums]:
        """Of the steps in each range."""
        found = [Sums(self.network.feature_size, self.network.readout.out_features) for _ in ranges]
        for before, features, outputs in self.stretches(lessons):
            for sums, rows in zip(found, _within(ranges, before, len(features)), strict=True):
                sums.add(features[rows], outputs[rows])
        return found

    def solve(self, sums: Sums) -> Chosen:
        """The readout with the penalty that is set, or the one that the formula chooses."""
        if self.settings.ridge is not None:
            return Chosen(ridge(sums, self.settings.ridge), self.settings.ridge)
        path, penalties = RidgePath(sums), _penalties(sums)
        errors = np.sqrt([path.gcv(alpha) for alpha in penalties])
        return self._chosen(sums, penalties, errors, [path.solve(alpha) for alpha in penalties])

    def choose(self, lessons: Sequence[Lesson], held: Sequence[tuple[int, int]], total: int) -> Chosen:
        """The penalty with the least error on held-out parts, and the readout of all steps with it.

        The steps are run twice: once to add them up, once to score the readouts of all penalties.
        """
        ends = sorted({0, total, *(end for part in held for end in part)})
        ranges = list(pairwise(ends))
        by_range = dict(zip(ranges, self.sums(lessons, ranges), strict=True))
        whole = Sums.together(by_range.values())
        penalties = _penalties(whole)
        scored, readouts = [], []
        for part in held:
            path = RidgePath(Sums.together([sums for at, sums in by_range.items() if at != part]))
            readouts = [path.solve(alpha) for alpha in penalties]
            scored.append(Scored(readouts))
        for before, features, outputs in self.stretches(lessons):
            for score, rows in zip(scored, _within(held, before, len(features)), strict=True):
                score.add(features[rows], outputs[rows])
        n = sum(score.n for score in scored)
        if not n:
            raise InputError("no step of the validation part has a known output; choose another validation")
        spread = np.maximum(whole.yy / whole.n, 1e-300)
        errors = np.sqrt((np.sum([score.squares for score in scored], axis=0) / n / spread).mean(axis=1))
        return self._chosen(whole, penalties, errors, readouts)

    def _chosen(self, sums: Sums, penalties: Array, errors: Array, readouts: Sequence[Linear]) -> Chosen:
        alpha = float(penalties[int(np.argmin(errors))])
        norms = [float(np.linalg.norm(readout.slope)) for readout in readouts]
        path = {"ridge": penalties.tolist(), "error": errors.tolist(), "norm": norms}
        return Chosen(ridge(sums, alpha), alpha, path)

    def recursive(self) -> RecursiveLeastSquares:
        alpha = 1.0 if self.settings.ridge is None else self.settings.ridge
        readout = self.network.readout
        return RecursiveLeastSquares(
            self.network.feature_size, readout.out_features, forgetting=self.settings.forgetting, alpha=alpha
        )

    def learn_in_turn(
        self, rls: RecursiveLeastSquares, lesson: Lesson, state: Tensor | None = None, *, washout: int | None = None
    ) -> Chosen:
        """One step after the other; with "force", what it says itself is its input, instead of the truth."""
        washout = self.settings.washout if washout is None else washout
        if self.settings.readout == "force":
            self._forced(rls, lesson, state, washout)
        else:
            for _, features, outputs in self.stretches([lesson], state, washout=washout):
                for x, y in zip(features, outputs, strict=True):
                    rls.learn(x, y)
        return Chosen(rls.linear, 1.0 if self.settings.ridge is None else self.settings.ridge)

    def _forced(self, rls: RecursiveLeastSquares, lesson: Lesson, state: Tensor | None, washout: int) -> None:
        """FORCE learning (Sussillo and Abbott 2009, doi:10.1016/j.neuron.2009.07.018); in the washout, the truth."""
        said: Array | None = None
        for first, last in parts(lesson.steps, self.at_once):
            inputs, outputs = lesson.inputs(first, last), lesson.outputs(first, last)
            for t, (x, y) in enumerate(zip(inputs, outputs, strict=True), first):
                if said is not None:
                    x[-self.own :] = said
                features, state = self.network.features(torch.from_numpy(x).to(self.dtype)[None, None], state)
                if t >= washout:
                    said = rls.learn(features[0, 0].double().numpy(), y)[: self.own]
        if state is not None:
            self.network.last_state.copy_(state)

    def go_to_the_end(self, lesson: Lesson, state: Tensor | None) -> None:
        """From where it is known what comes next, to the last step; the network notes where it has come to."""
        network, first, last = self.network, lesson.steps, len(lesson.x)
        if first < last:
            x = torch.from_numpy(lesson.inputs(first, last))[None].to(self.dtype)
            features, state = network.features(x, state)
            network.last_state.copy_(state)
            network.last_features.copy_(features[0, -1])
        if lesson.y is not None:
            network.last_output.copy_(torch.from_numpy(lesson.outputs(last - 1, last)[0]).nan_to_num())


class Stream:
    """What `partial_fit` learns from, as it comes: sums or a recursive readout, and where the series has come to."""

    def __init__(self, learner: Learner):
        network = learner.network
        self.learner, self.steps = learner, 0
        self.state: Tensor | None = None
        self.held: Array | None = None  # the last steps of x, of which it was not known what comes next; or y before
        self.sums = Sums(network.feature_size, network.readout.out_features)
        self.rls = None if learner.settings.readout == "ridge" else learner.recursive()
        self.chosen: Chosen | None = None

    def learn(self, lesson: Lesson) -> None:
        """From the next steps."""
        if lesson.y is None and self.held is not None:
            lesson = replace(lesson, x=np.concatenate([self.held, lesson.x]))
        elif self.held is not None:
            lesson = replace(lesson, before=self.held)
        washout = max(0, self.learner.settings.washout - self.steps)
        if lesson.steps:
            if self.rls:
                self.chosen = self.learner.learn_in_turn(self.rls, lesson, self.state, washout=washout)
            else:
                self.chosen = None
                for _, features, outputs in self.learner.stretches([lesson], self.state, washout=washout):
                    self.sums.add(features, outputs)
            self.state = self.learner.network.last_state.clone()
            self.steps += lesson.steps
        self.held = np.array(lesson.x[lesson.steps :] if lesson.y is None else lesson.y[-1])
        self.learner.go_to_the_end(lesson, self.state)

    def readout(self) -> Chosen:
        """Of all steps so far."""
        if self.chosen is None:
            self.chosen = self.learner.solve(self.sums)
        return self.chosen


def closed_loop(network: EchoState, outside: Array | None, steps: int, own: int, state: Any, said: Tensor) -> Array:
    """`steps` outputs `(steps, O)`, scaled, each of which is an input of the next step.

    outside: other inputs `(steps, I)`, scaled.  own: how many of the outputs are fed back.  said: the last `(own)`.
    """
    given = None if outside is None else torch.from_numpy(outside).to(said.dtype)
    found = np.empty((steps, network.readout.out_features))
    for t in range(steps):
        x = said if given is None else torch.cat([given[t], said])
        y, state = network(x[None, None], state)
        said = y[0, 0, :own]
        found[t] = y[0, 0].double().numpy()
    return found


def _penalties(sums: Sums) -> Array:
    """Those to try: larger than what is lost in rounding."""
    penalties = PENALTIES * max(float(np.trace(sums.xx)) / len(sums.xx), 1e-300)
    return penalties[penalties > sums.smallest]


def _held_out(settings: EchoStateSettings, total: int) -> list[tuple[int, int]]:
    """Which of the steps are held out in turn."""
    if settings.choice == "validation":
        begin = total - max(1, round(total * settings.validation))
        if begin < 2:
            raise InputError(f"validation={settings.validation:g} leaves {begin} of {total} steps to learn from")
        return [(begin, total)]
    if total < 2 * settings.folds:
        raise InputError(f"{total} steps can't be cut into folds={settings.folds}; choose fewer")
    ends = np.linspace(0, total, settings.folds + 1).round().astype(int).tolist()
    return list(pairwise(ends))


def _within(ranges: Sequence[tuple[int, int]], before: int, n: int) -> list[slice]:
    """Of n steps, of which `before` came earlier, those in each range."""
    return [slice(max(0, begin - before), max(0, min(n, end - before))) for begin, end in ranges]
