"""SequenceTagger: a label for each word of a sentence, or for each step of a sequence of numbers."""

import copy
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from elman.data.cases import Cases
from elman.data.features import Features
from elman.data.sequences import Sequences, read_sequences
from elman.data.tagged import Tagged, as_labels, as_sentences, read_tagged
from elman.data.texts import TokenCases
from elman.data.tokens import Tokenizer, Words, tokenizer_from
from elman.errors import InputError
from elman.models.encoders import encoder
from elman.models.tagger import Tagger
from elman.tasks.answers import SPLIT_SEED
from elman.tasks.base import Estimator
from elman.tasks.case_inside import LOOKED_AT, spread
from elman.tasks.case_scoring import CaseScores
from elman.tasks.cases import LAYERS
from elman.tasks.embedding import embedding_for, note_of, vectors_for
from elman.tasks.fitting import check_optimizer, fit_network
from elman.tasks.settings import RECURRENT, TagSettings, check_architecture, check_settings
from elman.tasks.splitting import held_back, split_of
from elman.tasks.tag_baselines import linear, most_frequent
from elman.tasks.tag_lessons import TagLessons, answers_for
from elman.tasks.tag_scoring import score_tags
from elman.training.diagnosis import Finding, diagnose
from elman.training.distributed import ALONE, World, joined
from elman.training.inside import look_inside
from elman.training.record import Run
from elman.training.threads import threads_for

SIZE = 100  # numbers of a word's vector, where nothing says another
Labels = tuple[tuple[str, ...], ...]


@dataclass(kw_only=True, repr=False, eq=False)
class SequenceTagger(TagSettings, Estimator):
    """One label for each step: parts of speech, names in a text, what somebody is doing.

    X is a list of sentences, each a list of words, or a list of arrays (T_i, features) of numbers; or a file with a
    word and its label in each line. A word is read as its pieces: one that was never seen is told by its endings.
    The settings are described in `elman.tasks.settings`.

    >>> X = [["a", "dog", "runs"], ["the", "cat", "sits"], ["the", "dog", "sits"], ["a", "cat", "runs"]] * 10
    >>> tagger = SequenceTagger(hidden_size=8, embedding_size=8, epochs=10, average=None, learning_rate=0.02)
    >>> tagger.fit(X, [["D", "N", "V"]] * 40).predict([["the", "dog", "runs"]])
    [['D', 'N', 'V']]
    """

    task: ClassVar[str] = "tag"

    # --- fitting ---

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        test: float | None = None,
        run: Run | str | os.PathLike[str] | None = None,
        resume: bool = False,
        force: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """Learn the labels `y`, a list for each sentence of X; of a file they stand beside the words.

        test: sentences that are not learned from, for `evaluate`: a share below 1, or so many last ones.
        run: a folder for the run's record and model, refused if it exists unless `force`. resume: go on with the
        interrupted run there; it ends with the weights that it would have had without the interruption.
        """
        check_settings(self)
        check_architecture(self)
        given, labels = self._read(X, y)
        rest, _ = self._test_part(len(labels), test)
        validate = held_back(len(rest), self.validation, self.seed, what="validation")
        train, validate = split_of(validate, len(rest))
        lessons = self._prepare(given, labels, rest[train], rest[validate])
        check_optimizer(self, self._network)
        facts = {
            "path": str(given.path) if isinstance(given, Tagged) and given.path else None,
            "sha256": _digest(given, labels),
            "sentences": len(labels),
            "test": None if test is None else str(test),
        }
        with joined() as world:
            recording = self._open_run(run, facts, resume=resume, force=force, world=world)
            self._train(lessons, recording, resume, on_event, world)
            if recording and world.first:
                if self.probe and self.architecture in RECURRENT:
                    self._look_inside(lessons, given, labels, recording)
                self.save(recording.model_path)
                recording.checkpoint_path.unlink(missing_ok=True)
        return self

    def _read(self, X: Any, y: Any) -> tuple[Tagged | Sequences, Labels]:
        if isinstance(X, str | os.PathLike | Tagged):
            if y is not None:
                raise InputError("a file has its labels beside its words; leave y out")
            found = X if isinstance(X, Tagged) else read_tagged(X)
            assert found.labels is not None
            return found, found.labels
        given = _given(X)
        lengths = [len(words) for words in given.words] if isinstance(given, Tagged) else given.lengths.tolist()
        return given, as_labels(y, lengths)

    def _test_part(self, n: int, test: float | None) -> tuple[np.ndarray, np.ndarray]:
        """What is left to learn from, and the test part."""
        if isinstance(test, str) or (test is not None and not test > 0):
            raise InputError(f"test={test!r}: a share below 1 or a number of sentences was expected")
        if test is None:
            return np.arange(n), np.arange(0)
        if test >= 1:
            if test >= n - 1:
                raise InputError(f"test={test:g}, and there are {n} sentences; two at least have to be left")
            return np.arange(n - int(test)), np.arange(n - int(test), n)
        return split_of(held_back(n, test, SPLIT_SEED, what="test"), n)

    def _prepare(
        self, given: Tagged | Sequences, labels: Labels, train_on: np.ndarray, validate_on: np.ndarray
    ) -> TagLessons:
        self.notes_: list[str] = []
        self.features_: Features | None = None
        self.tokenizer_: Tokenizer | None = None
        if isinstance(given, Tagged):
            self.tokenizer_ = Words(sorted({word for k in train_on for word in given.words[k]}))
            self._vectors, self.size_ = vectors_for(self, self.tokenizer_, SIZE)
            self.notes_ += note_of(self, self._vectors, self.tokenizer_)
        else:
            self.features_ = Features.fit(given.take(train_on).values)
            self.size_, self._vectors = self.features_.size, {}
        self.longest_ = int(max(len(of) for of in labels))
        self.classes_ = np.array(sorted({tag for k in (*train_on, *validate_on) for tag in labels[k]}))
        if len(self.classes_) < 2:
            raise InputError(f"at least two labels are needed to learn from; all are {self.classes_.tolist()[0]!r}")
        return TagLessons(
            self._as_read(given),
            [self._encoded(of) for of in labels],
            train_on,
            validate_on,
            len(self.classes_),
            self.batch_size,
            self.seed,
        )

    def _as_read(self, given: Tagged | Sequences) -> Cases:
        if isinstance(given, Sequences):
            if self.features_ is None:
                raise InputError("the model was fitted on words, and numbers were given")
            return given.scaled(self.features_)
        if self.tokenizer_ is None:
            raise InputError("the model was fitted on numbers, and words were given")
        ids = {word: k for k, word in enumerate(self.tokenizer_.tokens)}
        return TokenCases(
            tuple(" ".join(words) for words in given.words),
            given.words,
            np.array([ids.get(word, 0) for words in given.words for word in words], dtype=np.int64),
            np.array([len(words) for words in given.words], dtype=np.int64),
            self.buckets or None,
        )

    def _encoded(self, labels: tuple[str, ...]) -> Tensor:
        where = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        return torch.from_numpy(np.where(self.classes_[where] == np.array(labels), where, -1))

    def _train(
        self,
        lessons: TagLessons,
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

    def _look_inside(self, lessons: TagLessons, given: Tagged | Sequences, labels: Labels, run: Run) -> None:
        """Keep what the network does with sentences of the validation part of one length, or cut to it."""
        lengths = lessons.cases.lengths
        T = max(2, int(np.median(lengths[lessons.validate_on])))
        long = lessons.validate_on[lengths[lessons.validate_on] >= T]
        if not len(long):
            return
        picks = spread(long, LOOKED_AT)
        network = self.network_
        assert isinstance(network, Tagger)
        x, *rest = lessons.cases.batch(torch.from_numpy(picks))
        with torch.no_grad():
            x = network.embed(x, *rest[1:])[:, :T]
        words = [given.words[k][:T] for k in picks] if isinstance(given, Tagged) else None
        look_inside(
            network,
            network.run,
            x,
            labels=[
                f"sentence {k + 1}" + (f" (first {T} of {lengths[k]} words)" if lengths[k] > T else "") for k in picks
            ],
            words=words,
            kind="classes",
            outputs=[str(c) for c in self.classes_],
            truth=torch.stack([self._encoded(labels[k][:T]) for k in picks]),
        ).save(run.path)

    def _network(self) -> nn.Module:
        embedding = None
        if self.tokenizer_ is not None:
            vectors = getattr(self, "_vectors", {})  # which a model that is loaded has among its weights
            embedding = embedding_for(self, self.tokenizer_, self.size_, self.buckets or None, vectors)
        both = self.bidirectional and self.architecture in RECURRENT
        reader = encoder(
            self.architecture,
            self.size_,
            self.hidden_size,
            num_layers=self.num_layers or LAYERS[self.architecture],
            dropout=self.dropout,
            bidirectional=both,
            **self._own(self.longest_),
        )
        return Tagger(
            embedding, reader, len(self.classes_), chain=self.crf, dropout=self.dropout, word_dropout=self.word_dropout
        )

    # --- using ---

    def predict(self, X: Any) -> list[list[str]]:
        """The labels of each sentence."""
        return [[str(tag) for tag in self.classes_[best]] for best in self._said(X)[0]]

    def predict_proba(self, X: Any) -> list[np.ndarray]:
        """(T_i, K) of each sentence: how likely each label is for each word, in the order of `classes_`."""
        return self._said(X)[1]

    def _said(self, X: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For each sentence the best labels' numbers and the probabilities of all."""
        check_is_fitted(self)
        given = read_tagged(X, with_labels=False) if isinstance(X, str | os.PathLike) else _given(X)
        network = copy.deepcopy(self.network_).double()  # no digit depends on the rest of a batch
        assert isinstance(network, Tagger)
        cases = self._as_read(given)
        with torch.no_grad():
            best = answers_for(network, cases, network.best)
            chances = answers_for(network, cases, network.chances)
        return [row.numpy() for row in best], [row.numpy() for row in chances]

    def predict_table(self, X: Any) -> pl.DataFrame:
        """A row for each word: its sentence, the word, its label, and how likely that is."""
        given = read_tagged(X, with_labels=False) if isinstance(X, str | os.PathLike) else _given(X)
        best, chances = self._said(given)
        words = (
            [word for of in given.words for word in of]
            if isinstance(given, Tagged)
            else [k + 1 for n in given.lengths for k in range(n)]
        )
        return pl.DataFrame(
            {
                "sentence": [k + 1 for k, row in enumerate(best) for _ in row],
                "word" if isinstance(given, Tagged) else "step": words,
                "label": [str(self.classes_[n]) for row in best for n in row],
                "p": [float(p[n]) for row, of in zip(best, chances, strict=True) for n, p in zip(row, of, strict=True)],
            }
        )

    def score(self, X: Any, y: Any = None) -> float:
        """The share of words that are labelled right."""
        given, labels = self._read(X, y)
        right = [
            a == b for said, of in zip(self.predict(given), labels, strict=True) for a, b in zip(said, of, strict=True)
        ]
        return sum(right) / len(right)

    def evaluate(self, X: Any, y: Any = None, *, test: float | None = None) -> CaseScores:
        """Scores of the `test` part of X, as `fit` has held it back, beside baselines that learn from the others.

        Without `test`, of all X, and beside nothing.
        """
        check_is_fitted(self)
        given, labels = self._read(X, y)
        rest, on = self._test_part(len(labels), test)
        if test is None:
            rest, on = on, rest
        best, chances = self._said(_taken(given, on))
        truth = [labels[k] for k in on]
        models: dict[str, Any] = {self.architecture: [[str(t) for t in self.classes_[row]] for row in best]}
        words: list[tuple[str, ...]] = [tuple(str(k) for k in range(len(of))) for of in truth]
        if isinstance(given, Tagged):
            words = [given.words[k] for k in on]
            if len(rest):
                learned = [given.words[k] for k in rest], [labels[k] for k in rest], words
                models |= {"most frequent": most_frequent(*learned), "linear": linear(*learned)}
        self.scores_ = score_tags(
            models,
            words,
            truth,
            classes=[str(c) for c in self.classes_],
            known=frozenset(self.tokenizer_.tokens[1:] if self.tokenizer_ else ()),
            chances=[of[range(len(row)), row].tolist() for row, of in zip(best, chances, strict=True)],
            notes=self.notes_,
        )
        return self.scores_

    def diagnose(self) -> list[Finding]:
        """What ails the network and its training, if anything, what shows it and what may cure it."""
        check_is_fitted(self)
        return diagnose(self.history_)

    # --- keeping ---

    def _learned(self) -> dict[str, Any]:
        return {
            "vocabulary": None if self.tokenizer_ is None else self.tokenizer_.to_dict(),
            "features": None if self.features_ is None else self.features_.to_dict(),
            "size": self.size_,
            "longest": self.longest_,
            "classes": [str(c) for c in self.classes_],
            "notes": self.notes_,
            "history": [event for event in self.history_ if event["event"] != "step"],
        }

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        check_architecture(self)
        self.tokenizer_ = None if learned["vocabulary"] is None else tokenizer_from(learned["vocabulary"])
        self.features_ = None if learned["features"] is None else Features.from_dict(learned["features"])
        self.size_, self.longest_ = int(learned["size"]), int(learned["longest"])
        self.classes_ = np.array([str(c) for c in learned["classes"]])
        self.notes_, self.history_ = [str(note) for note in learned["notes"]], list(learned["history"])
        if len(self.classes_) < 2 or (self.tokenizer_ is None) == (self.features_ is None):
            raise InputError("the labels, or what is read, do not fit each other")
        return self._network()


def _given(X: Any) -> Tagged | Sequences:
    """Sentences of words, or sequences of numbers."""
    if isinstance(X, Tagged | Sequences):
        return X
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiu":
        return read_sequences(X)
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], np.ndarray) and X[0].dtype.kind in "fiu":
        return read_sequences(X)
    return Tagged(as_sentences(X))


def _taken(given: Tagged | Sequences, on: np.ndarray) -> Tagged | Sequences:
    return given.take(on) if isinstance(given, Sequences) else Tagged(tuple(given.words[k] for k in on))


def _digest(given: Tagged | Sequences, labels: Labels) -> str:
    whole = hashlib.sha256(repr(labels).encode())
    whole.update(repr(given.words).encode() if isinstance(given, Tagged) else given.values.tobytes())
    return whole.hexdigest()
