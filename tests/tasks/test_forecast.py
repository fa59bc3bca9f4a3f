"""The forecaster, and the laws that a forecast obeys."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from tests.tasks.conftest import made_up_river

import elman
from elman import Forecaster, InputError

# --- it learns ---


@pytest.mark.parametrize("architecture", ["rnn", "lstm", "gru"])
def test_it_beats_persistence_and_the_seasonal_naive_on_a_river_that_can_be_learned(river, small, architecture):
    f = Forecaster(**small | {"architecture": architecture, "epochs": 15}).fit(river, test=100)
    scores = f.evaluate(river, test=100)
    assert scores.mean(architecture) > scores.mean("persistence")
    assert scores.mean(architecture) > scores.mean("seasonal_naive")


def test_inputs_known_ahead_help_where_they_drive_the_target(river, small):
    settings = small | {"epochs": 15}
    without = Forecaster(**settings).fit(river, test=100).evaluate(river, test=100)
    ahead = Forecaster(**settings, future=("rain",)).fit(river, test=100).evaluate(river, test=100)
    assert ahead.mean("lstm") > without.mean("lstm") + 0.1
    assert any("perfect forecast" in note for note in ahead.summary["notes"])


def test_the_same_seed_repeats_a_run_bit_for_bit_and_another_does_not(river, small):
    a, b = (Forecaster(**small, seed=3).fit(river) for _ in range(2))
    other = Forecaster(**small, seed=4).fit(river)
    for name, weight in a.network_.state_dict().items():
        assert torch.equal(weight, b.network_.state_dict()[name])
    assert a.predict(river).equals(b.predict(river))
    assert not a.predict(river).equals(other.predict(river))


def test_fitting_leaves_the_users_random_numbers_alone(river, small):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Forecaster(**small).fit(river)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 1e-4},
        {"optimizer": "adam", "schedule": "constant", "warmup": 5},
        {"schedule": "one-cycle", "clip": None, "clip_value": 0.5},
        {"schedule": "plateau", "average": 0.9},
        {"accumulate": 2, "batch_size": 16},
        {"truncate": 5},
        {"precision": "bfloat16"},
    ],
    ids=lambda settings: next(iter(settings)) + "=" + str(next(iter(settings.values()))),
)
def test_it_learns_by_every_way_to_train(river, small, settings):
    f = Forecaster(**small | {"epochs": 12} | settings).fit(river, test=100)
    epochs = [e for e in f.history_ if e["event"] == "epoch"]
    assert min(e["val_loss"] for e in epochs) < 0.9 * epochs[0]["val_loss"]
    assert f.evaluate(river, test=100).mean("lstm") > 0


@pytest.mark.parametrize("architecture", ["mingru", "minlstm", "rglru", "lru", "slstm"])
def test_it_learns_with_every_cell(river, small, architecture):
    f = Forecaster(**small | {"architecture": architecture, "epochs": 12}).fit(river, test=100)
    assert f.evaluate(river, test=100).mean(architecture) > 0


@pytest.mark.parametrize("optimizer", ["annealing", "pso", "cma-es", "de"])
def test_it_can_be_trained_without_a_gradient(river, small, optimizer):
    settings = {"hidden_size": 2, "optimizer": optimizer, "evaluations": 300, "level": (80,)}
    f = Forecaster(**small | settings).fit(river, test=100)
    losses = [e["train_loss"] for e in f.history_ if e["event"] == "epoch"]
    assert losses[-1] < losses[0]
    assert losses == sorted(losses, reverse=True)
    with pytest.raises(InputError, match=r"weights.*Choose fewer units"):
        Forecaster(**small | settings | {"hidden_size": 64}).fit(river)


def test_it_is_diagnosed(river, small):
    f = Forecaster(**small | {"epochs": 15}).fit(river)
    assert sum(e["event"] == "probe" for e in f.history_) >= 2
    assert f.diagnose() == []
    assert f.diagnose(river) == []
    leaky = pl.concat(
        [river.with_columns(unique_id=pl.lit("a")), river.head(380).with_columns(unique_id=pl.lit("the same, shorter"))]
    )
    found = Forecaster(**small).fit(leaky).diagnose()
    assert found[0].illness == "leak in the split"
    assert 50 < found[0].evidence["shared"] < found[0].evidence["validated"]
    apart = pl.concat(
        [river.with_columns(unique_id=pl.lit("a")), made_up_river(seed=1).with_columns(unique_id=pl.lit("b"))]
    )
    assert "leak in the split" not in [f.illness for f in Forecaster(**small).fit(apart).diagnose()]
    hopeless = Forecaster(**small | {"learning_rate": 5.0}).fit(river)
    assert hopeless.diagnose()[0].illness == "learning rate too high"


# --- it never sees the future ---


def after(table: pl.DataFrame, last_known: int, columns: list[str]) -> pl.DataFrame:
    """`table` with other values in `columns` behind row `last_known`."""
    late = pl.int_range(pl.len()) > last_known
    return table.with_columns(pl.when(late).then(pl.col(c) * 3 + 7).otherwise(pl.col(c)).alias(c) for c in columns)


def test_changing_the_future_never_changes_a_forecast(river, small):
    f = Forecaster(**small).fit(river, test=100)
    known = f.backtest(river, test=100).filter(pl.col("cutoff") <= river["date"][420])
    changed = f.backtest(after(river, 420, ["level", "rain", "warmth"]), test=100)
    changed = changed.filter(pl.col("cutoff") <= river["date"][420])
    columns = ["forecast", "lo-80", "hi-80", "lo-90", "hi-90"]
    assert known.height > 20
    assert known.select(columns).equals(changed.select(columns))


def test_an_input_known_ahead_changes_forecasts_of_its_day_and_later_ones_only(river, small):
    f = Forecaster(**small, future=("rain",)).fit(river, test=100)
    wet = river.with_columns(pl.when(pl.int_range(pl.len()) == 450).then(90.0).otherwise(pl.col("rain")).alias("rain"))
    days = river["date"]
    dry_leads, wet_leads = (
        f.backtest(t, test=100).filter(pl.col("cutoff") == days[447])["forecast"].to_list() for t in (river, wet)
    )
    assert dry_leads[:2] == wet_leads[:2]
    assert dry_leads[2] != wet_leads[2]


def test_what_is_learned_does_not_depend_on_the_test_part(river, small):
    a = Forecaster(**small).fit(river, test=100)
    b = Forecaster(**small).fit(after(river, 399, ["level", "rain", "warmth"]), test=100)
    assert a.scaling_ == b.scaling_
    assert np.array_equal(a.shifts_, b.shifts_)
    for name, weight in a.network_.state_dict().items():
        assert torch.equal(weight, b.network_.state_dict()[name])


def test_scalers_do_not_depend_on_the_validation_part(river, small):
    a = Forecaster(**small, validation=100).fit(river)
    b = Forecaster(**small, validation=100).fit(after(river, 399, ["level", "rain", "warmth"]))
    assert a.scaling_ == b.scaling_


def test_cross_validation_never_sees_the_future(river, small):
    columns = ["cutoff", "forecast", "lo-90", "hi-90"]
    for refit in (False, True):
        f = Forecaster(**small)
        before = f.cross_validation(river, n_windows=2, step_size=10, refit=refit)
        cutoffs = before["cutoff"].unique().sort().to_list()
        first = river["date"].to_list().index(cutoffs[0])
        changed = f.cross_validation(
            after(river, first, ["level", "rain", "warmth"]), n_windows=2, step_size=10, refit=refit
        )
        of_first = pl.col("cutoff") == cutoffs[0]
        assert before.filter(of_first).select(columns).equals(changed.filter(of_first).select(columns))


def test_cross_validation_has_the_windows_that_were_asked_for(river, small):
    f = Forecaster(**small)
    cv = f.cross_validation(river, n_windows=3, step_size=5)
    days = river["date"].to_list()
    assert cv["cutoff"].unique().sort().to_list() == [days[500 - 4 - 1 - k] for k in (10, 5, 0)]
    assert cv["date"].max() == days[-1]
    assert cv.height == 3 * 4
    assert cv["y"].to_list()[-4:] == river["level"].to_list()[-4:]
    assert not hasattr(f, "network_")


def test_a_refitted_cross_validation_equals_fitting_by_hand(river, small):
    cv = Forecaster(**small).cross_validation(river, n_windows=2, step_size=7, refit=True)
    by_hand = Forecaster(**small).fit(river[:496]).predict(river[:496])
    assert cv.filter(pl.col("cutoff") == river["date"][495])["forecast"].to_list() == by_hand["forecast"].to_list()


# --- tables in, tables out ---


def test_predict_names_the_coming_days(river, small):
    f = Forecaster(**small).fit(river)
    frame = f.predict(river)
    assert frame.columns == ["date", "forecast", "lo-80", "hi-80", "lo-90", "hi-90"]
    last = river["date"][-1]
    assert frame["date"].to_list() == pl.date_range(last, last + pl.duration(days=4), eager=True)[1:].to_list()
    assert (frame["lo-90"] <= frame["lo-80"]).all() and (frame["hi-80"] <= frame["hi-90"]).all()


def test_pandas_in_pandas_out_with_the_same_numbers(river, small):
    f = Forecaster(**small).fit(river)
    frame = f.predict(river.to_pandas())
    assert isinstance(frame, pd.DataFrame)
    assert frame["forecast"].tolist() == f.predict(river)["forecast"].to_list()


def test_rows_after_the_last_target_carry_what_is_known_ahead(river, small):
    f = Forecaster(**small, future=("rain",)).fit(river)
    history, ahead = river[:-4], river[-4:].with_columns(level=pl.lit(None, pl.Float64))
    whole = f.predict(pl.concat([history, ahead]))
    assert whole["date"].to_list() == ahead["date"].to_list()
    assert whole["forecast"].to_list() == f.backtest(river, test=4)["forecast"].to_list()
    with pytest.raises(InputError, match="Append 4 rows with their times and 'rain'"):
        f.predict(history)


def long_table() -> pl.DataFrame:
    rivers = []
    for k, scale in enumerate((1.0, 50.0)):
        part = made_up_river(400 - 30 * k, seed=k).with_columns(
            pl.col("level") * scale, pl.lit(f"river {k}").alias("name")
        )
        rivers.append(part.with_columns(pl.lit(float(k + 1)).alias("area")))
    return pl.concat(rivers)


def test_one_network_serves_many_series_of_different_size_and_length(small):
    table = long_table()
    f = Forecaster(**small | {"epochs": 10}, series="name", static=("area",)).fit(table, test=60)
    frame = f.predict(table)
    assert frame["name"].to_list() == ["river 0"] * 4 + ["river 1"] * 4
    assert frame["forecast"][4:].mean() > 10 * frame["forecast"][:4].mean()
    scores = f.evaluate(table, test=60)
    assert scores.mean("lstm") > scores.mean("climatology")


def test_series_never_leak_into_each_other(small):
    table = long_table()
    f = Forecaster(**small, series="name").fit(table)
    both = f.predict(table).filter(pl.col("name") == "river 1")
    alone = f.predict(table.filter(pl.col("name") == "river 1"))
    assert both["forecast"].to_numpy() == pytest.approx(alone["forecast"].to_numpy(), rel=1e-5)


def test_the_order_of_rows_and_series_never_changes_a_forecast(small):
    table = long_table()
    f = Forecaster(**small, series="name").fit(table)
    assert f.predict(table).equals(f.predict(table.sample(fraction=1, shuffle=True, seed=0)))


def test_missing_values_are_masked_and_never_zero(river, small):
    holes = river.with_columns(
        pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise(pl.col(c)).alias(c) for c in ("level", "rain")
    )
    f = Forecaster(**small | {"epochs": 10}).fit(holes, test=100)
    assert any("'rain' are missing" in note for note in f.notes_)
    with_holes = f.predict(holes)["forecast"].to_numpy()
    with_zeros = f.predict(holes.with_columns(pl.col("level", "rain").fill_null(0.0)))["forecast"].to_numpy()
    assert not np.allclose(with_holes, with_zeros)
    assert f.evaluate(holes, test=100).mean("lstm") > 0


def test_integer_time_and_no_calendar(small):
    table = pl.DataFrame({"ds": range(300), "y": np.sin(np.arange(300) / 6)})
    f = Forecaster(**small | {"target": None, "epochs": 12}).fit(table, test=50)
    assert f.calendar_ == ()
    assert f.predict(table)["ds"].to_list() == [300, 301, 302, 303]
    scores = f.evaluate(table, test=50)
    assert scores.mean("lstm") > 0.5
    assert "climatology" not in scores.rows["model"].to_list()


# --- intervals and events ---


def test_intervals_hold_what_they_promise_on_data_like_those_of_the_validation_part(small):
    table = made_up_river(2500)
    f = Forecaster(**small, level=(50, 80, 95), validation=600).fit(table, test=600)
    scores = f.evaluate(table, test=600)
    for level in (50, 80, 95):
        # 600 dependent days: three standard errors of a share with an effective sample of a quarter of them.
        tolerance = 3 * np.sqrt(level / 100 * (1 - level / 100) / 150)
        assert scores.mean("lstm", f"coverage_{level}") == pytest.approx(level / 100, abs=tolerance)


def test_event_probabilities_are_scored_and_beat_the_base_rate(small):
    table = made_up_river(1200)
    f = Forecaster(**small | {"epochs": 10}, future=("rain",), event=">= 35").fit(table, test=300)
    assert (
        f.predict(table[:-4].vstack(table[-4:].with_columns(level=pl.lit(None, pl.Float64))))["p_event"]
        .is_between(0, 1)
        .all()
    )
    event = f.evaluate(table, test=300).summary["event"]
    of_all = event["rows"][-1]
    assert of_all["lead"] == "all" and of_all["events"] > 50
    assert of_all["brier"] < of_all["brier_climatology"]
    assert of_all["csi"] > of_all["csi_persistence"]
    assert sum(b["forecasts"] for b in event["reliability"]) == of_all["forecasts"]


# --- saving, resuming ---


def test_save_and_load_are_a_round_trip(river, small, tmp_path):
    f = Forecaster(**small, future=("rain",), event="> 30").fit(river)
    f.save(tmp_path / "model")
    for again in (Forecaster.load(tmp_path / "model"), elman.load(tmp_path / "model")):
        assert again.get_params() == f.get_params()
        assert again.backtest(river, test=50).equals(f.backtest(river, test=50))
    with pytest.raises(InputError, match="nothing is overwritten"):
        f.save(tmp_path / "model")
    f.save(tmp_path / "model", force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_clone_forgets_what_was_learned_and_keeps_the_settings(river, small):
    f = Forecaster(**small).fit(river)
    assert clone(f).get_params() == f.get_params()
    assert not hasattr(clone(f), "network_")


def interrupt_at(step: int):
    def hook(event: dict) -> None:
        if event["event"] == "step" and event["step"] == step:
            import signal

            signal.raise_signal(signal.SIGINT)

    return hook


@pytest.mark.parametrize("step", [1, 7, 10, 14])
def test_an_interrupted_run_resumes_to_the_same_weights(river, small, tmp_path, step):
    whole = Forecaster(**small).fit(river, run=tmp_path / "whole")
    f = Forecaster(**small)
    with pytest.raises(KeyboardInterrupt):
        f.fit(river, run=tmp_path / "broken", on_event=interrupt_at(step))
    assert not (tmp_path / "broken" / "model").exists()
    with pytest.raises(InputError, match="can't be resumed: its seed was 0 and is now 1"):
        Forecaster(**small, seed=1).fit(river, run=tmp_path / "broken", resume=True)
    f.fit(river, run=tmp_path / "broken", resume=True)
    for name, weight in whole.network_.state_dict().items():
        assert torch.equal(weight, f.network_.state_dict()[name])
    steps = [e["step"] for e in f.history_ if e["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    with pytest.raises(InputError, match="finished"):
        f.fit(river, run=tmp_path / "broken", resume=True)


# --- wrong use ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 0}, "horizon is 0; it must be between 1 and"),
        ({"architecture": "lstn"}, "did you mean 'lstm'"),
        ({"level": (80, 101)}, "level is 101"),
        ({"target": "flow"}, r"no column 'flow' \(target\); its columns are: date, rain"),
        ({"future": ("snow",)}, r"no column 'snow' \(future\)"),
        ({"past": ("rain",), "future": ("rain",)}, "'rain' is given two roles"),
        ({"event": "about 60"}, "a condition such as '>= 60'"),
        ({"window": 490}, "too short: window=490 and horizon=4 need at least 494 steps"),
        ({"transform": "log", "target": "warmth"}, "needs positive values; warmth has"),
        ({"calendar": ("moon",)}, "calendar='moon': one of"),
        ({"learning_rate": "fast"}, "learning_rate takes a number, found 'fast'"),
    ],
)
def test_wrong_settings_get_one_clear_message(river, small, settings, message):
    with pytest.raises(InputError, match=message):
        Forecaster(**small | settings).fit(river)


def test_a_failed_start_leaves_no_run_folder(river, small, tmp_path):
    with pytest.raises(InputError):
        Forecaster(**small | {"window": 490}).fit(river, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_table_of_another_step_or_without_an_input_is_refused(river, small):
    f = Forecaster(**small).fit(river)
    with pytest.raises(InputError, match="trained on rows 1d apart; those of the table are 2d apart"):
        f.predict(river.gather_every(2))
    with pytest.raises(InputError, match=r"no column 'rain' \(an input of the model\)"):
        f.predict(river.drop("rain"))
    with pytest.raises(InputError, match="there are 19 steps up to the last observed 'level'"):
        f.predict(river[:19])


def test_report_of_a_fitted_forecaster(river, small, tmp_path):
    f = Forecaster(**small).fit(river, test=100)
    f.evaluate(river, test=100)
    page = f.report(tmp_path / "page.html").read_text()
    assert f"{f.scores_.mean('lstm'):.2f}" in page


# --- found by a user ---


def test_one_step_ahead_is_scored_too(river, small):
    f = Forecaster(**small | {"horizon": 1}).fit(river, test=100)
    scores = f.evaluate(river, test=100)
    assert scores.mean("ridge") > scores.mean("climatology")
    assert f.predict(river).height == 1


def test_changing_the_future_of_a_new_series_never_changes_its_forecasts(small):
    table = long_table()
    f = Forecaster(**small, series="name").fit(table.filter(pl.col("name") == "river 0"))
    new = table.filter(pl.col("name") == "river 1")
    known = new["date"][250]
    forecasts = [
        f.backtest(t, test=str(new["date"][200])).filter(pl.col("cutoff") <= known).drop("y")
        for t in (new, after(new, 250, ["level", "rain", "warmth"]))
    ]
    assert forecasts[0].height > 100
    assert forecasts[0].equals(forecasts[1])


def test_series_too_short_to_train_on_are_named_and_do_no_harm(small):
    table = long_table()
    stub = table.filter(pl.col("name") == "river 1").head(15).with_columns(pl.lit("stub").alias("name"))
    late = table.filter(pl.col("name") == "river 1").tail(40).with_columns(pl.lit("late").alias("name"))
    alone = Forecaster(**small, series="name").fit(table, test="2001-12-01")
    f = Forecaster(**small, series="name").fit(pl.concat([table, stub, late]), test="2001-12-01")
    assert "2 of 4 series are too short to train on (late, stub)" in f.notes_
    assert np.array_equal(f.shifts_, alone.shifts_)
    with pytest.warns(UserWarning, match="there are 15 steps of series 'stub'"):
        frame = f.predict(pl.concat([table, stub, late]))
    assert frame["name"].unique().sort().to_list() == ["late", "river 0", "river 1"]
    scale = late["level"].mean()
    assert frame.filter(pl.col("name") == "late")["forecast"].mean() == pytest.approx(scale, rel=0.8)


def test_memory_grows_with_the_table_and_not_with_windows_times_length():
    import subprocess
    import sys

    code = (
        "import sys, resource, polars as pl, numpy as np, elman\n"
        "n, window = 20_000, int(sys.argv[1])\n"
        "random = np.random.default_rng(0)\n"
        "inputs = {f'x{k}': random.normal(size=n) for k in range(8)}\n"
        "t = pl.DataFrame({'ds': range(n), 'y': random.normal(size=n), **inputs})\n"
        "f = elman.Forecaster(horizon=2, window=window, hidden_size=4, epochs=1, batch_size=256, validation=0.5)\n"
        "f.fit(t, test=0.4).evaluate(t, test=0.4)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = [
        int(subprocess.run([sys.executable, "-c", code, str(w)], capture_output=True, text=True, check=True).stdout)
        for w in (20, 300)
    ]
    # All windows of 300 steps and 20 channels at once would be 8,000 x 300 x 20 x 4 bytes = 190 MB more, a batch 50 MB.
    assert (peaks[1] - peaks[0]) / 1024 < 160


def test_local_midnights_stay_where_they_are(river, small):
    local = river.with_columns(pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/Berlin"))
    frame = Forecaster(**small).fit(local).predict(local)
    assert frame.schema["date"] == local.schema["date"]
    assert frame["date"][0] == local["date"][-1] + pl.Series([1]).cast(pl.Duration("us"))[0] * 86_400_000_000
    plain = river.with_columns(pl.col("date").cast(pl.Datetime("us")) + pl.duration(hours=9))
    assert Forecaster(**small).fit(plain).predict(plain)["date"].dt.hour().unique().to_list() == [9]


def test_names_of_series_keep_their_type(small):
    table = long_table().with_columns(pl.col("name").str.slice(6).cast(pl.Int64))
    assert Forecaster(**small, series="name").fit(table).predict(table)["name"].dtype == pl.Int64


def test_a_missing_static_value_is_masked(small):
    table = long_table()
    f = Forecaster(**small, series="name", static=("area",)).fit(table)
    other = table.with_columns(pl.when(pl.col("name") == "river 1").then(None).otherwise(pl.col("area")).alias("area"))
    mean = table.with_columns(
        pl.when(pl.col("name") == "river 1")
        .then(f.scaling_.inputs["area"].mean)
        .otherwise(pl.col("area"))
        .alias("area")
    )
    missing, average = (f.predict(t).filter(pl.col("name") == "river 1")["forecast"] for t in (other, mean))
    assert not np.allclose(missing.to_numpy(), average.to_numpy())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 90}, r"level takes several values, such as \(90,\)"),
        ({"horizon": 2.0}, "horizon takes a whole number, found 2.0"),
        ({"event": 60}, "event takes text, found 60"),
        ({"calendar": "day_of_year"}, "calendar takes several values"),
        ({"seed": 10**30}, "seed is"),
        ({"clip": 0.0}, "clip is 0"),
        ({"validation": 5000}, r"validation=5000\); the longest series has 0"),
    ],
)
def test_settings_of_a_wrong_type_get_one_clear_message(river, small, settings, message):
    with pytest.raises(InputError, match=message):
        Forecaster(**small | settings).fit(river)


def test_a_mistyped_year_is_named_and_fills_no_memory(river, small):
    late = river.with_columns(
        pl.when(pl.int_range(pl.len()) == 499).then(pl.date(9021, 1, 1)).otherwise("date").alias("date")
    )
    with pytest.raises(InputError, match=r"the widest gap ends in row 500, at 9021-01-01"):
        Forecaster(**small).fit(late)


def test_dates_that_cannot_be_read_are_not_thrown_away(river, small):
    american = river.with_columns(pl.col("date").dt.strftime("%m/%d/%Y"))
    with pytest.raises(InputError, match="no column of times that can be read; 'date' holds '01/01/2001'"):
        Forecaster(**small).fit(american)


def test_a_test_part_shorter_than_the_horizon_is_refused_before_training(river, small, tmp_path):
    with pytest.raises(InputError, match="shorter than the horizon"):
        Forecaster(**small).fit(river, test=2, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_scores_on_rows_that_were_trained_on_say_so(river, small):
    f = Forecaster(**small).fit(river)
    assert "part of the test part was trained on" in f.evaluate(river, test=50).summary["notes"]
    g = Forecaster(**small).fit(river, test=50)
    assert "part of the test part was trained on" not in g.evaluate(river, test=50).summary["notes"]
