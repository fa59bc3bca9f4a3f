"""What a person sees in the terminal: talk and progress on stderr, in colour and moving only where one looks on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table


def say(message: str, *, style: str | None = None, markup: bool = True) -> None:
    """One message on stderr; rich minds NO_COLOR and what is no terminal."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, style=style, markup=markup)


def width() -> int:
    """Columns of the terminal on stdout; plenty where there is none."""
    console = Console()
    return console.width if console.is_terminal else 160


def show(table: "Table") -> None:
    """A table on stdout."""
    Console(highlight=False, width=width()).print(table)


@contextmanager
def progress(label: str, epochs: int, *, quiet: bool = False) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A hook for `fit(on_event=)`: a bar with the time left on a terminal, otherwise one line at the end."""
    if quiet:
        yield lambda event: None
        return
    if not sys.stderr.isatty():
        last: dict[str, Any] = {}
        yield last.update
        if last.get("event") == "end":
            say(f"{label}: {last['reason']} after {last['step']} steps, {last['seconds']:.0f} s", markup=False)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}  {task.fields[losses]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None, epoch=0, epochs=epochs, losses="")
        steps_an_epoch: float | None = None

        def hook(event: dict[str, Any]) -> None:
            nonlocal steps_an_epoch
            if event["event"] == "epoch":
                steps_an_epoch = event["step"] / (event["epoch"] + 1)
                losses = f"train {event['train_loss']:.3f}  validation {event['val_loss']:.3f}"
                bar.update(task, epoch=event["epoch"] + 1, losses=losses, total=steps_an_epoch * epochs)
            if event["event"] in ("step", "epoch"):
                bar.update(task, completed=event["step"])
            elif event["event"] == "end":
                bar.update(task, completed=event["step"], total=event["step"])

        yield hook
