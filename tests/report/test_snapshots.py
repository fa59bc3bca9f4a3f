"""The charts of snapshots in a browser, against the arrays in the run folder; and the page in a notebook's frame."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.data.datasets import fulda
from elman.report import Page, write_report
from elman.report.snapshots import snapshots_of
from elman.tasks.forecast import Forecaster
from elman.training.diagnostics import Probe
from elman.training.record import BINS, Run

HOSTILE = "</script></style><img src=x onerror=\"window.spoiled='1'\">"
CHARTS = ("itemised", "eigenvalues", "unit-gates", "histograms", "samples")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Forecaster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Probe, "due", lambda self, step, elapsed: step % self.every == 0)
        patch.setattr(Probe, "affords_snapshot", lambda self, elapsed, last=False: True)
        made, table = {}, pl.read_csv(fulda(), try_parse_dates=True).tail(1500)
        for cell in ("lstm", "rnn"):
            forecaster = Forecaster(
                target="discharge_m3s", horizon=7, probe=9, validation=300, architecture=cell, hidden_size=6,
                window=30, epochs=3,
            )  # fmt: skip
            run = Run(tmp_path_factory.mktemp("runs") / cell, label=cell.upper())
            made[cell] = forecaster.fit(table, test=200, run=run)
        return made


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


def folder(forecaster: Forecaster) -> Run:
    return Run(forecaster.run_path_)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_every_chart_has_the_numbers_of_the_arrays(fitted, visit, cell):
    run = folder(fitted[cell])
    page, steps = visit(run.path), run.snapshot_steps()
    assert len(steps) > 3 and data_of(page, "snapshot-bar") == steps
    for step in (steps[-1], steps[1]):
        page.evaluate(f"window.elman.view.set({{ step: {step} }})")
        arrays = run.read_snapshot(step)
        for index, layer in enumerate(("encoder.l0", "decoder.l0")):
            page.evaluate(f"window.elman.view.set({{ layer: {index} }})")
            drawn = data_of(page, "itemised")
            assert drawn["step"] == step and drawn["targets"] == arrays[f"{layer}/targets"].tolist()
            assert drawn["sources"] == arrays[f"{layer}/sources"].tolist()
            logs = np.array([[-np.inf if v is None else v for v in row] for row in drawn["log10"]], dtype=float)
            np.testing.assert_allclose(10**logs, arrays[f"{layer}/itemised"], rtol=1.2e-3, atol=1e-44)

            points = data_of(page, "eigenvalues")["points"]
            expected = arrays[f"{layer}/eigenvalues"].ravel()
            found = [complex(p["re"], p["im"]) for p in points if p["of"] != "W_hh"]
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
            found = [complex(p["re"], p["im"]) for p in points if p["of"] == "W_hh"]
            if cell == "rnn":
                np.testing.assert_allclose(found, arrays[f"{layer}/eigenvalues_W_hh"], rtol=1e-3, atol=1e-3)
                assert "has no gates" in page.locator("#chart-unit-gates .missing").inner_text()
            else:
                assert found == []
                gates = data_of(page, "unit-gates")["gates"]
                assert set(gates) == set("ifgo")
                for letter, shares in gates.items():
                    for end in ("low", "high"):
                        np.testing.assert_allclose(shares[end], arrays[f"{layer}/{end}_{letter}"], atol=1 / 500)


def test_histograms_of_all_snapshots_have_one_scale(fitted, visit):
    run = folder(fitted["lstm"])
    page, steps = visit(run.path), run.snapshot_steps()
    names = page.evaluate("[...document.querySelectorAll('#histogram-of option')].map((o) => o.value)")
    assert set(names) == {"h", "c", "i_bar", "f_bar", "g_bar", "o_bar", "W_hh"}
    for what in names:
        page.select_option("#histogram-of", what)
        drawn = data_of(page, "histograms")
        assert drawn["what"] == what and drawn["at"] == steps
        for step, row in zip(steps, drawn["shares"], strict=True):
            arrays = run.read_snapshot(step)
            own, shares = float(arrays[f"encoder.l0/limit_{what}"]), arrays[f"encoder.l0/hist_{what}"]
            centres = -own + (np.arange(BINS) + 0.5) * 2 * own / BINS
            limit = drawn["limit"]
            assert limit >= own
            edges = np.linspace(-limit, limit, BINS + 1)
            np.testing.assert_allclose(row, np.histogram(centres, edges, weights=shares)[0], atol=1e-3)
            assert sum(row) == pytest.approx(1, abs=2e-3)
    page.click("#ridge")
    assert page.get_attribute("#ridge", "aria-pressed") == "true"
    assert "snapshot" in page.inner_text("#chart-histograms .y-label")


def test_forecasts_as_it_learns_are_those_of_the_snapshots(fitted, visit):
    run = folder(fitted["lstm"])
    page, steps = visit(run.path), run.snapshot_steps()
    drawn = data_of(page, "samples")
    assert drawn["at"] == steps and len(drawn["label"]) == 6
    for step, forecast in zip(steps, drawn["forecast"], strict=True):
        np.testing.assert_allclose(forecast, run.read_snapshot(step)["samples/forecast"], rtol=1e-3)
    last = run.read_snapshot(steps[-1])
    np.testing.assert_allclose(drawn["truth"], last["samples/truth"], rtol=1e-3)
    table = pl.read_csv(fulda(), try_parse_dates=True)
    at = table["date"].cast(pl.String).to_list().index(drawn["label"][0])
    np.testing.assert_allclose(drawn["truth"][0], table["discharge_m3s"][at + 1 : at + 8], rtol=1e-3)
    np.testing.assert_allclose(drawn["history"][0][-1], table["discharge_m3s"][at], rtol=1e-3)


def test_the_last_samples_are_what_the_kept_network_says(fitted):
    forecaster = fitted["lstm"]
    last = folder(forecaster).read_snapshot(folder(forecaster).snapshot_steps()[-1])
    rows = pl.read_csv(fulda(), try_parse_dates=True)
    known = rows.filter(pl.col("date").cast(pl.String) <= str(last["samples/label"][0]))
    np.testing.assert_allclose(forecaster.predict(known)["forecast"], last["samples/forecast"][0], rtol=1e-3)


def test_the_slider_the_keys_and_the_cursor_go_through_the_snapshots(fitted, visit):
    run = folder(fitted["lstm"])
    page, steps = visit(run.path), run.snapshot_steps()
    page.focus("#snapshot")
    page.keyboard.press("ArrowLeft")
    assert data_of(page, "eigenvalues")["step"] == steps[-2]
    page.focus("#chart-eigenvalues .plot")
    page.keyboard.press("ArrowLeft")
    assert data_of(page, "itemised")["step"] == steps[-3]
    page.keyboard.press("Home")
    assert page.evaluate("window.elman.view.state.step") == steps[0]
    page.keyboard.press("ArrowDown")
    assert "from the centre" in page.locator("#chart-eigenvalues .legend output").last.inner_text()
    page.click("#snapshot-play")
    page.wait_for_timeout(1500)
    page.click("#snapshot-play")
    assert data_of(page, "samples")["now"] > steps[0]
    page.evaluate(f"window.elman.view.set({{ step: {steps[2] + 1} }})")  # the nearest one
    assert data_of(page, "unit-gates")["step"] == steps[2]


def test_each_has_a_table_a_picture_and_a_caption(fitted, visit):
    page = visit(folder(fitted["lstm"]).path)
    for chart in CHARTS:
        figure = page.locator(f"#chart-{chart}")
        assert len(figure.locator("h3").inner_text()) > 20 and len(figure.locator("figcaption").inner_text()) > 40
        figure.get_by_role("button", name="Table").click()
        assert figure.locator("tbody tr").count() >= 2
        figure.get_by_role("button", name="Table").click()
        with page.expect_download() as download:
            figure.get_by_role("button", name="PNG").click()
        assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_unit_is_pinned_by_a_click(fitted, visit):
    page = visit(folder(fitted["lstm"]).path)
    page.locator("#chart-unit-gates canvas").scroll_into_view_if_needed()
    x, y, text = page.evaluate("(({x, y, text}) => [x, y, text])(window.elman.charts['unit-gates'].spec.marks[3])")
    page.locator("#chart-unit-gates canvas").click(position={"x": x, "y": y})
    assert isinstance(page.evaluate("window.elman.view.state.unit"), int) and "gate i, unit 3" in text


def test_texts_are_rows_in_which_what_was_said_stands_out_and_stays_text(fitted, visit, tmp_path):
    path = shutil.copytree(folder(fitted["lstm"]).path, tmp_path / "texts")
    shutil.rmtree(path / "snapshots")
    run = Run(path)
    for step, said in ((1, "eee"), (9, "the the"), (18, HOSTILE)):
        run.snapshot(step, {"samples/prompt": np.array(["Once ", "No "]), "samples/text": np.array([said, "b"])})
    page = visit(path)
    drawn = data_of(page, "samples")
    assert drawn["text"] == [["eee", "b"], ["the the", "b"], [HOSTILE, "b"]] and drawn["prompt"][0] == ["Once ", "No "]
    page.locator("#chart-samples").get_by_role("button", name="Table").click()
    assert page.locator("#chart-samples tbody tr").last.inner_text().split("\t") == ["18", "Once", HOSTILE]
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None
    page.select_option("#sample", "1")
    assert page.locator("#chart-samples tbody tr").last.inner_text().split("\t")[-1] == "b"
    assert "holds nothing of this layer" in page.inner_text("#chart-itemised .missing")


def test_what_a_network_wrote_stands_newest_first_and_stays_text(fitted, visit, tmp_path):
    path = shutil.copytree(folder(fitted["lstm"]).path, tmp_path / "writer")
    events = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    looks = [e for e in events if e["event"] == "probe"]
    for look in looks:
        look["said"] = f"line one of {look['step']}\n{HOSTILE}"
    (path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    page = visit(path)
    texts = page.locator("#chart-writing pre").all_inner_texts()
    steps = sorted({look["step"] for look in looks}, reverse=True)
    assert texts == [f"line one of {step}\n{HOSTILE}" for step in steps]
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None
    assert visit(folder(fitted["lstm"]).path).locator("#chart-writing").is_hidden()


def test_without_snapshots_it_says_why_and_damaged_ones_are_left_out(fitted, visit, tmp_path):
    path = shutil.copytree(folder(fitted["lstm"]).path, tmp_path / "damaged")
    steps = Run(path).snapshot_steps()
    Run(path).snapshot_path(steps[0]).write_bytes(b"PK nonsense")
    np.savez(
        Run(path).snapshot_path(steps[1]), **{"encoder.l0/itemised": np.zeros(3), "encoder.l0/targets": np.zeros(2)}
    )
    (path / "snapshots" / "x.npz").write_bytes(b"")
    assert [s["step"] for s in snapshots_of(path)] == steps[1:]
    page = visit(path)
    page.evaluate(f"window.elman.view.set({{ step: {steps[1]} }})")
    assert page.locator("#chart-itemised .missing").is_visible()
    shutil.rmtree(path / "snapshots")
    page = visit(path)
    for chart in CHARTS:
        assert "No snapshot was kept" in page.inner_text(f"#chart-{chart} .missing")
    assert not page.locator("#snapshot").is_visible()


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_phone_never_scrolls_sideways(fitted, visit, cell):
    page = visit(folder(fitted[cell]).path, width=400)
    edges = "[...document.querySelectorAll('#training :not(.scroll *)')].map((e) => e.getBoundingClientRect().right)"
    assert max(page.evaluate(edges)) <= 400


def test_fingers_move_the_cursor_and_zoom(fitted, visit):
    page = visit(folder(fitted["lstm"]).path, width=400, has_touch=True)
    touch = """(points) => {
      const plot = document.querySelector('#chart-flow .plot'), box = plot.getBoundingClientRect();
      for (const [type, id, x] of points)
        plot.dispatchEvent(new PointerEvent(type, {
          pointerId: id, pointerType: 'touch', clientX: box.left + x, bubbles: true,
        }));
    }"""
    page.evaluate(touch, [["pointerdown", 1, 100], ["pointermove", 1, 200]])
    at = page.evaluate("window.elman.view.state.step")
    page.evaluate(touch, [["pointermove", 1, 300]])
    assert page.evaluate("window.elman.view.state.step") > at
    under = page.evaluate("[180, 220].map((x) => window.elman.charts.flow.stepAt(x))")
    page.evaluate(touch, [["pointerup", 1, 300], ["pointerdown", 2, 180], ["pointerdown", 3, 220]])
    page.evaluate(touch, [["pointermove", 3, 260]])
    low, high = page.evaluate("window.elman.view.state.range")
    whole = page.evaluate("window.elman.view.state.whole")
    assert high - low == pytest.approx((whole[1] - whole[0]) / 2, rel=0.02)
    assert page.evaluate("[180, 260].map((x) => window.elman.charts.flow.stepAt(x))") == pytest.approx(under, abs=0.5)


def test_the_strip_tells_where_the_run_stands(fitted, visit, tmp_path):
    path = folder(fitted["lstm"]).path
    said = visit(path).inner_text("#status").split("\n")
    assert "Finished: all epochs" in said and "3 of 3" in said
    cut = shutil.copytree(path, tmp_path / "cut")
    lines = (cut / "events.jsonl").read_text().splitlines(keepends=True)
    (cut / "events.jsonl").write_text("".join(line for line in lines if '"event": "end"' not in line))
    page = visit(cut)
    assert "Not finished when this page was made" in page.inner_text("#status")
    assert not page.locator("#stop").is_visible() and not page.locator("#follow").is_visible()


def test_a_notebook_shows_the_page_in_a_frame_that_comes_alive(fitted, browser, tmp_path):
    forecaster = fitted["lstm"]
    html = forecaster._repr_html_()
    assert html.startswith("<iframe") and 'sandbox="allow-scripts allow-downloads"' in html
    assert html.count("<") == 2  # the frame alone: the page is inside of its attribute
    troubles: list[str] = []
    page = browser.new_context().new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request", lambda r: troubles.append(r.url) if r.url.split(":")[0] not in ("file", "data", "about") else None
    )
    (tmp_path / "notebook.html").write_text(f"<!doctype html><body><p>In [1]:</p>{html}</body>")
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#chart-flow canvas").wait_for()
    assert "Gradient through time" in frame.locator("#chart-flow h3").inner_text()
    assert "Itemised gradient in" in frame.locator("#chart-itemised h3").inner_text()
    assert troubles == []


def test_a_page_object_is_the_report(fitted, tmp_path):
    path = folder(fitted["lstm"]).path
    page = Page.of(path)
    assert page.html == write_report([path], tmp_path / "a.html").read_text()
    assert page.save(tmp_path / "b.html").read_text() == page.html
    assert repr(page).startswith("Page(")


def test_a_loaded_estimator_shows_its_page_without_snapshots(fitted):
    loaded = Forecaster.load(folder(fitted["lstm"]).model_path)
    assert loaded._repr_html_().startswith("<iframe") and "&quot;snapshots&quot;:[]" in loaded._repr_html_()


def test_an_estimator_that_is_not_fitted_shows_itself_as_scikit_learns_do():
    assert "<iframe" not in Forecaster()._repr_html_()


def test_runs_that_are_too_much_for_one_page_have_one_each(fitted, visit, monkeypatch, tmp_path):
    small = 330_000  # the viewer takes most of it
    monkeypatch.setattr("elman.report.page.TOO_LARGE", small)
    paths = [folder(fitted[cell]).path for cell in ("lstm", "rnn")]
    page = visit(*paths)
    links = page.locator(".apart a")
    assert [links.nth(k).inner_text() for k in range(links.count())] == ["LSTM, seed 0", "RNN, seed 0"]
    assert "on a page of the run's own" in page.inner_text("#chart-itemised .missing")
    assert data_of(page, "loss")["training, each step"]["x"]
    assert (tmp_path / "report.html").stat().st_size < small
    links.nth(1).click()
    page.wait_for_url("**/report_files/2.html")
    assert page.evaluate("window.elman.record.runs[0].name") == "RNN, seed 0"
    assert data_of(page, "itemised")["targets"]
