"""`elman report`: one or several runs as one page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.options import Force
from elman.cli.terminal import say
from elman.errors import InputError


def report(
    runs: list[Path],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Force = False,
) -> None:
    """Write one self-contained HTML page about a run, or about several side by side.

    Parameters
    ----------
    runs
        run folders
    output
        the page; of a single run it is report.html in its folder if not named
    """
    from elman.report import write_report
    from elman.report.page import LARGE

    if output is None:
        if len(runs) != 1:
            raise InputError("where is the page of several runs to go? Name it with -o page.html")
        output = runs[0] / "report.html"  # made from the run alone, so it may always be made anew
    elif output.exists() and not force:
        raise InputError(f"{output} exists; nothing is overwritten without --force")
    page = write_report(runs, output).resolve()
    say(f"The page: {page}", markup=False)
    if page.stat().st_size > LARGE:
        size = page.stat().st_size / 1e6
        say(f"It has {size:.1f} MB, which opens slowly on a phone; fewer runs at once make it smaller", markup=False)
