"""Texts are classified, explained word by word, kept and resumed; what can't be read is named."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.model_selection import cross_val_score

from elman import TextClassifier, load
from elman.data.subwords import Subwords, hashed, pieces_of
from elman.data.texts import TokenCases, read_texts, unknown_words
from elman.data.tokens import Words
from elman.data.vectors import read_vectors
from elman.errors import InputError
from elman.models.text import thinned
from elman.tasks.explaining import Explanation, odds

SMALL = {"hidden_size": 8, "embedding_size": 12, "epochs": 12, "learning_rate": 0.02, "average": None, "buckets": 2000}
GOOD, BAD = ["good", "fine", "lovely", "great", "sweet"], ["bad", "awful", "sad", "poor", "ugly"]


def reviews(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        words = random.choice(
            ["the", "a", "film", "book", "day", "was", "and", "so"], size=random.integers(2, 8)
        ).tolist()
        up = bool(random.integers(2))
        words.insert(int(random.integers(len(words) + 1)), str(random.choice(GOOD if up else BAD)))
        texts.append(" ".join(words))
        labels.append("up" if up else "down")
    return texts, labels


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return TextClassifier(**SMALL).fit(*reviews(200))


def test_it_learns_which_words_count(fitted):
    assert fitted.score(*reviews(100, seed=1)) > 0.97
    p = fitted.predict_proba(["a lovely book", "the awful book"])
    assert p.sum(axis=1) == pytest.approx(1) and p[0, 1] > 0.8 and p[1, 0] > 0.8


def test_a_word_that_was_never_seen_is_told_by_its_pieces(fitted):
    assert fitted.predict(["goodness", "badly", "sadness"]).tolist() == ["up", "down", "down"]


def test_contributions_add_up_and_the_last_probability_is_that_of_the_text(fitted):
    text = "the day was lovely and so bad"
    for label in (None, "up", "down"):
        why = fitted.explain(text, label)
        p = fitted.predict_proba([text])[0]
        assert why.arriving[-1] == pytest.approx(p, abs=1e-6)
        assert why.probability == pytest.approx(p[fitted.classes_.tolist().index(why.label)], abs=1e-6)
        assert why.log_odds == pytest.approx(np.log(why.probability / (1 - why.probability)), abs=1e-6)
        assert why.contributions.sum() == pytest.approx(why.log_odds - why.baseline, abs=0.02)
        assert Explanation.from_dict(json.loads(json.dumps(why.to_dict()))).words == why.words
    up = fitted.explain(text, "up").contributions
    assert up.argmax() == 3 and up.argmin() == 6
    for n in range(1, 8):
        begin = " ".join(text.split()[:n])
        assert fitted.explain(text, "up").arriving[n - 1] == pytest.approx(fitted.predict_proba([begin])[0], abs=1e-6)
    with pytest.raises(InputError, match="label='sideways': one of down, up"):
        fitted.explain(text, "sideways")


def test_odds_by_hand():
    p = torch.tensor([1.0, 2.0, -1.0]).softmax(0)
    assert torch.allclose(odds(torch.tensor([1.0, 2.0, -1.0])), (p / (1 - p)).log(), atol=1e-6)


def test_an_empty_text_has_an_answer_that_rests_on_nothing(fitted):
    p = fitted.predict_proba(["", "   ", "good"])
    assert p[0] == pytest.approx(p[1], abs=1e-3) and not np.allclose(p[0], p[2], atol=0.1)
    assert fitted.explain("").words == ("",)


def test_beside_others_a_text_says_the_same(fitted):
    texts, _ = reviews(40, seed=3)
    together = fitted.predict_proba(texts)
    assert np.allclose(together, np.concatenate([fitted.predict_proba([text]) for text in texts]), atol=1e-12)


@pytest.mark.parametrize("architecture", ["rnn", "lstm", "mingru", "cnn", "transformer", "mlp"])
@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_every_architecture_reads_and_is_kept(tmp_path, architecture, tokens):
    settings = SMALL | {"architecture": architecture, "tokens": tokens, "epochs": 2}
    fitted = TextClassifier(**settings).fit(*reviews(60))
    texts = ["good day", "so sad", ""]
    before = fitted.predict_proba(texts)
    fitted.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict_proba(texts), before)
    assert fitted.explain("good day").contributions.shape == (2 if tokens == "words" else 8,)


@pytest.mark.parametrize("tokens", ["byte-pairs", "bytes"])
def test_other_tokens(tokens):
    fitted = TextClassifier(**SMALL | {"tokens": tokens, "epochs": 3}).fit(*reviews(100))
    assert fitted.predict_proba(["né \N{GRINNING FACE}"]).shape == (1, 2)


def test_unknown_words_are_told_where_nothing_is_known_of_them():
    fitted = TextClassifier(**SMALL | {"buckets": 0, "epochs": 2}).fit(*reviews(60))
    with pytest.warns(UserWarning, match=r"66.7% of the tokens are unknown to the model \(zebra, giraffe\)"):
        fitted.predict(["zebra giraffe good"])


def test_tables_and_their_columns(tmp_path):
    texts, labels = reviews(80)
    frame = pl.DataFrame({"n": range(80), "words": texts, "y": labels})
    fitted = TextClassifier(**SMALL | {"epochs": 2}).fit(frame)
    assert fitted.predict_table(frame).columns == ["case", "class", "p_down", "p_up"]
    assert np.array_equal(fitted.predict_proba(frame), fitted.predict_proba(texts))
    frame.write_csv(tmp_path / "a.csv")
    again = TextClassifier(**SMALL | {"epochs": 2, "label": "y"}).fit(str(tmp_path / "a.csv"))
    assert np.allclose(again.predict_proba(texts), fitted.predict_proba(texts))
    two = frame.with_columns(pl.lit("x").alias("more"))
    with pytest.raises(InputError, match=r"which column holds the texts.*words, more would do"):
        TextClassifier(**SMALL).fit(two)
    assert TextClassifier(**SMALL | {"epochs": 1, "text": "words"}).fit(two).column_ == "words"
    holes = frame.with_columns(pl.when(pl.col("n") == 7).then(None).otherwise(pl.col("words")).alias("words"))
    with pytest.raises(InputError, match=r"row 8.*the text in column 'words' is missing"):
        TextClassifier(**SMALL).fit(holes)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["a", None] * 10, "text 1: a string was expected, found None"),
        (["a", 3.5] * 10, "text 1: a string was expected, found 3.5"),
        (7, "a list of strings was expected, found int"),
    ],
)
def test_what_is_no_text(X, message):
    with pytest.raises(InputError, match=message):
        TextClassifier(**SMALL).fit(X, ["a", "b"] * 10)


def test_what_does_not_go_together():
    texts, labels = reviews(40)
    for settings, message in (
        ({"vectors": "none.txt"}, "none.txt does not exist"),
        ({"freeze_vectors": True}, "there are no vectors"),
        ({"tokens": "characters", "vectors": "none.txt"}, "choose tokens='words'"),
        ({"tokens": "pages"}, "tokens='pages'"),
    ):
        with pytest.raises(InputError, match=message):
            TextClassifier(**SMALL | settings).fit(texts, labels)
    with pytest.raises(InputError, match="at least two classes"):
        TextClassifier(**SMALL).fit(texts, ["a"] * 40)


def test_a_long_text_is_cut_and_that_is_noted():
    texts, labels = reviews(60)
    fitted = TextClassifier(**SMALL | {"epochs": 1, "longest": 3}).fit([t + " more words" for t in texts], labels)
    assert "were cut after 3 tokens" in fitted.notes_[0]


def test_vectors_are_read_frozen_and_kept(tmp_path):
    texts, labels = reviews(120)
    random = np.random.default_rng(0)
    lines = [f"{word} {' '.join(f'{v:.4f}' for v in random.normal(size=5))}" for word in [*GOOD, *BAD, "film", "zebra"]]
    with gzip.open(tmp_path / "vectors.txt.gz", "wt") as file:
        file.write("12 5\n" + "\n".join(lines) + "\n")
    settings = SMALL | {"embedding_size": None, "vectors": str(tmp_path / "vectors.txt.gz"), "freeze_vectors": True}
    fitted = TextClassifier(**settings | {"buckets": 0}).fit(texts, labels)
    assert fitted.size_ == 5 and "of the different words have a vector" in fitted.notes_[0]
    at = fitted.tokenizer_.tokens.index("good")
    assert fitted.network_.embedding.table.weight[at].tolist() == pytest.approx(
        [float(v) for v in lines[0].split()[1:]], abs=1e-6
    )
    fitted.save(tmp_path / "model")
    (tmp_path / "vectors.txt.gz").unlink()  # the model has them
    assert np.array_equal(load(tmp_path / "model").predict_proba(texts), fitted.predict_proba(texts))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no word vectors: it is empty"),
        ("river 1 2 3\nlake 1 2\n", "line 2: a word and 3 numbers"),
        ("river 1 2 nan\n", "line 1: the vector of 'river' has a number that is not finite"),
        ("river 1 2 x\n", "line 1: could not convert"),
        (b"\xff\xfe\x00", "is not a whole text file of word vectors"),
    ],
)
def test_bad_files_of_vectors(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_vectors(path, {"river", "lake"})
    with pytest.raises(InputError, match="is a folder"):
        read_vectors(tmp_path, {"river"})


def test_words_with_blanks_and_the_first_of_two(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\n. . 3 4\na 5 6\n")
    found = read_vectors(path, {"a", ". ."})
    assert {word: vector.tolist() for word, vector in found.items()} == {"a": [1, 2], ". .": [3, 4]}


def test_pieces():
    assert "^AA" in pieces_of("LOUD") and "^Aa" in pieces_of("Loud") and pieces_of("")[0] == ""
    assert hashed("river", 100).min() >= 1 and hashed("river", 100).max() <= 100
    bags = Subwords(["a", "river"], 50).bags(np.array([1, 0]))
    assert bags.shape == (2, len(pieces_of("river"))) and bags[1].tolist()[len(pieces_of("a")) :] == [0] * 13


def test_cases_are_taken_and_batched_in_order():
    texts = read_texts(["a b", "", "b c d :)"])
    cases = TokenCases.of(texts, Words.learned(["a b c"]), 3, 100)
    assert cases.lengths.tolist() == [2, 1, 3] and cases.words[2] == ("b", "c", "d")
    some = cases.take(np.array([2, 0]))
    tokens, lengths, places, bags = some.batch(torch.tensor([0, 1]))
    assert lengths.tolist() == [3, 2] and tokens[1, :2].tolist() == cases.ids[:2].tolist()
    assert torch.equal(bags[places[0, 0]], bags[places[1, 1]])  # both are b
    assert unknown_words(cases) == {"d": 1}


def test_a_run_is_resumed_to_the_same_weights(tmp_path):
    texts, labels = reviews(120)
    whole = TextClassifier(**SMALL | {"epochs": 4}).fit(texts, labels, run=tmp_path / "whole")

    def stop(event):
        if event["event"] == "step" and event["step"] == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TextClassifier(**SMALL | {"epochs": 4}).fit(texts, labels, run=tmp_path / "cut", on_event=stop)
    resumed = TextClassifier(**SMALL | {"epochs": 4}).fit(texts, labels, run=tmp_path / "cut", resume=True)
    for name, weight in whole.network_.state_dict().items():
        assert torch.equal(weight, resumed.network_.state_dict()[name]), name


def test_scores_stand_beside_those_of_counted_words():
    texts, labels = reviews(150)
    fitted = TextClassifier(**SMALL | {"epochs": 3}).fit(texts, labels, test=0.2)
    rows = fitted.evaluate(texts, labels, test=0.2).rows
    assert rows["model"].to_list() == ["gru", "majority", "tf-idf", "tf-idf+"]


def test_cross_validation_by_scikit_learn():
    texts, labels = reviews(90)
    scores = cross_val_score(TextClassifier(**SMALL | {"epochs": 8}), np.array(texts, dtype=object), labels, cv=2)
    assert scores.shape == (2,)


def test_a_network_is_judged_as_if_it_were_calibrated(fitted):
    outputs = torch.tensor([[4.0, 0.0], [3.0, 0.0], [0.0, 2.0], [5.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])  # the last is wrong, and very sure
    judged, cost = fitted._judge(outputs, y).item(), fitted._cost(outputs, y).item()
    assert judged < 0.8 * cost
    assert fitted._judge(3 * outputs, y).item() == pytest.approx(judged, rel=1e-3)


def test_numbers_are_taken_from_all_words_alike_and_words_whole():
    torch.manual_seed(0)
    x = thinned(torch.ones(50, 40, 30), 0.3, 0.2)
    gone = (x == 0).all(dim=2)
    assert abs(gone.double().mean().item() - 0.2) < 0.03
    for row, words in zip(x, gone, strict=True):
        kept = row[~words]
        assert (kept == kept[0]).all() and kept[0].unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert abs((x[~gone] == 0).double().mean().item() - 0.3) < 0.05
