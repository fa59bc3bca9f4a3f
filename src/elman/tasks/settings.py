"""Every hyperparameter, written once: name, default, help, unit and range.

The estimators inherit these fields, and the command line, the search space and the report read them. Nothing heavy
is imported here, so that `elman fit forecast --help` answers at once.
"""

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_type_hints

from elman.errors import InputError


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    only: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with what the command line, the search and the report need to know of it; bounds included.

    only: the architectures that it applies to; all, where none is named.
    """
    metadata = {"help": help, "unit": unit, "low": low, "high": high, "only": only}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(kw_only=True, repr=False, eq=False)
class NetworkSettings:
    """What the network is."""

    architecture: Literal["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm"] = setting(
        "lstm", "kind of recurrent network"
    )
    hidden_size: int = setting(64, "units in each recurrent layer", unit="units", low=1, high=4096)
    num_layers: int = setting(1, "recurrent layers, one upon the other", unit="layers", low=1, high=8)
    dropout: float = setting(0.2, "share of values that are dropped between layers while training", low=0.0, high=0.95)


@dataclass(kw_only=True, repr=False, eq=False)
class TrainingSettings:
    """How it is trained."""

    epochs: int = setting(30, "passes over the training part, at most", unit="epochs", low=1)
    patience: int = setting(10, "stop after so many epochs without a better validation loss", unit="epochs", low=1)
    batch_size: int = setting(64, "examples in each batch", low=1)
    optimizer: Literal["adam", "adamw", "sgd", "annealing", "pso", "cma-es", "de"] = setting(
        "adamw", "the first three follow the gradient; the others search without one, for small networks"
    )
    learning_rate: float = setting(2e-3, "at its highest", low=1e-7, high=10.0)
    schedule: Literal["constant", "cosine", "one-cycle", "plateau"] = setting(
        "cosine", "of the learning rate; plateau lowers it where the validation loss stands still"
    )
    warmup: int = setting(0, "first steps, over which the learning rate rises", unit="steps", low=0)
    momentum: float = setting(0.9, "of sgd", low=0.0, high=0.9999)
    weight_decay: float = setting(0.0, "decoupled from the gradient in adamw", low=0.0, high=1.0)
    clip: float | None = setting(1.0, "largest norm of the gradient", low=1e-9)
    clip_value: float | None = setting(None, "largest size of each number of the gradient", low=1e-12)
    truncate: int | None = setting(
        None, "last steps through which the gradient goes back (truncated BPTT; default: all)", unit="steps", low=1
    )
    accumulate: int = setting(1, "batches that make one step of the optimiser together", unit="batches", low=1)
    average: float | None = setting(
        None, "decay of a moving average of the weights, which is then used in their place", low=0.0, high=0.99999
    )
    precision: Literal["float32", "bfloat16"] = setting("float32", "of what is computed while training")
    evaluations: int = setting(20_000, "of the whole training part, at most, without a gradient", low=1)
    probe: int = setting(50, "steps from one look inside to the next, in at most 3 % of the time; 0 for none", low=0)
    validation: float = setting(
        0.2,
        "last part of the training rows, held back to stop early and to calibrate; a share below 1, or steps",
        low=0.0,
    )
    threads: int | None = setting(
        None, "of the processor (default: one for small networks, else torch's choice)", low=1
    )
    seed: int = setting(0, "of all random numbers; one seed repeats a run bit for bit", low=0, high=2**53)


@dataclass(kw_only=True, repr=False, eq=False)
class ForecastSettings(NetworkSettings, TrainingSettings):
    """What is forecast, and from what."""

    target: str | None = setting(None, "column to forecast ('y' if there is one)")
    horizon: int = setting(1, "steps ahead", unit="steps", low=1, high=10_000)
    window: int = setting(60, "past steps that the network reads", unit="steps", low=1, high=100_000)
    level: tuple[float, ...] = setting((80, 90), "coverage of the prediction intervals", unit="%", low=1, high=99.9)
    event: str | None = setting(None, "condition to warn of, such as '>= 60'")
    time: str | None = setting(None, "column of times (found by its type if there is one)")
    series: str | None = setting(None, "column that tells several series apart ('unique_id' if there is one)")
    past: tuple[str, ...] | None = setting(None, "inputs known up to now (default: every other number)")
    future: tuple[str, ...] = setting((), "inputs known ahead, such as holidays or a weather forecast")
    static: tuple[str, ...] = setting((), "inputs that never change within a series")
    transform: Literal["auto", "none", "sqrt", "log"] = setting(
        "auto", "of the target before scaling; auto takes the square root of what is skewed and never negative"
    )
    calendar: tuple[Literal["time_of_day", "day_of_week", "day_of_year"], ...] | None = setting(
        None, "cycles given to the network (default: those that the step can follow)"
    )
    step: str | None = setting(None, "time between rows, such as 1d, 15m or 1mo (default: found from the rows)")
    gaps: Literal["mask", "forward", "refuse"] = setting("mask", "what becomes of steps that have no row")
    season: int | None = setting(
        None, "period of the seasonal naive baseline and of MASE (default: by step)", unit="steps", low=1
    )


RECURRENT = ("rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm")


@dataclass(kw_only=True, repr=False, eq=False)
class EncoderSettings:
    """What a network is that reads whole sequences before it answers, of any architecture."""

    architecture: Literal[
        "rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm", "cnn", "transformer", "mlp"
    ] = setting("gru", "kind of network; mlp is for tables with a row for each case")
    hidden_size: int = setting(64, "units in each layer", unit="units", low=1, high=4096)
    num_layers: int | None = setting(
        None, "layers, one upon the other (default: 1 recurrent, 2 of others, 3 of cnn)", unit="layers", low=1, high=12
    )
    dropout: float = setting(0.2, "share of values that are dropped while training", low=0.0, high=0.95)
    bidirectional: bool = setting(True, "read sequences from both ends", only=RECURRENT)
    pooling: Literal["last", "mean", "max", "summary", "attention", "hopfield"] | None = setting(
        None,
        "what is made of all steps: the last, their mean, maximum, these three, a learned weighted mean, or a learned "
        "query of a Hopfield network (default: summary)",
        only=(*RECURRENT, "cnn", "transformer"),
    )
    kernel_size: int | None = setting(
        None, "steps that a convolution reads at once (default: 5; 3 x 3 pixels of an image)", low=1, high=999,
        only=("cnn",),
    )  # fmt: skip
    causal: bool = setting(False, "a convolution reads earlier steps only, not as many on both sides", only=("cnn",))
    heads: int | None = setting(
        None, "of the attention, each of hidden_size / heads units (default: up to 4)", low=1, high=64,
        only=("transformer",),
    )  # fmt: skip
    positions: Literal["sinusoidal", "learned"] = setting(
        "sinusoidal", "how a step's place is told; learned ones allow no longer sequences", only=("transformer",)
    )

    def _own(self, longest: int) -> dict[str, Any]:
        """What of an encoder only the architecture itself takes; longest: steps of the longest sequence."""
        if self.architecture == "cnn":
            return {"kernel_size": self.kernel_size or 5, "causal": self.causal}
        if self.architecture == "transformer":
            heads = self.heads or next(h for h in (4, 3, 2, 1) if self.hidden_size % h == 0)
            return {"heads": heads, "positions": self.positions, "max_steps": longest}
        return {}


@dataclass(kw_only=True, repr=False, eq=False)
class AnswerSettings(EncoderSettings, TrainingSettings):
    """What all share that give one answer for each case."""

    epochs: int = setting(60, "passes over the training part, at most", unit="epochs", low=1)
    patience: int = setting(20, "stop after so many epochs without a better validation loss", unit="epochs", low=1)
    batch_size: int = setting(32, "cases in each batch, as many fewer as they are longer than the mean", low=1)
    learning_rate: float = setting(5e-3, "at its highest", low=1e-7, high=10.0)
    schedule: Literal["constant", "cosine", "one-cycle", "plateau"] = setting(
        "one-cycle", "of the learning rate; plateau lowers it where the validation loss stands still"
    )
    validation: float = setting(
        0.2, "cases held back to stop early and to calibrate; a share below 1, or so many", low=0.0
    )
    truncate: int | None = setting(
        None, "not for cases: each has one answer, and the gradient goes back through all of it", low=1, only=("none",)
    )
    label: str | None = setting(None, "column of a table to predict ('y' if there is one)")
    together: str | None = setting(
        None, "column; cases alike in it (a speaker, a patient) are all trained on, all validated on or all tested on"
    )


@dataclass(kw_only=True, repr=False, eq=False)
class CaseSettings(AnswerSettings):
    """What classifiers and regressors of numbers share: a case is a sequence, an image or a row."""

    noise: float = setting(
        0.0, "spread of random numbers that are added to the scaled inputs while training", low=0.0, high=10.0
    )
    layout: Literal["time-first", "channels-first", "image"] = setting(
        "time-first",
        "of arrays: (n, T, features), (n, features, T), or images (n, height, width) with or without channels last",
    )
    group: str | None = setting(None, "column that tells which sequence a row of a long table is a step of")
    time: str | None = setting(None, "column by which the steps of a long table are sorted (default: as they stand)")
    inputs: tuple[str, ...] | None = setting(None, "columns to read (default: all others that can be)")
    categories: tuple[str, ...] = setting(
        (), "columns of numbers that are names of kinds; text always is", only=("mlp",)
    )


@dataclass(kw_only=True, repr=False, eq=False)
class ClassSettings:
    """What all classifiers share."""

    class_weight: Literal["balanced"] | Mapping[str, float] | None = setting(
        None, "how much each class counts, as yes=5,no=1; balanced: all alike in sum, however many cases they have"
    )
    smoothing: float = setting(
        0.0, "share of each label that is spread over all classes while training", low=0.0, high=0.9
    )


@dataclass(kw_only=True, repr=False, eq=False)
class ClassifySettings(ClassSettings, CaseSettings):
    """What is classified."""

    noise: float = setting(
        0.5, "spread of random numbers that are added to the scaled inputs while training", low=0.0, high=10.0
    )


@dataclass(kw_only=True, repr=False, eq=False)
class EmbeddingSettings:
    """How words become numbers."""

    embedding_size: int | None = setting(
        None, "numbers of a word's vector (default: as the word vectors, else 64; 100 to label words)", unit="numbers",
        low=1, high=4096,
    )  # fmt: skip
    buckets: int = setting(
        1 << 16, "vectors that the pieces of words share; 0: a word is known as a whole or not at all", low=0,
        high=1 << 24,
    )  # fmt: skip
    vectors: str | None = setting(None, "text file of word vectors to begin with, as of GloVe, fastText or word2vec")
    freeze_vectors: bool = setting(False, "word vectors from a file are not changed by training")
    word_dropout: float = setting(0.15, "share of words that are left out while training", low=0.0, high=0.95)


@dataclass(kw_only=True, repr=False, eq=False)
class TextSettings(EmbeddingSettings, ClassSettings, AnswerSettings):
    """How texts are read, and classified."""

    epochs: int = setting(12, "passes over the training part, at most", unit="epochs", low=1)
    patience: int = setting(6, "stop after so many epochs without a better validation loss", unit="epochs", low=1)
    learning_rate: float = setting(3e-3, "at its highest", low=1e-7, high=10.0)
    weight_decay: float = setting(0.01, "decoupled from the gradient in adamw", low=0.0, high=1.0)
    average: float | None = setting(
        0.99, "decay of a moving average of the weights, which is then used in their place", low=0.0, high=0.99999
    )
    validation: float = setting(
        0.1, "texts held back to stop early and to calibrate; a share below 1, or so many", low=0.0
    )
    dropout: float = setting(0.4, "share of values that are dropped while training", low=0.0, high=0.95)
    text: str | None = setting(None, "column of a table that holds the texts (default: the one that holds words)")
    tokens: Literal["words", "characters", "byte-pairs", "bytes"] = setting("words", "what a text is read as")
    vocabulary: int | None = setting(
        None,
        "most different tokens that have a vector of their own (default: all; 1000 byte pairs)",
        low=2,
        high=500_000,
    )
    longest: int = setting(400, "tokens of a text that are read, the first ones", unit="tokens", low=1, high=100_000)


@dataclass(kw_only=True, repr=False, eq=False)
class TagSettings(EmbeddingSettings, EncoderSettings, TrainingSettings):
    """How sentences are read, and their words labelled."""

    architecture: Literal["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm", "cnn", "transformer"] = (
        setting("lstm", "kind of network")
    )
    hidden_size: int = setting(128, "units in each layer and direction", unit="units", low=1, high=4096)
    pooling: None = setting(None, "not for labels: each step has its own answer", only=("none",))
    truncate: int | None = setting(
        None, "not for sentences, whose gradient goes back through all of them", only=("none",)
    )
    crf: bool = setting(False, "judge whole sequences of labels, by which label follows which")
    epochs: int = setting(15, "passes over the training part, at most", unit="epochs", low=1)
    patience: int = setting(5, "stop after so many epochs without a better validation loss", unit="epochs", low=1)
    batch_size: int = setting(16, "sentences in each batch, as many fewer as they are longer than the mean", low=1)
    learning_rate: float = setting(5e-3, "at its highest", low=1e-7, high=10.0)
    schedule: Literal["constant", "cosine", "one-cycle", "plateau"] = setting(
        "one-cycle", "of the learning rate; plateau lowers it where the validation loss stands still"
    )
    weight_decay: float = setting(0.01, "decoupled from the gradient in adamw", low=0.0, high=1.0)
    average: float | None = setting(
        0.99, "decay of a moving average of the weights, which is then used in their place", low=0.0, high=0.99999
    )
    validation: float = setting(0.1, "sentences held back to stop early; a share below 1, or so many", low=0.0)
    dropout: float = setting(0.5, "share of values that are dropped while training", low=0.0, high=0.95)
    word_dropout: float = setting(0.2, "share of words that are left out while training", low=0.0, high=0.95)


@dataclass(kw_only=True, repr=False, eq=False)
class RegressSettings(CaseSettings):
    """What number is predicted."""


def check_architecture(settings: Any, by: str = "architecture") -> None:
    """InputError for the first setting that was changed and does not apply to the architecture, or what `by` names."""
    chosen = getattr(settings, by)
    for f in fields(settings):
        only = f.metadata["only"]
        value = getattr(settings, f.name)
        if not only or chosen in only or value == f.default:
            continue
        raise InputError(
            f"{f.name}={value!r} does not apply to {by}={chosen!r}; "
            + (f.metadata["help"] if only == ("none",) else f"it is a setting of {', '.join(only)}")
        )


@dataclass(kw_only=True, repr=False, eq=False)
class WriteSettings(TrainingSettings):
    """What is read, and how, before it is written on."""

    architecture: Literal["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm", "transformer"] = setting(
        "lstm", "kind of network; the transformer is there to compare with"
    )
    hidden_size: int = setting(384, "units in each layer", unit="units", low=1, high=4096)
    num_layers: int = setting(1, "layers, one upon the other", unit="layers", low=1, high=12)
    dropout: float = setting(0.2, "share of values that are dropped while training", low=0.0, high=0.95)
    tokens: Literal["characters", "bytes", "byte-pairs"] = setting("characters", "what the text is read as")
    vocabulary: int | None = setting(
        None, "most different tokens (default: all characters; 1000 byte pairs)", unit="tokens", low=2, high=200_000
    )
    embedding_size: int | None = setting(
        None, "numbers learned for each token (default: as hidden_size)", unit="numbers", low=1, high=4096
    )
    tied: bool = setting(True, "the output layer uses the embeddings as its weights")
    truncate: int | None = setting(
        128, "tokens through which the gradient goes back (truncated BPTT); the state goes on", unit="tokens", low=1
    )
    batch_size: int = setting(32, "streams of the text that are read side by side, at most", low=1)
    learning_rate: float = setting(4e-3, "at its highest", low=1e-7, high=10.0)
    epochs: int = setting(12, "passes over the text, at most", unit="epochs", low=1)
    average: float | None = setting(
        0.998, "decay of a moving average of the weights, which is then used in their place", low=0.0, high=0.99999
    )
    validation: float = setting(
        0.1, "last part of the text, held back to judge by; a share below 1, or tokens", low=0.0
    )


@dataclass(kw_only=True, repr=False, eq=False)
class MemorySettings:
    """How patterns are stored, and how they are recalled."""

    kind: Literal["binary", "continuous", "modern"] = setting(
        "binary", "units of -1 and 1, graded ones, or the modern network for patterns of any numbers"
    )
    storage: Literal["hebbian", "storkey", "pseudo-inverse"] = setting(
        "hebbian", "rule by which patterns become weights", only=("binary", "continuous")
    )
    update: Literal["asynchronous", "synchronous"] = setting(
        "asynchronous", "units turn one after the other (Hopfield), or all at once (Little)", only=("binary",)
    )
    order: Literal["random", "sequential"] = setting(
        "random", "in which asynchronous units turn, drawn anew for each sweep or as they stand", only=("binary",)
    )
    self_coupling: bool = setting(
        False, "a unit is coupled to itself, as the hebbian and pseudo-inverse rules say", only=("binary", "continuous")
    )
    beta: float | None = setting(
        None,
        "gain of graded units (default: 10), or inverse temperature (default: by how far the patterns lie apart)",
        low=1e-6, high=1e6, only=("continuous", "modern"),
    )  # fmt: skip
    time_step: float | None = setting(
        None, "of graded units (default: the longest with which the energy can't rise)", low=1e-6, high=1.0,
        only=("continuous",),
    )  # fmt: skip
    normalise: bool = setting(True, "compare patterns without their mean and at one length", only=("modern",))
    max_steps: int | None = setting(
        None, "sweeps, or steps, until a recall is cut short (default: 100, continuous 2000)", unit="steps", low=1
    )
    seed: int = setting(0, "of the order in which units turn", low=0, high=2**53)


RESERVOIRS = ("leaky", "es2n")


@dataclass(kw_only=True, repr=False, eq=False)
class EchoStateSettings:
    """What a reservoir is, and how its readout is fitted."""

    variant: Literal["leaky", "es2n", "nvar"] = setting(
        "leaky", "leaky units; those whose state is also turned (es2n); or delays and products, and no reservoir (nvar)"
    )
    hidden_size: int = setting(300, "in each layer of the reservoir", unit="units", low=1, high=20_000, only=RESERVOIRS)
    num_layers: int = setting(1, "each reads the one below", unit="layers", low=1, high=20, only=RESERVOIRS)
    groups: int = setting(1, "reservoirs side by side, which share the units", low=1, high=1000, only=RESERVOIRS)
    leak: float = setting(0.5, "share of a state that is new at each step", low=1e-5, high=1.0, only=RESERVOIRS)
    leaks: tuple[float, ...] | None = setting(
        None, "leak of each group, in place of the one leak", low=1e-5, high=1.0, only=RESERVOIRS
    )
    spectral_radius: float = setting(
        0.9, "largest eigenvalue of the connections; 0 would be no recurrence", low=1e-6, high=10.0, only=RESERVOIRS
    )
    input_scaling: float = setting(0.5, "largest weight of an input", low=0.0, high=1000.0, only=RESERVOIRS)
    bias_scaling: float = setting(0.2, "largest bias", low=0.0, high=1000.0, only=RESERVOIRS)
    connections: int | None = setting(None, "that each unit reads (default: 10)", low=1, only=RESERVOIRS)
    density: float | None = setting(
        None, "share of all possible connections, in place of their number", low=0.0, high=1.0, only=RESERVOIRS
    )
    topology: Literal["random", "ring", "small-world", "block"] = setting(
        "random", "which units are connected", only=RESERVOIRS
    )
    plasticity: int = setting(
        0, "passes in which each unit adapts its gain and bias to what it reads", low=0, only=RESERVOIRS
    )
    delays: int = setting(2, "inputs that are seen at a step, the newest included", low=1, high=1000, only=("nvar",))
    stride: int = setting(1, "steps that these are apart", unit="steps", low=1, high=100_000, only=("nvar",))
    order: int = setting(2, "products of up to so many of them", low=1, high=6, only=("nvar",))
    skip: bool = setting(True, "the readout reads the inputs too, not the states alone", only=RESERVOIRS)
    scale: bool = setting(True, "give inputs a mean of 0 and a spread of 1 first")
    feedback: bool = setting(False, "the last output is an input; while learning, the true one (teacher forcing)")
    feedback_scaling: float = setting(0.1, "largest weight of an output that is fed back", low=0.0, high=1000.0)
    noise: float = setting(
        0.0, "spread of random numbers added to what will be its own output when it runs freely, while learning",
        low=0.0, high=10.0,
    )  # fmt: skip
    washout: int = setting(100, "first steps of each series, of which nothing is learned", unit="steps", low=0)
    horizon: tuple[int, ...] = setting((1,), "steps ahead, each learned directly", unit="steps", low=1, high=100_000)
    readout: Literal["ridge", "rls", "force"] = setting(
        "ridge", "ridge regression; step by step (rls); or so with its own output fed back while it learns (force)"
    )
    ridge: float | None = setting(None, "penalty of the squared weights (default: chosen; 1 for rls)", low=0.0)
    choice: Literal["validation", "folds", "gcv"] = setting(
        "validation", "how ridge is chosen: on the last steps, on each of several parts in turn, or by a formula"
    )
    validation: float = setting(
        0.2, "share of last steps to choose on, of which is learned in the end", low=0.01, high=0.9
    )
    folds: int = setting(5, "parts to choose on in turn", low=2, high=100)
    forgetting: float = setting(1.0, "what a step counts after one more, for rls and force", low=0.5, high=1.0)
    pooling: Literal["last", "mean"] = setting("mean", "of the states, where a series has one answer")
    precision: Literal["float32", "float64"] = setting("float64", "of the states; sums are always of float64")
    threads: int | None = setting(None, "of the processor (default: one for few features, else torch's choice)", low=1)
    seed: int = setting(0, "of all random numbers", low=0, high=2**53)


def check_settings(settings: Any) -> None:
    """InputError for the first field whose value has another type, or lies outside its range or choices."""
    kinds = get_type_hints(type(settings))
    for f in fields(settings):
        value, kind = getattr(settings, f.name), kinds[f.name]
        parts = get_args(kind) if type(None) in get_args(kind) else (kind,)
        if value is None and type(None) in parts:
            continue
        if isinstance(value, Mapping) and any(getattr(part, "__origin__", None) is Mapping for part in parts):
            continue
        many = any(getattr(part, "__origin__", None) is tuple for part in parts)
        if many and not isinstance(value, tuple | list):
            raise InputError(f"{f.name} takes several values, such as ({value!r},); found {value!r}")
        for one in value if many else (value,):
            _check_one(f, one, kind)


def _check_one(f: Field[Any], value: Any, kind: Any) -> None:
    choices, text = _choices(kind), str(kind)
    if choices:
        if value not in choices:
            raise InputError(f"{f.name}={value!r}: one of {', '.join(choices)} was expected" + _nearest(value, choices))
        return
    if "str" in text:
        if not isinstance(value, str):
            raise InputError(f"{f.name} takes text, found {value!r}")
        return
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{f.name} is True or False, found {value!r}")
        return
    whole = "int" in text
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise InputError(f"{f.name} takes a {'whole ' if whole else ''}number, found {value!r}")
    low, high = f.metadata["low"], f.metadata["high"]
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise InputError(f"{f.name} is {value:g}; it must be {bounds}")


def _choices(kind: Any) -> tuple[str, ...]:
    """The strings of a Literal, wherever it stands in `kind`."""
    if getattr(kind, "__origin__", None) is Literal:
        return get_args(kind)
    return tuple(c for part in get_args(kind) for c in _choices(part))


def _nearest(word: Any, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(word), words, 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def from_known(cls: type, values: dict[str, Any]) -> Any:
    """`cls(**values)`; an unknown key is an InputError that names the nearest known one."""
    names = tuple(f.name for f in fields(cls))
    for key in values:
        if key not in names:
            raise InputError(f"{key!r} is no setting of {cls.__name__}{_nearest(key, names)}")
    kinds = get_type_hints(cls)
    return cls(**{k: tuple(v) if isinstance(v, list) and "tuple" in str(kinds[k]) else v for k, v in values.items()})
