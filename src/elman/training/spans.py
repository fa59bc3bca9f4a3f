"""Spans of labels that begin, go on and end: named entities and the like."""

import re
from collections import Counter
from collections.abc import Sequence

SPAN = re.compile(r"[BIESLU]-.+")
Span = tuple[int, int, str]


def has_spans(labels: Sequence[str]) -> bool:
    """Whether labels are of that kind: O, and such as B-PER and I-PER (or E-, S-, L-, U-)."""
    return any(SPAN.fullmatch(label) for label in labels) and all(
        label == "O" or SPAN.fullmatch(label) for label in labels
    )


def spans_of(labels: Sequence[str]) -> set[Span]:
    """The spans of one sentence: the first word, the one behind the last, and the kind.

    As the script of the CoNLL shared tasks counts them, so IOB1, IOB2 and BIOES are all read: a span ends before O,
    another kind, B-, S- or U-, and after E-, L-, S- or U-; what goes on without a beginning begins there.

    >>> sorted(spans_of(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "S-ORG"]))
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC'), (5, 6, 'ORG')]
    """
    found: set[Span] = set()
    begin, kind, ended = 0, "", True
    for k, label in enumerate([*labels, "O"]):
        mark, _, name = label.partition("-")
        goes_on = not ended and mark in "IEL" and name == kind
        if not ended and not goes_on:
            found.add((begin, k, kind))
        if mark == "O":
            ended = True
            continue
        if not goes_on:
            begin, kind = k, name
        ended = mark in "ELSU"
        if ended:
            found.add((begin, k + 1, kind))
    return found


def span_scores(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of the spans of each kind, and of all ("").

    >>> span_scores([["B-A", "I-A", "B-B"]], [["B-A", "I-A", "O"]])[""]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
    """
    there, named, right = Counter[str](), Counter[str](), Counter[str]()
    for of, by in zip(truth, said, strict=True):
        true, found = spans_of(of), spans_of(by)
        for counter, spans in ((there, true), (named, found), (right, true & found)):
            for *_, kind in spans:
                counter.update([kind, ""])
    return {kind: _scores(there[kind], named[kind], right[kind]) for kind in sorted({"", *there, *named})}


def _scores(there: int, named: int, right: int) -> dict[str, float]:
    return {
        "precision": right / named if named else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (named + there) if named + there else 0.0,
        "support": there,
    }
