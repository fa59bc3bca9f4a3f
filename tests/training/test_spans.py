"""Spans, by hand and as the script of the CoNLL shared tasks counts them."""

import pytest

from elman.training.spans import has_spans, span_scores, spans_of


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("O O", set()),
        ("B-A I-A I-A", {(0, 3, "A")}),
        ("I-A I-A O I-A", {(0, 2, "A"), (3, 4, "A")}),  # IOB1
        ("I-A B-A", {(0, 1, "A"), (1, 2, "A")}),
        ("B-A I-B", {(0, 1, "A"), (1, 2, "B")}),
        ("S-A S-A", {(0, 1, "A"), (1, 2, "A")}),  # BIOES
        ("B-A I-A E-A I-A", {(0, 3, "A"), (3, 4, "A")}),
        ("B-A L-A U-B", {(0, 2, "A"), (2, 3, "B")}),  # BILOU
        ("E-A", {(0, 1, "A")}),
        ("B-A-B I-A-B", {(0, 2, "A-B")}),
    ],
)
def test_by_hand(labels, spans):
    assert spans_of(labels.split()) == spans


def test_kinds_of_labels():
    assert has_spans(["O", "B-PER", "I-PER"]) and not has_spans(["NOUN", "VERB"]) and not has_spans(["O"])
    assert not has_spans(["O", "B-PER", "NOUN"])


def test_scores_by_kind():
    truth = [["B-A", "I-A", "O", "B-B"], ["B-B", "O"]]
    said = [["B-A", "O", "O", "B-B"], ["B-B", "B-A"]]
    found = span_scores(truth, said)
    assert found["B"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2}
    assert found["A"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert found[""]["precision"] == 2 / 4 and found[""]["recall"] == 2 / 3
