"""The classifier: what it reads, that it learns with every architecture, and that a saved one says the same."""

import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from tests.tasks.cases import long_table, people, tones

import elman
from elman import InputError, SequenceClassifier
from elman.training.classification import temperature
from elman.training.record import Run

SMALL = {"hidden_size": 12, "epochs": 12, "learning_rate": 0.02, "probe": 0}
X, Y = tones()
OTHER_X, OTHER_Y = tones(60, seed=1)
SEQUENTIAL = ["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm", "cnn", "transformer"]


@pytest.fixture(scope="module")
def fitted():
    return SequenceClassifier(**SMALL).fit(X, Y)


# --- it learns ---


@pytest.mark.parametrize("architecture", SEQUENTIAL)
def test_it_learns_with_every_architecture_and_says_the_same_when_loaded(architecture, tmp_path):
    settings = SMALL | {"architecture": architecture, "epochs": 20}
    classifier = SequenceClassifier(**settings).fit(X, Y)
    assert classifier.score(OTHER_X, OTHER_Y) > 0.75
    classifier.save(tmp_path / "model")
    again = elman.load(tmp_path / "model")
    assert isinstance(again, SequenceClassifier)
    assert np.array_equal(again.predict_proba(OTHER_X), classifier.predict_proba(OTHER_X))
    assert again.predict(OTHER_X).tolist() == classifier.predict(OTHER_X).tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"bidirectional": False},
        {"pooling": "mean"},
        {"pooling": "max"},
        {"pooling": "attention"},
        {"pooling": "hopfield"},
        {"architecture": "cnn", "causal": True, "kernel_size": 3, "num_layers": 2},
        {"architecture": "transformer", "positions": "learned", "heads": 2},
        {"optimizer": "sgd", "learning_rate": 0.2},
        {"noise": 0.3, "smoothing": 0.1, "average": 0.9},
        {"class_weight": "balanced", "accumulate": 2, "batch_size": 8},
    ],
    ids=str,
)
def test_it_learns_with_every_option(settings):
    assert SequenceClassifier(**SMALL | {"epochs": 25} | settings).fit(X, Y).score(OTHER_X, OTHER_Y) > 0.7


def test_it_can_be_trained_without_a_gradient():
    settings = {"hidden_size": 2, "bidirectional": False, "optimizer": "cma-es", "evaluations": 300}
    classifier = SequenceClassifier(**SMALL | settings).fit(X, Y)
    losses = [e["train_loss"] for e in classifier.history_ if e["event"] == "epoch"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("architecture", ["cnn", "gru", "transformer", "mlp"])
def test_images_are_classified_by_what_reads_them_whole_or_row_by_row(architecture):
    random = np.random.default_rng(0)
    y = np.arange(60) % 2
    images = random.normal(size=(60, 6, 5, 2))
    images[y == 1, 1:4, 1:4] += 2
    settings = SMALL | {"architecture": architecture, "layout": "image", "num_layers": 2}
    classifier = SequenceClassifier(**settings).fit(images, y)
    assert classifier.score(images, y) > 0.9
    with pytest.raises(InputError, match=r"\(H, W, C\) = \(6, 5, 2\)"):
        classifier.predict(images[:, :5])
    with pytest.raises(InputError, match="four sides; if these are images, say layout='image'"):
        SequenceClassifier(**SMALL).fit(images, y)


def test_the_same_seed_repeats_a_fit_bit_for_bit_and_another_does_not():
    one, same, other = (SequenceClassifier(**SMALL | {"epochs": 2}, seed=seed).fit(X, Y) for seed in (3, 3, 4))
    assert np.array_equal(one.predict_proba(X), same.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_fitting_leaves_the_users_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    SequenceClassifier(**SMALL | {"epochs": 1}).fit(X, Y)
    assert torch.equal(torch.rand(3), expected)


# --- laws ---


def test_law_the_other_cases_of_a_batch_never_change_an_answer(fitted):
    alone = np.concatenate([fitted.predict_proba([x]) for x in OTHER_X])
    np.testing.assert_allclose(fitted.predict_proba(OTHER_X), alone, atol=1e-12)
    backwards = fitted.predict_proba(OTHER_X[::-1])[::-1]
    np.testing.assert_allclose(fitted.predict_proba(OTHER_X), backwards, atol=1e-12)


def test_law_scaling_and_classes_know_nothing_of_the_parts_held_back():
    far = [x * 1000 + 7 if k >= 60 else x for k, x in enumerate(X)]
    a, b = (SequenceClassifier(**SMALL | {"epochs": 1}).fit(given, Y, test=30) for given in (X, far))
    assert a.features_.to_dict() == b.features_.to_dict()
    assert np.array_equal(a.predict_proba(OTHER_X), b.predict_proba(OTHER_X))
    validated = a._read(X, Y, None, 30).validate_on
    far = [x * 1000 + 7 if k in validated else x for k, x in enumerate(X)]
    c = SequenceClassifier(**SMALL | {"epochs": 1}).fit(far, Y, test=30)
    assert a.features_.to_dict() == c.features_.to_dict()


def test_probabilities_sum_to_one_and_are_calibrated_on_the_validation_part(fitted):
    p = fitted.predict_proba(OTHER_X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert fitted.classes_.tolist() == ["fast", "none", "slow"]
    assert fitted.classes_[p.argmax(axis=1)].tolist() == fitted.predict(OTHER_X).tolist()
    held = fitted._read(X, Y, None, None).validate_on
    logits = fitted._said(fitted._read_again([X[k] for k in held]).cases)
    codes = np.searchsorted(fitted.classes_, Y[held])
    assert fitted.temperature_ == pytest.approx(temperature(logits, codes), rel=1e-3)
    expected = softmax(fitted._said(fitted._read_again(OTHER_X).cases) / fitted.temperature_, axis=1)
    np.testing.assert_allclose(p, expected)


# --- weights, splits, groups ---


def test_class_weights_move_answers_to_the_rare_class():
    random = np.random.default_rng(0)
    y = (np.arange(200) % 10 == 0).astype(int)
    x = random.normal(size=(200, 8)) + 0.4 * y[:, None]
    plain = SequenceClassifier(**SMALL).fit(x, y)
    balanced = SequenceClassifier(**SMALL, class_weight="balanced").fit(x, y)
    by_hand = SequenceClassifier(**SMALL, class_weight={1: 20.0}).fit(x, y)
    assert plain.predict(x).sum() < balanced.predict(x).sum()
    assert plain.predict(x).sum() < by_hand.predict(x).sum()
    assert by_hand.settings()["class_weight"] == {"1": 20.0}


@pytest.mark.parametrize("weight", [{"loud": 2.0}, {"slow": -1.0}])
def test_a_weight_of_no_class_is_refused(weight):
    with pytest.raises(InputError, match=r"class_weight=.*the classes are fast, none, slow"):
        SequenceClassifier(**SMALL, class_weight=weight).fit(X, Y)


def test_groups_are_never_cut():
    groups = np.arange(90) // 9
    learning = SequenceClassifier(**SMALL)._read(X, Y, groups, 0.2)
    parts = [set(groups[part]) for part in (learning.test_on, learning.train_on, learning.validate_on)]
    assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


def test_validation_takes_of_each_class_its_share():
    learning = SequenceClassifier(**SMALL)._read(X, Y, None, None)
    assert np.unique(Y[learning.validate_on], return_counts=True)[1].tolist() == [6, 6, 6]


def test_a_leak_is_diagnosed():
    twice = SequenceClassifier(**SMALL | {"epochs": 2}).fit(X + X, np.concatenate([Y, Y]))
    assert twice.diagnose()[0].illness == "leak in the split"


# --- scores ---


def test_scores_stand_beside_baselines_and_match_predict():
    settings = SMALL | {"epochs": 20}
    classifier = SequenceClassifier(**settings).fit(X, Y, test=0.3)
    scores = classifier.evaluate(X, Y, test=0.3)
    assert scores.rows["model"].to_list() == ["gru", "majority", "logistic", "boosting"]
    assert scores.summary["test"] == {"cases": 27}
    assert scores.value("majority", "accuracy") == pytest.approx(1 / 3)
    assert scores.value("gru", "accuracy") > scores.value("majority", "accuracy")
    on = scores.predictions["case"].to_numpy() - 1
    assert scores.predictions["y"].to_list() == Y[on].tolist()
    assert scores.predictions["gru"].to_list() == classifier.predict([X[k] for k in on]).tolist()
    confusion = np.array(scores.summary["confusion"]["gru"])
    assert confusion.sum() == 27 and np.trace(confusion) / 27 == pytest.approx(scores.value("gru", "accuracy"))
    assert {row["kind"] for row in scores.summary["rows"]} == {"network", "baseline"}


def test_a_class_that_training_had_none_of_counts_as_wrong(fitted):
    y = OTHER_Y.copy().astype(object)
    right = fitted.evaluate(OTHER_X, y).value("gru", "accuracy")
    named = fitted.predict(OTHER_X) == y
    y[np.flatnonzero(named)[0]] = "loud"
    scores = fitted.evaluate(OTHER_X, y)
    assert scores.value("gru", "accuracy") == pytest.approx(right - 1 / 60)
    assert "1 cases are of a class that training had none of" in scores.summary["notes"]


# --- tables ---


def test_a_long_table_gives_what_the_list_gives():
    settings = SMALL | {"epochs": 3}
    table = long_table(X, Y)
    listed = SequenceClassifier(**settings).fit(X, Y)
    named = SequenceClassifier(**settings, group="tone", time="step", label="kind")
    shuffled = table.sample(fraction=1, shuffle=True, seed=0)
    named.fit(table)
    assert named.form_.inputs == ("a", "b") and named.feature_names_in_.tolist() == ["a", "b"]
    assert np.array_equal(named.predict_proba(table), listed.predict_proba(X))
    order = [int(name[1:]) for name in shuffled["tone"].unique(maintain_order=True)]
    np.testing.assert_allclose(named.predict_proba(shuffled), listed.predict_proba(X)[order], atol=1e-6)
    assert named.score(table) == listed.score(X, Y)
    frame = named.predict_table(table.to_pandas())
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == ["tone", "kind", "p_fast", "p_none", "p_slow"]
    assert frame["kind"].tolist() == listed.predict(X).tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.with_columns(kind=pl.when(pl.col("step") == 2).then(pl.lit("x")).otherwise("kind")),
            "has 2 value",
        ),
        (
            lambda t: t.with_columns(kind=pl.when(pl.col("tone") != "t004").then("kind")),
            "'tone' t004: the label 'kind'",
        ),
        (lambda t: t.drop("kind"), "has no column 'kind'"),
        (lambda t: t.drop("a", "b"), "no column left to read"),
    ],
)
def test_what_is_amiss_in_a_table_is_named(change, said):
    with pytest.raises(InputError, match=said):
        SequenceClassifier(**SMALL, group="tone", time="step", label="kind").fit(change(long_table(X, Y)))


def test_cases_alike_in_a_column_stay_together():
    table = long_table(X, Y).with_columns(speaker=pl.col("tone").str.slice(1, 2))
    learning = SequenceClassifier(**SMALL, group="tone", label="kind", together="speaker")._read(table, None, None, 0.2)
    speakers = np.arange(90) // 10
    parts = [set(speakers[part]) for part in (learning.test_on, learning.train_on, learning.validate_on)]
    assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert (
        "speaker"
        not in SequenceClassifier(**SMALL | {"epochs": 1}, group="tone", label="kind", together="speaker")
        .fit(table)
        .form_.inputs
    )


def test_a_table_of_people_is_classified_by_numbers_and_words(tmp_path):
    table = people()
    settings = {"architecture": "mlp", "hidden_size": 16, "epochs": 40, "learning_rate": 0.02}
    classifier = SequenceClassifier(**settings, label="team").fit(table)
    assert classifier.form_.columns.categories == {"place": ("sea", "town")}
    others = people(200, seed=1)
    assert classifier.score(others) > 0.95
    with pytest.warns(UserWarning, match="column 'place' has words that training had not \\(moor\\)"):
        classifier.predict(others.head(2).with_columns(place=pl.lit("moor")))
    classifier.save(tmp_path / "model")
    again = elman.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(others), classifier.predict_proba(others))
    apart = SequenceClassifier(**settings).fit(table.drop("team").to_pandas(), table["team"].to_numpy())
    assert np.array_equal(apart.predict_proba(others.drop("team")), classifier.predict_proba(others))


def test_rows_of_a_table_are_series_to_what_reads_steps():
    random = np.random.default_rng(0)
    table = pl.DataFrame(random.normal(size=(40, 6)), schema=[f"t{k}" for k in range(6)])
    y = (table.to_numpy()[:, -1] > 0).astype(int)
    named = SequenceClassifier(**SMALL).fit(table.with_columns(y=pl.Series(y)))
    plain = SequenceClassifier(**SMALL).fit(table.to_numpy(), y)
    assert np.array_equal(named.predict_proba(table), plain.predict_proba(table.to_numpy()))
    assert named.classes_.tolist() == [0, 1] and named.n_features_in_ == 6


# --- bad input ---


def test_a_missing_value_is_masked_and_reported():
    gappy = [x.copy() for x in X]
    for x in gappy[::3]:
        x[1, 1] = np.nan
    classifier = SequenceClassifier(**SMALL).fit(gappy, Y)
    assert "values trained on are missing, in 1 of 2 features" in classifier.notes_[0]
    assert classifier.features_.size == 3
    assert np.isfinite(classifier.predict_proba(gappy)).all()
    first = [x.copy() for x in OTHER_X]
    first[0][0, 0] = np.nan
    with pytest.warns(UserWarning, match="missing in features in which none was while training \\(0\\)"):
        assert np.isfinite(classifier.predict_proba(first)).all()


def test_the_layout_is_held_against_what_was_fitted(fitted):
    whole = np.stack([x[:6] for x in OTHER_X])
    turned = whole.transpose(0, 2, 1)
    with pytest.raises(InputError, match=r"shape \(2, 6\).*expects \(T, features\) with 2 features.*channels-first"):
        fitted.predict(turned)
    other = SequenceClassifier(**SMALL, layout="channels-first").fit([x.T for x in X], Y)
    np.testing.assert_allclose(other.predict_proba(turned), fitted.predict_proba(whole), atol=1e-6)
    with pytest.raises(InputError, match=r"fitted on sequences with 2 features.*Is it one sequence\? Give \[X\]"):
        fitted.predict(OTHER_X[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"architecture": "lstm", "kernel_size": 3}, "kernel_size=3 does not apply to architecture='lstm'.*of cnn"),
        ({"architecture": "cnn", "heads": 2}, "heads=2 does not apply to architecture='cnn'.*of transformer"),
        ({"architecture": "mlp", "pooling": "last"}, "pooling='last' does not apply to architecture='mlp'"),
        ({"truncate": 5}, "truncate=5 does not apply.*each has one answer"),
        ({"architecture": "transformer", "heads": 5}, "hidden_size=12 must be a multiple of heads=5"),
        ({"architecture": "mlp"}, "needs? one length|need one length"),
        ({"architecture": "lstn"}, "did you mean 'lstm'"),
        ({"bidirectional": 1}, "bidirectional is True or False, found 1"),
        ({"group": "tone"}, "group= names a column of a long table; X is none"),
        ({"validation": 90}, "validation part is to have 90 of 90 cases"),
    ],
    ids=str,
)
def test_a_setting_that_does_not_apply_is_refused_by_name(settings, said):
    with pytest.raises(InputError, match=said):
        SequenceClassifier(**SMALL | settings).fit(X, Y)


def test_y_is_needed_and_has_to_fit():
    with pytest.raises(InputError, match="requires y to be passed"):
        SequenceClassifier(**SMALL).fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SequenceClassifier(**SMALL).fit(X, Y[:-1])
    with pytest.raises(InputError, match="one class, 'slow'"):
        SequenceClassifier(**SMALL).fit(X, ["slow"] * 90)
    with pytest.raises(InputError, match="groups names 3 cases, and there are 90"):
        SequenceClassifier(**SMALL).fit(X, Y, groups=[1, 2, 3])


# --- runs ---


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path):
    whole = SequenceClassifier(**SMALL).fit(X, Y, run=tmp_path / "whole")

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SequenceClassifier(**SMALL).fit(X, Y, run=tmp_path / "cut", on_event=stop)
    with pytest.raises(InputError, match="can't be resumed: its hidden_size was 12 and is now 8"):
        SequenceClassifier(**SMALL | {"hidden_size": 8}).fit(X, Y, run=tmp_path / "cut", resume=True)
    with pytest.raises(InputError, match="can't be resumed: its sha256"):
        SequenceClassifier(**SMALL).fit(OTHER_X, OTHER_Y, run=tmp_path / "cut", resume=True)
    cut = SequenceClassifier(**SMALL).fit(X, Y, run=tmp_path / "cut", resume=True)
    assert np.array_equal(cut.predict_proba(X), whole.predict_proba(X))
    epochs = [e["epoch"] for e in Run(tmp_path / "cut").events() if e["event"] == "epoch"]
    assert epochs == list(range(len(epochs)))


def test_it_is_looked_into_and_leaves_a_page(tmp_path):
    classifier = SequenceClassifier(**SMALL | {"probe": 5}).fit(X, Y)
    assert any(e["event"] == "probe" and e["layers"] for e in classifier.history_)
    assert isinstance(classifier.diagnose(OTHER_X), list)
    page = classifier.report(tmp_path / "page.html")
    assert page.read_text().startswith("<!doctype html>") or "<html" in page.read_text()
    with pytest.raises(InputError, match="exists"):
        classifier.report(page)


def test_a_changed_model_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["learned"]["answers"]["temperature"] = -1
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="it was changed"):
        elman.load(tmp_path / "model")


# --- scikit-learn ---


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", ["gru", "cnn", "mlp"])
def test_scikit_learns_own_checks_pass(architecture):
    found = check_estimator(SequenceClassifier(**SMALL | {"architecture": architecture}), on_fail=None, on_skip=None)
    failed = [(r["check_name"], repr(r["exception"])) for r in found if r["status"] not in ("passed", "skipped")]
    assert not failed
    assert sum(r["status"] == "passed" for r in found) > 50


def test_it_works_in_a_pipeline_a_grid_search_and_cross_validation():
    random = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = random.normal(size=(60, 8)) + np.outer(2 * y - 1, np.linspace(0, 1, 8))
    small = SequenceClassifier(**SMALL | {"epochs": 4})
    assert make_pipeline(StandardScaler(), clone(small)).fit(x, y).score(x, y) > 0.7
    assert cross_val_score(small, x, y, cv=2).mean() > 0.7
    search = GridSearchCV(small, {"architecture": ["gru", "mlp"], "hidden_size": [8]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.7
    lists = cross_val_score(SequenceClassifier(**SMALL), np.array(X, dtype=object), Y, cv=2)
    assert lists.mean() > 0.5


def test_a_table_may_come_from_a_file(tmp_path):
    path = tmp_path / "tones.csv"
    long_table(X, Y).write_csv(path)
    settings = SMALL | {"epochs": 2, "group": "tone", "time": "step", "label": "kind"}
    by_path = SequenceClassifier(**settings).fit(path)
    opened = SequenceClassifier(**settings).fit(io.BufferedReader(io.BytesIO(path.read_bytes())))
    assert np.array_equal(by_path.predict_proba(path), opened.predict_proba(str(path)))
    assert by_path.predict_table(path).height == 90
