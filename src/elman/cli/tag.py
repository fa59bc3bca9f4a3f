"""`elman fit tag`: a label for each word of a file, such as its part of speech."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from elman.cli.fit import fit_and_tell
from elman.cli.fit_cases import Config, Label, Resume
from elman.cli.options import Force, Json, Output, Quiet, TableName, held_out
from elman.cli.terminal import width
from elman.errors import InputError
from elman.tasks.settings import TagSettings

HEADINGS = {
    "accuracy": "Accuracy",
    "accuracy_unknown": "New words",
    "span_f1": "Span F1",
    "f1_macro": "Macro F1",
    "sentences": "Sentences",
}
LEGEND = "New words: those that training had not. Sentences: those without a wrong label."


def fit_tag(
    file: TableName,
    /,
    *,
    output: Output,
    settings: Annotated[TagSettings, Parameter(name="*")] = TagSettings(),  # noqa: B008 (never changed)
    config: Config = None,
    word: int | None = None,
    tag: int | None = None,
    test: Annotated[
        str, Parameter(help="sentences held out to score: a share, or so many last ones; 0 for none")
    ] = "0.15",
    name: Label = None,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Label each word of a sentence: its part of speech, the names in it.

    Parameters
    ----------
    file
        a word and its label in each line, apart by a tab, a blank line between sentences; CoNLL-U is known
    word
        column of the words, from 1 (default: the first)
    tag
        column of the labels, from 1 (default: the last)
    """
    from dataclasses import asdict

    from elman.data.tagged import read_tagged
    from elman.tasks.tag import SequenceTagger

    held = held_out(test)
    if isinstance(held, str):
        raise InputError(f"--test {test}: a share below 1, or a number of sentences, was expected")
    fit_and_tell(
        SequenceTagger(**asdict(settings)), read_tagged(file, word=word, label=tag), held, output, name, _table,
        resume=resume, force=force, quiet=quiet, json=json,
    )  # fmt: skip


def _table(label: str, scores: Any) -> Table:
    """A line for the network and for each baseline; the narrower the terminal, the fewer metrics."""
    summary = scores.summary
    there = summary["test"]
    table = Table(title=f"{there['cases']} words of {there['sentences']} sentences of the test part", caption=LEGEND)
    shown = [name for name in HEADINGS if name in summary["rows"][0]]
    shown = shown[: max(1, (width() - max(16, len(label)) - 4) // 12)]
    table.add_column("Model", no_wrap=True)
    for name in shown:
        table.add_column(HEADINGS[name], justify="right")
    for row in summary["rows"]:
        title = Text(label, style="bold") if row["kind"] == "network" else Text(f"  {row['model']}")
        table.add_row(title, *(f"{row[name]:.3f}" if row[name] == row[name] else "" for name in shown))
    return table
