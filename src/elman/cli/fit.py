"""`elman fit`: train a network on the user's data, and score it on the part held out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from elman.cli.options import Force, Json, Output, Quiet, TableName, command_line, held_out
from elman.cli.score_table import score_table
from elman.cli.terminal import progress, say, show, width
from elman.tasks.settings import ForecastSettings

if TYPE_CHECKING:
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

    from elman.files import finite
    from elman.report import write_report
    from elman.tasks.forecast import Forecaster
    from elman.training.distributed import joined
    from elman.training.record import Run

    data = open_table(table)
    forecaster = Forecaster(**asdict(settings))
    label = label or forecaster.architecture.upper()
    run = Run(output, label=label, command=command_line())
    with joined() as world:
        quiet = quiet or not world.first
        scores = train_and_score(forecaster, data, held_out(test), run, resume=resume, force=force, quiet=quiet)
    if not world.first:  # that process writes the page, and speaks
        return
    page = write_report([run.path], run.path / "report.html")
    if json and scores is None:
        print("null")
    elif scores is not None:
        if json:
            import json as js

            print(js.dumps(finite(scores.summary)))
        else:
            show(score_table({label: [scores]}, width()))
    if not quiet:
        say(f"Model, record and page are in {output}; open {page}", markup=False)


def open_table(table: str) -> "Table":
    """The table at a path, or on standard input for `-`."""
    import sys

    from elman.data.tables import read_table

    return read_table(sys.stdin.buffer if table == "-" else Path(table))


def train_and_score(
    estimator: Any,
    data: "Table",
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
    try:
        if resume and run.model_path.exists() and not (run.path / "scores.json").exists():
            estimator = estimator.load(run.model_path)  # it was stopped between training and scoring
        else:
            with progress(label, rounds(estimator), quiet=quiet) as hook:
                estimator.fit(data, test=test, run=run, resume=resume, force=force, on_event=hook)
    except KeyboardInterrupt:
        if run.checkpoint_path.exists():
            say(f"The checkpoint is saved in {run.path}; the same command with --resume goes on.", markup=False)
        raise
    if not quiet:
        for note in estimator.notes_:
            say(f"Note: {note}", markup=False)
    if test is None or run.silent:
        return None
    scores = estimator.evaluate(data, test=test)
    scores.save(run.path)
    return scores
