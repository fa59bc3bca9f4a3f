"""TextClassifier: of which class a text is, how sure that is, and which of its words made it so."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from elman.data.cases import Cases
from elman.data.tables import Table
from elman.data.texts import TokenCases, read_texts, unknown_words
from elman.data.tokens import KINDS, Tokenizer, tokenizer_from
from elman.errors import InputError
from elman.files import write_json
from elman.models.encoders import encoder
from elman.models.feedforward import FeedForward
from elman.models.many_to_one import SequenceModel
from elman.models.text import TextModel
from elman.tasks.answers import Learning
from elman.tasks.case_inside import spread, text_inside
from elman.tasks.case_lessons import CaseLessons
from elman.tasks.case_reading import Given, as_table, is_table
from elman.tasks.cases import LAYERS
from elman.tasks.classes import Classes
from elman.tasks.embedding import embedding_for, note_of, vectors_for
from elman.tasks.explaining import Explanation, odds
from elman.tasks.settings import RECURRENT, TextSettings
from elman.tasks.text_baselines import text_classifiers
from elman.training.attribution import AT_ONCE, saliency
from elman.training.classification import temperature
from elman.training.record import Run

SIZE = 64  # numbers of a token's vector, where nothing says another
SHOWN, LONGEST = 12, 120  # texts that a page explains, and their tokens: each costs a run for every token


@dataclass(kw_only=True, repr=False, eq=False)
class TextClassifier(Classes, TextSettings):
    """Which class each text is of: its sentiment, its topic, its language.

    X is a list or column of strings, or a table with a column of texts. The settings are described in
    `elman.tasks.settings`. By default a text is read as words, and a word as its pieces (Bojanowski et al. 2017, arXiv
    1607.04606), so that words that were never seen are read too.

    >>> X = ["so good, love it", "what a bad day", "love this good song", "bad, bad, sad"] * 10
    >>> y = ["+", "-", "+", "-"] * 10
    >>> classifier = TextClassifier(hidden_size=8, epochs=20, learning_rate=0.02, average=None).fit(X, y)
    >>> classifier.predict(["good good", "sad"]).tolist()
    ['+', '-']
    >>> why = classifier.explain("a good song")
    >>> why.words, why.label
    (('a', 'good', 'song'), '+')
    """

    task: ClassVar[str] = "text"

    # --- reading ---

    def _first_read(self, X: Any, label: str | None) -> Given:
        self.column_ = self._column(as_table(X), label) if is_table(X) else None
        return self._given(X)

    def _column(self, table: Table, label: str | None) -> str:
        """The column that holds the texts."""
        if self.text is not None:
            table.need(self.text, "text")
            return self.text
        found = [c for c, kind in table.frame.schema.items() if kind == pl.String and c not in (label, self.together)]
        if len(found) != 1:
            raise InputError(
                f"{table.name}: which column holds the texts? {', '.join(found) or 'None'} would do; name one with "
                "text= (--text)"
            )
        return found[0]

    def _given(self, X: Any) -> Given:
        if self.column_ is None:
            if is_table(X) and not isinstance(X, str):
                raise InputError("the model was fitted on a list of texts, and a table was given; give a column of it")
            return Given(read_texts(X))
        if not is_table(X):
            return Given(read_texts(X))
        table = as_table(X)
        column = table.frame[table.need(self.column_, "text")]
        if column.null_count():
            row = int(column.is_null().arg_true()[0])
            raise InputError(f"{table.name}, {table.row(row)}: the text in column {self.column_!r} is missing")
        return Given(read_texts(column.cast(pl.String).to_list()), table, table.frame)

    def _learn_to_read(self, training: Cases) -> None:
        kind = KINDS[self.tokens]
        texts = [str(text) for text in training.values]
        self.tokenizer_: Tokenizer = kind.learned(texts, self.vocabulary)
        self._vectors, self.size_ = vectors_for(self, self.tokenizer_, SIZE)

    @property
    def _buckets(self) -> int | None:
        return self.buckets if self.buckets and self.tokens == "words" else None

    def _as_read(self, cases: Cases) -> TokenCases:
        return TokenCases.of(read_texts(cases.values), self.tokenizer_, self.longest, self._buckets)

    def _read_again(self, X: Any) -> Given:
        check_is_fitted(self)
        given = self._given(X)
        read = self._as_read(given.cases)
        unknown = unknown_words(read)
        if unknown and self._buckets is None:
            share = sum(unknown.values()) / len(read.ids)
            warnings.warn(
                f"{share:.1%} of the tokens are unknown to the model ({', '.join(list(unknown)[:5])}); they all look "
                "alike to it",
                stacklevel=3,
            )
        return Given(read, given.table, given.rows)

    def _notes(self, training: Cases) -> list[str]:
        read = self._as_read(training)
        notes = []
        cut = int((read.lengths == self.longest).sum())
        if cut:
            notes.append(f"{cut} texts were cut after {self.longest} tokens (longest)")
        notes += note_of(self, self._vectors, self.tokenizer_)
        empty = sum(not text.strip() for text in read.texts)
        if empty:
            notes.append(f"{empty} texts are empty")
        return notes

    def _network(self) -> nn.Module:
        vectors = getattr(self, "_vectors", {})  # which a model that is loaded has among its weights
        embedding = embedding_for(self, self.tokenizer_, self.size_, self._buckets, vectors)
        layers, outputs = self.num_layers or LAYERS[self.architecture], self._outputs()
        reader: SequenceModel | FeedForward
        if self.architecture == "mlp":
            reader = FeedForward(
                self.size_, [], outputs, hidden_size=self.hidden_size, num_layers=layers, dropout=self.dropout
            )
        else:
            both = self.bidirectional and self.architecture in RECURRENT
            reader = SequenceModel(
                encoder(
                    self.architecture,
                    self.size_,
                    self.hidden_size,
                    num_layers=layers,
                    dropout=self.dropout,
                    bidirectional=both,
                    **self._own(self.longest),
                ),
                outputs,
                pooling=self.pooling or "summary",
                bidirectional=both,
                dropout=self.dropout,
            )
        return TextModel(embedding, reader, dropout=self.dropout, word_dropout=self.word_dropout)

    def _look_inside(self, lessons: CaseLessons, learning: Learning, on: np.ndarray, run: Run) -> None:
        """Some texts are explained word by word, and of a recurrent network the states are kept, as it reads."""
        texts = learning.given.cases.values
        told = []
        lengths = lessons.cases.lengths[on]
        for k in spread(on[lengths <= max(LONGEST, lengths.min())], SHOWN).tolist():
            told.append({**self.explain(str(texts[k])).to_dict(), "truth": str(learning.y[k])})
        write_json(run.path / "explained.json", {"texts": told})
        assert isinstance(lessons.cases, TokenCases) and isinstance(self.network_, TextModel)
        seen = text_inside(self.network_, lessons.cases, on, self._told(learning.y))
        if seen is not None:
            seen.save(run.path)

    # --- using ---

    def explain(self, text: str, label: Any = None) -> Explanation:
        """Which of its words made a text look like `label` (default: the likeliest class), and how sure the network
        was after each word.

        The contributions are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of the log-odds of the
        class, from a text of the same length without any words; they add up to the difference between both.
        """
        check_is_fitted(self)
        read = self._as_read(read_texts([text]))
        network = self._exact()
        assert isinstance(network, TextModel)
        tokens, _, *pieces = read.batch(torch.tensor([0]))
        with torch.no_grad():
            x = network.embed(tokens, *pieces)[0]
            ends = torch.arange(1, len(x) + 1).split(AT_ONCE)
            prefixes = torch.cat([network.run(x[None, : int(n[-1])].repeat(len(n), 1, 1), n) for n in ends])
        chances = softmax(prefixes.numpy() / self.temperature_, axis=1)
        names = self.classes_.tolist()
        if label is not None and label not in names:
            raise InputError(f"label={label!r}: one of {', '.join(map(str, names))} was expected")
        chosen = int(chances[-1].argmax()) if label is None else names.index(label)

        def forward(x: Tensor) -> Tensor:
            return odds(network.run(x) / self.temperature_)[:, None]

        (seen,) = saliency(forward, x, [(0, chosen)])
        return Explanation(
            words=read.words[0],
            classes=tuple(str(name) for name in names),
            label=str(names[chosen]),
            contributions=seen.integrated.numpy(),
            baseline=seen.baseline,
            log_odds=seen.value,
            arriving=chances,
        )

    def _judge(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The cost once the network is calibrated: too sure it is anyway, long before it stops getting better."""
        return self._cost(outputs / temperature(outputs.double().numpy(), y.numpy()), y)

    def _baselines(self, given: Given, codes: np.ndarray, learn: np.ndarray, on: np.ndarray) -> dict[str, np.ndarray]:
        assert isinstance(given.cases, TokenCases)
        return text_classifiers(given.cases.texts, codes, learn, on, len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags

    # --- keeping ---

    def _reading_learned(self) -> dict[str, Any]:
        return {"column": self.column_, "size": self.size_, "vocabulary": self.tokenizer_.to_dict()}

    def _restore_reading(self, learned: dict[str, Any]) -> None:
        self.column_, self.size_ = learned["column"], int(learned["size"])
        self.tokenizer_ = tokenizer_from(learned["vocabulary"])
