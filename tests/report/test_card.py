"""The model card says what the run recorded, in words, and what is missing and why."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from elman.data.datasets import fulda
from elman.models.summary import summary
from elman.report.card import NO_COMMAND, NO_LAYERS, card
from elman.report.charts import Table
from elman.report.reading import read_run
from elman.tasks.forecast import Forecaster
from elman.training.record import Run


def row(table: Table, name: str) -> list[str]:
    return next(list(row) for row in table.rows if row[0] == name)


def test_a_forecasters_run_has_a_whole_card(tmp_path: Path):
    table = pl.read_csv(fulda(), try_parse_dates=True).tail(500)
    command = "elman fit forecast fulda.csv"
    f = Forecaster(target="discharge_m3s", horizon=3, window=20, hidden_size=8, epochs=2, validation=100)
    f.fit(table, test=50, run=Run(tmp_path / "run", label="LSTM", command=command))
    run = read_run(tmp_path / "run")
    told, network = card([run]), summary(f.network_)
    assert not told.missing and [caption for caption, _ in told.layers] == ["Layers"]
    layers = told.layers[0][1]
    assert [r[0] for r in layers.rows] == ["encoder.l0", "decoder.l0", "head", "in all"]
    assert row(layers, "encoder.l0")[3] == f"{4 * (8 * f.input_size_ + 64 + 16):,}"
    assert row(layers, "in all")[3:6] == [f"{network[k]:,}" for k in ("parameters", "state", "multiply_adds")]
    tables = dict(told.tables)
    assert row(tables["In sum"], "parameters")[1] == f"{network['parameters']:,}"
    assert row(tables["In sum"], "training steps")[1] == f"{max(e['step'] for e in run.events if 'step' in e):,}"
    assert row(tables["Data"], "sha256")[1:] == [
        run.config["data"]["sha256"],
        "fingerprint: a file with the same one is the same file",
    ]
    assert row(tables["Versions"], "torch")[1] == run.config["versions"]["torch"]
    assert row(told.settings, "hidden_size") == ["hidden_size", "8", "units in each recurrent layer"]
    assert {r[0] for r in told.settings.rows} == set(run.config["settings"])
    assert all(r[2] for r in told.settings.rows)
    assert [list(r) for r in tables["To make it again"].rows] == [[command]]
    page = (f.report(tmp_path / "page.html")).read_text()
    assert '"kind":"forecast"' in page  # and can be played with
    assert "encoder.l0" in page and "units in each recurrent layer" in page


def test_what_was_not_recorded_is_said(new_run):
    run = new_run()
    config = run / "config.toml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith("command")))
    told = card([read_run(run)])
    assert told.missing == NO_LAYERS and not told.layers
    tables = dict(told.tables)
    assert row(tables["In sum"], "parameters")[1] == "–" and row(tables["In sum"], "ended by")[1] == "early stopping"
    assert [list(r) for r in tables["To make it again"].rows] == [[NO_COMMAND]]
    assert row(tables["Licences"], "the data")[1].startswith("not recorded")
    assert list(told.settings.columns) == ["", "value"]  # no meaning is known of any


def test_several_labels_stand_side_by_side(new_run):
    runs = [
        read_run(new_run(name, label=label, seed=seed))
        for name, label, seed in (("a", "A", 0), ("b", "A", 1), ("c", "B", 5))
    ]
    told = card(runs)
    assert told.several and list(told.settings.columns) == ["", "A", "B"]
    assert row(told.settings, "seed") == ["seed", "0 / 1", "5"]
