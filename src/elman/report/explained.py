"""What made a classifier of texts say so: a few texts, each word as strong as it spoke for the class that was named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elman.errors import InputError
from elman.files import read_json
from elman.report import words
from elman.report.charts import Chart, Line
from elman.report.panels import Figure, gaps
from elman.report.runs import Run, number

FILE = "explained.json"
CHARACTERS = 60  # of one word
FAINT = 0.06  # a word that did less, as a share of the strongest, is not marked


@dataclass(frozen=True)
class Word:
    text: str
    share: float  # of the strongest word's contribution, from -1 to 1; 0 where it is faint
    tip: str


@dataclass(frozen=True)
class Explained:
    """One text: what was named and what was right, its words, and the probability as each word arrives."""

    named: str
    truth: str
    right: bool
    probability: str
    words: list[Word]
    arriving: Figure


def explained_of(run: Run) -> list[Explained]:
    """The texts that a run has explained; [] where it has none, or the file was changed."""
    if not (run.path / FILE).is_file():
        return []
    try:
        return [_explained(text) for text in read_json(run.path / FILE)["texts"]]
    except (InputError, KeyError, TypeError, ValueError, IndexError):
        return []


def _explained(text: dict[str, Any]) -> Explained:
    label, truth = str(text["label"]), str(text["truth"])
    shares = [float(number(share) or 0.0) for share in text["contributions"]]
    said = [str(word)[:CHARACTERS] for word in text["words"]]
    most = max([1e-9, *map(abs, shares)])
    column = [str(name) for name in text["classes"]].index(label)
    chances = [float(row[column]) for row in text["arriving"]]
    if not len(said) == len(shares) == len(chances):
        raise ValueError("there is not one contribution and one probability for each word")
    marked = [
        Word(
            word or "(no word)",
            share / most if abs(share) > FAINT * most else 0.0,
            f"{words.score(share, 2)} for {label}; {words.percent(chance)} after it",
        )
        for word, share, chance in zip(said, shares, chances, strict=True)
    ]
    chart = Chart(
        f"How sure of “{label}” it was as each word arrived",
        "word",
        f"probability of {label} (%)",
        [Line(label, list(range(1, len(said) + 1)), gaps([100 * c for c in chances]), "s1", 2.2, dots=len(said) < 40)],
        y_range=(0.0, 100.0),
        x_integer=True,
    )
    how = "After each word, as if the text ended there. " + " · ".join(f"{k} {w}" for k, w in enumerate(said[:40], 1))
    probability = words.percent(float(number(text["probability"]) or 0.0))
    return Explained(label, truth, label == truth, probability, marked, Figure(chart, how, "half"))
