"""`elman predict`: what a trained model says of a table, as CSV or JSON Lines on stdout."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.fit import open_table
from elman.cli.options import Force, Json, TableName, held_out
from elman.errors import InputError


def predict(
    run: Path,
    table: TableName,
    /,
    *,
    test: str | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
    force: Force = False,
) -> None:
    """Forecast the steps that follow a table, or with --test every step of its last part; or answer for each case.

    Parameters
    ----------
    run
        a run folder, or a model folder
    table
        CSV or Parquet with the columns that the model was trained on; to label words, a file with one in each line; of
        both kinds of text a text itself will do; - for standard input
    test
        forecast from every origin in this last part (steps, a share below 1, or a time), truth beside; for forecasts
    output
        a file instead of stdout
    """
    from elman.tasks.loading import load

    model = load(run)
    data = _given(model.task, table)
    held = None if test is None else held_out(test)
    if held is not None and model.task != "forecast":
        raise InputError(f"--test is of forecasts; the model in {run} is for the task {model.task!r}")
    said = model.predict_table(data) if held is None else model.backtest(data, test=held)
    if output is None:
        sys.stdout.write(said.write_ndjson() if json else said.write_csv())
        return
    from elman.files import write_text

    if output.exists() and not force:
        raise InputError(f"{output} exists; nothing is overwritten without --force")
    write_text(output, said.write_ndjson() if json else said.write_csv())


def _given(task: str, table: str) -> Any:
    """What a model of this task reads: a table, sentences, or one text where the argument is no file but has blanks."""
    if task not in ("tag", "text"):
        return open_table(table)
    from elman.data.tagged import read_tagged
    from elman.data.tokens import Words

    split = Words([]).split
    if table != "-" and len(table.split()) > 1 and not Path(table).exists():
        return [split(table)] if task == "tag" else [table]
    if task == "text":
        return open_table(table)
    if table == "-":
        return [words for line in sys.stdin if (words := split(line))]
    return read_tagged(table, with_labels=False)
