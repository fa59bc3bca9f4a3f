"""Texts that are explained on a page: words as they stand, shaded by what they did; a changed file is left out."""

import json

import pytest
from tests.report.test_snapshots import HOSTILE

from elman.report import write_report
from elman.report.explained import explained_of
from elman.report.reading import read_run
from elman.training.record import Run

TEXT = {
    "label": "up", "truth": "down", "probability": 0.75, "log_odds": 1.1, "baseline": 0.1,
    "words": ["a", HOSTILE, "bad"], "contributions": [0.02, 1.5, -0.5], "classes": ["down", "up"],
    "arriving": [[0.5, 0.5], [0.1, 0.9], [0.25, 0.75]],
}  # fmt: skip


@pytest.fixture
def explained(tmp_path):
    run = Run(tmp_path / "run")
    run.start({"task": "text", "settings": {}, "meanings": {}, "versions": {}})
    (run.path / "explained.json").write_text(json.dumps({"texts": [TEXT]}))
    return run.path


def test_words_are_shaded_by_what_they_did(explained):
    (text,) = explained_of(read_run(explained))
    assert (text.named, text.truth, text.right, text.probability) == ("up", "down", False, "75.0 %")
    assert [word.share for word in text.words] == pytest.approx([0.0, 1.0, -1 / 3])  # the first is faint
    assert text.words[2].tip == "\N{MINUS SIGN}0.50 for up; 75.0 % after it"
    assert text.arriving.table.rows


def test_a_page_shows_them_and_hostile_words_stay_words(explained, visit):
    page = visit(explained)
    assert page.locator("#explained h3").first.inner_text() == "up, 75.0 %: wrong, it is down"
    assert page.locator("#explained .said mark").all_inner_texts() == ["a", HOSTILE, "bad"]
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None


@pytest.mark.parametrize(
    "content", ["", "{}", '{"texts": 3}', json.dumps({"texts": [{**TEXT, "contributions": [1.0]}]})]
)
def test_a_changed_file_is_left_out(explained, content):
    (explained / "explained.json").write_text(content)
    assert explained_of(read_run(explained)) == []
    assert "What made it say so" not in write_report([explained], explained / "report.html").read_text()
