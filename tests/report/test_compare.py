"""Several runs side by side: the numbers are those of the run folders, the table sorts, the charts draw them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest

from elman.layers import GRU, LSTM
from elman.models.summary import summary
from elman.report.compare import comparison, memory_of
from elman.report.reading import read_run
from elman.report.runs import Run
from elman.report.scores import groups_of
from elman.report.unscored import unscored_numbers, unscored_title, unscored_verdict
from elman.training.record import Run as Recorder

HOSTILE = "</script><img src=x onerror=\"window.spoiled='1'\">"


def add(run: Path, *events: dict[str, Any]) -> Path:
    with (run / "events.jsonl").open("a") as file:
        file.write("".join(json.dumps(e) + "\n" for e in events))
    return run


def model(layer: Any) -> dict[str, Any]:
    return {"event": "model", **summary(layer)}


def look(step: int, norms: list[float]) -> dict[str, Any]:
    layer = {
        "name": "l0", "cell": "LSTM", "steps": len(norms), "units": 4, "horizon": 2, "lags": [*range(len(norms))],
        "grad_norm": norms, "gates": {},
    }  # fmt: skip
    return {"event": "probe", "step": step, "loss": 1.0, "layers": [layer]}


def mean_nse(run: Path) -> float:
    rows = json.loads((run / "scores.json").read_text())["rows"]
    return next(row["nse"] for row in rows if row["model"] == "lstm" and row["lead"] == "mean")


@pytest.fixture
def several(new_run: Callable[..., Path]) -> list[Path]:
    """Two seeds of one network, which is good and large, and two of another, the third of which has no score."""
    good = [new_run(f"good{k}", label="good", seed=k, network_error=0.1 + 0.02 * k) for k in range(2)]
    small = [new_run(f"small{k}", label=f"small {HOSTILE}", seed=k, network_error=0.5 + 0.1 * k) for k in range(2)]
    for run in good:
        add(run, model(LSTM(3, 20)), look(40, [1.0, 0.5, 1e-5]), look(400, [1.0, 0.8, 0.2]))
    for run in small:
        add(run, model(GRU(3, 5)), look(40, [2.0, 1e-4, 0.0]))
    return [*good, *small]


def read(runs: list[Path]) -> list[Run]:
    return [read_run(run) for run in runs]


def test_one_run_has_nothing_to_be_compared_with(new_run):
    runs = read([new_run()])
    told = comparison(runs, groups_of(runs))
    assert "There is one run only" in told.missing and told.record is None and not told.rows


def test_the_table_has_the_numbers_of_the_run_folders(several):
    runs = read(several)
    told = comparison(runs, groups_of(runs))
    assert list(told.columns[:4]) == ["network", "seeds", "mean NSE", "parameters"]
    good, small = told.rows
    values = [mean_nse(run) for run in several[:2]]
    assert float(good[2].sort) == pytest.approx(mean(values))
    assert good[2].text == f"{mean(values):.3f}" and good[2].spread == f"± {stdev(values):.3f}"
    parameters = 4 * (20 * 3 + 20 * 20 + 40)
    assert good[3].text == f"{parameters:,}" and float(good[3].sort) == parameters
    assert small[3].text == str(3 * (5 * 3 + 5 * 5 + 10))
    assert good[4].text == "30.1" and float(good[5].sort) == pytest.approx(1000 * 30.1 / 800)
    networks = told.record["networks"]
    assert [n["runs"] for n in networks] == [[0, 1], [2, 3]] and networks[0]["values"] == pytest.approx(values)
    assert [n["seeds"] for n in networks] == [["0", "1"]] * 2


def test_without_scores_the_losses_are_compared(several):
    for run in several:
        (run / "scores.json").unlink()
    runs = read(several)
    told = comparison(runs, groups_of(runs))
    best = min(e["val_loss"] for e in runs[0].epochs)
    assert told.columns[2] == "validation loss" and told.record["metric"]["better"] == "lower"
    assert told.record["networks"][0]["values"][0] == best
    assert unscored_verdict(runs, told)[0].startswith("Of two networks, ")
    for run in several:
        text = (run / "events.jsonl").read_text()
        (run / "events.jsonl").write_text(text.replace('"val_loss"', '"no_loss"'))
    runs = read(several)
    assert comparison(runs, groups_of(runs)).columns[2] == "training loss"


def test_runs_of_which_nothing_is_known_are_compared_all_the_same(tmp_path):
    for name in ("a", "b"):
        Recorder(tmp_path / name, label=name).start({})
    runs = read([tmp_path / "a", tmp_path / "b"])
    told = comparison(runs, [])
    assert [[cell.text for cell in row] for row in told.rows] == [["a", "1", "–", "–", "–", "–"], ["b", *"1––––"]]
    assert unscored_verdict(runs, told) == ["There are no scores to show yet."] and not unscored_numbers(runs[0])


def test_memory_is_taken_from_events_by_network_and_delay(several):
    add(several[0], {"event": "memory", "delay": 30, "accuracy": 0.5}, {"event": "memory", "delay": 10, "accuracy": 1})
    add(several[1], {"event": "memory", "delay": 30, "accuracy": 0.7}, {"event": "memory", "delay": "x"})
    add(several[2], {"event": "memory", "network": "tiny", "delay": 10, "accuracy": 0.2, "chance": 0.125})
    assert memory_of(read(several)) == [
        {"network": "good", "delay": [10, 30], "accuracy": [1, 0.6], "chance": None},
        {"network": "tiny", "delay": [10], "accuracy": [0.2], "chance": 0.125},
    ]


def test_a_language_run_says_its_bits(tmp_path):
    run = Recorder(tmp_path / "run", label="GRU")
    run.start({"task": "language"})
    run.record("fact", constant=np.log(8))
    run.record("model", **summary(GRU(3, 5)))
    run.record("epoch", epoch=0, step=5, train_loss=2.0, val_loss=float(np.log(4)), best=True, seconds=9.0)
    run.flush()
    runs = [read_run(run.path)]
    assert unscored_title(runs) == "GRU: the next character"
    said = unscored_verdict(runs, comparison(runs, []))
    assert said == [
        "The GRU needs 2.00 bits to guess each character of a new text; to know how common each is would take 3.00."
    ]
    assert [value for _, value in unscored_numbers(runs[0])] == ["2.00", "4.00", "150", "9.00"]


# In the browser


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


def first_column(page: Any) -> list[str]:
    return [cell[:4] for cell in page.locator("#compared tbody tr td:first-child").all_inner_texts()]


def test_the_table_is_sorted_by_click_and_by_key(visit, several):
    page = visit(*several)
    assert first_column(page) == ["good", "smal"]
    page.locator("#compared th").nth(3).locator("button").click()
    assert first_column(page) == ["smal", "good"]  # fewer parameters
    assert page.locator("#compared th").nth(3).get_attribute("aria-sort") == "ascending"
    page.locator("#compared th").nth(2).locator("button").focus()
    page.keyboard.press("Enter")
    assert first_column(page) == ["smal", "good"]
    page.keyboard.press("Enter")
    assert first_column(page) == ["good", "smal"]
    assert page.locator("#compared th[aria-sort]").all_inner_texts() == ["mean NSE ▼"]
    assert "sorted by mean NSE, falling" in page.locator("#training [aria-live=polite]").inner_text()


def test_the_charts_draw_what_was_recorded(visit, several):
    add(several[0], {"event": "memory", "delay": 10, "accuracy": 0.9, "chance": 0.1})
    add(several[0], {"event": "memory", "delay": 30, "accuracy": 0.6})
    page, runs = visit(*several), read(several)
    for index, norms in ((0, [[1.0, 0.5, 1e-5], [1.0, 0.8, 0.2]]), (1, [[2.0, 1e-4, 0.0]])):
        drawn = data_of(page, f"compare-flow-{index}")
        logs = [[-np.inf if v is None else v for v in row] for row in drawn["log10"]]
        np.testing.assert_allclose(10 ** np.array(logs), norms, rtol=2e-3)
    assert page.locator("#chart-compare-flows figure").count() == 2

    for x, key in (("step", "step"), ("seconds", "seconds"), ("epoch", "epoch")):
        page.select_option("#compare-x", x)
        lines = data_of(page, "compare-loss")
        assert len(lines) == 4
        for line, run in zip(lines.values(), runs, strict=True):
            np.testing.assert_allclose(line["y"], [e["val_loss"] for e in run.epochs], rtol=1e-4)
            assert line["x"] == [e[key] + (key == "epoch") for e in run.epochs]

    assert data_of(page, "compare-memory") == {"good": {"x": [10, 30], "y": [0.9, 0.6]}}
    cost = data_of(page, "compare-cost")
    values = [mean_nse(run) for run in several]
    assert [p["y"] for p in cost["points"]] == pytest.approx([mean(values[:2]), mean(values[2:])])
    assert [p["sd"] for p in cost["points"]] == pytest.approx([stdev(values[:2]), stdev(values[2:])])
    assert [p["x"] for p in cost["points"]] == [2000, 150] and len(cost["front"]) == 2  # one is better, one smaller
    page.select_option("#compare-cost-by", "ms")
    cost = data_of(page, "compare-cost")
    assert cost["front"] == ["good"]  # both took as long
    seeds = data_of(page, "compare-seeds")
    assert seeds["shared"] == ["0", "1"]
    assert [v for n in seeds["networks"] for v in n["values"]] == pytest.approx(values)
    assert "is better than good in 0 of 2" in page.inner_text("#title-compare-seeds")
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None


def test_what_can_not_be_compared_says_why(visit, new_run):
    runs = [new_run("a", seed=0), new_run("b", seed=1)]
    page = visit(*runs)
    for chart, why in (
        ("flows", "No run was looked into while it trained"), ("memory", "No run recorded its accuracy by delay"),
        ("cost", "No run tells both its mean NSE and its parameters"), ("seeds", "seeds of one network"),
    ):  # fmt: skip
        assert why in page.locator(f"#chart-compare-{chart} .missing").inner_text()
    page = visit(runs[0])
    assert "There is one run only" in page.locator("#compare .missing").inner_text()
    assert not page.locator("#compared").count()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(visit, several, width, scheme):
    add(
        several[0], {"event": "memory", "delay": 10, "accuracy": 0.9}, {"event": "memory", "delay": 30, "accuracy": 0.6}
    )
    page = visit(*several, width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for section in ("compare", "card"):
        edges = (
            f"[...document.querySelectorAll('#{section} :not(.scroll *)')].map((e) => e.getBoundingClientRect().right)"
        )
        assert max(page.evaluate(edges)) <= width
    for figure in page.locator("#compare figure").all():
        figure.get_by_role("button", name="Table").click()
        assert figure.locator("tbody tr").count() >= 1
        figure.get_by_role("button", name="Table").click()
        with page.expect_download() as download:
            figure.get_by_role("button", name="PNG").click()
        assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
