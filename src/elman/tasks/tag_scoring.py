"""Scores of labels of words, each beside those of baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from sklearn import metrics

from elman.tasks.case_scoring import CaseScores
from elman.training.spans import has_spans, span_scores

Sentences = Sequence[Sequence[str]]


def score_tags(
    models: Mapping[str, Sentences],
    words: Sentences,
    truth: Sentences,
    *,
    classes: Sequence[str],
    known: frozenset[str],
    chances: Sequence[Sequence[float]],
    notes: Sequence[str],
) -> CaseScores:
    """Score what each of `models`, the first of which is the network, says of `words`.

    known: the words of the training part; chances: how likely the network holds each label that it gives.
    """
    network = next(iter(models))
    y = [tag for of in truth for tag in of]
    new = [word not in known for of in words for word in of]
    rows, by_label = [], {}
    spans = has_spans(classes)
    for name, said in models.items():
        flat = [tag for of in said for tag in of]
        right = [a == b for a, b in zip(y, flat, strict=True)]
        unseen = [r for r, n in zip(right, new, strict=True) if n]
        row: dict[str, Any] = {
            "model": name,
            "kind": "network" if name == network else "baseline",
            "accuracy": sum(right) / len(right),
            "accuracy_unknown": sum(unseen) / len(unseen) if unseen else float("nan"),
            "f1_macro": float(metrics.f1_score(y, flat, average="macro", zero_division=0)),
            "sentences": sum(list(a) == list(b) for a, b in zip(truth, said, strict=True)) / len(truth),
        }
        if spans:
            row["span_f1"] = span_scores(truth, said)[""]["f1"]
        rows.append(row)
        by_label[name] = _by_label(y, flat, classes)
    strange = sum(tag not in classes for tag in y)
    summary = {
        "task": "tag",
        "target": "label",
        "classes": list(classes),
        "test": {"cases": len(y), "sentences": len(words), "unknown": sum(new)},
        "notes": [*notes, *([f"{strange} words have a label that training had none of"] if strange else [])],
        "rows": rows,
        "confusion": {
            name: metrics.confusion_matrix(y, [t for of in said for t in of], labels=list(classes)).tolist()
            for name, said in models.items()
        },
        "by_label": by_label,
        "spans": {name: span_scores(truth, said) for name, said in models.items()} if spans else None,
    }
    frame = pl.DataFrame(
        {
            "sentence": [k + 1 for k, of in enumerate(words) for _ in of],
            "word": [word for of in words for word in of],
            "y": y,
            **{name: [tag for of in said for tag in of] for name, said in models.items()},
            "p": [p for of in chances for p in of],
        }
    )
    return CaseScores(summary, frame)


def _by_label(y: Sequence[str], said: Sequence[str], classes: Sequence[str]) -> dict[str, dict[str, float]]:
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        y, said, labels=list(classes), zero_division=0
    )
    return {
        name: {
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "support": int(support[k]),
        }
        for k, name in enumerate(classes)
    }
