"""The numbers that travel in the page are those that were recorded, in little room; alerts name the right steps."""

from __future__ import annotations

import base64
import json
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.report.alerts import alerts
from elman.report.reading import read_run
from elman.report.recording import COLUMNS, LOWEST, POINTS, STEPS, embedded, record_of
from elman.report.runs import names_of
from elman.report.training import words_of
from elman.training.diagnosis import HEALTHY, SOUND, UNTRACED


def record(run):
    return record_of(run, "a run")


def words(run):
    return words_of(run, "a run")


def steps(losses, **more):
    return [
        {"event": "step", "step": k + 1, "epoch": 0, "loss": float(v), "grad_norm": 1.0, "lr": 1e-3, **more}
        for k, v in enumerate(losses)
    ]


def probe(step, norms=(1.0, 0.1), **more):
    layer = {
        "name": "l0", "cell": "LSTM", "steps": len(norms), "units": 8, "horizon": len(norms),
        "lags": [*range(len(norms))], "grad_norm": list(norms), "gates": {"i": [0.1, 0.2], "f": [0.0, 0.3]},
        "dead": 0.0, "stuck": 0.0, "rank": 3.0, "size": 1.0,
    }  # fmt: skip
    return {"event": "probe", "step": step, "loss": 1.0, "layers": [layer | more], "updates": {"w": 1e-3}}


@pytest.fixture
def recorded(new_run):
    """`recorded(events)` is a run folder with these events, read."""
    names = (f"run{k}" for k in count())

    def make(events):
        path = new_run(next(names))
        (path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
        return read_run(path)

    return make


def unpacked(text, lags):
    code = np.frombuffer(base64.b64decode(text), "<u2").reshape(-1, lags)
    return np.where(code == 0, 0.0, 10 ** (LOWEST + code / STEPS))


def test_short_lines_are_kept_whole(recorded):
    losses = np.random.default_rng(0).gamma(1.0, 1.0, 300)
    made = record(recorded(steps(losses)))
    assert made["loss"]["step"] == list(range(1, 301))
    np.testing.assert_allclose(made["loss"]["value"], losses, rtol=1e-4)  # five digits
    assert made["loss"]["smooth"] is None and made["steps"] == 300 and made["last"] == 300


def test_long_lines_keep_their_extremes_in_few_points(recorded):
    losses = np.random.default_rng(0).normal(10, 1, 20_000)
    losses[7777], losses[12_345] = 900.0, 0.25
    made = record(recorded(steps(losses)))
    line = made["loss"]
    assert len(line["step"]) == len(line["value"]) <= POINTS
    assert line["value"][line["step"].index(7778)] == 900 and line["value"][line["step"].index(12_346)] == 0.25
    assert np.mean(line["smooth"]["value"]) == pytest.approx(losses.mean(), rel=1e-3)


def test_norms_survive_packing_over_all_their_range(recorded):
    norms = [[3.0, 1e-3, 1e-20, 1e-44, 0.0], [7e15, 123.4, 1.0, 5e-7, 2e-9]]
    made = record(recorded([probe(k, row, horizon=k) for k, row in enumerate(norms, 1)]))
    layer = made["layers"][0]
    np.testing.assert_allclose(unpacked(layer["norms"]["grad_norm"], 5), norms, rtol=1.2e-3)
    assert layer["at"] == [1, 2] and layer["horizon"] == [1, 2] and layer["gates"]["i"] == [[0.1, 0.1], [0.2, 0.2]]


def test_many_looks_become_at_most_so_many_columns_with_both_ends(recorded):
    layer = record(recorded([probe(k) for k in range(1, 1002)]))["layers"][0]
    assert len(layer["at"]) == COLUMNS and layer["at"][0] == 1 and layer["at"][-1] == 1001
    assert len(layer["gates"]["f"][1]) == len(layer["rank"]) == COLUMNS


def test_two_looks_at_one_step_are_one_and_the_later_counts(recorded):
    last = probe(5, [4.0, 2.0])
    del last["updates"]
    made = record(recorded([probe(1), probe(5), last]))
    assert made["layers"][0]["at"] == [1, 5] and made["updates"]["step"] == [1, 5]
    np.testing.assert_allclose(unpacked(made["layers"][0]["norms"]["grad_norm"], 2)[1], [4.0, 2.0], rtol=1.2e-3)


def test_a_layer_that_is_called_twice_is_there_twice(recorded):
    twice = probe(1)
    twice["layers"] *= 2
    assert [layer["name"] for layer in record(recorded([twice]))["layers"]] == ["l0", "l0, call 2"]


def test_clipped_steps_are_counted_over_all_steps(recorded):
    run = recorded([e | {"grad_norm": 2.0 if e["step"] % 10 == 0 else 0.5} for e in steps(np.ones(9000))])
    run.config["settings"]["clip"] = 1.0
    assert record(run)["clipped"] == 900


def test_a_spoiled_record_still_makes_numbers_and_words(recorded):
    run = recorded([
        {"event": "step"}, {"event": "step", "step": "one", "loss": 1.0}, {"event": "probe", "step": 1},
        {"event": "probe", "step": 2, "layers": [3, {"grad_norm": 1, "lags": []}]}, {"event": "epoch", "step": 1},
        {"event": []},
        *steps([1.0, 0.5]), {"event": "probe", "step": 3, "layers": [{"lags": [0], "grad_norm": [1.0]}]},
    ])  # fmt: skip
    assert record(run)["loss"]["value"] == [1, 0.5]
    assert "can't be judged" in words(run).note


@given(st.text())
def test_embedded_json_holds_every_string_and_no_markup(text):
    written = embedded({"x": text})
    assert "<" not in written and "\u2028" not in written
    assert json.loads(written) == {"x": text}


def test_alerts_name_the_steps_where_something_began():
    norms = [1.0] * 30
    norms[20:23] = [500.0, 400.0, 600.0]
    events = [e | {"grad_norm": n} for e, n in zip(steps(np.ones(30)), norms, strict=True)]
    ten = [1.0] * 20
    events += [probe(k, ten, horizon=1 if k in (8, 9, 14) else 20) for k in range(1, 16)]
    events += [probe(17, gates={"i": [0.96, 0.0], "f": [0.0, 0.99], "o": [0.0, 0.97]})]
    events += [
        {"event": "epoch", "epoch": k, "step": 10 * k, "train_loss": 1.0, "val_loss": v}
        for k, v in enumerate([5.0, 4.0, 5.0, 6.0, 7.0, 8.0, 3.0])
    ]
    events += [{"event": "error", "step": 29, "message": "the loss is nan"}]
    found = [(a.step, a.kind) for a in alerts(events)]
    # an open forget gate is no alert; what lasts is said once
    assert found == [
        (8, "memory"), (14, "memory"), (17, "gate"), (17, "gate"), (21, "gradient"), (29, "error"), (40, "validation")
    ]  # fmt: skip


def test_runs_of_one_label_and_seed_are_told_apart(new_run):
    runs = [read_run(new_run(name, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert names_of(runs) == ["LSTM, seed 0 (a)", "LSTM, seed 0 (b)", "LSTM, seed 1"]


def test_words_say_healthy_only_where_something_was_seen(recorded):
    assert words(recorded([*steps([1.0, 0.5]), probe(1), probe(2)])).note == HEALTHY
    assert "are not judged" in words(recorded(steps([1.0, 0.5]))).note


def test_of_a_network_without_recurrent_layers_the_words_say_what_was_not_looked_at(recorded):
    look = probe(1) | {"layers": []}
    note = words(recorded([*steps([1.0, 0.5]), look])).note
    assert note == f"{SOUND} {UNTRACED}" and HEALTHY not in note
    updates = look | {"updates": {"w": 1.0}}
    ill = words(recorded([*steps([1.0, 1.5]), *epochs_rising(), updates]))
    assert ill.findings[0].illness == "learning rate too high" and ill.note == UNTRACED


def epochs_rising():
    return [
        {"event": "epoch", "epoch": k, "step": 10 * k, "train_loss": 1.0 + k, "val_loss": 1.0 + k} for k in range(3)
    ]
    assert "nothing to judge" in words(recorded([])).note
