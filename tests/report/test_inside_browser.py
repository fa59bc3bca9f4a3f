"""Look inside one sequence, in a browser: every chart has the numbers of the run folder, under one cursor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from elman.data.datasets import fulda
from elman.layers import GRU, LRU, LSTM, RGLRU, RNN, SLSTM, MinGRU, MinLSTM
from elman.tasks.forecast import Forecaster
from elman.training.inside import look_inside
from elman.training.look import Inside
from elman.training.record import Run

HOSTILE = "</script></style><img src=x onerror=\"window.spoiled='1'\">"
TEXT = "the cat sat on the mat.\na dog ran to the park <b>. the end, my only friend"


class LanguageModel(nn.Module):
    def __init__(self, size: int, cell: Any = GRU, **options: Any):
        super().__init__()
        self.embed, self.layer = nn.Embedding(size, 6), cell(6, 10, batch_first=True, **options)
        self.head = nn.Linear(self.layer.output_size, size)

    def run(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0])


def character_run(path: Path, words: list[str], cell: Any = GRU, **options: Any) -> Path:
    """A run folder of a small model of text that has learnt nothing, which is as good to look at."""
    torch.manual_seed(1)
    symbols = sorted(set(words))
    model, ids = LanguageModel(len(symbols), cell, **options), torch.tensor([symbols.index(w) for w in words])
    starts = range(0, len(words) - 24, 6)
    tokens = torch.stack([ids[k : k + 24] for k in starts])
    truth = torch.stack([ids[k + 1 : k + 25] for k in starts]).numpy()
    truth[:, 3] = -1
    run = Run(path, label="characters")
    run.start({"task": "characters", "settings": {"seed": 0}})
    look_inside(
        model, model.run, model.embed(tokens).detach(), words=[[symbols[k] for k in row] for row in tokens.tolist()],
        kind="classes", outputs=symbols, truth=truth, labels=[f"from {k}" for k in starts], shown=3,
    ).save(path)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def river(browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real forecast run with its test part."""
    path = tmp_path_factory.mktemp("inside") / "LSTM"
    table = pl.read_csv(fulda(), try_parse_dates=True).tail(1500)
    forecaster = Forecaster(target="discharge_m3s", horizon=5, hidden_size=12, window=30, epochs=2, validation=300)
    forecaster.fit(table, test=150, run=Run(path, label="LSTM")).evaluate(table, 150).save(path)
    return path


@pytest.fixture(scope="module")
def text(browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return character_run(tmp_path_factory.mktemp("inside") / "text", list(TEXT))


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


def state_of(page: Any) -> Any:
    return page.evaluate("window.elman.inside.view.state")


def set_state(page: Any, **changes: Any) -> None:
    page.evaluate(f"window.elman.inside.view.set({json.dumps(changes)})")


def close(drawn: Any, expected: Any, share: float = 2e-4) -> None:
    """Numbers as they are after packing; None where there is none."""
    drawn = np.array([np.nan if v is None else v for v in np.ravel(np.array(drawn, dtype=object))], dtype=float)
    expected = np.ravel(np.asarray(expected, dtype=float))
    np.testing.assert_allclose(drawn, expected, atol=share * max(1e-6, np.nanmax(np.abs(expected))), equal_nan=True)


def padded(values: Any, steps: int) -> np.ndarray:
    """Outputs of the last steps, NaN at the ones before."""
    return np.concatenate([np.full(steps - len(values), np.nan), values])


def test_the_charts_of_a_forecast_have_the_arrays(river, visit):
    page, seen = visit(river), Inside.load(river)
    arrays, steps, n = seen.arrays, seen.facts["steps"], 2
    set_state(page, sequence=n, unit=3, t=7)
    for chart, name in (("h", "h.0"), ("c", "c.0"), *((f"gate-{k}", f"gate.0.{k}") for k in "ifgo")):
        close(data_of(page, f"inside-{chart}")["rows"], arrays[name][n].T)
    for k, name in enumerate(seen.facts["inputs"][:4]):
        drawn = data_of(page, f"inside-input-{k}" if k else "inside-input")
        close(drawn[name]["y"], arrays["inputs"][n, :, k])
    close(data_of(page, "inside-input")["measured later"]["y"], padded(arrays["truth"][n], steps))
    for k, name in enumerate(seen.facts["outputs"]):
        close(data_of(page, "inside-output")[name]["y"], padded(arrays["outputs"][n, :, k], steps))
    network = data_of(page, "inside-network")
    assert network["steps"] == list(range(3, 12))
    close(network["layers"][0]["contributions"], arrays["contributions.0"][n, 3:12])
    card = data_of(page, "inside-card")
    for letter in "ifgo":
        assert card[letter] == pytest.approx(arrays[f"gate.0.{letter}"][n, 7, 3], abs=1e-4)
    assert card["f"] * card["c_before"] + card["i"] * card["g"] == pytest.approx(card["c"], abs=2e-3)
    assert card["o"] * np.tanh(card["c"]) == pytest.approx(card["h"], abs=1e-3)
    close(data_of(page, "inside-lens")["values"], arrays["h.0"][n, :, 3])
    fires = data_of(page, "inside-fires")["items"]
    assert [(i["sequence"], i["from"]) for i in fires] == [(s, t) for s, t in arrays["spans.0"][3].tolist() if s >= 0]
    close([i["value"] for i in fires], [v for v in arrays["peaks.0"][3] if np.isfinite(v)])
    close(data_of(page, "inside-favours")["values"], arrays["favoured_weights.0"][3])
    close(data_of(page, "inside-path")["path"], arrays["path.0"][n])
    assert data_of(page, "inside-path")["others"] == len(arrays["path.0"]) - 1


def test_saliency_has_every_method_and_the_sum_is_checked(river, visit):
    page, arrays, n = visit(river), Inside.load(river).arrays, 1
    set_state(page, sequence=n)
    for method in ("integrated", "gradient", "occlusion"):
        page.select_option("#inside-method", method)
        for target in range(arrays["targets"].shape[1]):
            page.select_option("#inside-target", str(target))
            drawn = data_of(page, "inside-saliency")
            both = [u if u is not None else d for u, d in zip(*(drawn[k]["y"] for k in drawn), strict=True)]
            close(both, arrays[f"saliency.{method}"][n, target])
    page.select_option("#inside-method", "integrated")
    said = page.locator("#inside-check").inner_text()
    assert said.startswith("Check: the bars add up to") and "The sum is off by" in said


def test_connectivity_of_the_output_at_the_cursor_and_of_all(river, visit):
    page, seen, n = visit(river), Inside.load(river), 0
    norms, steps, first = seen.arrays["connectivity"][n], seen.facts["steps"], seen.facts["first_output"]
    set_state(page, sequence=n, t=first + 2)
    (line,) = data_of(page, "inside-connect").values()
    known = np.array([v is not None for v in line["y"]])
    np.testing.assert_allclose([v for v in line["y"] if v is not None], norms[2][known], rtol=0.06)
    rows = data_of(page, "inside-connectivity")["rows"]
    assert np.shape(rows) == (steps - first, steps)
    # What comes after an output did nothing to it.
    assert all(v is None or np.isnan(v) for k, row in enumerate(rows) for v in row[first + k + 1 :])


def test_fans_follow_the_strip(river, visit):
    page = visit(river)
    test = pl.read_parquet(river / "test.parquet").sort("cutoff", "lead")
    test = test.filter(pl.col("unique_id") == test["unique_id"][0])
    error = (test["forecast"] - test["y"]).abs().to_numpy().reshape(-1, 5)
    strip = data_of(page, "backtest")["mean error"]
    close(strip["y"], np.nanmean(error, axis=1), 1e-3)
    box = page.locator("#chart-backtest .u-over")
    box.scroll_into_view_if_needed()
    x = page.evaluate("window.elman.charts.backtest.plot.valToPos(40, 'x')")
    box.click(position={"x": x, "y": 60})
    assert state_of(page)["window"] == 40
    fan = data_of(page, "fan")
    rows = test[40 * 5 : 41 * 5]
    close(fan["forecast"]["y"], rows["forecast"].to_numpy(), 1e-3)
    for level in (80, 90):
        close(fan[f"low end, {level} %"]["y"], rows[f"lo-{level}"].to_numpy(), 1e-3)
        close(fan[f"high end, {level} %"]["y"], rows[f"hi-{level}"].to_numpy(), 1e-3)
    close(fan["what came"]["y"][1:], rows["y"].to_numpy(), 1e-3)
    page.focus("#chart-backtest .plot")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert state_of(page)["window"] == 0
    assert len(data_of(page, "acf")["autocorrelation"]["y"]) == 30 and page.locator("#chart-pit canvas").is_visible()


def test_the_charts_of_a_text_have_the_arrays(text, visit):
    page, seen = visit(text), Inside.load(text)
    arrays, facts, n, t = seen.arrays, seen.facts, 1, 9
    set_state(page, sequence=n, t=t, unit=4)
    words = [facts["words"][k] for k in arrays["words"][n]]
    assert data_of(page, "inside-input")["words"] == words
    surprise = data_of(page, "inside-output")
    assert surprise["words"] == words
    close(surprise["values"], arrays["surprisal"][n])
    top = data_of(page, "inside-top")
    close(top["values"], arrays["top_share"][n, t])
    shown = {" ": "␣", "\n": "↵"}
    assert top["names"] == [shown.get(w := facts["outputs"][k], w) for k in arrays["top"][n, t]]
    assert surprise["values"][3] is None or np.isnan(surprise["values"][3])
    lens = data_of(page, "inside-lens")
    assert lens["words"] == words
    close(lens["values"], arrays["h.0"][n, :, 4])
    close(data_of(page, "inside-saliency")["values"], arrays["saliency.integrated"][n, 0])
    logs = data_of(page, "inside-connect")["values"]
    with np.errstate(divide="ignore"):
        expected = np.log10(arrays["connectivity"][n, t])
    np.testing.assert_allclose([v for v in logs if v is not None], expected[[v is not None for v in logs]], atol=0.03)
    page.locator("#chart-inside-connect .word").nth(15).hover()
    logs = data_of(page, "inside-connect")["values"]
    assert logs[15] is not None and logs[16] is None  # the output at the word under the mouse
    for letter in "rzn":
        close(data_of(page, f"inside-gate-{letter}")["rows"], arrays[f"gate.0.{letter}"][n].T)
    card = data_of(page, "inside-card")
    assert (1 - card["z"]) * card["n"] + card["z"] * card["h_before"] == pytest.approx(card["h"], abs=1e-3)


def test_a_span_finds_its_units_and_similar_spans(text, visit):
    page, arrays, n = visit(text), Inside.load(text).arrays, 0
    first, last, level = 5, 8, 0.02
    set_state(page, sequence=n, span=[first, last], threshold=level)
    h = arrays["h.0"][n]
    on = h >= level
    units = [u for u in range(h.shape[1]) if on[first : last + 1, u].all() and not on[first - 1, u] | on[last + 1, u]]
    drawn = data_of(page, "inside-span")
    if units:
        close(drawn["rows"], h[first - 5 : last + 11, units].T)
    else:
        assert "No unit stays above" in drawn["empty"]
    low, high = arrays["wide_range.0"]
    wide = low + (high - low) * arrays["wide.0"] / 255
    states = wide - wide.mean(axis=(0, 1))
    asked, best = states[n, first : last + 1].sum(0), []
    for m in range(len(states)):
        for start in range(24 - 3):
            if m != n or start > last or start + 3 < first:
                found = states[m, start : start + 4].sum(0)
                best.append((found @ asked / np.linalg.norm(found) / np.linalg.norm(asked), m, start))
    items = data_of(page, "inside-similar")["items"]
    cosine, m, start = max(best)
    assert items[0]["value"] == pytest.approx(cosine, abs=1e-5)
    assert (items[0]["sequence"], items[0]["from"], items[0]["to"]) == (m, start, start + 3)
    assert all(not (a is not b and a["sequence"] == b["sequence"] and a["from"] <= b["to"] and b["from"] <= a["to"])
               for a in items for b in items)  # fmt: skip
    page.get_by_role("button", name="No span").click()
    assert state_of(page)["span"] is None and "No span is chosen" in page.locator("#chart-inside-similar").inner_text()


def test_keys_clicks_and_drags_move_one_cursor(river, visit):
    page = visit(river)
    set_state(page, t=10, unit=2)
    page.focus("#chart-inside-h .plot")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert (state_of(page)["t"], state_of(page)["unit"]) == (11, 3)
    page.keyboard.press("Enter")
    assert state_of(page)["pins"] == [3]
    assert "h of unit 3" in data_of(page, "inside-pinned")
    assert page.evaluate("window.elman.charts['inside-pinned'].plot.cursor.left") > 0
    page.keyboard.press("End")
    assert state_of(page)["t"] == 34 and page.locator("#inside .toolbar output").inner_text().startswith("Step 35")
    page.focus("#chart-inside-input .plot")
    page.keyboard.press("ArrowLeft")
    assert state_of(page)["t"] == 33
    for chart in ("network", "card", "path", "lens"):
        page.focus(f"#chart-inside-{chart} .plot")
        before = state_of(page)["t"]
        page.keyboard.press("ArrowLeft")
        assert state_of(page)["t"] == before - 1, chart
    canvas = page.locator("#chart-inside-h canvas")
    canvas.scroll_into_view_if_needed()
    x, y = page.evaluate("[window.elman.charts['inside-h'].x(6), window.elman.charts['inside-h'].y(9)]")
    canvas.click(position={"x": x, "y": y})
    assert (state_of(page)["t"], state_of(page)["unit"]) == (6, 9)
    box = canvas.bounding_box()
    ends = page.evaluate("[4, 12].map((t) => window.elman.charts['inside-h'].x(t))")
    page.mouse.move(box["x"] + ends[0], box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + ends[1], box["y"] + y, steps=4)
    page.mouse.up()
    assert state_of(page)["span"] == [4, 12] and state_of(page)["t"] == 6
    page.focus("#chart-inside-h .plot")
    page.keyboard.press("Escape")
    assert state_of(page)["span"] is None
    page.locator("#chart-inside-network svg g[style] >> nth=0").click()
    assert (state_of(page)["t"], state_of(page)["layer"]) == (2, 0)
    set_state(page, t=6)
    page.click("#inside-play")
    page.wait_for_timeout(900)
    page.click("#inside-play")
    assert state_of(page)["t"] > 7 and not state_of(page)["playing"]


def test_rows_are_sorted_as_asked(river, visit):
    page, arrays = visit(river), Inside.load(river).arrays
    n = state_of(page)["sequence"]
    page.select_option("#inside-sort", "cluster")
    close(data_of(page, "inside-h")["rows"], arrays["h.0"][n].T[arrays["order.0"]])
    page.select_option("#inside-sort", "related")
    close(data_of(page, "inside-c")["rows"], arrays["c.0"][n].T[np.argsort(-arrays["related.0"], kind="stable")])


def test_every_chart_has_a_table_a_picture_and_a_caption(river, text, visit):
    for run, least in ((river, 20), (text, 14)):
        page = visit(run)
        charts = page.locator("#inside figure.chart")
        assert charts.count() >= least
        for k in range(charts.count()):
            figure = charts.nth(k)
            name = figure.get_attribute("id")
            assert figure.locator("h3").inner_text(), name
            if figure.locator(".missing").is_visible():
                continue
            assert len(figure.locator("figcaption").inner_text()) > 20, name
            figure.get_by_role("button", name="Table", exact=True).click()
            assert figure.locator("tbody tr").count() >= 1 and not figure.locator(".plot").is_visible(), name
            figure.get_by_role("button", name="Table", exact=True).click()
            with page.expect_download() as download:
                figure.get_by_role("button", name="PNG").click()
            assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", name


@pytest.mark.parametrize("cell", [RNN, LSTM, MinGRU, MinLSTM, RGLRU, LRU, SLSTM])
def test_every_cell_has_its_card_and_rasters(cell, visit, tmp_path):
    run = character_run(tmp_path / "run", list(TEXT), cell, num_layers=2)
    page, seen = visit(run), Inside.load(run)
    for layer in (0, 1):
        set_state(page, layer=layer, t=6, unit=1, sequence=0)
        card = data_of(page, "inside-card")
        assert card["h"] == pytest.approx(seen.arrays[f"h.{layer}"][0, 6, 1], abs=1e-3)
        for letter in seen.facts["layers"][layer]["gates"]:
            assert card[letter] == pytest.approx(seen.arrays[f"gate.{layer}.{letter}"][0, 6, 1], abs=1e-3)
            close(data_of(page, f"inside-gate-{letter}")["rows"], seen.arrays[f"gate.{layer}.{letter}"][0].T)
        if cell is MinGRU:
            assert (1 - card["z"]) * card["h_before"] + card["z"] * card["n"] == pytest.approx(card["h"], abs=1e-3)
        if cell is MinLSTM:
            assert card["f"] * card["h_before"] + card["i"] * card["g"] == pytest.approx(card["h"], abs=1e-3)
    assert page.locator("#chart-inside-card dt").count() >= 1


def test_a_bidirectional_layer_reads_backwards_too(visit, tmp_path):
    run = character_run(tmp_path / "run", list(TEXT), LSTM, bidirectional=True)
    page, arrays = visit(run), Inside.load(run).arrays
    set_state(page, layer=1, t=6, unit=2, sequence=0)
    card = data_of(page, "inside-card")
    assert card["c_before"] == pytest.approx(arrays["c.1"][0, 7, 2], abs=1e-3)
    assert card["f"] * card["c_before"] + card["i"] * card["g"] == pytest.approx(card["c"], abs=1e-3)
    assert "step after" in page.locator("#chart-inside-card figcaption").inner_text()


def test_hostile_words_and_names_stay_text(visit, tmp_path):
    words = [HOSTILE if k % 5 == 0 else f"word{k % 3}" for k in range(80)]
    run = character_run(tmp_path / "text", words)
    facts = json.loads((run / "inside.json").read_text())
    facts["labels"] = [HOSTILE] * len(facts["labels"])
    facts["layers"][0]["name"] = facts["layers"][0]["parts"][0]["name"] = HOSTILE
    (run / "inside.json").write_text(json.dumps(facts))
    page = visit(run)
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None
    assert HOSTILE in page.locator("#chart-inside-input .strip").inner_text()
    assert HOSTILE in page.locator("#inside-sequence option").first.inner_text()
    assert HOSTILE in page.locator("#chart-inside-similar").inner_text()
    set_state(page, t=5)
    assert HOSTILE in page.locator("#inside .toolbar output").inner_text()
    assert page.locator("img").count() == 0


def test_dark_and_light_repaint_the_rasters(river, visit):
    page = visit(river)

    def middle() -> int:
        return page.evaluate(
            "[...window.elman.charts['inside-h'].image.getContext('2d').getImageData(0, 0, 40, 12).data]"
            ".reduce((a, b) => a + b, 0)"
        )

    light = middle()
    page.click("#theme")
    assert middle() < 0.8 * light


@pytest.mark.parametrize("kind", ["river", "text"])
def test_a_phone_never_scrolls_sideways(kind, visit, request):
    page = visit(request.getfixturevalue(kind), width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    edges = "[...document.querySelectorAll('#inside :not(.scroll *)')].map((e) => e.getBoundingClientRect().right)"
    assert max(page.evaluate(edges)) <= 400
    assert page.locator("#chart-inside-h canvas").is_visible()


def test_a_run_without_a_look_says_why_and_another_can_be_chosen(river, text, visit, new_run):
    page = visit(new_run())
    assert "No look inside a sequence was kept" in page.locator("#inside-charts > .missing").inner_text()
    assert page.locator("#chart-fan").is_visible() and not page.locator("#inside-cursor").is_visible()
    page = visit(river, text)
    page.select_option("#inside-run", "1")
    assert data_of(page, "inside-input")["words"][0] == TEXT[0] and page.locator("#chart-fan").count() == 0
    page.select_option("#inside-run", "0")
    assert page.locator("#chart-fan").is_visible()


def test_the_page_of_a_usual_run_stays_small(river, visit, tmp_path):
    visit(river)
    assert (tmp_path / "report.html").stat().st_size < 1_500_000
