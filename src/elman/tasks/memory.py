"""HopfieldNetwork: stores patterns, and recalls the stored one from a damaged one."""

import os
import time
import warnings
from dataclasses import dataclass
from hashlib import sha256
from math import log, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
from sklearn.utils.validation import check_is_fitted
from torch import nn

from elman.data.patterns import Coding, read_cues, read_patterns
from elman.errors import InputError
from elman.layers.associative import AssociativeMemory
from elman.layers.dense import DenseMemory
from elman.layers.storage import rank
from elman.tasks.base import Estimator
from elman.tasks.memory_trials import save_trials
from elman.tasks.settings import MemorySettings, check_architecture, check_settings
from elman.training.record import Run

BATCH = 1024  # cues that are recalled at once
GAIN = 10.0  # of graded units
STEPS = {"binary": 100, "continuous": 2000, "modern": 20}
CAPACITY = 0.138  # of N random patterns, under the hebbian rule (Amit, Gutfreund and Sompolinsky 1985)
NEAR = 0.01  # of the spread of the patterns: so near to one of numbers is recalled


@dataclass(frozen=True)
class Recall:
    """How B cues became patterns, in K steps.

    recalled (B, *shape): what they came to, written as the patterns were.  states (K + 1, B, N): first the cues, then
    what each step made of them, of -1 and 1, graded or of any numbers by the kind of network.  energy (K + 1, B).
    overlaps (K + 1, B, P): the cosine with each stored pattern.  attention (K + 1, B, P): the share of each pattern in
    the next step, of the modern network.  steps (B): how many moved each.  converged (B): whether it rests.  cycle (B):
    1 where it rests, 2 where it goes to and fro between two states, 0 where time was up.  descents: for each cue its
    energy after each unit that turned, where they turn one after the other.
    """

    recalled: np.ndarray
    states: np.ndarray
    energy: np.ndarray
    overlaps: np.ndarray
    attention: np.ndarray | None
    steps: np.ndarray
    cycle: np.ndarray
    descents: list[np.ndarray]

    @property
    def converged(self) -> np.ndarray:
        return self.cycle == 1

    @property
    def nearest(self) -> np.ndarray:
        """(B): the stored pattern that each came nearest to; of a pattern's negative, it is not that pattern."""
        return self.overlaps[-1].argmax(axis=1)


@dataclass(kw_only=True, repr=False, eq=False)
class HopfieldNetwork(MemorySettings, Estimator):
    """An associative memory: all units coupled to all, so that a damaged pattern falls into the stored one.

    Who had what first: Nakano (1971, the Associatron) stored patterns of -1, 0 and 1 as sums of their products and
    recalled whole ones from parts. Amari (1972) showed for such networks of threshold units, coupled by the same rule,
    when the stored patterns are stable states. Little (1974) treated the persistent states of a brain as those of spins
    that all turn at once, with noise. Hopfield (1982) let units turn one by one and found the energy that they never
    raise, and (1984) the same for graded units. Ramsauer and others (2020) made the network for patterns of any numbers
    whose step is attention. The equations: `elman.layers.associative` and `elman.layers.hopfield`.

    The settings are described in `elman.tasks.settings`.

    >>> import numpy as np
    >>> patterns = np.random.default_rng(0).choice([-1, 1], (3, 60))
    >>> damaged = patterns.copy()
    >>> damaged[:, :9] *= -1
    >>> network = HopfieldNetwork().fit(patterns)
    >>> network.score(damaged, patterns)
    1.0
    """

    task: ClassVar[str] = "memory"
    if TYPE_CHECKING:  # else the dataclass would take it for a setting
        network_: AssociativeMemory | DenseMemory

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        thresholds: Any = None,
        run: Run | str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> Self:
        """Store the patterns X: (n, N), images (n, H, W) or a table, of -1 and 1, of 0 and 1, of bools; or grey images.

        The modern network stores any numbers. thresholds: of the units, (N).  run: a folder for the record and the
        model, refused if it exists unless `force`.
        """
        check_settings(self)
        check_architecture(self, by="kind")
        values, self.coding_, note = read_patterns(X, numbers=self.kind == "modern")
        theta = _thresholds(thresholds, values.shape[1], self.kind)
        self.n_features_in_ = values.shape[1]
        self.notes_ = [f"{note[0].upper()}{note[1:]}."] if note else []
        began = time.perf_counter()
        self.network_ = self._stored(values, theta)  # before there is a folder: what can't be stored leaves none
        hashed = sha256(values.tobytes()).hexdigest()
        record = self._open_run(run, {"sha256": hashed, "patterns": len(values)}, resume=False, force=force)
        self.history_ = [self._made_of(), {"event": "end", "reason": "stored", "seconds": time.perf_counter() - began}]
        self._warn_of(values)
        if record:
            for event in self.history_:
                record.record(**event)
            record.flush()
            self.save(record.model_path)
            save_trials(self, record.path)
        return self

    def _stored(self, values: np.ndarray, theta: np.ndarray | None) -> AssociativeMemory | DenseMemory:
        if self.kind == "modern":
            return DenseMemory.storing(values, normalise=self.normalise)
        memory = AssociativeMemory.storing(values, self.storage, thresholds=theta, self_coupling=self.self_coupling)
        if self.kind == "continuous" and self.time_step is not None:
            longest = memory.largest_step(self._beta(memory))
            if self.time_step > longest:
                raise InputError(
                    f"time_step={self.time_step:g}: with these patterns and beta the energy can rise in steps longer "
                    f"than {longest:.4g}; leave it out to have the longest that is safe"
                )
        return memory

    def _made_of(self) -> dict[str, Any]:
        """What a model card says of it."""
        network, N = self.network_, self.n_features_in_
        stored = network.patterns.numel() if isinstance(network, DenseMemory) else network.weight.numel()
        work = 2 * stored if isinstance(network, DenseMemory) else stored
        row = {"name": "units", "kind": type(network).__name__, "inputs": N, "outputs": N}
        numbers = {"parameters": stored, "state": N, "multiply_adds": work}
        return {"event": "model", "layers": [{**row, **numbers}], **numbers}

    def _warn_of(self, values: np.ndarray) -> None:
        """What will keep patterns from being recalled, as warnings and notes."""
        P, N = values.shape
        warned = []
        if twice := P - len(np.unique(values, axis=0)):
            warned.append(f"{twice} of the {P} patterns are there already: each is stored once more")
        network = self.network_
        if isinstance(network, DenseMemory):
            lost = int((network.separation() <= 1e-9).sum())
            if lost:
                warned.append(
                    f"{lost} of the {P} patterns fit another one as well as themselves, and can't be recalled"
                )
        else:
            warned += self._load_warnings(values)
            self.stable_ = network.stable(values)
            lost = int((~self.stable_).sum())
            better = self.storage != "pseudo-inverse" and P < N and not network.thresholds.any()
            if lost:
                warned.append(
                    f"{lost} of the {P} patterns are not at rest: the network leaves them even when shown whole"
                    + ("; storage='pseudo-inverse' would hold them" if better else "")
                )
        for text in warned:
            warnings.warn(text, stacklevel=3)
        self.notes_ += [f"{text[0].upper()}{text[1:]}." for text in warned]

    def _load_warnings(self, values: np.ndarray) -> list[str]:
        P, N = values.shape
        if self.storage == "hebbian" and P > CAPACITY * N:
            return [
                f"{P} patterns in {N} units are {P / N:.3f} N, and the hebbian rule holds about {CAPACITY} N random "
                f"ones, {CAPACITY * N:.0f} here"
            ]
        safe = N / sqrt(2 * log(N))
        if self.storage == "storkey" and safe < P:
            return [
                f"{P} patterns in {N} units are more than N / sqrt(2 ln N), {safe:.0f} here, up to which storkey's "
                "rule holds random ones without an error"
            ]
        if self.storage == "pseudo-inverse":
            independent = rank(values)
            if independent == N:
                return [
                    f"{P} patterns span all {N} dimensions, so every state is at rest and nothing is recalled; fewer "
                    "than N can be held"
                ]
            if independent < P:
                self.notes_.append(
                    f"{independent} of the {P} patterns are linearly independent: they are stored, and so is what else "
                    "of -1 and 1 lies in their span."
                )
        return []

    # --- recalling ---

    def predict(self, X: Any) -> np.ndarray:
        """What is recalled from each cue of X, (n, *shape), written as the patterns were."""
        check_is_fitted(self)
        cues = read_cues(X, self.coding_)
        return self.coding_.write(self.settled(cues))

    def settled(self, cues: np.ndarray) -> np.ndarray:
        """`(n, N)`: what cues come to, both as the network has them inside."""
        return np.concatenate([self._settle(cues[k : k + BATCH]).final for k in range(0, len(cues), BATCH)])

    def recall(self, X: Any) -> Recall:
        """Recall from each cue of X, (n, *shape) or one alone, and keep all that happened on the way."""
        check_is_fitted(self)
        cues = read_cues(X, self.coding_)
        made, network = self._settle(cues, record=True), self.network_
        states = np.array(made.states)
        if isinstance(network, DenseMemory):
            energy, attention = np.array(made.energies), np.array(made.shares)
            overlaps, descents = np.array([network.overlaps(s) for s in states]), []
        else:
            energy, attention = np.array([self._energy(s) for s in states]), None
            patterns = network.patterns.numpy()
            length = np.linalg.norm(states, axis=-1, keepdims=True) * sqrt(self.n_features_in_)
            overlaps = states @ patterns.T / np.maximum(length, 1e-300)
            descents = _descents(energy[0], made.falls) if made.falls else []
        return Recall(
            self.coding_.write(made.final), states, energy, overlaps, attention, made.steps, made.cycle, descents
        )

    def energy(self, X: Any) -> np.ndarray:
        """(n): the energy of each state of X, written as the patterns were."""
        check_is_fitted(self)
        return self._energy(read_cues(X, self.coding_))

    def score(self, X: Any, y: Any = None) -> float:
        """The share of cues X from which the pattern in y is recalled; without y, X are the patterns themselves."""
        check_is_fitted(self)
        cues = read_cues(X, self.coding_)
        truth = cues if y is None else read_cues(y, self.coding_)
        if len(truth) != len(cues):
            raise InputError(f"expected a pattern in y for each of {len(cues)} cues, found {len(truth)}")
        return float(self.right(self.settled(cues), truth).mean())

    def right(self, states: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """(n): whether each state, of what is inside, is the pattern; numbers to within a hundredth of their spread."""
        if self.kind == "modern":
            spread = float(self.network_.patterns.std()) or 1.0
            return np.abs(states - truth).max(axis=1) <= NEAR * spread
        return (np.sign(states) == truth).all(axis=1)

    def predict_table(self, X: Any) -> Any:
        """What is recalled from the rows of a table, as a table of the same columns."""
        from elman.data.tables import read_table

        table = read_table(X)
        frame = table.frame
        wrong = [c for c in frame.columns if not (frame[c].dtype.is_numeric() or frame[c].dtype == pl.Boolean)]
        if wrong:
            raise InputError(f"{table.name}: column {wrong[0]!r} holds no numbers; each row is a cue, a column a unit")
        cues = frame.to_numpy().astype(np.float64).reshape(len(frame), -1)
        shape = self.coding_.shape
        if cues.shape[1] == self.coding_.units:
            cues = cues.reshape(-1, *shape)
        found = self.predict(cues).reshape(len(frame), -1)
        return table.give_back(pl.DataFrame(found, schema=frame.columns))

    def _settle(self, cues: np.ndarray, *, record: bool = False) -> Any:
        steps, network = self.max_steps or STEPS[self.kind], self.network_
        if isinstance(network, DenseMemory):
            return network.settle(cues, beta=self._beta(network), steps=steps, record=record)
        if self.kind == "continuous":
            return network.settle_graded(
                cues, beta=self._beta(network), time_step=self.time_step, steps=steps, record=record
            )
        return network.settle(cues, update=self.update, order=self.order, seed=self.seed, steps=steps, record=record)

    def _energy(self, states: np.ndarray) -> np.ndarray:
        network = self.network_
        if isinstance(network, DenseMemory):
            return network.energy(states, self._beta(network))
        if self.kind == "continuous":
            return network.graded_energy(states, self._beta(network))
        return network.energy(states)

    def _beta(self, network: AssociativeMemory | DenseMemory) -> float:
        if self.beta is not None:
            return self.beta
        return network.usual_beta() if isinstance(network, DenseMemory) else GAIN

    # --- keeping ---

    def _add_to_page(self, run: Run) -> None:
        self.save(run.model_path)
        save_trials(self, run.path)

    def _learned(self) -> dict[str, Any]:
        return {
            "coding": self.coding_.to_dict(),
            "patterns": len(self.network_.patterns),
            "notes": self.notes_,
        }

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        check_architecture(self, by="kind")
        self.coding_, self.notes_ = Coding.from_dict(learned["coding"]), [str(note) for note in learned["notes"]]
        self.n_features_in_, self.history_ = self.coding_.units, []
        patterns = int(learned["patterns"])
        if self.kind == "modern":
            return DenseMemory(self.n_features_in_, patterns, normalise=self.normalise)
        return AssociativeMemory(self.n_features_in_, patterns)


def _thresholds(thresholds: Any, units: int, kind: str) -> np.ndarray | None:
    if thresholds is None:
        return None
    if kind == "modern":
        raise InputError("the modern network has no units with thresholds; leave them out, or choose another kind")
    theta = np.asarray(thresholds, dtype=np.float64).reshape(-1)
    if theta.shape != (units,) or not np.isfinite(theta).all():
        raise InputError(f"expected thresholds as {units} finite numbers, one for each unit, found {theta.shape}")
    return theta


def _descents(start: np.ndarray, falls: list[tuple[int, np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """For each state its energy at the start and after each unit that turned."""
    which = np.concatenate([names for _, names, _ in falls])
    change = np.concatenate([fall for *_, fall in falls])
    return [energy + np.concatenate([[0.0], np.cumsum(change[which == b])]) for b, energy in enumerate(start)]
