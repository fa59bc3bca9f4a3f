"""`elman fit classify` and `elman fit regress`: one answer for each sequence, or each row of a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from elman.cli.fit import fit_and_tell, open_table
from elman.cli.options import Force, Json, Output, Quiet, TableName, held_out
from elman.cli.terminal import width
from elman.errors import InputError
from elman.tasks.settings import AnswerSettings, ClassifySettings, RegressSettings

if TYPE_CHECKING:
    from elman.tasks.answers import OneAnswer

Resume = Annotated[bool, Parameter(negative=(), help="go on with the interrupted run in --output")]
Test = Annotated[str, Parameter(help="cases held out to score: a share, or so many last ones; 0 for none")]
Label = Annotated[str | None, Parameter(name="--name", help="of the run, on the page")]
Config = Annotated[Path | None, Parameter(help="config.toml of an earlier run; options given here win")]


def fit_classify(
    table: TableName,
    /,
    *,
    output: Output,
    settings: Annotated[ClassifySettings, Parameter(name="*")] = ClassifySettings(),  # noqa: B008 (never changed)
    config: Config = None,
    test: Test = "0.15",
    name: Label = None,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tell which class each sequence is of, or each row of a table.

    Parameters
    ----------
    table
        CSV or Parquet: with --group a row for each step, without it a row for each case; - for standard input
    """
    from elman.tasks.classify import SequenceClassifier

    fit_cases(SequenceClassifier, settings, table, output, test, name, resume, force, quiet, json)


def fit_regress(
    table: TableName,
    /,
    *,
    output: Output,
    settings: Annotated[RegressSettings, Parameter(name="*")] = RegressSettings(),  # noqa: B008 (never changed)
    config: Config = None,
    test: Test = "0.15",
    name: Label = None,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Predict a number for each sequence, or each row of a table.

    Parameters
    ----------
    table
        CSV or Parquet: with --group a row for each step, without it a row for each case; - for standard input
    """
    from elman.tasks.regress import SequenceRegressor

    fit_cases(SequenceRegressor, settings, table, output, test, name, resume, force, quiet, json)


def fit_cases(
    kind: "type[OneAnswer]",
    settings: AnswerSettings,
    table: str,
    output: Path,
    test: str,
    name: str | None,
    resume: bool,
    force: bool,
    quiet: bool,
    json: bool,
) -> None:
    from dataclasses import asdict

    from elman.cli.case_table import case_table

    held = held_out(test)
    if isinstance(held, str):
        raise InputError(f"--test {test}: a share below 1, or a number of cases, was expected")
    fit_and_tell(
        kind(**asdict(settings)), open_table(table), held, output, name,
        lambda name, scores: case_table(name, scores, width()),
        resume=resume, force=force, quiet=quiet, json=json,
    )  # fmt: skip
