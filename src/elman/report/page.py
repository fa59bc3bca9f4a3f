"""The page: run folders in, one HTML file out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from elman.errors import InputError
from elman.files import write_text
from elman.report import panels
from elman.report.card import card
from elman.report.charts import PALETTE
from elman.report.compare import comparison
from elman.report.explained import explained_of
from elman.report.fans import fans_of
from elman.report.feature_maps import features_of
from elman.report.inside import inside_of
from elman.report.memory import is_memory, memories, memory_numbers, memory_of, memory_title, memory_verdict
from elman.report.panels import Panel
from elman.report.play import networks_of_page
from elman.report.reading import read_run
from elman.report.recording import embedded, record_of
from elman.report.runs import Run, names_of
from elman.report.scores import Group, groups_of, headline, score_table, verdict
from elman.report.snapshots import snapshots_of
from elman.report.tasks import TASKS
from elman.report.training import words_of
from elman.report.unscored import unscored_numbers, unscored_title, unscored_verdict

LARGE, TOO_LARGE = 5_000_000, 20_000_000  # bytes of a page: from there a warning, and from there several pages
APART = "What was seen inside of each run is on a page of its own: the links stand at the top of this one."
FORMAT = 1  # of the numbers in the page, which viewer/src/record.js reads


def write_report(runs: Sequence[Path], path: Path, *, title: str | None = None) -> Path:
    """Write one HTML page about one or several run folders to `path`, and return `path`.

    Runs that share a label are seeds of one network and are shown as mean ± standard deviation; the first run that has
    scores is the one whose forecasts are drawn. Where one page would be larger than TOO_LARGE, what was seen inside of
    each run goes to a page of its own, in a folder `NAME_files` beside it, and this one links to them. What is missing
    from a folder is said in its place on the page. Raises InputError (a ValueError) where a folder is no run folder.
    """
    html = page_of(runs, title=title)
    if len(html.encode()) > TOO_LARGE and len(runs) > 1:
        html = page_of(runs, title=title, apart=_pages_apart(runs, path))
    write_text(path, html)
    return path


def _pages_apart(runs: Sequence[Path], path: Path) -> list[tuple[str, str]]:
    """Write a page of its own for each run into a folder beside `path`; the names of the runs, and where these lie."""
    folder, found = path.with_name(f"{path.stem}_files"), []
    for k, name in enumerate(names_of([read_run(Path(run)) for run in runs]), 1):
        file = folder / f"{k}.html"
        write_text(file, page_of([runs[k - 1]], title=name))
        found.append((name, quote(f"{folder.name}/{file.name}")))
    return found


def page_of(
    runs: Sequence[Path],
    *,
    title: str | None = None,
    live: Mapping[str, Any] | None = None,
    apart: Sequence[tuple[str, str]] = (),
) -> str:
    """The same page as text.

    live: what the page needs to follow the runs on a server of its own.  apart: for runs whose looks inside and
    snapshots lie on pages of their own, the names and addresses of these; this page leaves them out.
    """
    if not runs:
        raise InputError("expected at least one run folder, found none: name the folder that `elman fit ... -o` made")
    read = [read_run(Path(run)) for run in runs]
    groups, names = groups_of(read), names_of(read)
    compared = comparison(read, groups)
    memory = memory_of(read[0]) if memories(read) else None
    environment = Environment(
        loader=PackageLoader("elman.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["svg"] = Markup  # only for what Chart.svg made, which escapes the words it is given
    return environment.get_template("page.html").render(
        title=title or _title(groups, read, memory),
        verdict=memory_verdict(memory) if memory else _verdict(groups) if groups else unscored_verdict(read, compared),
        numbers=memory_numbers(memory) if memory else headline(groups[0]) if groups else unscored_numbers(read[0]),
        memory=memory is not None,
        explained=explained_of(read[0]),
        notes=_notes(read, groups),
        about=groups[0].first.about if groups else "",
        training=panels.training(read),
        words=[words_of(run, name) for run, name in zip(read, names, strict=True)],
        scores=score_table(groups) if groups else None,
        told=groups[0].first if groups else None,
        panels=_panels(read, groups),
        comparison=compared,
        card=card(read),
        light={role: colours[0] for role, colours in PALETTE.items()},
        dark={role: colours[1] for role, colours in PALETTE.items()},
        css=Markup(_shipped("page.css") + _shipped("viewer.css")),
        record=Markup(
            embedded(
                {
                    "format": FORMAT,
                    "runs": [
                        _record(run, name, len(read), apart=bool(apart)) for run, name in zip(read, names, strict=True)
                    ],
                    "live": live,
                    "compare": compared.record,
                    "play": [] if apart else networks_of_page(read, names),
                }
            )
        ),
        featured=any((run.path / "features.json").exists() for run in read)
        and not any((run.path / "inside.json").exists() for run in read),
        live=Markup(_shipped("live.js")) if live is not None else "",
        apart=apart,
        viewer=Markup(_shipped("viewer.js")),
    )


def _record(run: Run, name: str, runs: int, *, apart: bool) -> dict[str, Any]:
    """All numbers of one run of so many that the page has; less where what was seen inside has a page of its own."""
    whole = {**record_of(run, name), "fans": fans_of(run)}
    if is_memory(run):
        whole["memory"] = memory_of(run)
    if apart:
        return {**whole, "layers": [], "snapshots": [], "inside": {"missing": APART}}
    return {
        **whole,
        "snapshots": snapshots_of(run.path),
        "inside": inside_of(run, 1 / runs),
        "features": features_of(run, 1 / runs),
    }


def _shipped(name: str) -> str:
    return files("elman.report").joinpath(name).read_text(encoding="utf-8")


def _title(groups: Sequence[Group], runs: Sequence[Run], memory: dict[str, Any] | None) -> str:
    if memory:
        return memory_title(runs[0], memory)
    return groups[0].first.title if groups else unscored_title(runs)


def _verdict(groups: Sequence[Group]) -> list[str]:
    first, *others = verdict(groups)
    return [first, *TASKS[_drawn(groups).task].more(groups), *others]


def _drawn(groups: Sequence[Group]) -> Run:
    """The run whose test part the page draws: the first that has scores."""
    return next(run for run in groups[0].runs if run.scores)


def _panels(runs: Sequence[Run], groups: Sequence[Group]) -> list[Panel]:
    shown = _drawn(groups) if groups else runs[0]
    task = TASKS.get(shown.task)
    if groups and task:
        return task.panels(groups, shown)
    missing = [Panel("scores", "Scores", missing=runs[0].no_scores)]
    if task is None:
        return missing if (runs[0].path / "scores.json").exists() else []
    return missing + task.panels([], shown)


def _notes(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    """The runs' own notes, each once, and what a reader of several runs at once has to know."""
    notes: list[str] = []
    for group in groups:
        for note in dict.fromkeys(note for scores in group.scored for note in scores.notes):
            everywhere = all(note in scores.notes for other in groups for scores in other.scored)
            notes.append(note if everywhere else f"{group.label}: {note}")
    if groups:
        notes += [
            f"{run.label}, seed {run.seed}, is not in the scores. {run.no_scores}" for run in runs if not run.scores
        ]
        tasks = list(dict.fromkeys(run.task for run in runs))
        if len(tasks) > 1:
            notes.append(
                f"These runs are of different tasks ({', '.join(tasks)}), whose scores can't be put side by side. "
                f"Shown are those of the task {groups[0].first.task}; give the others a page of their own."
            )
    if len({s.tested for g in groups for s in g.scored}) > 1:
        notes.append(
            "These runs were not all tested on the same thing (target, horizon, dates or cases differ), so their "
            "scores can't be compared line by line."
        )
    return list(dict.fromkeys(notes))
