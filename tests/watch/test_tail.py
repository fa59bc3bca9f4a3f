"""What is new in a run folder: once and in whole parts, after a restart too, and anew where the run was rewound."""

import json
from pathlib import Path

import numpy as np
import pytest

from elman.report.reading import read_run
from elman.report.recording import record_of
from elman.report.snapshots import snapshots_of
from elman.report.training import words_of
from elman.training.record import Run
from elman.watch.tail import Mark, Tail, said

NAME = "LSTM, seed 0"


def step(k, loss=1.0):
    return {"event": "step", "step": k, "epoch": 0, "loss": loss, "grad_norm": 1.0, "lr": 0.01}


def epoch(k, at):
    return {"event": "epoch", "epoch": k, "step": at, "train_loss": 1.0, "val_loss": 1.0, "best": True, "seconds": 1.0}


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run(tmp_path / "run", label="LSTM")
    run.start({"settings": {"epochs": 3, "clip": 1.0, "seed": 0}})
    return run


def write(run: Run, *events):
    with run.events_path.open("a") as file:
        file.write("".join(json.dumps(event) + "\n" for event in events))


def caught_up(tail: Tail) -> Mark:
    tail.refresh()
    return tail.mark


def test_what_is_told_is_what_the_report_has(run):
    tail = Tail(run.path)
    write(run, {"event": "fact", "constant": 2.0}, step(1), step(2, 0.5))
    tail.refresh()
    news = tail.news(None, NAME)
    whole = record_of(read_run(run.path), NAME)
    assert news.parts.pop("status").items() >= {**whole.pop("status"), "rate": None}.items()
    assert news.parts == {part: value for part, value in whole.items() if part != "name"}
    assert news.words == said(read_run(run.path), NAME)
    assert news.words["note"] == words_of(read_run(run.path), NAME).note
    assert news.snapshots == {"keep": [], "add": []}


def test_only_the_parts_that_changed_are_told_and_nothing_twice(run):
    tail = Tail(run.path)
    write(run, step(1))
    mark = caught_up(tail)
    assert tail.news(mark, NAME) is None
    write(run, step(2))
    tail.refresh()
    news = tail.news(mark, NAME)
    assert "loss" in news.parts and "epochs" not in news.parts and "layers" not in news.parts
    assert news.parts["loss"]["step"] == [1, 2] and news.parts["status"]["state"] == "open"
    assert news.snapshots is None
    mark = tail.mark
    write(run, epoch(0, 2))
    tail.refresh()
    news = tail.news(mark, NAME)
    assert "epochs" in news.parts and "loss" not in news.parts


def test_a_torn_line_is_read_when_it_is_whole(run):
    tail = Tail(run.path)
    write(run, step(1))
    line = json.dumps(step(2)) + "\n"
    with run.events_path.open("a") as file:
        file.write(line[:10])
    mark = caught_up(tail)
    assert len(tail.events) == 1
    with run.events_path.open("a") as file:
        file.write(line[10:])
    tail.refresh()
    assert tail.news(mark, NAME).parts["loss"]["step"] == [1, 2]


def test_a_mark_holds_across_a_restart_of_the_server(run):
    tail = Tail(run.path)
    write(run, step(1))
    mark = Mark.parse(str(caught_up(tail)))
    again = Tail(run.path)
    again.refresh()
    assert again.knows(mark) and again.news(mark, NAME) is None
    write(run, step(2))
    again.refresh()
    assert set(again.news(mark, NAME).parts) >= {"loss"} and "epochs" not in again.news(mark, NAME).parts


def test_a_rewound_run_is_told_anew_also_where_it_grew_again_meanwhile(run):
    tail = Tail(run.path)
    write(run, *[step(k) for k in range(1, 9)], epoch(0, 4))
    mark = caught_up(tail)
    run.rewind(4, 1)
    tail.refresh()
    news = tail.news(mark, NAME)
    assert news.parts["loss"]["step"] == [1, 2, 3, 4] and "layers" in news.parts
    mark = tail.mark
    run.rewind(2, 0)
    write(run, *[step(k, 7.0) for k in range(3, 30)])
    tail.refresh()
    assert tail.offset > mark.offset and not tail.knows(mark)
    news = tail.news(mark, NAME)
    assert news.parts["loss"]["value"][2] == 7 and news.parts["epochs"]["step"] == []
    again = Tail(run.path)
    again.refresh()
    assert not again.knows(Mark.parse(str(mark)))


def test_a_run_that_is_not_there_yet_and_one_that_is_begun_anew(tmp_path):
    path = tmp_path / "run"
    tail = Tail(path)
    tail.refresh()
    assert tail.run is None and tail.news(None, NAME) is None
    run = Run(path)
    run.start({})
    tail.refresh()
    assert tail.run is not None and tail.news(None, NAME).parts["loss"]["step"] == []
    write(run, step(1), step(2))
    mark = caught_up(tail)
    run.start({"settings": {"epochs": 9}}, force=True)
    tail.refresh()
    news = tail.news(mark, NAME)
    assert news.parts["loss"]["step"] == [] and news.parts["status"]["epochs"] == 9


def test_snapshots_come_with_the_steps_that_are_kept(run):
    tail = Tail(run.path)
    write(run, step(1))
    run.snapshot(1, {"samples/text": np.array(["a"])})
    mark = caught_up(tail)
    run.snapshot(5, {"samples/text": np.array(["b"])})
    news = tail.news(mark, NAME)
    assert news.parts == {} and news.snapshots["keep"] == [1, 5]
    assert news.snapshots["add"] == snapshots_of(run.path)


def test_what_is_no_event_is_passed_over(run):
    tail = Tail(run.path)
    with run.events_path.open("ab") as file:
        file.write(b'\xff\xfe\n[1]\n"x"\nnonsense\n{"event": 3}\n')
    write(run, step(1))
    tail.refresh()
    assert tail.news(None, NAME).parts["loss"]["step"] == [1]


@pytest.mark.parametrize("text", ["", "1.2", "a.b.c", "1.2.3.4", "-", "1.zz.3"])
def test_a_mark_that_is_none(text):
    assert Mark.parse(text) is None


def test_a_mark_from_elsewhere_is_not_known(run):
    write(run, step(1))
    tail = Tail(Path(run.path))
    tail.refresh()
    assert not tail.knows(Mark(10**9, 0, 0)) and not tail.knows(Mark(tail.offset, tail.checksum ^ 1, 0))
    assert not tail.knows(Mark(-5, 0, 0))


def test_a_page_made_while_a_run_appears_is_made_again(tmp_path):
    """The page's version is that of the runs in it, not of the folders that exist by then: else it would never ask."""
    late = Tail(tmp_path / "late")
    late.refresh()
    before = late.stands()
    Run(late.path, label="GRU").start({})
    assert late.stands() == before
    late.refresh()
    assert late.stands() != before
