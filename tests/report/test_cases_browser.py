"""The page of classifiers and regressors in a browser: its charts have the numbers of the run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.report.case_runs import class_run, number_run
from tests.tasks.cases import tones

from elman.tasks.classify import SequenceClassifier
from elman.training.look import Features, Inside
from elman.training.record import Run

HOSTILE = "</script></style></svg><img src=x onerror=\"window.spoiled='1'\">"
SMALL = {"hidden_size": 8, "epochs": 2, "seed": 1}


@pytest.fixture(scope="module")
def fitted(browser, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real short runs: recurrent, convolutions over time and over images, attention, and a feed-forward network."""
    torch.set_num_threads(1)
    made = {}
    X, y = tones(60)
    y = np.where(y == "fast", HOSTILE, y)
    random = np.random.default_rng(0)
    kind = np.arange(60) % 2
    images = random.normal(size=(60, 6, 5))
    images[kind == 1, 1:4, 1:4] += 2
    for name, settings, given, answers in (
        ("gru", {"architecture": "gru"}, X, y),
        ("cnn", {"architecture": "cnn", "num_layers": 2}, X, y),
        ("transformer", {"architecture": "transformer"}, X, y),
        ("image", {"architecture": "cnn", "layout": "image", "num_layers": 2}, images, kind),
        ("mlp", {"architecture": "mlp"}, images.reshape(60, -1), kind),
    ):
        made[name] = tmp_path_factory.mktemp("runs") / name
        classifier = SequenceClassifier(**SMALL | settings).fit(
            given, answers, test=20, run=Run(made[name], label=name)
        )
        classifier.evaluate(given, answers, test=20).save(made[name])
    return made


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


def close(drawn: Any, expected: Any, share: float = 1 / 200) -> None:
    """Numbers as they are after packing into 8 or 16 bits."""
    expected = np.asarray(expected, dtype=float)
    np.testing.assert_allclose(np.asarray(drawn, dtype=float), expected, atol=share * np.ptp(expected) + 1e-6)


@pytest.mark.parametrize("javascript", [True, False])
def test_the_matrix_has_the_counts_with_and_without_javascript(visit, browser, tmp_path, javascript):
    run = class_run(tmp_path / "run")
    matrix = json.loads((run / "scores.json").read_text())["confusion"]["gru"]
    visit(run)  # writes the page
    context = browser.new_context(java_script_enabled=javascript)
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    tips = page.locator("#confusion figure").first.locator(".wide rect title").all_text_contents()
    counts = [int(tip.split(": ")[1].split(" of ")[0]) for tip in tips]
    assert counts == [n for row in matrix for n in row if n]
    shown = page.locator("#confusion figure").first.locator(".wide svg > text").all_text_contents()
    assert [int(text) for text in shown if text.isdigit()] == counts
    assert page.locator("#scores tbody tr").count() == 2 and page.locator("#reliability svg circle").count() > 4
    context.close()


def test_the_scatter_of_a_regressor_has_a_dot_for_each_case(visit, tmp_path):
    page = visit(number_run(tmp_path / "run"))
    assert page.locator("#predictions figure").first.locator(".wide circle").count() == 80 + 1  # one in the legend


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_cut_off(visit, tmp_path, fitted, scheme, width):
    classes = [f"a class with a long name, number {k}" for k in range(30)]
    runs = [class_run(tmp_path / "a", classes=classes, cases=400), class_run(tmp_path / "b", label="B")]
    for folders in ([runs[0]], runs, [number_run(tmp_path / "c")], [fitted["image"]], [fitted["cnn"]]):
        page = visit(*folders, width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        out = page.evaluate(
            """[...document.querySelectorAll("#confusion svg text, #predictions svg text")]
            .map((text) => text.getBoundingClientRect())
            .filter((box) => box.width && (box.right > innerWidth + 1 || box.left < -1)).length"""
        )
        assert out == 0


def test_hostile_names_of_classes_stay_text(visit, tmp_path, fitted):
    names = [HOSTILE, "<b>", "&amp;"]
    page = visit(class_run(tmp_path / "run", classes=names, label=HOSTILE, target=HOSTILE))
    assert page.evaluate("window.spoiled") is None and page.locator("img").count() == 0
    assert names == page.locator("#classes tbody td:first-child").all_text_contents()
    assert any(tip.startswith(HOSTILE) for tip in page.locator("#confusion rect title").all_text_contents())
    for name in ("gru", "cnn", "transformer"):
        page = visit(fitted[name])
        assert page.evaluate("window.spoiled") is None and page.locator("img").count() == 0
    assert HOSTILE in data_of(page, "feature-output")["names"]


def test_feature_maps_over_time_are_those_of_the_run(visit, fitted):
    page, seen = visit(fitted["cnn"]), Features.load(fitted["cnn"])
    assert page.locator("#inside h2").inner_text() == "Look inside some cases"
    for n in (0, 3):
        page.select_option("#feature-case-chosen", index=n)
        for k in (0, 1):
            page.select_option("#feature-layer", index=k)
            close(data_of(page, "feature-maps")["rows"], seen.arrays[f"map.{n}.{k}"])
            close(data_of(page, "feature-filters")["tiles"], seen.arrays[f"filter.{k}"], 1e-3)
        drawn = data_of(page, "feature-why")
        close(drawn["adds to the answer"]["y"], seen.arrays[f"share.{n}"], 1e-3)
        close(drawn["lost when covered"]["y"], seen.arrays[f"occluded.{n}"], 1e-3)
        picked = data_of(page, "feature-pooling")["channels whose maximum is here"]
        steps = seen.facts["cases"][n]["size"][0]
        assert picked["y"] == np.bincount(seen.arrays[f"picked.{n}"], minlength=steps).tolist()
        output = data_of(page, "feature-output")
        assert output["values"] == pytest.approx(sorted(seen.arrays[f"output.{n}"], reverse=True), abs=1e-4)
        read = data_of(page, "feature-case")
        for j, name in enumerate(seen.facts["inputs"]):
            close(read[name]["y"], seen.arrays[f"read.{n}"][:, j], 1e-3)


def test_feature_maps_of_images_are_those_of_the_run_and_a_key_chooses(visit, fitted):
    page, seen = visit(fitted["image"]), Features.load(fitted["image"])
    page.select_option("#feature-case-chosen", index=2)
    for k, layer in enumerate(seen.facts["layers"]):
        page.select_option("#feature-layer", index=k)
        close(data_of(page, "feature-maps")["tiles"], seen.arrays[f"map.2.{k}"])
        if layer["kind"] == "pooling":
            assert data_of(page, "feature-filters")["empty"].startswith("Pooling has no filters")
        else:
            close(data_of(page, "feature-filters")["tiles"], seen.arrays[f"filter.{k}"], 1e-3)
    drawn = data_of(page, "feature-case")
    close(drawn["occluded"], seen.arrays["occluded.2"].ravel(), 1e-3)
    close(drawn["read"], seen.arrays["read.2"].ravel(), 1e-3)
    page.locator("#chart-feature-maps .plot").focus()
    page.keyboard.press("ArrowRight")
    assert data_of(page, "feature-maps")["chosen"] == data_of(page, "feature-filters").get("chosen", 1) == 1
    page.locator("#chart-feature-maps button", has_text="Table").click()
    assert page.locator("#chart-feature-maps tbody tr").count() == len(seen.arrays["map.2.5"])


def test_attention_is_that_of_the_run(visit, fitted):
    page, seen = visit(fitted["transformer"]), Features.load(fitted["transformer"])
    for look, head in ((0, 0), (1, 3)):
        page.select_option("#feature-look", index=look)
        page.select_option("#feature-head", index=head)
        close(data_of(page, "feature-attention")["rows"], seen.arrays[f"attention.0.{look}"][head])
    assert page.locator("#chart-feature-maps").count() == 0


def test_a_recurrent_classifier_says_how_sure_it_is_after_each_step(visit, fitted):
    page, seen = visit(fitted["gru"]), Inside.load(fitted["gru"])
    drawn = data_of(page, "inside-classes")
    for k, name in enumerate(seen.facts["outputs"]):
        close(drawn[name]["y"], seen.arrays["along"][0, :, k], 1e-3)
    assert page.locator("#feature-charts").inner_text() == ""


def test_what_a_page_can_not_show_is_said(visit, fitted):
    page = visit(fitted["mlp"])
    assert "the network reads all at once" in page.locator("#inside-charts .missing").inner_text()
    assert "can run networks that forecast or write" in page.locator("#play .missing").inner_text()
    assert "were not looked at: this network has no recurrent layer" in page.locator(".diagnosis").inner_text()
    (fitted["mlp"] / "features.json").write_text("{}")
    page = visit(fitted["mlp"])
    assert "was not written by this version" in page.locator("#feature-charts .missing").inner_text()
    (fitted["mlp"] / "features.json").unlink()


def test_runs_with_different_looks_share_a_page(visit, fitted):
    page = visit(fitted["gru"], fitted["cnn"], fitted["image"])
    page.select_option("#feature-run", index=1)
    close(data_of(page, "feature-maps")["tiles"], Features.load(fitted["image"]).arrays["map.0.0"])
    page.select_option("#inside-run", index=1)
    assert page.locator("#inside-charts .missing").count() == 0
