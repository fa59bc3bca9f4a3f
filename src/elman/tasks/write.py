"""TextGenerator: learns how a text goes on, then writes in its manner, and tells how surprising a text is."""

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from elman.data.text import pieces, read_text
from elman.data.tokens import KINDS, Ids, Tokenizer, tokenizer_from, tokens_of
from elman.errors import InputError
from elman.models.language import LanguageModel, State
from elman.models.sampling import check_sampling, probabilities
from elman.tasks.base import Estimator
from elman.tasks.fitting import check_optimizer, fit_network
from elman.tasks.settings import WriteSettings, check_settings
from elman.tasks.write_lessons import WriteLessons, nats
from elman.training.diagnosis import Finding, diagnose
from elman.training.distributed import joined
from elman.training.inside import look_inside
from elman.training.look import Inside
from elman.training.record import Run
from elman.training.threads import threads_for

LARGE = 1 << 28  # bytes of a file from which on its tokens are mapped and not held in memory
LEAST_BATCHES = 10  # in an epoch; a short text is read in fewer and shorter streams
SHOWN = 10  # unknown characters named in a warning
SAMPLE = 600  # tokens of the text held back that a page begins to play with
SAID = 160  # tokens that a network in training writes at each look
SEEN, LOOK = 12, 100  # sequences whose states the page shows, and their length


@dataclass(kw_only=True, repr=False, eq=False)
class TextGenerator(WriteSettings, Estimator):
    """Writes on, token by token, as the text that it was trained on would.

    >>> writer = TextGenerator(architecture="rnn", hidden_size=8, epochs=2, seed=1).fit("tick tock " * 200)
    >>> len(writer.generate("tick ", length=5))
    5
    >>> writer.bits_per_character("tick tock") > 0
    True
    """

    task: ClassVar[str] = "write"
    if TYPE_CHECKING:  # else the dataclass would take it for a setting
        network_: LanguageModel

    # --- fitting ---

    def fit(
        self,
        X: str | os.PathLike[str] | list[str],
        y: None = None,
        *,
        encoding: str | None = None,
        run: Run | str | os.PathLike[str] | None = None,
        resume: bool = False,
        force: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """Learn from a text, given as a string, a list of strings, or the path of a file (an os.PathLike).

        The last part (`validation`) is held back. `run`: a folder for the record and the model, refused if it exists
        unless `force`. `resume`: go on with the interrupted run there.
        """
        check_settings(self)
        if self.tied and self.embedding_size not in (None, self.hidden_size):
            raise InputError(
                f"tied embeddings have hidden_size={self.hidden_size} numbers, found "
                f"embedding_size={self.embedding_size}; choose one of them, or tied=False"
            )
        with joined() as world:
            if world.size > 1:
                raise InputError("a text is read in order, its state carried on: one process alone can train on it")
            facts, recording = self._facts(X), None
            large = isinstance(X, os.PathLike) and Path(X).stat().st_size >= LARGE
            if large:  # the run keeps its tokens; else a text that can't be used leaves no folder behind
                recording = self._open_run(run, facts, resume=resume, force=force, world=world)
            lessons = self._lessons(self._tokens(X, encoding, large, recording))
            check_optimizer(self, self._network)
            if not large:
                recording = self._open_run(run, facts, resume=resume, force=force, world=world)
            with torch.random.fork_rng(), threads_for(self.hidden_size, self.threads):
                torch.manual_seed(self.seed)
                network = self._network()
                self.history_ = fit_network(
                    self, network, lessons, world=world, run=recording, resume=resume, on_event=on_event
                )
                self.network_ = network.eval()
                with torch.no_grad():
                    self.nats_ = nats(network, lessons.validate_on).item()
            self.sample_ = self.tokenizer_.decode(lessons.validate_on[:SAMPLE].tolist())
            if recording:
                if self.probe and self.architecture != "transformer":  # which has no layer that can be looked into
                    self._look_inside(lessons).save(recording.path)
                self.save(recording.model_path)
                recording.checkpoint_path.unlink(missing_ok=True)
        return self

    def _facts(self, X: Any) -> dict[str, Any]:
        if isinstance(X, os.PathLike):
            path = Path(X)
            if not path.is_file():
                raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; a text was expected")
            from elman.files import sha256 as of_file

            return {"path": str(path), "sha256": of_file(path)}
        return {"path": None, "sha256": sha256(_joined(X).encode("utf-8", "surrogatepass")).hexdigest()}

    def _tokens(self, X: Any, encoding: str | None, large: bool, run: Run | None) -> Tensor:
        """Learn the vocabulary from the training part, and return the whole text in its numbers."""
        kind = KINDS[self.tokens]
        if large:
            if run is None:
                raise InputError(f"{X} is too large to be held in memory: give run=, a folder for its tokens")
            # The vocabulary knows the whole text then: where its last part begins is known only once it is read.
            self.tokenizer_: Tokenizer = kind.learned(pieces(X, encoding), self.vocabulary)
            return torch.from_numpy(np.asarray(tokens_of(X, self.tokenizer_, run.path, encoding)))
        text = read_text(X, encoding) if isinstance(X, os.PathLike) else _joined(X)
        if not text.strip():
            raise InputError(f"there is no text to learn from: it is {'empty' if not text else 'blank'}")
        self.tokenizer_ = kind.learned([text[: len(text) - self._held_back(len(text))]], self.vocabulary)
        ids = self.tokenizer_.encode(text)
        return torch.from_numpy(np.array(ids, dtype=ids.dtype if ids.dtype == np.uint8 else np.int32))

    def _held_back(self, length: int) -> int:
        return int(self.validation) if self.validation >= 1 else round(length * self.validation)

    def _lessons(self, tokens: Tensor) -> WriteLessons:
        held = self._held_back(len(tokens))
        begin = len(tokens) - held
        if begin < 2 or held < 2:
            raise InputError(
                f"the text is too short: of its {len(tokens)} tokens {max(0, begin)} are trained on and {held} "
                f"validated on (validation={self.validation:g}), and both need at least two"
            )
        steps = max(1, min(self.truncate or 128, (begin - 1) // LEAST_BATCHES))
        batch = max(1, min(self.batch_size, (begin - 1) // (steps * LEAST_BATCHES)))
        return WriteLessons(tokens[:begin], tokens[begin:], len(self.tokenizer_), batch, steps, self.seed, self._say)

    def _say(self, network: nn.Module) -> str:
        """Some tokens that a network in training writes after the end of a line, always drawn with the same luck."""
        assert isinstance(network, LanguageModel)
        generator, drawn = torch.Generator().manual_seed(self.seed), [self._first()]
        state: State = None
        with torch.no_grad():
            for _ in range(SAID):
                logits, state = network(torch.tensor([drawn[-1:]]), state)
                chances = probabilities(self._known(logits[0, -1]), temperature=0.7)
                drawn.append(int(torch.multinomial(chances, 1, generator=generator)))
        return self.tokenizer_.decode(drawn[1:])

    def _look_inside(self, lessons: WriteLessons) -> Inside:
        """What the network does while it reads some stretches of the text that was held back."""
        held = lessons.validate_on.long()
        steps = min(LOOK, len(held) - 1)
        rows = held.unfold(0, steps + 1, steps + 1)[:SEEN]
        names = self.tokenizer_.tokens
        return look_inside(
            self.network_,
            lambda x: self.network_.run(x)[0],
            self.network_.embed(rows[:, :-1]).detach(),
            kind="classes",
            outputs=names,
            words=[[names[k] for k in row] for row in rows[:, :-1].tolist()],
            truth=rows[:, 1:],
            labels=[f"held-out text from its token {k * (steps + 1)} on" for k in range(len(rows))],
            readout=self.network_.embedding.weight if self.tied and self.network_.embedding else None,
        )

    def _network(self) -> LanguageModel:
        return LanguageModel(
            len(self.tokenizer_),
            self.architecture,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            embedding_size=self.embedding_size or self.hidden_size,
            tied=self.tied,
            dropout=self.dropout,
        )

    def diagnose(self) -> list[Finding]:
        """What ails the network and its training, if anything, what shows it and what may cure it."""
        check_is_fitted(self)
        return diagnose(self.history_)

    # --- writing ---

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: str | None = None,
        seed: int | None = None,
    ) -> str:
        """What follows `prompt`: at most `length` tokens, up to `stop` if that comes up; the prompt is not repeated.

        temperature, top_k, top_p: see `elman.models.sampling`. seed: the same one gives the same text; by default each
        call writes something else.
        """
        return "".join(
            self.stream(prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, stop=stop, seed=seed)
        )

    def stream(
        self,
        prompt: str = "",
        *,
        length: int | None = None,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: str | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """As `generate`, piece by piece as it is written; without `length` it goes on for ever.

        The state is kept, so that each token costs one step, however long the text has become.
        """
        check_is_fitted(self)
        check_sampling(temperature, top_k, top_p)
        if length is not None and length < 0:
            raise InputError(f"length must be at least 0, found {length}")
        if stop == "":
            raise InputError("stop is empty: it would stop before the first token")
        return self._written(prompt, length, temperature, top_k, top_p, stop, seed)

    def _written(
        self, prompt: str, length: int | None, temperature: float, top_k: int | None, top_p: float | None,
        stop: str | None, seed: int | None,
    ) -> Iterator[str]:  # fmt: skip
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        ids = self._encoded(prompt) if prompt else np.array([self._first()])
        logits, state = self._read(ids, None)
        tail: list[int] = []  # tokens that are not a whole character yet
        kept = ""  # the begin, perhaps, of `stop`
        said = 0
        while length is None or said < length:
            said += 1
            chances = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p)
            drawn = int(torch.multinomial(chances, 1, generator=generator))
            tail.append(drawn)
            text = self.tokenizer_.decode(tail)
            if not text.endswith("\N{REPLACEMENT CHARACTER}") or len(tail) > 3 or said == length:
                tail.clear()
                kept += text
                if stop and stop in kept:
                    yield kept.partition(stop)[0]
                    return
                held = _overlap(kept, stop) if stop else 0
                if len(kept) > held:
                    yield kept[: len(kept) - held]
                    kept = kept[len(kept) - held :]
            logits, state = self._read(np.array([drawn]), state)
        if kept:
            yield kept

    def _first(self) -> int:
        """What a text without a prompt goes on from: the end of a line, if the network knows one."""
        ids = self.tokenizer_.encode("\n")
        return int(ids[0]) if len(ids) else 0

    def _read(self, ids: np.ndarray, state: State) -> tuple[Tensor, State]:
        """The logits (V) after the last of the tokens, never for an unknown one, and the state."""
        with torch.no_grad():
            logits, state = self.network_(torch.from_numpy(ids.astype(np.int64))[None], state)
        return self._known(logits[0, -1]), state

    def _known(self, logits: Tensor) -> Tensor:
        """Logits without that of what is unknown, which is never written."""
        if self.tokenizer_.has_unknown:
            logits[0] = -torch.inf
        return logits

    def _encoded(self, text: str) -> Ids:
        unknown = self.tokenizer_.unknown(text)
        if unknown:
            named = ", ".join(repr(c) for c in unknown[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
            warnings.warn(
                f"{len(unknown)} of the characters were not in the text that was trained on ({named}): they are read "
                "as unknown",
                stacklevel=4,
            )
        return self.tokenizer_.encode(text)

    # --- scoring ---

    def surprisal(self, text: str) -> pl.DataFrame:
        """How surprising each token of a text was after those before it: the columns `token` and `bits`.

        The first is read after the end of a line.
        """
        check_is_fitted(self)
        ids = self._encoded(text)
        if not len(ids):
            raise InputError("there is no text to score: it is empty")
        bits: list[float] = []
        before, state = self._first(), None
        with torch.no_grad():
            for part in np.array_split(ids.astype(np.int64), -(-len(ids) // 4096)):
                x = torch.tensor([[before, *part[:-1].tolist()]])
                logits, state = self.network_(x, state)
                chances = logits[0].double().log_softmax(-1)[torch.arange(len(part)), torch.from_numpy(part)]
                bits += (-chances / log(2)).tolist()
                before = int(part[-1])
        names = self.tokenizer_.tokens
        return pl.DataFrame({"token": [names[k] for k in ids], "bits": bits})

    def bits_per_character(self, text: str) -> float:
        """The bits that this network would need to tell the text, divided by its characters; lower is better."""
        return float(self.surprisal(text)["bits"].sum()) / len(text)

    def perplexity(self, text: str) -> float:
        """Among how many equally likely tokens it chooses, as it were, at each step; lower is better."""
        return exp(float(self.surprisal(text)["bits"].mean()) * log(2))  # type: ignore[arg-type]

    def score(self, X: str, y: None = None) -> float:
        """Minus the bits a character, so that higher is better, as scikit-learn wants it."""
        return -self.bits_per_character(_joined(X))

    # --- saving ---

    def _learned(self) -> dict[str, Any]:
        return {
            "tokenizer": self.tokenizer_.to_dict(),
            "network": self.network_.settings(),
            "sample": self.sample_,
            "nats": self.nats_,
            "history": [event for event in self.history_ if event["event"] != "step"],
        }

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        self.tokenizer_ = tokenizer_from(learned["tokenizer"])
        self.nats_, self.sample_ = float(learned["nats"]), str(learned["sample"])
        self.history_ = list(learned["history"])
        return self._network()


def _joined(X: Any) -> str:
    """A text, or several as one with an empty line between them."""
    if isinstance(X, str):
        return X.replace("\r\n", "\n").replace("\r", "\n")
    if isinstance(X, list | tuple) and all(isinstance(text, str) for text in X):
        return "\n\n".join(_joined(text) for text in X)
    raise InputError(f"expected a text, a list of texts or a pathlib.Path, found {type(X).__name__}")


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` may be the begin of `stop`.

    >>> _overlap("abcEN", "END"), _overlap("abc", "END")
    (2, 0)
    """
    return next((k for k in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-k:])), 0)
