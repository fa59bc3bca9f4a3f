"""What the page gets of a look inside is what the run folder has, and small; what is missing is said in words."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from elman.layers import LSTM
from elman.report import inside
from elman.report.fans import PAST, fans_of
from elman.report.inside import inside_of, packed, whole
from elman.report.reading import read_run
from elman.training.inside import look_inside
from elman.training.look import Inside
from elman.training.record import Run


class Tagger(nn.Module):
    def __init__(self, hidden: int = 6, **options: Any):
        super().__init__()
        self.layer = LSTM(2, hidden, batch_first=True, **options)
        self.head = nn.Linear(self.layer.output_size, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0])


@pytest.fixture
def seen_run(tmp_path: Path) -> Any:
    """`seen_run(hidden, ...)` is a run folder with a look inside."""

    def make(hidden: int = 6, sequences: int = 5, steps: int = 12, **options: Any) -> Path:
        torch.manual_seed(0)
        model, run = Tagger(hidden, **options), Run(tmp_path / f"run {hidden}")
        run.start({"task": "tags"})
        look_inside(model, model, torch.randn(sequences, steps, 2)).save(run.path)
        return run.path

    return make


def unpack(given: dict[str, Any]) -> np.ndarray:
    codes = np.frombuffer(base64.b64decode(given["codes"]), f"<u{given['bits'] // 8}").astype(np.float64)
    values = given["low"] + given["step"] * codes
    if not given.get("exact"):
        values[codes == 2 ** given["bits"] - 1] = np.nan
    return values.reshape(given["shape"])


@pytest.mark.parametrize("bits", [8, 16])
def test_packed_numbers_come_back_and_the_missing_stay_missing(bits):
    values = np.array([[-3.5, np.nan, 0.25], [1e3, np.inf, 2.0]])
    back = unpack(packed(values, bits))
    known = np.isfinite(values)
    np.testing.assert_allclose(back[known], values[known], atol=0.51 * 1003.5 / (2**bits - 2))
    assert np.isnan(back[~known]).all()
    assert np.isnan(unpack(packed(np.full(3, np.nan), bits))).all() and unpack(packed(np.full(3, 7.0), bits))[0] == 7


def test_whole_numbers_come_back_exactly():
    values = np.array([0, 254, 255, 70, -1])
    assert whole(values)["bits"] == 16 and whole(values[:2])["bits"] == 8
    np.testing.assert_array_equal(unpack(whole(values))[:-1], values[:-1])
    assert np.isnan(unpack(whole(values))[-1])


def test_the_page_has_the_arrays_of_the_folder(seen_run):
    path = seen_run()
    arrays, record = Inside.load(path).arrays, inside_of(read_run(path))
    layer = record["layers"][0]
    for mine, name in ((layer["h"], "h.0"), (layer["c"], "c.0"), (layer["contributions"], "contributions.0")):
        N = mine["shape"][0]
        np.testing.assert_allclose(unpack(mine), arrays[name][:N], atol=1e-4 * np.abs(arrays[name]).max())
    for letter, gate in layer["gate"].items():
        np.testing.assert_allclose(unpack(gate), arrays[f"gate.0.{letter}"], atol=1e-4)
    wide, (low, high) = unpack(layer["wide"]), arrays["wide_range.0"]
    np.testing.assert_allclose(wide, low + (high - low) * arrays["wide.0"] / 255, atol=1e-6)
    assert layer["order"] == arrays["order.0"].tolist() and layer["spans"] == arrays["spans.0"].tolist()
    logs = unpack(record["connectivity"])
    with np.errstate(divide="ignore"):
        expected = np.log10(arrays["connectivity"])
    shown = np.isfinite(logs)
    np.testing.assert_allclose(logs[shown], expected[shown], atol=0.02)
    assert (arrays["connectivity"][~shown] <= 1.1e-8 * arrays["connectivity"].max()).all()
    np.testing.assert_allclose(unpack(record["output_values"]), arrays["outputs"], atol=1e-4)


def test_a_large_network_gives_fewer_sequences_then_fewer_bits_then_fewer_units(seen_run, monkeypatch):
    path = seen_run(hidden=40)
    arrays = Inside.load(path).arrays
    found = []
    for space in (420_000, 20_000, 12_000, 2_000):
        monkeypatch.setattr(inside, "STATES", space)
        record = inside_of(read_run(path))
        layer = record["layers"][0]
        kept = layer["kept"]
        found.append((record["sequences"], layer["h"]["bits"], len(kept)))
        used = sum(len(part["codes"]) for part in (layer["h"], layer["c"], *layer["gate"].values()))
        assert used <= 1.1 * space + 1000
        N = record["sequences"]
        tolerance = 1e-4 if layer["h"]["bits"] == 16 else 0.01
        np.testing.assert_allclose(unpack(layer["h"]), arrays["h.0"][:N][..., kept], atol=tolerance)
        assert sorted(layer["order"]) == list(range(len(kept)))
    assert found[0] == (4, 16, 40) and found[-1][:2] == (1, 8) and found[-1][2] < 40
    assert [f[0] for f in found] == sorted((f[0] for f in found), reverse=True)


def test_a_projected_lstm_fits_too(seen_run):
    record = inside_of(read_run(seen_run(hidden=8, proj_size=3)))
    assert record["layers"][0]["h"]["shape"][-1] == 3 and record["layers"][0]["c"]["shape"][-1] == 8


def test_what_is_not_whole_is_said(seen_run, new_run):
    assert "No look inside a sequence was kept" in inside_of(read_run(new_run()))["missing"]
    path = seen_run()
    facts = json.loads((path / "inside.json").read_text())
    (path / "inside.json").write_text(json.dumps({**facts, "layers": [{"name": 3}, {}]}))
    assert "it was changed" in inside_of(read_run(path))["missing"]
    (path / "inside.npz").write_bytes(b"torn")
    assert "truncated or changed" in inside_of(read_run(path))["missing"]
    (path / "inside.json").write_text("{")
    assert "can't be read" in inside_of(read_run(path))["missing"]


def test_fans_are_the_forecasts_of_the_table(new_run):
    run = read_run(new_run(days=60, horizon=3))
    fans, table = fans_of(run), run.test.sort("cutoff", "lead")
    forecast = table["forecast"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(unpack(fans["forecast"]), forecast, atol=1e-3)
    assert fans["count"] == len(forecast) == len(fans["cutoffs"]) and fans["every"] == 1
    y = table["y"].to_numpy().reshape(-1, 3)
    past = unpack(fans["past"])
    assert past.shape == (len(y), 3 * PAST)
    np.testing.assert_allclose(past[10], [y[9 - k, 0] for k in reversed(range(3 * PAST))], atol=1e-2)
    low, high = (table[f"{side}-80"].to_numpy() for side in ("lo", "hi"))
    counts, edges = fans["ranks"]["counts"], fans["ranks"]["edges"]
    np.testing.assert_allclose(edges, [0, 0.05, 0.1, 0.9, 0.95, 1])
    truth = table["y"].to_numpy()
    assert sum(counts) == len(truth) and counts[2] == ((truth > low) & (truth <= high)).sum()
    errors = forecast[:, 0] - y[:, 0]
    off = errors - errors.mean()
    np.testing.assert_allclose(fans["acf"][1], (off[2:] * off[:-2]).mean() / (off**2).mean(), atol=1e-3)


def test_many_fans_are_thinned(new_run, monkeypatch):
    monkeypatch.setattr("elman.report.fans.MOST", 2000)
    fans = fans_of(read_run(new_run()))
    assert fans["every"] > 1 and len(fans["cutoffs"]) == fans["forecast"]["shape"][0] < fans["count"]


def test_a_run_without_forecasts_says_why(new_run):
    path = new_run()
    (path / "test.parquet").unlink()
    assert "no test.parquet" in fans_of(read_run(path))["missing"]
