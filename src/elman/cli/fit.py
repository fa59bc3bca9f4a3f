"""`elman fit`: train a network on the user's data, and score it on the part held out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from elman.cli.options import Force, Json, Output, Quiet, TableName, command_line, held_out
from elman.cli.score_table import score_table
from elman.cli.terminal import progress, say, show, width
from elman.tasks.settings import ForecastSettings

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from elman.data.tables import Table
    from elman.training.record import Run


def fit_forecast(
    table: TableName,
    /,
    *,
    output: Output,
    settings: Annotated[ForecastSettings, Parameter(name="*")] = ForecastSettings(),  # noqa: B008 (never changed)
    config: Path | None = None,
    test: str = "0.15",
    label: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Forecast the coming steps of a series, or of many.

    Parameters
    ----------
    table
        CSV or Parquet; - for standard input
    config
        config.toml of an earlier run, for its settings; options given here win
    test
        last part of the rows, held out to score: steps, a share below 1, or a time; 0 for none
    label
        name of the run on the page; runs that differ in their seed only share one
    resume
        go on with the interrupted run in --output
    """
    from dataclasses import asdict

    from elman.tasks.forecast import Forecaster

    forecaster = Forecaster(**asdict(settings))
    fit_and_tell(
        forecaster, open_table(table), held_out(test), output, label,
        lambda name, scores: score_table({name: [scores]}, width()),
        resume=resume, force=force, quiet=quiet, json=json,
    )  # fmt: skip


def fit_and_tell(
    estimator: Any,
    data: Any,
    test: int | float | str | None,
    output: Path,
    label: str | None,
    table_of: Callable[[str, Any], "RichTable"],
    *,
    resume: bool,
    force: bool,
    quiet: bool,
    json: bool,
) -> None:
    """Fit and score in the run folder `output`, in all processes; the first one writes the page and prints the scores.

    table_of(label, scores): how a person sees them.
    """
    from elman.files import finite
    from elman.report import write_report
    from elman.training.distributed import joined
    from elman.training.record import Run

    label = label or estimator.architecture.upper()
    run = Run(output, label=label, command=command_line())
    with joined() as world:
        quiet = quiet or not world.first
        scores = train_and_score(estimator, data, test, run, resume=resume, force=force, quiet=quiet)
    if not world.first:
        return
    page = write_report([run.path], run.path / "report.html")
    if json:
        import json as js

        print("null" if scores is None else js.dumps(finite(scores.summary)))
    elif scores is not None:
        show(table_of(label, scores))
    if not quiet:
        say(f"Model, record and page are in {output}; open {page}", markup=False)


def open_table(table: str) -> "Table":
    """The table at a path, or on standard input for `-`."""
    import sys

    from elman.data.tables import read_table

    return read_table(sys.stdin.buffer if table == "-" else Path(table))


def train_and_score(
    estimator: Any,
    data: Any,
    test: int | float | str | None,
    run: "Run",
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Any:
    """Fit with a bar and, where there is a test part, leave its scores in the run folder and return them.

    estimator: one whose `fit` and `evaluate` take a test part.
    """
    from elman.tasks.fitting import rounds

    label = f"{run.about['label']}, seed {estimator.seed}"
    with checkpoint_told(run):
        if resume and run.model_path.exists() and not (run.path / "scores.json").exists():
            estimator = estimator.load(run.model_path)  # it was stopped between training and scoring
        else:
            with progress(label, rounds(estimator), quiet=quiet) as hook:
                estimator.fit(data, test=test, run=run, resume=resume, force=force, on_event=hook)
    if not quiet:
        for note in estimator.notes_:
            say(f"Note: {note}", markup=False)
    if test is None or run.silent:
        return None
    scores = estimator.evaluate(data, test=test)
    scores.save(run.path)
    return scores


@contextmanager
def checkpoint_told(run: "Run") -> Iterator[None]:
    """Who interrupts what is inside learns how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        if run.checkpoint_path.exists():
            say(f"The checkpoint is saved in {run.path}; the same command with --resume goes on.", markup=False)
        raise
