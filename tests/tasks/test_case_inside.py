"""What a run keeps of the inside of a classifier or regressor is of cases not learned from, in their units."""

import numpy as np
import pytest
import torch
from tests.tasks.cases import tones

from elman.tasks.classify import SequenceClassifier
from elman.tasks.regress import SequenceRegressor
from elman.training.look import Features, Inside

SMALL = {"hidden_size": 8, "epochs": 2, "seed": 1}
X, Y = tones(60)


def fitted(tmp_path, test=0.3, **settings):
    run = tmp_path / "run"
    return SequenceClassifier(**SMALL | settings).fit(X, Y, test=test, run=run), run


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_runs_keep_states_and_the_calibrated_word_of_the_network(tmp_path, bidirectional):
    classifier, run = fitted(tmp_path, bidirectional=bidirectional)
    seen = Inside.load(run)
    tested = classifier._read(X, Y, None, 0.3).test_on
    T = seen.facts["steps"]
    assert int(np.median([len(X[k]) for k in tested])) == T and seen.facts["outputs"] == ["fast", "none", "slow"]
    for n, label in enumerate(seen.facts["labels"]):
        number, truth = label.removeprefix("case ").split(" (")[0].split(": ")
        case = int(number) - 1
        assert case in tested and truth == Y[case]
        np.testing.assert_allclose(seen.arrays["inputs"][n], X[case][:T], rtol=1e-6)
        if n < len(seen.arrays["outputs"]):
            expected = classifier.predict_proba([X[case][:T]])[0]
            np.testing.assert_allclose(seen.arrays["outputs"][n, -1], expected, atol=1e-5)
            part = classifier.predict_proba([X[case][:3]])[0]
            along = seen.arrays["along" if bidirectional else "outputs"]
            np.testing.assert_allclose(along[n, 2], part, atol=1e-5)
    assert seen.arrays["outputs"].shape[1] == (1 if bidirectional else T)


def test_without_a_test_part_the_validation_part_is_looked_at(tmp_path):
    classifier, run = fitted(tmp_path, test=None)
    validated = classifier._read(X, Y, None, None).validate_on + 1
    cases = [int(label.split(":")[0].removeprefix("case ")) for label in Inside.load(run).facts["labels"]]
    assert set(cases) <= set(validated.tolist())


@pytest.mark.parametrize("architecture", ["cnn", "transformer"])
def test_others_keep_feature_maps_or_attention(tmp_path, architecture):
    classifier, run = fitted(tmp_path, architecture=architecture)
    seen = Features.load(run)
    assert not (run / "inside.json").exists()
    assert bool(seen.facts["layers"]) == (architecture == "cnn") and seen.facts["sides"] == 1
    for n, told in enumerate(seen.facts["cases"]):
        case = int(told["label"].split(":")[0].removeprefix("case ")) - 1
        np.testing.assert_allclose(seen.arrays[f"output.{n}"], classifier.predict_proba([X[case]])[0], atol=1e-5)
        np.testing.assert_allclose(seen.arrays[f"read.{n}"], X[case], rtol=1e-6)


def test_images_keep_maps_of_both_sides(tmp_path):
    random = np.random.default_rng(0)
    y = np.arange(60) % 2
    images = random.normal(size=(60, 6, 5))
    images[y == 1, 1:4, 1:4] += 2
    run = tmp_path / "run"
    settings = SMALL | {"architecture": "cnn", "layout": "image", "num_layers": 2}
    SequenceClassifier(**settings).fit(images, y, run=run)
    seen = Features.load(run)
    assert seen.facts["sides"] == 2 and seen.facts["cases"][0]["size"] == [6, 5]
    case = int(seen.facts["cases"][0]["label"].split(":")[0].removeprefix("case ")) - 1
    np.testing.assert_allclose(seen.arrays["read.0"][..., 0], images[case], rtol=1e-6)


@pytest.mark.parametrize("architecture", ["gru", "cnn"])
def test_numbers_are_told_in_their_unit(tmp_path, architecture):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 10))
    y = 100 + 30 * x.mean(axis=1)
    run = tmp_path / "run"
    regressor = SequenceRegressor(**SMALL, architecture=architecture).fit(x, y, test=20, run=run)
    if architecture == "gru":
        seen = Inside.load(run)
        cases = [int(label.split(":")[0].removeprefix("case ")) - 1 for label in seen.facts["labels"]]
        said = seen.arrays["outputs"][:, -1, 0]
        np.testing.assert_allclose(seen.arrays["truth"][:, -1], y[cases[: len(said)]], rtol=1e-6)
    else:
        seen = Features.load(run)
        cases = [int(told["label"].split(":")[0].removeprefix("case ")) - 1 for told in seen.facts["cases"]]
        said = np.array([told["answer"] for told in seen.facts["cases"]])
    np.testing.assert_allclose(said, regressor.predict(x[cases[: len(said)]]), rtol=1e-4)


def test_what_reads_all_at_once_keeps_no_look_and_neither_does_who_wants_none(tmp_path):
    x = np.stack([one[:6] for one in X])
    SequenceClassifier(**SMALL, architecture="mlp").fit(x, Y, run=tmp_path / "mlp")
    SequenceClassifier(**SMALL, probe=0).fit(X, Y, run=tmp_path / "unseen")
    for name in ("mlp", "unseen"):
        assert not any((tmp_path / name / f"{look}.json").exists() for look in ("inside", "features"))


def test_sequences_of_a_single_step_are_not_looked_into(tmp_path):
    run = tmp_path / "run"
    SequenceClassifier(**SMALL).fit([x[:1] for x in X], Y, run=run)
    assert not (run / "inside.json").exists()


def test_looking_changes_no_weight(tmp_path):
    classifier, _ = fitted(tmp_path)
    alone = SequenceClassifier(**SMALL).fit(X, Y, test=0.3)
    for one, other in zip(classifier.network_.parameters(), alone.network_.parameters(), strict=True):
        assert torch.equal(one, other)
