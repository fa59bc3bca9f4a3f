"""The page in a browser: it draws what was recorded, answers to mouse and keyboard, and asks nobody for anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.data.datasets import fulda
from elman.report import write_report
from elman.tasks.forecast import Forecaster
from elman.training.diagnostics import Probe
from elman.training.record import Run

HOSTILE = "</script></style><img src=x onerror=\"window.spoiled='1'\">"
SETTINGS = {
    "LSTM": {"architecture": "lstm", "hidden_size": 8, "window": 20, "epochs": 4},
    "RNN": {
        "architecture": "rnn",
        "hidden_size": 8,
        "window": 100,
        "epochs": 2,
        "num_layers": 2,
        "learning_rate": 1e-4,
    },
}


@pytest.fixture(scope="module")
def runs(browser, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real short runs, looked into often: an LSTM, and a simple network whose gradient vanishes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Probe, "due", lambda self, step, elapsed: step % self.every == 0)
        patch.setattr(Probe, "affords_snapshot", lambda self, elapsed, last=False: True)
        made, table = {}, pl.read_csv(fulda(), try_parse_dates=True).tail(2000)
        for label, settings in SETTINGS.items():
            made[label] = tmp_path_factory.mktemp("runs") / label
            forecaster = Forecaster(target="discharge_m3s", horizon=7, probe=6, validation=300, **settings)
            forecaster.fit(table, test=200, run=Run(made[label], label=label))
        return made


def events_of(run: Path, kind: str) -> list[dict[str, Any]]:
    return [e for line in (run / "events.jsonl").read_text().splitlines() if (e := json.loads(line))["event"] == kind]


def looks_of(run: Path) -> dict[int, dict[str, Any]]:
    """The looks inside by step; the last one is at the network that was kept."""
    return {probe["step"]: probe for probe in events_of(run, "probe")}


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


def state_of(page: Any) -> Any:
    return page.evaluate("window.elman.view.state")


def column(looks: dict[int, dict[str, Any]], layer: int, key: str) -> list[Any]:
    return [look["layers"][layer][key] for look in looks.values()]


@pytest.mark.parametrize("label", SETTINGS)
def test_every_chart_has_the_numbers_of_the_events(runs, visit, label):
    run = runs[label]
    page = visit(run)
    steps, epochs, looks = events_of(run, "step"), events_of(run, "epoch"), looks_of(run)
    for chart, line, key in (
        ("loss", "training, each step", "loss"),
        ("norm", "norm", "grad_norm"),
        ("lr", "learning rate", "lr"),
    ):
        drawn = data_of(page, chart)[line]
        assert drawn["x"] == [e["step"] for e in steps]
        np.testing.assert_allclose(drawn["y"], [e[key] for e in steps], rtol=1e-4)
    loss = data_of(page, "loss")
    assert loss["validation, each epoch"]["x"] == [e["step"] for e in epochs]
    np.testing.assert_allclose(loss["validation, each epoch"]["y"], [e["val_loss"] for e in epochs], rtol=1e-4)
    assert loss["best validation"]["x"] == [[e["step"] for e in epochs if e["best"]][-1]]

    layers = next(iter(looks.values()))["layers"]
    assert len(layers) == {"LSTM": 2, "RNN": 4}[label]
    for index, layer in enumerate(layers):
        page.evaluate(f"window.elman.view.set({{layer: {index}}})")
        flow = data_of(page, "flow")
        assert flow["at"] == list(looks) and flow["lags"] == layer["lags"] and flow["steps"] == layer["steps"]
        assert flow["horizon"] == column(looks, index, "horizon")
        norms = np.array([[np.nan if v is None else v for v in row] for row in column(looks, index, "grad_norm")])
        logs = np.array([[-np.inf if v is None else v for v in row] for row in flow["log10"]], dtype=float)
        np.testing.assert_allclose(10**logs, norms, rtol=1.2e-3)
        for chart, line, key in (
            ("stability", "spectral radius of the step's Jacobian", "jacobian_radius"),
            ("rank", "effective rank", "rank"), ("units", "dead", "dead"), ("units", "stuck", "stuck"),
        ):  # fmt: skip
            drawn = data_of(page, chart)[line]
            assert drawn["x"] == list(looks)
            np.testing.assert_allclose(drawn["y"], column(looks, index, key), rtol=1e-4)
        gates = column(looks, index, "gates")
        for letter in "ifgo" if label == "LSTM" else "":
            drawn = data_of(page, f"gates-{letter}")
            np.testing.assert_allclose(drawn["low"]["y"], [shares[letter][0] for shares in gates], atol=1e-6)
            np.testing.assert_allclose(drawn["high"]["y"], [shares[letter][1] for shares in gates], atol=1e-6)
    if label == "RNN":
        assert page.locator("#chart-gates .missing").inner_text() == "A simple network (RNN) has no gates."

    updates, drawn = (
        {p["step"]: p["updates"] for p in events_of(run, "probe") if "updates" in p},
        data_of(page, "updates"),
    )
    assert set(drawn) == set(next(iter(updates.values())))
    for name, line in drawn.items():
        assert line["x"] == list(updates)
        np.testing.assert_allclose(line["y"], [seen[name] for seen in updates.values()], rtol=1e-4)


def test_the_diagnosis_stands_on_top_with_its_cures(runs, visit):
    page = visit(runs["RNN"])
    said = page.locator("#training .diagnosis").inner_text()
    assert "Vanishing gradient" in said and "of 100 steps back" in said
    assert "an LSTM or GRU in place of the simple cell" in said
    assert not page.locator(".still").is_visible()


def test_cursor_keys_move_one_cursor_on_all_charts(runs, visit):
    page = visit(runs["LSTM"])
    page.focus("#chart-loss .plot")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert state_of(page)["step"] == 4
    loss = events_of(runs["LSTM"], "step")[3]["loss"]
    shown = page.locator("#chart-loss .legend output").first.inner_text()
    assert float(shown) == pytest.approx(loss, rel=5e-3)
    assert page.locator("#training .toolbar output").inner_text() == "Step 4"
    for chart in ("norm", "lr"):
        assert page.evaluate(f"window.elman.charts.{chart}.plot.cursor.left") > 0
    page.keyboard.press("End")
    assert state_of(page)["step"] == events_of(runs["LSTM"], "step")[-1]["step"]
    assert "training, each step" in page.locator("#training [aria-live]").inner_text()


def test_a_click_and_the_keys_on_the_heatmap_show_that_steps_profile(runs, visit):
    run = runs["LSTM"]
    page, looks = visit(run), looks_of(run)
    at, layer = list(looks), 0
    page.evaluate(f"window.elman.view.set({{layer: {layer}}})")
    canvas = page.locator("#chart-flow canvas")
    x = page.evaluate(f"window.elman.charts.flow.x({at[3]})")
    canvas.click(position={"x": x, "y": 200})
    assert state_of(page)["pinned"] == at[3]
    profile = data_of(page, "profile")
    np.testing.assert_allclose(
        profile[f"h, step {at[3]}"]["y"], looks[at[3]]["layers"][layer]["grad_norm"], rtol=1.2e-3
    )
    np.testing.assert_allclose(
        profile[f"c, step {at[3]}"]["y"], looks[at[3]]["layers"][layer]["grad_norm_c"], rtol=1.2e-3
    )
    np.testing.assert_allclose(
        profile[f"first, step {at[0]}"]["y"], looks[at[0]]["layers"][layer]["grad_norm"], rtol=1.2e-3
    )
    assert f"last, step {at[-1]}" in profile
    page.focus("#chart-flow .plot")
    page.keyboard.press("ArrowRight")
    assert state_of(page)["pinned"] == at[4] and f"h, step {at[4]}" in data_of(page, "profile")
    row = page.evaluate("window.elman.charts.flow.row")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("window.elman.charts.flow.row") == row + 1
    shown = page.locator("#chart-flow .legend output").nth(1).inner_text()
    assert shown.startswith(f"step {at[4]}, lag {row + 1}: ")


def test_the_zoom_is_shared_and_can_be_undone(runs, visit):
    page = visit(runs["LSTM"])
    over = page.locator("#chart-loss .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    low, high = state_of(page)["range"]
    last = events_of(runs["LSTM"], "step")[-1]["step"]
    assert (low, high) == (pytest.approx(0.25 * last, abs=0.02 * last), pytest.approx(0.75 * last, abs=0.02 * last))
    page.wait_for_timeout(50)
    for chart in ("loss", "norm", "lr", "stability", "updates", "units", "rank", "gates-f"):
        scale = page.evaluate(f"(({{min, max}}) => [min, max])(window.elman.charts['{chart}'].plot.scales.x)")
        assert scale == [low, high], chart
    left, right = page.evaluate(f"[{low}, {high}].map((step) => window.elman.charts.flow.x(step))")
    assert left == 52 and right > 600  # the range fills the heatmap
    page.evaluate("window.elman.view.set({range: [10, 50], step: 20, pinned: 20})")
    page.wait_for_timeout(50)
    for chart in ("loss", "gates-f"):
        at = page.evaluate(f"(({{plot}}) => plot.posToVal(plot.cursor.left, 'x'))(window.elman.charts['{chart}'])")
        assert at == pytest.approx(20, abs=0.01) and state_of(page)["step"] == 20
    page.click("#all")
    assert state_of(page)["range"] is None
    page.focus("#chart-flow .plot")
    page.keyboard.press("+")
    assert state_of(page)["range"] is not None
    page.keyboard.press("0")
    assert state_of(page)["range"] is None


def test_an_alert_moves_the_cursor_to_its_step(runs, visit, tmp_path):
    run = shutil.copytree(runs["LSTM"], tmp_path / "broken")
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"event": "error", "step": 7, "message": "the loss is nan"}) + "\n")
    page = visit(run)
    page.evaluate("window.elman.view.set({range: [20, 30]})")
    page.locator(".alerts li[data-kind=error] button").click()
    state = state_of(page)
    assert state["step"] == state["pinned"] == 7 and state["range"] is None


def test_every_chart_has_a_table_a_picture_and_a_caption(runs, visit):
    page = visit(runs["LSTM"])
    charts = page.locator("#training figure.chart:visible")
    names = [charts.nth(k).get_attribute("id") for k in range(charts.count())]
    assert len(names) == 19
    for name in names:
        figure = page.locator(f"#{name}")
        assert figure.locator("h3").inner_text() and figure.locator("figcaption").inner_text()
        figure.get_by_role("button", name="Table").click()
        assert figure.locator("tbody tr").count() >= 2 and figure.locator("table").is_visible()
        assert not figure.locator(".plot").is_visible()
        figure.get_by_role("button", name="Table").click()
        with page.expect_download() as download:
            figure.get_by_role("button", name="PNG").click()
        assert download.value.suggested_filename == f"elman-{name.removeprefix('chart-')}.png"
        assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_several_runs_have_a_chooser(runs, visit):
    page = visit(runs["LSTM"], runs["RNN"])
    assert page.locator(".run-words:visible").count() == 1
    page.select_option("#run", "1")
    assert data_of(page, "loss")["training, each step"]["x"] == [e["step"] for e in events_of(runs["RNN"], "step")]
    assert "Vanishing" in page.locator(".run-words:visible").inner_text()
    page.select_option("#layer", "1")
    assert data_of(page, "flow")["horizon"] == column(looks_of(runs["RNN"]), 1, "horizon")


def test_hostile_strings_stay_text(runs, visit, tmp_path):
    run = shutil.copytree(runs["LSTM"], tmp_path / "hostile")
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('label = "LSTM"', f"label = {json.dumps(HOSTILE)}"))
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    for event in lines:
        for layer in event.get("layers", []):
            layer["name"] = HOSTILE
        if "updates" in event:
            event["updates"] = {HOSTILE + name: ratio for name, ratio in event["updates"].items()}
    lines.append({"event": "error", "step": 3, "message": HOSTILE})
    (run / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in lines))
    page = visit(run, runs["LSTM"])
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None
    assert HOSTILE in page.locator("#chart-flow h3").inner_text()
    assert HOSTILE in page.locator("#run option").first.inner_text()
    assert HOSTILE in page.locator(".alerts").first.inner_text()


def luminance(page: Any) -> float:
    return page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    )


def test_dark_and_light_follow_the_system_and_the_button(runs, visit):
    page = visit(runs["LSTM"], color_scheme="dark")
    assert luminance(page) < 150
    dark_ink = page.evaluate("window.elman.charts.loss.plot.axes[0].stroke()")
    page.click("#theme")
    assert luminance(page) > 700
    assert page.evaluate("window.elman.charts.loss.plot.axes[0].stroke()") != dark_ink
    page.emulate_media(color_scheme="light")
    page.click("#theme")
    assert luminance(page) < 150


@pytest.mark.parametrize("label", SETTINGS)
def test_a_phone_never_scrolls_sideways(runs, visit, label):
    page = visit(runs[label], width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    edges = "[...document.querySelectorAll('#training :not(.scroll *)')].map((e) => e.getBoundingClientRect().right)"
    assert max(page.evaluate(edges)) <= 400
    assert page.locator("#chart-flow canvas").is_visible()


def test_what_was_not_recorded_is_said_in_words(runs, visit, tmp_path):
    run = shutil.copytree(runs["LSTM"], tmp_path / "unseen")
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    (run / "events.jsonl").write_text("".join(line for line in lines if '"probe"' not in line))
    page = visit(run)
    for chart in ("flow", "profile", "stability", "updates", "units", "rank"):
        assert "No look inside was recorded" in page.locator(f"#chart-{chart} .missing").inner_text()
    (run / "events.jsonl").write_text("")
    page = visit(run)
    assert "the first step is not done" in page.locator("#chart-loss .missing").inner_text()


def test_without_javascript_the_parts_that_python_made_are_there(runs, browser, tmp_path):
    path = write_report([runs["RNN"]], tmp_path / "report.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator(".still svg").first.is_visible()
    assert "Vanishing gradient" in page.locator("#training").inner_text()
    assert page.locator("#card table").count() >= 2
    context.close()


def test_the_page_stays_small(runs, tmp_path):
    assert write_report(list(runs.values()), tmp_path / "report.html").stat().st_size < 2_000_000
