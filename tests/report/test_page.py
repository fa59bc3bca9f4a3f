"""The page says what the run folders say, stays whole when they are not, and asks nobody for anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import polars as pl
import pytest

from elman.report import write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "</script></style></svg><img src=x onerror=\"alert('1')\">"


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order. Keeps texts by section, and all attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {"": []}
        self.section = ""
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
            self.texts[self.section] = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]} in line {self.getpos()[0]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif data.strip():
            self.texts[self.section].append(data.strip())

    def text(self, section: str) -> str:
        return " ".join(self.texts[section])


def page_of(*runs: Path, **options: str) -> Page:
    path = runs[0].parent / "page" / "report.html"
    assert write_report(runs, path, **options) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]  # nothing half-written beside it
    return Page(path.read_text(encoding="utf-8"))


def mean_nse(run: Path, model: str = "lstm") -> float:
    rows = json.loads((run / "scores.json").read_text())["rows"]
    return next(row["nse"] for row in rows if row["model"] == model and row["lead"] == "mean")


def test_page_shows_every_section_and_the_numbers_of_scores_json(new_run):
    run = new_run(event=60.0, notes=["rain was given as later measured"])
    page = page_of(run)
    assert list(page.texts) == [
        "",
        "training",
        "inside",
        "scores",
        "skill",
        "forecasts",
        "coverage",
        "warnings",
        "compare",
        "play",
        "card",
    ]
    head, nse, ridge = page.text(""), mean_nse(run), mean_nse(run, "ridge")
    assert f"One to seven days ahead, the LSTM explains {100 * nse:.0f} % of the variance of discharge_m3s" in head
    assert f"mean NSE {nse:.2f}" in head and f"ridge on lags, reaches {ridge:.2f}" in head
    rows = {r["lead"]: r for r in json.loads((run / "scores.json").read_text())["rows"] if r["model"] == "lstm"}
    for expected in (f"{rows[1]['rmse']:.2f}", f"{rows[7]['rmse']:.2f}", f"{100 * rows['mean']['coverage_90']:.1f} %"):
        assert expected in page.texts[""]
    assert "rain was given as later measured" in head
    assert f"{nse:.3f}" in page.texts["scores"]
    assert "elman fit forecast river.csv" in page.text("card")


POLICY = "default-src 'none'; img-src data: blob:; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


def test_page_loads_nothing(new_run):
    page = page_of(new_run(event=60.0))
    assert ("meta", "content", POLICY) in page.attributes
    assert not {"iframe", "object", "embed", "img", "base", "form"} & set(page.tags)
    assert page.tags.count("script") == 2  # the record and the viewer
    for tag, name, value in page.attributes:
        assert name not in ("src", "srcset", "action", "xlink:href") and not name.startswith("on"), (tag, name)
        assert name != "href" or value == "data:,"
    assert not re.search(r"@import|url\(|https?:|\bfetch\(|XMLHttpRequest|WebSocket|EventSource|\bimport\(", page.html)


def test_hostile_strings_stay_text(new_run, change_scores):
    run = new_run(label=HOSTILE, target=HOSTILE, notes=[HOSTILE], series=[HOSTILE, "b"], event=60.0)

    def spoil(scores):
        scores["event"]["condition"] = HOSTILE
        scores["freq"] = HOSTILE
        scores["rows"] += [{**row, "model": HOSTILE} for row in scores["rows"] if row["model"] == "ridge"]

    change_scores(run, spoil)
    page = page_of(run, title=HOSTILE)
    assert "img" not in page.tags and page.tags.count("script") == 2
    assert HOSTILE in page.text("") and HOSTILE in page.text("forecasts") and HOSTILE in page.text("scores")


def test_seeds_of_one_label_are_one_line_with_mean_and_spread(new_run):
    runs = [new_run(f"seed{seed}", seed=seed, network_error=0.2 + 0.1 * seed) for seed in range(3)]
    page = page_of(*runs)
    values = [mean_nse(run) for run in runs]
    assert f"mean NSE {mean(values):.2f} over three seeds" in page.text("")
    assert page.texts["scores"].count("LSTM") == 1 and page.texts["scores"].count("persistence") == 1
    assert re.search(rf"{mean(values):.3f} (★ )?± {stdev(values):.3f}", page.text("scores"))
    assert "mean ± sd of 3 seeds" in page.text("scores")
    assert all(f"validation, seed {seed}" in page.texts["training"] for seed in range(3))


def test_baselines_that_differ_between_labels_are_told_apart(new_run, change_scores):
    with_rain, without = new_run("a", label="with rain"), new_run("b", label="without")

    def worse_ridge(scores):
        for row in scores["rows"]:
            if row["model"] == "ridge":
                row["nse"] -= 0.2

    change_scores(without, worse_ridge)
    page = page_of(with_rain, without)
    names = page.texts["scores"]
    assert names.count("persistence") == 1
    assert names.count("ridge on lags (with rain)") == 1 and names.count("ridge on lags (without)") == 1
    assert "“without” reaches" in page.text("")


def test_the_best_of_a_column_is_marked_and_a_worse_network_is_not_praised(new_run):
    good = page_of(new_run("good", network_error=0.1))
    row = re.search(r'<tr class="network">.*?</tr>', good.html, re.S)
    assert row and row[0].count('class="best"') == 8  # not coverage and width: no other model has intervals
    poor = page_of(new_run("poor", network_error=0.9))
    assert "the best baseline, ridge on lags, is better: " in poor.text("")
    row = re.search(r'<tr class="network">.*?</tr>', poor.html, re.S)
    assert row and row[0].count('class="best"') == 0


@pytest.mark.parametrize("nothing", ["missing", "torn"])
@pytest.mark.parametrize("file", ["scores.json", "test.parquet", "events.jsonl"])
def test_a_part_that_is_missing_or_torn_is_said_in_words(new_run, file, nothing):
    run = new_run()
    if nothing == "missing":
        (run / file).unlink()
    else:
        (run / file).write_bytes((run / file).read_bytes()[:33])
    page = page_of(run)
    section = {"scores.json": "scores", "test.parquet": "forecasts", "events.jsonl": "training"}[file]
    said = {
        "scores.json": {"missing": "There is no scores.json", "torn": "scores.json can't be read"},
        "test.parquet": {"missing": "There is no test.parquet", "torn": "test.parquet can't be read"},
        "events.jsonl": {"missing": "no epoch was recorded yet", "torn": "no epoch was recorded yet"},
    }[file][nothing]
    assert said in page.text(section)
    assert "Model card" in page.text("card")


def test_a_run_that_still_trains_shows_its_epochs_so_far(new_run):
    run = new_run()
    (run / "scores.json").unlink()
    lines = (run / "events.jsonl").read_text().splitlines()
    (run / "events.jsonl").write_text("\n".join(lines[:11]) + "\n" + lines[11][:30])  # the last line is half-written
    page = page_of(run)
    assert "no scores to show yet" in page.text("")
    assert "still running, or was stopped hard" in page.text("training")
    assert "5" in page.texts["training"] and "Loss by epoch: LSTM" in page.text("training")


def test_a_seed_without_scores_is_named_and_not_counted(new_run):
    whole, broken = new_run("whole", seed=0), new_run("broken", seed=1)
    (broken / "scores.json").unlink()
    page = page_of(whole, broken)
    assert f"(mean NSE {mean_nse(whole):.2f});" in page.text("")
    assert "LSTM, seed 1, is not in the scores." in page.text("")


def test_integer_time_is_counted_in_steps(new_run):
    page = page_of(new_run(first=1000))
    assert "One to seven steps ahead" in page.text("")
    assert "Tested on steps 1001 to 1199" in page.text("")
    assert "lead time (steps)" in page.text("skill")
    assert "As issued 7 steps before the peak" in page.text("forecasts")


def test_one_lead_only(new_run):
    page = page_of(new_run(horizon=1))
    assert "One day ahead, the LSTM explains" in page.text("")
    assert "one lead time only" in page.text("skill")
    assert "NSE at" not in page.text("scores") and "As issued" not in page.text("forecasts")
    assert len(re.findall("<dt>", page.html)) == 4  # RMSE is said once


def test_no_intervals_and_odd_levels(new_run):
    page = page_of(new_run("none", levels=()))
    assert "The run gave no intervals" in page.text("coverage")
    page = page_of(new_run("odd", levels=(50, 97.5)))
    assert "97.5 % interval" in page.text("forecasts") and "coverage 97.5" in page.text("scores")


def test_null_scores_and_null_truth(new_run, change_scores):
    run = new_run(event=60.0)
    table = pl.read_parquet(run / "test.parquet")
    peak = table["y"].arg_max()
    assert peak is not None
    hidden = pl.col("ds").is_in(table["ds"][[peak, 50, 51, 52, 53]].to_list())
    table.with_columns(pl.when(hidden).then(None).otherwise(pl.col("y")).alias("y")).write_parquet(run / "test.parquet")

    def spoil(scores):
        for row in scores["rows"]:
            if row["lead"] in (3, "mean"):
                row["nse"] = None
        scores["event"]["rows"][2]["hit_rate"] = None
        scores["event"]["reliability"][4] |= {"forecasts": 0, "mean_probability": None, "observed_frequency": None}

    change_scores(run, spoil)
    page = page_of(run)
    assert "has no mean NSE" in page.text("")
    assert not re.search(r"\bnan\b", re.sub(r"<script>.*?</script>", "", page.html, flags=re.S), re.I)


def test_a_target_missing_everywhere_still_makes_a_page(new_run):
    run = new_run()
    table = pl.read_parquet(run / "test.parquet").with_columns(y=pl.lit(None, pl.Float64))
    table.write_parquet(run / "test.parquet")
    assert "Forecast 1 day ahead" in page_of(run).text("forecasts")


def test_several_series_show_the_first_and_say_so(new_run):
    page = page_of(new_run(series=["upper", "lower"]))
    assert "The run holds 2 series; the charts show the first, upper." in page.text("forecasts")


def test_a_long_test_part_is_thinned_and_shown_again_around_its_peak(new_run):
    truth = np.random.default_rng(0).gamma(2.0, 10.0, 4000)
    truth[2500] = 900.0
    page = page_of(new_run(truth=truth, horizon=3))
    assert "120 days around the peak" in page.text("forecasts")
    assert len(page.html) < 1_500_000
    assert all(body.count("<tr>") <= 200 for body in re.findall(r"<tbody>.*?</tbody>", page.html, re.S))


def test_runs_of_different_tests_are_not_compared_in_silence(new_run):
    page = page_of(new_run("a"), new_run("b", label="other", horizon=3))
    assert "can't be compared" in page.text("")
    assert "can't be compared" not in page_of(new_run("c"), new_run("d", seed=1)).text("")


def test_what_is_no_run_folder_is_refused(tmp_path, new_run):
    for path, found in (
        (tmp_path / "nowhere", "not there"),
        (tmp_path, "no config.toml"),
    ):
        with pytest.raises(ValueError, match=f"expected a run folder.*found.*{found}.*Give the folder"):
            write_report([path], tmp_path / "report.html")
    run = new_run()
    (run / "config.toml").write_text("label = ")
    with pytest.raises(ValueError, match="no TOML"):
        write_report([run], tmp_path / "report.html")
    with pytest.raises(ValueError, match="at least one"):
        write_report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_report_needs_neither_torch_nor_scikit_learn():
    code = "import sys, elman.report; print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
