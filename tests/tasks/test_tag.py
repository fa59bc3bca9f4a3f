"""Words are labelled by their place and their form; all sides of the estimator."""

import numpy as np
import polars as pl
import pytest
import torch

from elman import SequenceTagger, load
from elman.errors import InputError
from elman.tasks.tag_baselines import linear, most_frequent

SMALL = {
    "hidden_size": 12, "embedding_size": 12, "epochs": 12, "learning_rate": 0.02, "average": None, "buckets": 2000,
    "dropout": 0.1,
}  # fmt: skip
NOUNS, VERBS = ["dog", "cat", "bird", "house"], ["walks", "sings", "jumps", "sleeps"]


def sentences(n: int, seed: int = 0):
    random = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(n):
        words, tags = [], []
        for _ in range(random.integers(1, 4)):
            words += [str(random.choice(["the", "a"])), str(random.choice(NOUNS)), str(random.choice(VERBS))]
            tags += ["DET", "NOUN", "VERB"]
        X.append(words)
        y.append(tags)
    return X, y


@pytest.fixture(scope="module", params=[False, True], ids=["softmax", "crf"])
def fitted(request):
    return SequenceTagger(**SMALL, crf=request.param).fit(*sentences(120))


def test_it_learns(fitted):
    assert fitted.score(*sentences(40, seed=1)) > 0.99


def test_new_words_are_told_by_their_endings(fitted):
    assert fitted.predict([["the", "zog", "dreams"]])[0][2] == "VERB"


def test_probabilities_are_of_the_labels(fitted):
    X, _ = sentences(5, seed=2)
    for p, labels, words in zip(fitted.predict_proba(X), fitted.predict(X), X, strict=True):
        assert p.shape == (len(words), 3) and p.sum(axis=1) == pytest.approx(1)
        assert [fitted.classes_[k] for k in p.argmax(axis=1)] == labels


def test_beside_others_a_sentence_says_the_same(fitted):
    X, _ = sentences(20, seed=3)
    together = fitted.predict_proba(X)
    for words, p in zip(X, together, strict=True):
        assert np.allclose(fitted.predict_proba([words])[0], p, atol=1e-10)


def test_saved_and_loaded(fitted, tmp_path):
    X, _ = sentences(5, seed=4)
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(X) == fitted.predict(X)
    assert all(np.array_equal(a, b) for a, b in zip(again.predict_proba(X), fitted.predict_proba(X), strict=True))


def test_scores_beside_baselines(fitted):
    X, y = sentences(60, seed=5)
    scores = fitted.evaluate(X, y, test=20)
    assert scores.rows["model"].to_list() == ["lstm", "most frequent", "linear"]
    assert scores.value("lstm", "accuracy") == pytest.approx(fitted.score(X[-20:], y[-20:]))
    assert "span_f1" not in scores.rows.columns
    assert scores.predictions.height == sum(map(len, y[-20:]))
    strange = [[*of[:-1], "NEW"] for of in y[-20:]]
    found = fitted.evaluate(X[-20:], strange)
    assert (
        found.rows["model"].to_list() == ["lstm"]
        and "20 words have a label that training had none of" in found.summary["notes"]
    )


def test_spans_are_scored_where_labels_are_of_that_kind():
    X, y = sentences(60)
    spans = [["B-X" if tag == "DET" else "I-X" if tag == "NOUN" else "O" for tag in of] for of in y]
    scores = SequenceTagger(**SMALL, crf=True).fit(X, spans, test=0.3).evaluate(X, spans, test=0.3)
    assert scores.value("lstm", "span_f1") > 0.95
    assert scores.summary["spans"]["lstm"]["X"]["support"] > 5


@pytest.mark.parametrize("architecture", ["rnn", "gru", "mingru", "cnn", "transformer"])
def test_every_architecture_labels(architecture):
    fitted = SequenceTagger(**SMALL | {"architecture": architecture, "epochs": 3}).fit(*sentences(40))
    assert [len(of) for of in fitted.predict([["a"], ["the", "dog"]])] == [1, 2]


def test_numbers_are_labelled_step_by_step(tmp_path):
    random = np.random.default_rng(0)
    X = [random.normal(size=(int(n), 2)) for n in random.integers(5, 15, 80)]
    y = [["up" if v > 0 else "down" for v in np.cumsum(x[:, 0])] for x in X]
    fitted = SequenceTagger(**SMALL | {"epochs": 30}).fit(X, y)
    assert fitted.score(X, y) > 0.85
    assert fitted.predict_table(X[:1]).columns == ["sentence", "step", "label", "p"]
    fitted.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(X) == fitted.predict(X)
    with pytest.raises(InputError, match="was fitted on numbers, and words were given"):
        fitted.predict([["a"]])


def test_files(tmp_path):
    X, y = sentences(40)
    rows = "\n\n".join("\n".join(f"{w}\t{t}" for w, t in zip(a, b, strict=True)) for a, b in zip(X, y, strict=True))
    (tmp_path / "words.tsv").write_text(rows + "\n")
    fitted = SequenceTagger(**SMALL | {"epochs": 3}).fit(tmp_path / "words.tsv", test=0.2)
    assert (
        fitted.predict_table(tmp_path / "words.tsv")
        .select("word")
        .equals(pl.DataFrame({"word": [word for of in X for word in of]}))
    )
    assert fitted.predict(tmp_path / "words.tsv") == fitted.predict(X)
    with pytest.raises(InputError, match="leave y out"):
        fitted.score(tmp_path / "words.tsv", y)


@pytest.mark.parametrize("crf", [False, True])
def test_a_run_is_resumed_to_the_same_weights(tmp_path, crf):
    settings = SMALL | {"epochs": 3, "crf": crf}
    whole = SequenceTagger(**settings).fit(*sentences(60), run=tmp_path / "whole")

    def stop(event):
        if event["event"] == "step" and event["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SequenceTagger(**settings).fit(*sentences(60), run=tmp_path / "cut", on_event=stop)
    resumed = SequenceTagger(**settings).fit(*sentences(60), run=tmp_path / "cut", resume=True)
    for name, weight in whole.network_.state_dict().items():
        assert torch.equal(weight, resumed.network_.state_dict()[name]), name


def test_what_does_not_go_together():
    X, y = sentences(20)
    for settings, message in (
        ({"pooling": "mean"}, "pooling"),
        ({"architecture": "mlp"}, "architecture='mlp'"),
        ({"vectors": "none"}, "none does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            SequenceTagger(**SMALL | settings).fit(X, y)
    with pytest.raises(InputError, match="at least two labels"):
        SequenceTagger(**SMALL).fit(X, [["X"] * len(of) for of in X])
    with pytest.raises(InputError, match="sentence 0 has"):
        SequenceTagger(**SMALL).fit(X, [of[:-1] for of in y])
    with pytest.raises(InputError, match="two at least have to be left"):
        SequenceTagger(**SMALL).fit(X, y, test=19)


def test_baselines_by_hand():
    X, y = [["a", "b"], ["a", "c"]], [["X", "Y"], ["X", "Z"]]
    assert most_frequent(X, y, [["a", "b", "new"]]) == [["X", "Y", "Y"]]
    assert linear(*sentences(50), [["the", "dog", "walks"]]) == [["DET", "NOUN", "VERB"]]
    assert linear([["a"]], [["X"]], [["b", "c"]]) == [["X", "X"]]


@pytest.mark.parametrize("crf", [False, True])
def test_the_loss_of_a_batch_is_the_mean_over_its_words(crf):
    X, y = sentences(12)
    tagger = SequenceTagger(**SMALL, crf=crf)
    given, labels = tagger._read(X, y)
    lessons = tagger._prepare(given, labels, np.arange(12), np.arange(2))
    torch.manual_seed(0)
    network = tagger._network().double().eval()
    batch, tags = lessons.training.batch(torch.arange(12)), lessons._labels(np.arange(12))
    assert lessons.weigh((batch, tags)) == sum(map(len, y))
    alone = [
        lessons.loss(network, (lessons.training.batch(torch.tensor([k])), lessons._labels(np.array([k])))) * len(y[k])
        for k in range(12)
    ]
    assert lessons.loss(network, (batch, tags)).item() == pytest.approx(sum(alone).item() / sum(map(len, y)))
