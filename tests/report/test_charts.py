"""Charts: what is drawn is the data, inside the picture, and gaps stay gaps."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.report import marks
from elman.report.charts import PALETTE, Band, Chart, Line, Rule, save_svg
from elman.report.ticks import number_ticks, time_ticks

DATES = np.datetime64("1987-01-01") + np.arange(60)


def chart_of(**what) -> Chart:
    rng = np.random.default_rng(0)
    y = rng.gamma(2.0, 10.0, 60)
    lines = [Line("measured", DATES, y, "ink"), Line("forecast", DATES, y + rng.normal(size=60), dots=True)]
    bands = [Band("90 % interval", DATES, y - 5, y + 5)]
    return replace(Chart("A river", "date", "m³/s", lines, bands, [Rule(20.0, "y", "bank")]), **what)


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), dtype=float)


def test_a_line_is_its_data_on_straight_scales():
    chart = Chart("t", "x", "y", [Line("a", [0, 1, 2, 4], [0.0, 5.0, 10.0, 2.5])])
    path = re.findall(r'<path d="(M[^"]+)" fill="none"', chart.svg(400, 300))[0]
    x, y = numbers(path).T
    assert np.allclose(np.diff(x) / np.diff(x)[0], [1, 1, 2], atol=0.01)
    assert np.allclose(np.diff(y) / np.diff(y)[0], [1, 1, -1.5], atol=0.01)
    assert y[1] < y[0]  # larger values stand higher


def test_gaps_break_lines_and_bands():
    y = np.array([1.0, 2.0, np.nan, 4.0, np.nan, 6.0, 7.0])
    x = np.arange(7.0)
    assert marks.line_path(x, y).count("M") == 3
    assert marks.band_path(x, y - 1, y + 1).count("Z") == 3


def test_thinning_keeps_every_peak():
    y = np.random.default_rng(1).normal(size=50_000)
    y[31_415] = 99.0
    x, thin = marks.thin_line(np.arange(50_000.0), y, 300)
    assert len(thin) <= 600 and thin.max() == 99.0 and x[np.argmax(thin)] == 31_415
    _, low, high = marks.thin_band(np.arange(50_000.0), y - 1, y + 1, 300)
    assert len(low) == 300 and high.max() == 100.0 and low.min() == y.min() - 1


@pytest.mark.parametrize("width", [360, 524, 1080])
def test_nothing_is_drawn_or_written_outside_the_picture(width):
    long = "a very long name of a column that nobody would choose but somebody has " * 3
    lines = [Line(f"{k} {long}", DATES, np.arange(60) * 1e6 * k, dots=True) for k in range(1, 4)]
    root = ET.fromstring(chart_of(lines=lines, y_label=long, rules=[]).svg(width, 300))
    for text in root.iter("text"):
        wide = marks.width_of(text.text or "")
        left = (
            float(text.get("x", 0)) - {"start": 0.0, "middle": wide / 2, "end": wide}[text.get("text-anchor", "start")]
        )
        assert left >= -1 and left + wide <= width + 1, text.text
        assert 0 <= float(text.get("y", 0)) <= 300
    assert all(0 <= float(c.get("cx", 0)) <= width for c in root.iter("circle"))


def test_empty_constant_and_single_values_are_drawn():
    nan = float("nan")
    assert "no values to draw" in Chart("t", "x", "y").svg(360, 300)
    assert "no values to draw" in Chart("t", "x", "y", [Line("a", [1, 2], [nan, nan])]).svg(360, 300)
    for y in ([3.0], [0.0], [-2.0], [1e-9], [1e12]):
        svg = Chart("t", "x", "y", [Line("a", [5], y, dots=True)]).svg(360, 300)
        assert "<circle" in svg and "nan" not in svg and "inf" not in svg


def test_the_table_has_each_value_and_at_most_200_rows():
    chart = Chart("t", "x", "y", [Line("a", [1, 2, 3], [1.0, float("nan"), 3.5])], [Band("b", [1, 3], [0, 1], [2, 3])])
    table = chart.table()
    assert list(table.columns) == ["x", "a", "b, from", "b, to"]
    assert [list(row) for row in table.rows] == [["1", "1", "0", "2"], ["3", "3.5", "1", "3"]]
    long = Chart("t", "x", "y", [Line("a", np.arange(1001), np.arange(1001.0))]).table()
    assert len(long.rows) <= 200 and "1,001" in long.note
    assert [row[0] for row in chart_of().table().rows[:2]] == ["1987-01-01", "1987-01-02"]


def test_a_saved_chart_is_a_picture_of_its_own_in_plain_colours(tmp_path):
    hostile = "</svg><script>alert(1)</script>\x00"
    lines = [Line(hostile, DATES, np.arange(60.0), dots=True), Line("b", DATES, np.ones(60))]
    for theme, ground in zip(("light", "dark"), PALETTE["ground"], strict=True):
        path = save_svg(Chart(hostile, "date", "y", lines), tmp_path / f"{theme}.svg", theme=theme)
        text = path.read_text()
        root = ET.fromstring(text)  # raises unless it is well-formed XML
        assert "var(" not in text and "class=" not in text and ground in text
        assert not [e for e in root.iter() if e.tag.endswith("script")]
    with pytest.raises(ValueError, match="'light' or 'dark'"):
        save_svg(chart_of(), tmp_path / "x.svg", theme="sepia")


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 12))
def test_number_ticks_are_round_inside_and_few(low, span, count):
    span = max(span, 1e-6 * abs(low))  # below that, floats themselves grow coarse
    ticks = number_ticks(low, low + span, count)
    at = np.array([tick.at for tick in ticks])
    assert len(at) <= count + 1
    assert (np.diff(at) > 0).all() and (at >= low - span * 1e-3).all() and (at <= low + span * 1.001).all()


@given(st.integers(-5_000_000_000, 5_000_000_000), st.integers(60, 3_000_000_000), st.integers(2, 12))
def test_date_ticks_are_inside_few_and_differ(low, span, count):
    ticks = time_ticks(low, low + span, count)
    assert len(ticks) <= count + 2
    assert all(low <= tick.at <= low + span for tick in ticks)
    assert all(b.at > a.at for a, b in pairwise(ticks))


def test_hours_show_the_day_where_it_changes():
    start = int(np.datetime64("2024-02-28T18:00", "s").astype(int))
    labels = [(tick.label, tick.below) for tick in time_ticks(start, start + 36 * 3600, 7)]
    assert ("00:00", "29 Feb 2024") in labels and ("12:00", "") in labels
