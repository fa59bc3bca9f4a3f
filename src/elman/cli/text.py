"""`elman fit text` and `elman explain`: of which class a text is, and which of its words made it so."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from elman.cli.fit_cases import Config, Label, Resume, Test, fit_cases
from elman.cli.options import Force, Json, Output, Quiet, TableName
from elman.cli.terminal import show
from elman.errors import InputError
from elman.tasks.settings import TextSettings

if TYPE_CHECKING:
    from elman.tasks.explaining import Explanation

Words = Annotated[str, Parameter(allow_leading_hyphen=True)]


def fit_text(
    table: TableName,
    /,
    *,
    output: Output,
    settings: Annotated[TextSettings, Parameter(name="*")] = TextSettings(),  # noqa: B008 (never changed)
    config: Config = None,
    test: Test = "0.15",
    name: Label = None,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tell which class each text is of: its sentiment, its topic, its language.

    Parameters
    ----------
    table
        CSV, TSV or Parquet with a row for each text; - for standard input
    """
    from elman.tasks.text import TextClassifier

    fit_cases(TextClassifier, settings, table, output, test, name, resume, force, quiet, json)


def explain(run: Path, text: Words, /, *, label: str | None = None, json: Json = False) -> None:
    """Tell which class a text is of, what each of its words did for that, and how sure the network was as each arrived.

    Parameters
    ----------
    run
        a run folder of `elman fit text`, or its model folder
    text
        the text; - for one in each line of standard input
    label
        the class to explain (default: the likeliest)
    """
    import json as js

    from elman.tasks.loading import load
    from elman.tasks.text import TextClassifier

    model = load(run)
    if not isinstance(model, TextClassifier):
        raise InputError(f"{run} holds a model for the task {model.task!r}; one of `elman fit text` was expected")
    named = next((c for c in model.classes_.tolist() if str(c) == label), label)
    for line in sys.stdin if text == "-" else [text]:
        why = model.explain(line.rstrip("\n"), named)
        if json:
            print(js.dumps(why.to_dict(), ensure_ascii=False), flush=True)
        else:
            _tell(why)


def _tell(why: "Explanation") -> None:
    from rich.table import Table
    from rich.text import Text

    most = max(1e-9, float(abs(why.contributions).max()))
    title = Text(f"{why.label}: {why.probability:.1%}")
    caption = (
        f"log-odds of {why.label}: {why.baseline:+.2f} without any word, {why.log_odds:+.2f} with all of them; the "
        "words make up the difference"
    )
    table = Table(title=title, caption=Text(caption))
    table.add_column("Word")
    table.add_column(Text(f"for {why.label}"), justify="right")
    table.add_column("")
    table.add_column("probability so far", justify="right")
    chosen = why.classes.index(why.label)
    for word, share, chances in zip(why.words, why.contributions, why.arriving, strict=True):
        colour = "green" if share > 0 else "red"
        bar = Text(("+" if share > 0 else "-") * round(10 * abs(share) / most), style=colour)
        style = f"bold {colour}" if abs(share) > most / 3 else ""
        table.add_row(Text(word, style=style), f"{share:+.2f}", bar, f"{chances[chosen]:.1%}")
    show(table)
