"""`elman watch`: the page of one or several runs, live."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from elman.cli.terminal import say


def watch(
    runs: list[Path],
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    no_browser: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Show the page of runs while they train, until Ctrl-C. It stops nothing but itself.

    Parameters
    ----------
    runs
        run folders; those that do not exist yet are waited for
    host
        address to listen at; 0.0.0.0 lets everybody on the network look, but not stop the training
    port
        0 for any that is free
    no_browser
        only say where the page is
    """
    from elman.watch import watch as follow

    follow(
        runs,
        host=host,
        port=port,
        browser=not no_browser,
        on_start=lambda address: say(f"The page: {address} (Ctrl-C ends it, not the training)", markup=False),
    )
