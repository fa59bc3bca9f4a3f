"""The model card: what a network is made of, what it was made with, and how to make it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from elman.report import words
from elman.report.charts import Table
from elman.report.compare import model_of, seconds_of
from elman.report.runs import Run, number

KINDS = {
    "RNN": "simple recurrent network: mixes what it reads with its last state",
    "LSTM": "long short-term memory: a state h, and a memory c behind gates",
    "GRU": "gated recurrent unit: one state behind two gates",
    "MinGRU": "minimal GRU: its gates look at the input alone",
    "MinLSTM": "minimal LSTM: its gates look at the input alone",
    "RGLRU": "gated linear recurrent unit",
    "LRU": "linear recurrent unit: a state that turns and fades",
    "SLSTM": "LSTM with exponential gates",
    "Conv1d": "looks for a short pattern at every step",
    "Conv2d": "looks for a small pattern at every place of an image",
    "LayerNorm": "brings what it reads to one scale, step by step",
    "GroupNorm": "brings the maps of an image to one scale",
    "MultiheadAttention": "looks at all steps at once, each head at others",
    "NonDynamicallyQuantizableLinear": "a weighted sum of what the heads of an attention found",
    "TransformerEncoder": "attention and two linear layers, several times",
    "Linear": "a weighted sum of what it reads for each number it gives",
    "Embedding": "a row of learned numbers for each symbol",
    "AssociativeMemory": "units that are all coupled to all others",
    "DenseMemory": "the stored patterns, attended to by how well they fit",
    "TiedHead": "how well the state fits each symbol's row of learned numbers",
}
MEANINGS = {
    "path": "where it lay",
    "sha256": "fingerprint: a file with the same one is the same file",
    "rows": "rows of the table",
    "patterns": "how many were stored",
    "series": "how many series it holds",
    "characters": "length of the text",
    "first": "the first time in it",
    "last": "the last time in it",
    "test": "the last part, kept aside to judge by",
    "license": "what its use is bound to",
    "elman": "this library",
    "torch": "PyTorch, which computes the gradient",
    "python": "the language that ran both",
}
NOTE = (
    "Parameters are what was learned. The state is what a layer carries from step to step for one sequence: all that "
    "it remembers. A multiply-add is one multiplication and the addition that goes with it."
)
NO_LAYERS = (
    "What the network is made of was not recorded: the run was made before elman recorded it, or by a program that "
    'does not call Run.record("model", **summary(network)).'
)
NO_COMMAND = (
    "No command was recorded: the run was made from Python. The settings above are the arguments; config.toml in the "
    "run's folder holds them too, for `elman fit forecast TABLE --config config.toml -o NEW`."
)


@dataclass(frozen=True)
class Card:
    """The section: the layers' tables, small ones and their captions, the settings; what is missing, in words."""

    layers: Sequence[tuple[str, Table]]
    tables: Sequence[tuple[str, Table]]
    settings: Table
    missing: str
    several: bool


def card(runs: Sequence[Run]) -> Card:
    """One column for each label, whose runs differ in their seed; where something is not known, why."""
    labels = list(dict.fromkeys(run.label for run in runs))
    grouped = [[run for run in runs if run.label == label] for label in labels]
    heads = labels if len(labels) > 1 else ["value"]

    def table(section: str, meanings: Mapping[str, str]) -> Table:
        columns = [[_flat(run.config.get(section)) for run in group] for group in grouped]
        names = list(dict.fromkeys(name for column in columns for config in column for name in config))
        rows = [[name, *(_either(c.get(name, "–") for c in column) for column in columns)] for name in names]
        if not any(name in meanings for name in names):
            return Table(["", *heads], rows)
        return Table(["", *heads, "what it is"], [[*row, meanings.get(row[0], "")] for row in rows])

    sums = Table(["", *heads, "what it is"], [[name, *map(of, grouped), how] for name, of, how in SUMS])
    commands = [[str(run.config["command"])] for run in runs if run.config.get("command")]
    tables = [
        ("In sum", sums),
        ("Data", table("data", MEANINGS)),
        ("Versions", table("versions", MEANINGS)),
        ("Licences", Table(["of", "licence"], _licences(runs))),
        ("To make it again", Table(["command"], commands or [[NO_COMMAND]])),
    ]
    told = {k: v for run in runs for k, v in _flat(run.config.get("meanings")).items()}
    layers = _layers(grouped)
    return Card(
        layers,
        [(caption, table) for caption, table in tables if table.rows],
        table("settings", told),
        "" if layers else NO_LAYERS,
        len(labels) > 1,
    )


def _either(values: Any) -> str:
    return " / ".join(dict.fromkeys(values))


def _layers(grouped: Sequence[Sequence[Run]]) -> list[tuple[str, Table]]:
    tables = []
    for group in grouped:
        model = next((m for run in group if (m := model_of(run))), None)
        if model is None:
            continue
        rows = [
            [
                str(layer.get("name") or "–"),
                str(layer.get("kind", "–")),
                f"{_count(layer.get('inputs'))} → {_count(layer.get('outputs'))}",
                *(_count(layer.get(key)) for key in ("parameters", "state", "multiply_adds")),
                KINDS.get(str(layer.get("kind")), ""),
            ]
            for layer in model["layers"]
            if isinstance(layer, dict)
        ]
        total = ["in all", "", "", *(_count(model.get(key)) for key in ("parameters", "state", "multiply_adds")), ""]
        columns = ["layer", "kind", "numbers in → out", "parameters", "state", "multiply-adds a step", "what it does"]
        caption = "Layers" if len(grouped) == 1 else f"Layers of {group[0].label}"
        tables.append((caption, Table(columns, [*rows, total])))
    if tables:  # once is enough
        caption, last = tables[-1]
        tables[-1] = (caption, replace(last, note=NOTE))
    return tables


def _count(value: Any) -> str:
    found = number(value)
    return "–" if found is None else f"{found:,.0f}"


def _of_model(key: str, show: Callable[[Any], str] = _count) -> Callable[[Sequence[Run]], str]:
    return lambda group: _either(show((model_of(run) or {}).get(key)) for run in group)


def _size(parameters: Any) -> str:
    found = number(parameters)
    return "–" if found is None else f"{words.amount(4 * found / 1000)}\u00a0kB"


def _time(run: Run) -> str:
    seconds = seconds_of(run)
    return "–" if seconds is None else f"{words.amount(seconds)}\u00a0s"


def _steps(run: Run) -> str:
    steps = [s for e in run.events if (s := number(e.get("step"))) is not None]
    return f"{max(steps):,.0f}" if steps else "–"


SUMS: Sequence[tuple[str, Callable[[Sequence[Run]], str], str]] = (
    ("parameters", _of_model("parameters"), "numbers that were learned"),
    ("size", _of_model("parameters", _size), "of the weights, four bytes each"),
    ("state", _of_model("state"), "numbers that carry all it remembers of one sequence"),
    ("multiply-adds a step", _of_model("multiply_adds"), "the work of one step through all layers"),
    (
        "seed",
        lambda group: _either(run.seed for run in group),
        "where its random numbers began: the same one, the same run",
    ),
    ("training steps", lambda group: _either(map(_steps, group)), "times that the weights were changed"),
    ("training time", lambda group: _either(map(_time, group)), "on the machine that did it"),
    (
        "ended by",
        lambda group: _either(str((run.end or {}).get("reason", "no end is recorded")) for run in group),
        "why training stopped",
    ),
)


def _licences(runs: Sequence[Run]) -> list[list[str]]:
    data = {str(d["license"]) for run in runs if isinstance(d := run.config.get("data"), dict) and d.get("license")}
    return [
        ["elman", "BSD-3-Clause"],
        ["the data", ", ".join(sorted(data)) or "not recorded; ask whoever gave it"],
        ["the weights", "whoever trained them decides; what the data's licence asks may pass on to them"],
    ]


def _flat(section: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(section, dict):
        return {}
    flat: dict[str, str] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: words.plain(value)}
    return flat
