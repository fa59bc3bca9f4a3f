"""`elman demo`: the main job on the bundled river data, from a table to a page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.fit import open_table, train_and_score
from elman.cli.options import Force, Output, Quiet, command_line
from elman.cli.score_table import score_table
from elman.cli.terminal import say, show, width
from elman.errors import InputError

TEST = "1987-01-01"  # the last two of the ten years
WEATHER = ("tmax", "tmin", "tmean", "rain_mm")
# What is known of the coming days, by label. All else is the default, which was chosen on the validation part.
SETTINGS = {"LSTM, perfect weather forecast": WEATHER, "LSTM, no weather forecast": ()}


def demo(
    *,
    output: Output = Path("runs/demo"),
    seeds: Annotated[
        int, Parameter(help="networks trained from different random numbers, in each of two settings")
    ] = 3,
    epochs: Annotated[int, Parameter(help="passes over the data, at most; fewer make a quicker and poorer demo")] = 30,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Forecast the river Fulda a week ahead: train, score on two unseen years, and write a page.

    Finished networks are kept and interrupted ones go on when the demo is run again.
    """
    from elman.data.datasets import fulda
    from elman.report import write_report
    from elman.tasks.forecast import Forecaster
    from elman.tasks.scoring import Scores
    from elman.training.record import Run, without_none

    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, found {seeds}")
    if not quiet:
        say("The river Fulda, daily discharge (m3/s) 1979 to 1988: seven days ahead, scored on 1987 and 1988.")
    data = open_table(str(fulda()))
    groups: dict[str, list[Scores]] = {}
    folders = []
    for label, future in SETTINGS.items():
        for seed in range(seeds):
            folder = output / f"{label.split(', ')[1].replace(' ', '-')}-{seed}"
            run = Run(folder, label=label, command=command_line())
            forecaster = Forecaster(
                target="discharge_m3s", horizon=7, future=future, event=">= 60", season=365, seed=seed, epochs=epochs
            )
            if (folder / "scores.json").exists() and not force:
                if run.config()["settings"] != without_none(forecaster.settings()):
                    raise InputError(
                        f"{folder} was made with other settings; --force makes it anew, --output elsewhere"
                    )
            else:
                interrupted = (run.checkpoint_path.exists() or run.model_path.exists()) and not force
                train_and_score(forecaster, data, TEST, run, resume=interrupted, force=True, quiet=quiet)
            groups.setdefault(label, []).append(Scores.load(folder))
            folders.append(folder)
    page = write_report(folders, output / "report.html", title="The river Fulda, a week ahead")
    show(score_table(groups, width()))
    if not quiet:
        say(f"The page: {page.resolve()}", markup=False)
