"""Echo state networks: a fixed random reservoir, of which only a linear readout is fitted."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, TypeVar

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted
from torch import nn

from elman.errors import InputError
from elman.layers import Reservoir
from elman.models.echo_state import EchoState
from elman.models.nvar import NVAR
from elman.models.readout import Sums
from elman.tasks.base import Estimator
from elman.tasks.esn_learning import Chosen, Learner, Stream, closed_loop
from elman.tasks.esn_pooled import logistic, pooled
from elman.tasks.esn_series import Given, Lesson, Scale, kind_of, parts
from elman.tasks.settings import EchoStateSettings, check_architecture, check_settings
from elman.training.record import Run
from elman.training.threads import threads_for_sums

Array = np.ndarray
P = ParamSpec("P")
R = TypeVar("R")
ADAPTED = 5000  # steps that intrinsic plasticity sees in a pass


def on_its_threads(method: Callable[P, R]) -> Callable[P, R]:
    """The method, on as few threads as are good for a network of that size."""

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        settings: Any = args[0]
        with threads_for_sums(settings.hidden_size * settings.num_layers, settings.threads):
            return method(*args, **kwargs)

    return run


@dataclass(kw_only=True, repr=False, eq=False)
class EchoStateNetwork(EchoStateSettings, Estimator):
    """A network of which only the readout is fitted, in closed form, so in seconds (Jaeger 2001).

    What it learns follows from what `fit` is given:

    - `fit(series)`: how the series goes on. `predict(series)` says at each step what comes `horizon` steps later,
      `generate(steps)` goes on freely, with its own output as its input.
    - `fit(X, Y)` with a Y for each step: Y at each step. `feedback=True` gives it its last output as an input.
    - `fit(X, y)` with several series and one y for each: classes; or numbers, where y holds floats.

    A series is an array `(T)` or `(T, features)`; several are a list of these, or an array `(n, T, features)`. The
    settings are described in `elman.tasks.settings`. Nothing but the time depends on the number of steps: an array
    that is mapped into memory (`numpy.memmap`) is read part by part, and `partial_fit` takes a stream as it comes.

    >>> t = np.arange(2000)
    >>> esn = EchoStateNetwork(hidden_size=100, seed=1).fit(np.sin(0.2 * t))
    >>> bool(np.abs(esn.generate(50) - np.sin(0.2 * np.arange(2000, 2050))).max() < 0.01)
    True
    """

    task: ClassVar[str] = "esn"
    if TYPE_CHECKING:  # otherwise it would be a field
        network_: EchoState

    # --- fitting ---

    @on_its_threads
    def fit(
        self,
        X: Any,
        Y: Any = None,
        *,
        run: Run | str | os.PathLike[str] | None = None,
        force: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """Learn from X, and from Y where it is given; see above. InputError where they can't be used.

        run: a folder for the record and the model, refused if it exists unless `force`. A fit that was interrupted
        begins anew, as there is nothing to resume.
        """
        given, answers = self._begin(X, Y)
        facts = {"series": len(given.series), "steps": sum(map(len, given.series))}
        recording = self._open_run(run, facts, resume=False, force=force)
        if self.kind_ in ("classes", "values"):
            chosen = self._fit_pooled(given, np.asarray(Y))
        else:
            learner, lessons = self._learner, self._lessons(given, answers)
            if self.readout == "ridge":
                chosen = learner.fit(lessons)
            else:
                rls = learner.recursive()
                for lesson in lessons:
                    chosen = learner.learn_in_turn(rls, lesson)
            learner.go_to_the_end(lessons[-1], self.network_.last_state)
        self._take(chosen)
        if on_event:
            on_event(self.history_[-1])
        if recording:
            recording.record(**self.history_[-1])
            recording.flush()
            self.save(recording.model_path)
        return self

    @on_its_threads
    def partial_fit(self, X: Any, Y: Any = None) -> Self:
        """Learn from the next steps of one series, which go on where those of the last call ended.

        The first call settles how numbers are scaled: make it long enough for that. A series that is forecast is
        learned from as far as it is known what comes next. A ridge that is to be chosen is chosen by the formula (gcv).
        """
        if not hasattr(self, "network_"):
            given, answers = self._begin(X, Y)
            if given.several or self.kind_ not in ("forecast", "steps"):
                raise InputError("partial_fit takes the next steps of one series; several are for fit")
            self.stream_: Stream | None = Stream(self._learner)
        elif self.stream_ is None:
            raise InputError(
                "this network was fitted as a whole, or loaded; partial_fit goes on from partial_fit alone"
            )
        else:
            given = self._read(X)
            answers = None if self.kind_ == "forecast" else self._answers(given, Y)
        self.stream_.learn(self._lessons(given, answers)[0])
        return self

    def _begin(self, X: Any, Y: Any) -> tuple[Given, Given | None]:
        """Check everything, say what kind of task it is, and make the network, whose readout is still random."""
        check_settings(self)
        check_architecture(self, by="variant")
        self.stream_ = None
        given, answers = Given.read(X, "X"), None
        given.check_finite("X")
        self.kind_ = kind = kind_of(given, Y)
        self._check_fits(kind)
        self.x_scale_ = self.y_scale_ = Scale.fit(given.series, self.scale)
        self.features_, self.flat_ = given.series[0].shape[1], given.flat
        if kind == "forecast":
            self.outputs_ = self.features_ * len(self.horizon)
        elif kind == "steps":
            answers = self._answers(given, Y)
            self.y_scale_, self.flat_, self.outputs_ = (
                Scale.fit(answers.series, self.scale),
                answers.flat,
                answers.series[0].shape[1],
            )
        elif kind == "classes":
            self.classes_ = np.unique(np.asarray(Y))
            self.outputs_ = len(self.classes_)
            if self.outputs_ < 2:
                raise InputError(f"at least two classes are needed; all {len(given.series)} are {self.classes_[0]!r}")
        else:
            self.y_scale_, self.outputs_ = Scale.fit([np.asarray(Y, dtype=np.float64)[:, None]]), 1
        self.network_ = self._network()
        if self.plasticity and isinstance(self.network_.reservoir, Reservoir):
            x = self._lessons(given, answers)[0].inputs(0, ADAPTED)
            self.network_.reservoir.adapt(torch.from_numpy(x)[None].to(self._dtype), epochs=self.plasticity)
        return given, answers

    def _check_fits(self, kind: str) -> None:
        """InputError for settings that don't fit what is to be learned."""
        if self.feedback and kind != "steps":
            raise InputError("feedback=True needs a Y for each step; a series that is forecast is its own feedback")
        if self.readout != "ridge" and kind in ("classes", "values"):
            raise InputError(f"readout={self.readout!r} learns step by step, and here each series has one answer")
        if self.readout == "force" and kind == "steps" and not self.feedback:
            raise InputError("readout='force' is for a network whose output is fed back: set feedback=True")
        if kind != "forecast" and tuple(self.horizon) != (1,):
            raise InputError(
                f"horizon={self.horizon} is of a series that is forecast; a Y can be shifted as it is given"
            )
        if self.readout == "force" and kind == "forecast" and 1 not in self.horizon:
            raise InputError(f"readout='force' feeds back what comes next: horizon={self.horizon} has to have 1 in it")

    def _answers(self, given: Given, Y: Any) -> Given:
        if Y is None:
            raise InputError("Y was given before, and now it is not")
        answers = Given.read(Y, "Y")
        lengths, found = [len(one) for one in given.series], [len(one) for one in answers.series]
        if lengths != found:
            raise InputError(
                f"X has series of {lengths[:5]} steps and Y of {found[:5]}; they were expected to be alike"
            )
        if self.feedback:
            answers.check_finite("Y")
        return answers

    def _lessons(self, given: Given, answers: Given | None) -> list[Lesson]:
        ys = [None] * len(given.series) if answers is None else answers.series
        scales = self.x_scale_, self.y_scale_
        return [Lesson(x, y, *scales, self._horizons, self.feedback) for x, y in zip(given.series, ys, strict=True)]

    @property
    def _horizons(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.horizon)))

    @property
    def _own(self) -> int:
        """How many of its outputs are its inputs when it runs freely."""
        return self.features_ if self.kind_ == "forecast" else self.outputs_ if self.feedback else 0

    @property
    def _learner(self) -> Learner:
        return Learner(self, self.network_, self._own)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64

    def _network(self) -> EchoState:
        size = self.features_ + (self.outputs_ if self.feedback else 0)
        if self.variant == "nvar":
            reservoir: Reservoir | NVAR = NVAR(size, delays=self.delays, stride=self.stride, order=self.order)
        else:
            scaling = [self.input_scaling] * self.features_ + [self.feedback_scaling] * (size - self.features_)
            reservoir = Reservoir(
                size,
                self.hidden_size,
                self.num_layers,
                batch_first=True,
                leak=self.leak if self.leaks is None else self.leaks,
                spectral_radius=self.spectral_radius,
                input_scaling=scaling,
                bias_scaling=self.bias_scaling,
                connections=self.connections,
                density=self.density,
                topology=self.topology,
                groups=self.groups,
                variant=self.variant,
                seed=self.seed,
                dtype=self._dtype,
            )
        return EchoState(reservoir, self.outputs_, skip=self.skip, dtype=self._dtype)

    def _fit_pooled(self, given: Given, y: Array) -> Chosen:
        features = self._pooled(given)
        if self.kind_ == "classes":
            return Chosen(*logistic(features, np.searchsorted(self.classes_, y), self.ridge, self.seed))
        return self._learner.solve(Sums(features.shape[1], 1).add(features, self.y_scale_.apply(y[:, None])))

    def _pooled(self, given: Given) -> Array:
        return pooled(self.network_, [self.x_scale_.apply(one) for one in given.series], self.pooling)

    def _take(self, chosen: Chosen) -> None:
        self.network_.set_readout(chosen.linear)
        self.ridge_, self.path_ = chosen.ridge, chosen.path
        self.history_ = [{"event": "ridge", "chosen": chosen.ridge, **chosen.path}]

    # --- using ---

    def _ready(self) -> EchoState:
        """The network, with the readout of all that was learned from so far."""
        check_is_fitted(self)
        if self.stream_:
            self._take(self.stream_.readout())
        return self.network_

    def _read(self, X: Any) -> Given:
        given = Given.read(X, "X")
        given.check_finite("X")
        if given.series[0].shape[1] != self.features_:
            raise InputError(
                f"X has {given.series[0].shape[1]} features a step, and the network was fitted to {self.features_}"
            )
        return given

    @on_its_threads
    def predict(self, X: Any, *, horizon: int | None = None, go_on: bool = False) -> Any:
        """What is to be said of X: at each of its steps, or of each series where these have one answer.

        A series to be forecast: what comes `horizon` steps later, one of those that were fitted (the first, if None is
        named). With feedback it runs on its own output. go_on: the first series goes on where the one that it was
        fitted to ended; otherwise the state begins from zeros, and says little at the first steps.
        """
        network = self._ready()
        given = self._read(X)
        if self.kind_ in ("classes", "values"):
            said = network.readout(torch.from_numpy(self._pooled(given)).to(self._dtype)).double().numpy()
            if self.kind_ == "classes":
                return self.classes_[said.argmax(axis=1)]
            return self.y_scale_.undo(said)[:, 0]
        columns = slice(0, self.outputs_)
        if self.kind_ == "forecast":
            wanted = self._horizons[0] if horizon is None else horizon
            if wanted not in self._horizons:
                raise InputError(
                    f"horizon={wanted} was not fitted, only {', '.join(map(str, self._horizons))}; name it when the "
                    "network is made, or generate so many steps"
                )
            first = self._horizons.index(wanted) * self.features_
            columns = slice(first, first + self.features_)
        elif horizon is not None:
            raise InputError("horizon= is of series that are forecast; this network says Y at each step")
        found = []
        for k, x in enumerate(given.series):
            on = go_on and k == 0
            found.append(self.y_scale_.undo(self._said(x, on)[:, columns]))
        return given.give_back(found, self.flat_)

    def _said(self, x: Array, go_on: bool) -> Array:
        """(T, O), scaled."""
        network, state = self.network_, self.network_.last_state if go_on else None
        if self.feedback:
            last = network.last_output if go_on else torch.zeros_like(network.last_output)
            return closed_loop(network, self.x_scale_.apply(x), len(x), self._own, state, last)
        return np.concatenate([network.readout(part).double().numpy() for part, _ in self._features(x, state)])

    def _features(self, x: Array, state: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """What the readout reads at the steps of a series without feedback, part by part, and the state after it."""
        for first, last in parts(len(x), self._learner.at_once):
            part = torch.from_numpy(self.x_scale_.apply(x[first:last]))[None].to(self._dtype)
            features, state = self.network_.features(part, state)
            yield features[0], state

    @on_its_threads
    def predict_proba(self, X: Any) -> Array:
        """(n, C): the probability of each class, in the order of `classes_`."""
        network = self._ready()
        if self.kind_ != "classes":
            raise InputError("this network was not fitted to classes")
        logits = network.readout(torch.from_numpy(self._pooled(self._read(X))).to(self._dtype))
        return softmax(logits.double().numpy(), axis=1)

    @on_its_threads
    def generate(self, steps: int, *, warm_up: Any = None) -> Any:
        """The next `steps` of a series, each made from those before: `(steps)` or `(steps, features)`.

        warm_up: the series that is gone on with; None: the one that it was fitted to.
        """
        network = self._ready()
        if self.kind_ != "forecast" or self._horizons[0] != 1:
            raise InputError(
                "generate goes on with a series: fit(series), with 1 in horizon. With feedback, predict runs freely"
            )
        if steps < 1:
            raise InputError(f"steps={steps}: at least one was expected")
        features, state = network.last_features, network.last_state
        if warm_up is not None:
            given = self._read(warm_up)
            if given.several:
                raise InputError("warm_up is one series; found several")
            for part, after in self._features(given.series[0], None):
                features, state = part[-1], after
        said = network.readout(features)[: self.features_]
        first = said.double().numpy()[None]
        more = closed_loop(network, None, steps - 1, self.features_, state, said)[:, : self.features_]
        found = self.x_scale_.undo(np.concatenate([first, more]))
        return found[:, 0] if self.flat_ else found

    def score(self, X: Any, Y: Any = None) -> float:
        """The share of classes that are right; else R2 after the washout, the share of the variance explained."""
        said = self.predict(X)
        if self.kind_ == "classes":
            return float(accuracy_score(Y, said))
        if self.kind_ == "values":
            return float(r2_score(Y, said))
        given = self._read(X)
        lessons = self._lessons(given, None if self.kind_ == "forecast" else self._answers(given, Y))
        first = self._horizons[0]
        truth, found = [], []
        for lesson, one in zip(lessons, said if given.several else [said], strict=True):
            known = len(lesson.x) - first if lesson.y is None else len(lesson.x)
            true = lesson.x[first:] if lesson.y is None else lesson.y
            truth.append(np.asarray(true)[self.washout :])
            found.append(np.reshape(one, (len(one), -1))[self.washout : known])
        y, forecast = np.concatenate(truth), np.concatenate(found)
        both = ~np.isnan(y).any(axis=1)
        return float(r2_score(y[both], forecast[both]))

    # --- keeping ---

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> Any:
        self._ready()
        return super().save(folder, force=force)

    def _learned(self) -> dict[str, Any]:
        learned = {
            "kind": self.kind_,
            "features": self.features_,
            "outputs": self.outputs_,
            "flat": self.flat_,
            "x_scale": self.x_scale_.to_dict(),
            "y_scale": self.y_scale_.to_dict(),
            "history": self.history_,
        }
        if self.kind_ == "classes":
            learned |= {"classes": self.classes_.tolist(), "dtype": self.classes_.dtype.str}
        return learned

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        self.kind_, self.flat_ = str(learned["kind"]), bool(learned["flat"])
        self.features_, self.outputs_ = int(learned["features"]), int(learned["outputs"])
        self.x_scale_, self.y_scale_ = Scale.from_dict(learned["x_scale"]), Scale.from_dict(learned["y_scale"])
        self.history_, self.stream_ = list(learned["history"]), None
        self.path_ = {k: v for k, v in self.history_[-1].items() if k in ("ridge", "error", "norm")}
        self.ridge_ = float(self.history_[-1]["chosen"])
        if self.kind_ == "classes":
            self.classes_ = np.array(learned["classes"], dtype=np.dtype(learned["dtype"]))
        return self._network()
