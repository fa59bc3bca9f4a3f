"""`elman fit write`, `elman write` and `elman surprise`: a network that reads a text and writes on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from elman.cli.fit import checkpoint_told
from elman.cli.options import Force, Json, Output, Quiet, command_line
from elman.cli.terminal import progress, say
from elman.tasks.settings import WriteSettings

if TYPE_CHECKING:
    from elman.tasks.write import TextGenerator

TextName = Annotated[str, Parameter(allow_leading_hyphen=True)]


def fit_write(
    text: TextName,
    /,
    *,
    output: Output,
    settings: Annotated[WriteSettings, Parameter(name="*")] = WriteSettings(),  # noqa: B008 (never changed)
    config: Path | None = None,
    encoding: str | None = None,
    label: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Learn how a text goes on, to write in its manner.

    Parameters
    ----------
    text
        a text file; - for standard input
    config
        config.toml of an earlier run, for its settings; options given here win
    encoding
        of the file, such as latin-1 (default: found from the file)
    label
        name of the run on the page
    resume
        go on with the interrupted run in --output
    """
    from dataclasses import asdict
    from math import log

    from elman.report import write_report
    from elman.tasks.fitting import rounds
    from elman.tasks.write import TextGenerator
    from elman.training.record import Run

    writer = TextGenerator(**asdict(settings))
    run = Run(output, label=label or writer.architecture.upper(), command=command_line())
    label = f"{run.about['label']}, seed {writer.seed}"
    with checkpoint_told(run), progress(label, rounds(writer), quiet=quiet) as hook:
        writer.fit(_given(text), encoding=encoding, run=run, resume=resume, force=force, on_event=hook)
    bits = writer.nats_ / log(2)
    if json:
        import json as js

        print(js.dumps({"nats": writer.nats_, "bits": bits, "tokens": writer.tokens}))
    page = write_report([run.path], run.path / "report.html")
    if not quiet:
        held_out = f"{writer.nats_:.3f} nats, or {bits:.3f} bits, for each of its {writer.tokens}"
        say(f"On the part held out: {held_out}.", markup=False)
        say(f"Model, record and page are in {output}; open {page}, or: elman write {output}", markup=False)


def _given(text: str) -> str | Path:
    """A path, or the whole of standard input."""
    return sys.stdin.read() if text == "-" else Path(text)


def write(
    run: Path,
    /,
    *,
    prompt: str = "",
    length: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | None = None,
    seed: int | None = None,
) -> None:
    """Let a trained network write; each token appears as it is written.

    Parameters
    ----------
    run
        a run folder of `elman fit write`, or its model folder
    prompt
        what the text begins with
    length
        tokens to write, at most
    temperature
        below 1 it plays safe, above 1 it dares; 0 always takes the likeliest
    top_k
        choose among so many of the likeliest
    top_p
        choose among the likeliest that together have this probability
    stop
        end where this text comes up
    seed
        the same one writes the same text
    """
    writer = _writer(run)
    sys.stdout.write(prompt)
    for piece in writer.stream(
        prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, stop=stop, seed=seed
    ):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def surprise(run: Path, text: TextName, /, *, json: Json = False) -> None:
    """How surprising a text is to a trained network: a line with its bits for each token, as CSV or JSON Lines.

    Parameters
    ----------
    run
        a run folder of `elman fit write`, or its model folder
    text
        a text file; - for standard input
    """
    from elman.data.text import read_text

    writer = _writer(run)
    given = _given(text)
    whole = given if isinstance(given, str) else read_text(given)
    table = writer.surprisal(whole)
    sys.stdout.write(table.write_ndjson() if json else table.write_csv())
    bits = float(table["bits"].sum())
    say(f"{bits / len(whole):.3f} bits a character, perplexity {2 ** (bits / len(table)):.2f}.", markup=False)


def _writer(run: Path) -> "TextGenerator":
    from elman.errors import InputError
    from elman.tasks.loading import load
    from elman.tasks.write import TextGenerator

    found = load(run)
    if not isinstance(found, TextGenerator):
        raise InputError(f"{run} holds a model for the task {found.task!r}; one of `elman fit write` was expected")
    return found
