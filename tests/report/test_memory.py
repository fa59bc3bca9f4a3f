"""The page of an associative memory: its words, its charts, and the network that runs in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from elman import HopfieldNetwork
from elman.report import write_report
from elman.report.memory import memory_of, memory_verdict
from elman.report.play import networks_of_page
from elman.report.reading import read_run

KINDS: dict[str, dict[str, Any]] = {
    "hebbian": {"order": "sequential"},
    "storkey": {"storage": "storkey", "order": "sequential"},
    "projection": {"storage": "pseudo-inverse", "order": "sequential", "self_coupling": True},
    "synchronous": {"storage": "pseudo-inverse", "update": "synchronous"},
    "graded": {"kind": "continuous", "storage": "pseudo-inverse", "beta": 8.0},
    "modern": {"kind": "modern"},
    "plain": {"kind": "modern", "normalise": False, "beta": 0.05},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind, of patterns that all of them hold; the modern ones of grey pictures."""
    made, random = {}, np.random.default_rng(0)
    patterns = random.choice([-1, 1], (5, 9, 8))
    for name, settings in KINDS.items():
        made[name] = tmp_path_factory.mktemp("memories") / name
        x = load_digits().images[:5] if settings.get("kind") == "modern" else patterns
        HopfieldNetwork(**settings).fit(x, run=made[name])
    return made


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


@pytest.fixture
def told(runs) -> dict[str, Any]:
    return memory_of(read_run(runs["hebbian"]))


def test_the_page_says_what_is_recalled(runs, tmp_path):
    html = write_report([runs["hebbian"]], tmp_path / "page.html").read_text()
    assert "five patterns of 9 × 8 units" in html
    assert "units damaged, every pattern is recalled without an error." in html
    assert '<section id="training" hidden>' in html and '<section id="compare">' not in html
    assert "units that are all coupled to all others" in html


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ([1, 1, 1, 0], "every pattern is recalled without an error. At least nine in ten come .* with up to 20 %"),
        ([1, 1, 0.4, 0], "40 % of the patterns is recalled without an error. At least nine in ten .* up to 10 %"),
        ([0.2, 0.1, 0, 0], "no pattern is recalled .* Even of patterns that are shown whole, 20 % stay as they are"),
    ],
)
def test_the_verdict(told, right, said):
    noise = [{"noise": k / 10, "right": r, "overlap": 1} for k, r in enumerate(right)]
    import re

    assert re.search(said, " ".join(memory_verdict({**told, "noise": noise})))


@pytest.mark.parametrize("spoil", ["absent", "torn", "lacking", "descents"])
def test_what_is_missing_is_said(runs, tmp_path, visit, spoil):
    run = shutil.copytree(runs["hebbian"], tmp_path / "run")
    path = run / "memory.json"
    if spoil == "absent":
        path.unlink()
    elif spoil == "torn":
        path.write_text(path.read_text()[:100])
    else:
        changed = json.loads(path.read_text())
        if spoil == "descents":
            del changed["recalls"][0]["descents"]["turned"]
        else:
            del changed["noise"]
        path.write_text(json.dumps(changed))
    page = visit(run)
    assert "memory.json" in page.locator("#memory .missing").inner_text()
    assert page.locator("#play-recall").is_visible()


def test_the_charts_show_what_was_recorded(runs, visit):
    page = visit(runs["hebbian"])
    told = memory_of(read_run(runs["hebbian"]))
    for k, recall in enumerate(told["recalls"]):
        page.select_option("#memory-pattern", str(k))
        drawn = data_of(page, "memory-frames")
        assert drawn["pattern"] == recall["pattern"] and drawn["frames"] == recall["frames"]
        energy = data_of(page, "memory-energy")
        assert energy["one by one"]["y"] == recall["descents"]["asynchronous"]
        assert energy["all at once"]["y"] == recall["descents"]["synchronous"]
        overlaps = data_of(page, "memory-overlaps")
        assert [overlaps[f"pattern {p}"]["y"] for p in recall["near"]] == recall["overlaps"]
    capacity = data_of(page, "memory-capacity")
    np.testing.assert_allclose(capacity["rows"][::-1], told["capacity"]["found"])
    noise = data_of(page, "memory-noise")
    assert noise["recalled without an error"]["y"] == [row["right"] for row in told["noise"]]
    page.focus("#chart-memory-capacity .plot")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert "damaged 40\u00a0%, load 0.1" in page.locator("main > [aria-live=polite]").inner_text()


def test_the_modern_network_shows_its_attention(runs, visit):
    page = visit(runs["modern"])
    told = memory_of(read_run(runs["modern"]))["recalls"][0]
    for k, shares in enumerate(told["attention"]):
        page.locator("#memory-step").fill(str(k))
        np.testing.assert_allclose(data_of(page, "memory-attention")["values"][:-1], shares)
    assert "memory-capacity" not in page.evaluate("Object.keys(window.elman.charts)")


@pytest.mark.parametrize("name", KINDS)
def test_the_network_in_the_page_recalls_as_elman_does(runs, visit, name):
    network = HopfieldNetwork.load(runs[name] / "model")
    page = visit(runs[name], reduced_motion="reduce")
    if name in ("hebbian", "storkey", "projection"):
        page.select_option("#play-update", "sequential")
    for p in (0, 3):
        page.select_option("#play-start", str(p))
        page.click("#play-damage")
        cue = np.array(data_of(page, "play-pattern")["state"])
        way = network.recall(cue.reshape(network.coding_.shape))
        assert 0 < data_of(page, "play-pattern")["apart"] <= 0.21 * len(cue)
        if network.kind != "continuous":  # there what is shown becomes tanh(beta u) first
            begin = data_of(page, "play-energy")["energy"]["y"]
            np.testing.assert_allclose(begin, way.energy[0], rtol=1e-5, atol=1e-5)
        page.click("#play-recall")
        drawn = data_of(page, "play-energy")["energy"]["y"]
        np.testing.assert_allclose(data_of(page, "play-pattern")["state"], way.states[-1, 0], atol=1e-5 * 16)
        if way.descents:
            np.testing.assert_allclose(drawn, way.descents[0], rtol=1e-5, atol=1e-5)
        else:
            drawn = drawn[1:] if network.kind == "continuous" else drawn
            np.testing.assert_allclose(drawn, way.energy[:, 0], rtol=1e-5, atol=1e-5)
        overlaps = dict(zip(*(data_of(page, "play-overlaps")[key] for key in ("names", "values")), strict=True))
        for k in range(5):
            assert overlaps[f"pattern {k}"] == pytest.approx(way.overlaps[-1, 0, k], abs=1e-5)
        assert f"nearest to pattern {way.nearest[0]}" in page.inner_text("#title-play-pattern")
        page.click("#play-undo")
        assert data_of(page, "play-pattern")["apart"] == 0


def test_a_pattern_is_damaged_by_mouse_and_keys(runs, visit):
    page = visit(runs["hebbian"])
    page.locator("#chart-play-pattern").scroll_into_view_if_needed()
    box = page.locator("#chart-play-pattern canvas").bounding_box()
    side = 320 / 9
    page.mouse.move(box["x"] + 1.5 * side, box["y"] + 0.5 * side)
    page.mouse.down()
    page.mouse.move(box["x"] + 1.5 * side, box["y"] + 3.5 * side, steps=12)
    page.mouse.up()
    drawn = data_of(page, "play-pattern")
    stroke = np.array(drawn["state"]).reshape(9, 8)[:4, 1]
    assert len(set(stroke)) == 1 and drawn["apart"] >= 1
    apart = drawn["apart"]
    page.focus("#chart-play-pattern .plot")
    for key in ("ArrowRight", "ArrowDown", " "):
        page.keyboard.press(key)
    after = data_of(page, "play-pattern")
    assert after["state"][10] == -drawn["state"][10] and abs(after["apart"] - apart) == 1
    assert "row 1, column 2" in page.locator("main > [aria-live=polite]").inner_text()
    page.keyboard.press("r")
    page.locator("#title-play-pattern", has_text="it rests").wait_for()
    assert data_of(page, "play-pattern")["apart"] == 0
    falls = np.diff(data_of(page, "play-energy")["energy"]["y"])
    assert len(falls) == after["apart"] and (falls < 0).all()


def test_one_step_turns_one_unit(runs, visit):
    page = visit(runs["hebbian"])
    page.click("#play-damage")
    before = np.array(data_of(page, "play-pattern")["state"])
    page.click("#play-step")
    assert (np.array(data_of(page, "play-pattern")["state"]) != before).sum() == 1
    page.select_option("#play-update", "synchronous")
    page.click("#play-step")
    assert (np.array(data_of(page, "play-pattern")["state"]) != before).sum() > 5


def test_what_is_too_large_to_play_with_says_so(runs, tmp_path, monkeypatch):
    run = read_run(runs["storkey"])
    assert networks_of_page([run], ["a"])[0]["parameters"] == 72 * 73 // 2
    assert networks_of_page([read_run(runs["hebbian"])], ["a"])[0]["rank"] == 5
    monkeypatch.setattr("elman.report.play_memory.UNITS", 50)
    assert "of up to 50 units run in the page, and this one has 72" in networks_of_page([run], ["a"])[0]["missing"]
    monkeypatch.undo()
    monkeypatch.setattr("elman.report.play_memory.LARGEST", 100)
    assert "takes 2,628 numbers" in networks_of_page([run], ["a"])[0]["missing"]
    spoiled = shutil.copytree(runs["storkey"], tmp_path / "run")
    (spoiled / "model" / "config.json").write_text("{}")
    assert "nothing to play with" in networks_of_page([read_run(spoiled)], ["a"])[0]["missing"]


def test_several_memories_have_a_chooser(runs, visit):
    page = visit(runs["hebbian"], runs["modern"])
    page.select_option("#memory-run", "1")
    assert "memory-attention" in page.evaluate("Object.keys(window.elman.charts)")
    page.select_option("#play-run", "1")
    assert not page.locator("#play-update").count()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(visit, runs, width, scheme):
    for name in ("hebbian", "modern"):
        page = visit(runs[name], width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for figure in page.locator("#memory figure, #play figure").all():
            figure.get_by_role("button", name="Table").click()
            assert figure.locator("tbody tr").count() >= 1
            figure.get_by_role("button", name="Table").click()
            with page.expect_download() as download:
                figure.get_by_role("button", name="PNG").click()
            assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_estimator_shows_its_page(runs, tmp_path):
    network = HopfieldNetwork().fit(np.random.default_rng(0).choice([-1, 1], (3, 30)))
    assert '"kind":"memory"' in network.page().html and '"recalls"' in network.page().html
    assert HopfieldNetwork.load(network.save(tmp_path / "model")).report(tmp_path / "page.html").is_file()
