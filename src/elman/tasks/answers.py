"""What the estimators share that give one answer for each case, whatever a case is: a sequence, an image, a text."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import Tensor, nn

from elman.data.cases import Cases
from elman.data.tables import Table
from elman.errors import InputError
from elman.tasks.base import Estimator
from elman.tasks.case_inside import Told
from elman.tasks.case_lessons import CaseLessons, outputs_for, probe
from elman.tasks.case_reading import Given, is_table, names, one_for_each
from elman.tasks.case_scoring import CaseScores
from elman.tasks.fitting import check_optimizer, fit_network
from elman.tasks.settings import AnswerSettings, check_architecture, check_settings
from elman.tasks.splitting import as_array, held_back, split_of
from elman.training.diagnosis import Finding, diagnose
from elman.training.distributed import ALONE, World, joined
from elman.training.record import Run
from elman.training.threads import threads_for

SPLIT_SEED = 0  # of the test part, so that runs whose seeds differ are scored on the same cases


@dataclass(frozen=True)
class Learning:
    """What is learned from: cases, answers as they were given, and which are tested, trained and validated on."""

    given: Given
    y: np.ndarray
    groups: np.ndarray | None
    test_on: np.ndarray
    train_on: np.ndarray
    validate_on: np.ndarray


@dataclass(kw_only=True, repr=False, eq=False)
class OneAnswer(AnswerSettings, Estimator):
    """Splitting, training, scoring, saving; a subclass says how cases are read, what an answer is, what a wrong one
    costs."""

    group: ClassVar[str | None] = None  # a column that says which case a row is of

    # --- how cases are read: what a subclass gives ---

    def _first_read(self, X: Any, label: str | None) -> Given:
        """The cases of X to learn from; label: the column of the answers, if they are in X."""
        raise NotImplementedError

    def _learn_to_read(self, training: Cases) -> None:
        """Learn from the cases trained on how they become numbers."""
        raise NotImplementedError

    def _as_read(self, cases: Cases) -> Cases:
        """The cases as the network reads them."""
        raise NotImplementedError

    def _read_again(self, X: Any) -> Given:
        """Cases to predict, as the network reads them; what is new in them is warned of."""
        raise NotImplementedError

    def _notes(self, training: Cases) -> list[str]:
        """What is to be said of the cases trained on."""
        return []

    def _noise(self) -> float:
        """The spread of what is added to the numbers that are read, while training."""
        return 0.0

    def _look_inside(self, lessons: CaseLessons, learning: Learning, on: np.ndarray, run: Run) -> None:
        """Keep what the network does with some of the cases `on`, which it has not learned from."""
        raise NotImplementedError

    def _network(self) -> nn.Module:
        raise NotImplementedError

    # --- what an answer is: what a subclass gives ---

    def _check_answers(self, y: Any) -> np.ndarray:
        """The answers as an array (n), or an error that says what is wrong with them."""
        raise NotImplementedError

    def _learn_answers(self, y: np.ndarray) -> None:
        """Learn from those trained on how answers become numbers."""
        raise NotImplementedError

    def _encoded(self, y: np.ndarray) -> Tensor:
        """(n): the answers as the loss takes them."""
        raise NotImplementedError

    def _outputs(self) -> int:
        """How many numbers the network says of each case."""
        raise NotImplementedError

    def _cost(self, outputs: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def _judge(self, outputs: Tensor, y: Tensor) -> Tensor:
        """What a network is kept or stopped for."""
        return self._cost(outputs, y)

    def _weights(self) -> Tensor | None:
        return None

    def _constant(self, y: np.ndarray) -> float:
        """The loss of the best answer that is always the same."""
        raise NotImplementedError

    def _answer(self, outputs: Tensor) -> Tensor:
        """What of the outputs a look inside follows back."""
        raise NotImplementedError

    def _told(self, y: np.ndarray) -> Told:
        """What the outputs are called, and what was right, for a look inside."""
        raise NotImplementedError

    def _calibrate(self, outputs: np.ndarray, y: np.ndarray) -> None:
        """Learn from the validation part what the network could not."""

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """(n): what there is to be as much of in each part; None where answers are numbers."""
        return None

    def _answers_learned(self) -> dict[str, Any]:
        raise NotImplementedError

    def _restore_answers(self, learned: dict[str, Any]) -> None:
        raise NotImplementedError

    def _scored(self, given: Given, y: np.ndarray, on: np.ndarray, others: np.ndarray | None) -> CaseScores:
        """Scores of the cases `on`, and of baselines that learn from `others`."""
        raise NotImplementedError

    def _columns(self, cases: Cases) -> dict[str, Any]:
        """The columns of a table of predictions."""
        raise NotImplementedError

    # --- fitting ---

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        test: float | None = None,
        run: Run | str | os.PathLike[str] | None = None,
        resume: bool = False,
        force: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """Learn `y (n)` from the cases X, or from a table.

        y: may be left out where X is a table with the answers in a column (`label=`).
        groups: (n) names; cases of one group are never both trained and validated on. Of a table, `together=` names
        such a column.
        test: cases that are not learned from, for `evaluate`: a share below 1, of each class alike, or so many last
        ones.
        run: a folder for the run's record and model, refused if it exists unless `force`. resume: go on with the
        interrupted run there; it ends with the weights that it would have had without the interruption.
        """
        check_settings(self)
        check_architecture(self)
        learning = self._read(X, y, groups, test)
        lessons = self._prepare(learning)
        given = learning.given
        facts = {
            "path": str(given.table.path) if given.table and given.table.path else None,
            "sha256": given.digest(None if given.table and y is None else learning.y),
            "cases": len(given.cases),
            "test": None if test is None else str(test),
        }
        check_optimizer(self, self._network)  # before a run folder is made
        with joined() as world:
            recording = self._open_run(run, facts, resume=resume, force=force, world=world)
            self._train(lessons, learning, recording, resume, on_event, world)
            if recording and world.first:
                if self.probe:
                    on = learning.test_on if len(learning.test_on) else learning.validate_on
                    self._look_inside(lessons, learning, on, recording)
                self.save(recording.model_path)
                recording.checkpoint_path.unlink(missing_ok=True)
        return self

    def _read(self, X: Any, y: Any, groups: Any, test: float | None) -> Learning:
        """Read and split."""
        given = self._first_read(X, self._label(X, y))
        answers, names = self._answers_of(given, y), self._groups_of(given, groups)
        n = len(given.cases)
        rest, test_on = self._test_part(n, answers, names, test)
        strata = self._strata(answers)
        validate = held_back(
            len(rest),
            self.validation,
            self.seed,
            classes=None if strata is None else strata[rest],
            groups=None if names is None else names[rest],
            what="validation",
        )
        train, validate = split_of(validate, len(rest))
        return Learning(given, answers, names, test_on, rest[train], rest[validate])

    def _label(self, X: Any, y: Any) -> str | None:
        """The column of X that holds the answers; None where y does."""
        if y is not None:
            return self.label if is_table(X) else None
        if is_table(X):
            return self.label or "y"
        raise InputError(
            f"This {type(self).__name__} estimator requires y to be passed, but the target y is None; only a table can "
            "hold it in a column of its own"
        )

    def _answers_of(self, given: Given, y: Any) -> np.ndarray:
        if y is None:
            label = self.label or "y"
            assert given.table is not None
            if label not in given.table.frame.columns and self.label is None:
                raise InputError(
                    f"{given.table.name}: which column is to be predicted? There is none named 'y'; name it with "
                    f"label= (--label). The columns are: {', '.join(given.table.frame.columns)}"
                )
            given.table.need(label, "label")
            self._check_label(given.table, label)
            column = one_for_each(given, label, "label", self.group)
            if column.null_count():
                first = int(column.is_null().arg_true()[0])
                name = names(given, self.group)[first]
                where = f"{self.group!r} {name}" if self.group else given.table.row(first)
                raise InputError(f"{given.table.name}, {where}: the label {label!r} is missing; leave such cases out")
            y = self._answers_in(column)
        answers = self._check_answers(y)
        check_consistent_length(range(len(given.cases)), answers)
        return answers

    def _check_label(self, table: Table, label: str) -> None:
        """An InputError that names the row, where the column holds what is no answer."""

    def _answers_in(self, column: pl.Series) -> np.ndarray:
        return column.to_numpy()

    def _groups_of(self, given: Given, groups: Any) -> np.ndarray | None:
        if groups is None and self.together is not None and given.table is not None:
            groups = one_for_each(given, self.together, "together", self.group).to_list()
        if groups is None:
            return None
        if len(groups) != len(given.cases):
            raise InputError(f"groups names {len(groups)} cases, and there are {len(given.cases)}")
        return as_array(groups)

    def _test_part(
        self, n: int, y: np.ndarray, groups: np.ndarray | None, test: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is left to learn from, and the test part."""
        if isinstance(test, str) or (test is not None and not test > 0):
            raise InputError(f"test={test!r}: a share below 1 or a number of cases was expected")
        if test is None:
            return np.arange(n), np.arange(0)
        if test >= 1:  # the last ones
            if test >= n:
                raise InputError(f"test={test:g}, and there are {n} cases; at least two have to be left to learn from")
            return np.arange(n - int(test)), np.arange(n - int(test), n)
        return split_of(held_back(n, test, SPLIT_SEED, classes=self._strata(y), groups=groups, what="test"), n)

    def _prepare(self, learning: Learning) -> CaseLessons:
        """Learn all that needs no network; return what the network is to be taught."""
        cases, train_on = learning.given.cases, learning.train_on
        training = cases.take(train_on)
        self._learn_to_read(training)
        self._learn_answers(learning.y[np.concatenate([train_on, learning.validate_on])])
        self.notes_ = self._notes(training)
        return CaseLessons(
            self._as_read(cases),
            self._encoded(learning.y),
            train_on,
            learning.validate_on,
            self._cost,
            self._judge,
            self._weights(),
            self._constant(learning.y[train_on]),
            self._answer,
            self.batch_size,
            self._noise(),
            self.seed,
        )

    def _train(
        self,
        lessons: CaseLessons,
        learning: Learning,
        run: Run | None,
        resume: bool,
        on_event: Callable[[dict[str, Any]], None] | None,
        world: World = ALONE,
    ) -> None:
        with torch.random.fork_rng(), threads_for(self.hidden_size, self.threads):
            torch.manual_seed(self.seed)
            network = self._network()
            self.history_ = fit_network(self, network, lessons, world=world, run=run, resume=resume, on_event=on_event)
            self.network_ = network.eval()
            with torch.no_grad():
                outputs = outputs_for(network, lessons.validation).double().numpy()
        self._calibrate(outputs, learning.y[learning.validate_on])

    # --- using ---

    def _said(self, cases: Cases) -> np.ndarray:
        """(N, O): what the network says of cases as it reads them."""
        with torch.no_grad():
            return outputs_for(self._exact(), cases).numpy()

    def _exact(self) -> nn.Module:
        """The network in float64: no digit of what it says depends on the rest of a batch."""
        return copy.deepcopy(self.network_).double()

    def predict_table(self, X: Any) -> Any:
        """The predictions with the name of each case: its group, or its number. Of a table, as the kind that X is."""
        given = self._read_again(X)
        frame = pl.DataFrame({self.group or "case": names(given, self.group), **self._columns(given.cases)})
        return frame if given.table is None else given.table.give_back(frame)

    def evaluate(self, X: Any, y: Any = None, *, groups: Any = None, test: float | None = None) -> CaseScores:
        """Scores of the `test` part of X, as `fit` has held it back, beside baselines that learn from the other cases.

        Without `test`, of all X, and beside nothing but the best constant answer.
        """
        self._label(X, y)
        given = self._read_again(X)
        answers = self._answers_of(given, y)
        rest, on = self._test_part(len(given.cases), answers, self._groups_of(given, groups), test)
        if test is None:
            self.scores_ = self._scored(given, answers, rest, None)
        else:
            self.scores_ = self._scored(given, answers, on, rest)
        return self.scores_

    def diagnose(self, X: Any = None) -> list[Finding]:
        """What ails the network and its training, if anything, what shows it and what may cure it.

        X: cases to look at the network with; without them, what was recorded while training must do.
        """
        check_is_fitted(self)
        events = list(self.history_)
        if X is not None:
            look = probe(self._read_again(X).cases, 1, self._answer).look(self.network_)
            events.append({"event": "probe", "step": 0, **look})
        return diagnose(events)

    # --- keeping ---

    def _reading_learned(self) -> dict[str, Any]:
        """What `_first_read` and `_learn_to_read` have learned."""
        raise NotImplementedError

    def _restore_reading(self, learned: dict[str, Any]) -> None:
        raise NotImplementedError

    def _learned(self) -> dict[str, Any]:
        return {
            **self._reading_learned(),
            "notes": self.notes_,
            "answers": self._answers_learned(),
            "history": [event for event in self.history_ if event["event"] != "step"],
        }

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        check_architecture(self)
        self._restore_reading(learned)
        self.notes_ = [str(note) for note in learned["notes"]]
        self.history_ = list(learned["history"])
        self._restore_answers(learned["answers"])
        return self._network()
