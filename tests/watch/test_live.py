"""The live page in a browser: it follows a real training from start to end, through a restart of the server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elman.report import write_report
from elman.report.reading import read_run
from elman.report.recording import record_of
from elman.report.snapshots import snapshots_of
from elman.training.record import Run

pytest.importorskip("uvicorn", reason="the extra is not installed: pip install 'elman[serve]'")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
HERE = Path(__file__).parent
LONG = 60.0  # seconds


@pytest.fixture
def start() -> Iterator[Any]:
    """`start(*arguments)` starts Python with them; what still runs at the end is killed."""
    started = []

    def go(*arguments: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        started.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def server(start: Any, port: int, *runs: Path) -> subprocess.Popen[str]:
    process = start("-m", "elman", "watch", *runs, "--port", port, "--no-browser")
    line = process.stderr.readline()
    assert f"http://127.0.0.1:{port}/" in line, line + process.stderr.read()
    return process


def visit(browser: Any, port: int, troubles: list[str]) -> Any:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    own = f"http://127.0.0.1:{port}/"
    page.on("request", lambda r: troubles.append(r.url) if not r.url.startswith((own, "data:", "blob:")) else None)
    page.goto(own)
    return page


def until(page: Any, true: str) -> None:
    """Wait for a condition in the page; playwright's own way to wait would need its policy to allow `eval`."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        try:
            if page.evaluate(f"Boolean({true})"):
                return
        except sync_api.Error as error:
            if "context was destroyed" not in str(error):  # it is being loaded again
                raise
        time.sleep(0.1)
    raise AssertionError(f"not within {LONG:g} s: {true}")


def reached(page: Any, step: int) -> None:
    until(page, f"window.elman && window.elman.record.runs[0].last >= {step}")


def status(page: Any) -> str:
    return page.locator("#status").inner_text()


def test_it_follows_a_run_from_start_to_end_through_a_restart_of_the_server(start, port, browser, tmp_path):
    path, troubles = tmp_path / "run", []
    watching = server(start, port, path)
    page = visit(browser, port, troubles)
    assert "Waiting for a run" in page.inner_text("h1")
    training = start(HERE / "trained.py", path)
    reached(page, 5)
    page.evaluate("window.here = true")
    assert "Training" in status(page) and "Following" in page.inner_text(".link")

    watching.send_signal(signal.SIGINT)
    out, said = watching.communicate(timeout=20)
    assert (watching.returncode, out, said) == (0, "", "")
    until(page, "document.querySelector('.link').textContent.includes('lost')")
    before = page.evaluate("window.elman.record.runs[0].last")
    server(start, port, path)
    reached(page, before + 10)
    until(page, "document.querySelector('.link').textContent === 'Following'")

    until(page, "document.querySelector('#status').textContent.includes('Finished')")
    run = read_run(path)
    until(page, f"window.elman.record.runs[0].snapshots.length === {len(snapshots_of(path))}")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.here") is True  # the page was never loaded again
    drawn = page.evaluate("window.elman.record.runs[0]")
    expected = record_of(run, drawn["name"]) | {"snapshots": snapshots_of(path)}
    assert drawn["status"].pop("updated") == pytest.approx((path / "events.jsonl").stat().st_mtime, abs=1e-3)
    assert len(expected["snapshots"]) > 2
    drawn = {key: drawn[key] for key in expected}  # the charts keep some things of their own there
    for snapshot in drawn["snapshots"]:
        for layer in snapshot["layers"].values():
            layer.pop("logs", None)
    for layer in drawn["layers"]:
        layer.pop("unpacked", None)
    assert drawn == expected
    assert page.evaluate("window.elman.charts.loss.data")["training, each step"]["x"] == expected["loss"]["step"]
    assert page.evaluate("window.elman.charts.flow.data.at") == expected["layers"][0]["at"]
    words = page.inner_text(".run-words")

    (tmp_path / "go").touch()
    until(page, "window.here === undefined && document.querySelector('#scores table')")
    assert training.wait(20) == 0
    still = browser.new_context().new_page()
    still.goto(write_report([path], tmp_path / "report.html").as_uri())
    until(still, "window.elman !== undefined")
    assert still.inner_text(".run-words") == words == page.inner_text(".run-words")
    assert troubles == []


def test_it_pauses_stops_the_training_and_follows_it_when_it_is_resumed(start, port, browser, tmp_path):
    path, troubles = tmp_path / "run", []
    server(start, port, path)
    training = start(HERE / "trained.py", path)
    page = visit(browser, port, troubles)
    reached(page, 20)
    page.click("#follow")
    held = page.evaluate("window.elman.record.runs[0].last")
    until(page, "document.querySelector('#follow').textContent === 'Resume: there is news'")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.elman.record.runs[0].last") == held
    page.click("#follow")
    assert page.evaluate("window.elman.record.runs[0].last") > held

    page.evaluate("window.elman.view.set({ range: [2, 12], step: 7 })")
    reached(page, held + 15)
    assert page.evaluate("window.elman.view.state.range") == [2, 12]  # what the reader chose stays
    assert page.evaluate("window.elman.charts.loss.plot.scales.x.max") == 12
    page.click("#stop")
    assert training.wait(30) == 130
    assert (path / "checkpoint.safetensors").exists() and not (path / "stop").exists()
    page.wait_for_timeout(1500)
    stopped = page.evaluate("window.elman.record.runs[0].last")
    assert stopped == [e["step"] for e in Run(path).events() if e["event"] == "step"][-1]
    start(HERE / "trained.py", path, "--resume")
    reached(page, stopped + 10)
    drawn, last = page.evaluate(
        "[window.elman.charts.loss.data['training, each step'].x, window.elman.record.runs[0].last]"  # at one moment
    )
    assert drawn == list(range(1, 1 + last))
    assert troubles == []


def test_two_runs_are_watched_at_once_and_the_second_may_come_later(start, port, browser, tmp_path):
    first, second, troubles = Run(tmp_path / "a", label="first"), Run(tmp_path / "b", label="second"), []
    first.start({})
    first.record("step", step=1, epoch=0, loss=1.0, grad_norm=1.0, lr=0.1)
    first.flush()
    server(start, port, first.path, second.path)
    page = visit(browser, port, troubles)
    until(page, "window.elman?.record.runs.length === 1")
    second.start({})
    until(page, "window.elman?.record.runs.length === 2")
    second.record("step", step=3, epoch=0, loss=1.0, grad_norm=1.0, lr=0.1)
    second.flush()
    until(page, "window.elman.record.runs[1].last === 3")
    page.select_option("#run", "1")
    assert "3" in status(page)
    page.evaluate("document.cookie")  # nothing is kept
    first.record("error", step=2, message="the loss is nan")
    first.flush()
    page.select_option("#run", "0")
    until(page, "document.querySelector('#status').textContent.includes('Broke off')")
    assert "the loss is nan" in page.inner_text(".alerts >> nth=0")
    assert troubles == []


def test_sigint_ends_the_server_quietly_while_a_browser_listens(start, port, browser, tmp_path):
    run = Run(tmp_path / "a")
    run.start({})
    watching = server(start, port, run.path)
    page = visit(browser, port, [])
    until(page, "document.querySelector('.link')?.textContent === 'Following'")
    began = time.monotonic()
    watching.send_signal(signal.SIGINT)
    assert watching.communicate(timeout=20) == ("", "") and watching.returncode == 0
    assert time.monotonic() - began < 5
