"""What a page tells of the scores of classifiers: of sequences, images, rows and texts, and of the tags of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from elman.report import words
from elman.report.runs import Metric, Row, Scores
from elman.report.scores import HIGH, LOW, Column

UNNAMED = "class"  # what a target is called that had no name


def points(gap: float) -> str:
    """
    >>> points(0.0371), points(0.01)
    ('3.7 points', '1.0 points')
    """
    return f"{100 * gap:.1f} points"


@dataclass(frozen=True, kw_only=True)
class ClassScores(Scores):
    """Of each model one row, and its confusion matrix: how many cases of each class it took for each."""

    classes: Sequence[str]
    confusion: Mapping[str, Sequence[Sequence[int]]]
    reliability: Sequence[Row]

    metric: ClassVar[Metric] = Metric(
        "accuracy", "accuracy", "Accuracy: the share of cases that were named right.", words.percent, gap=points
    )
    baselines: ClassVar[Mapping[str, str]] = {
        "majority": "the most frequent class",
        "logistic": "logistic regression",
        "boosting": "gradient boosting",
    }
    intro: ClassVar[str] = (
        "Each line is one way to name the class, judged on the test part. A star marks the best of a column. The "
        "baselines need no network: what they reach is what a network has to beat."
    )
    how: ClassVar[str] = (
        "Accuracy: the share of cases named right. Balanced: the mean over the classes of the share found of each, so "
        "that rare classes count as much as frequent ones. Macro F1: the mean over the classes of precision and share "
        "found in one. Log loss and Brier: how far the probabilities were from the truth; lower is better. ECE: how "
        "far “80 % sure” is from right in 80 of 100 cases; 0 is best, but not marked, as who always names the most "
        "frequent class, and as sure as it is frequent, has it too."
    )
    measures: ClassVar[Sequence[Column]] = (
        Column("accuracy", "accuracy", words.percent, HIGH),
        Column("balanced", "balanced_accuracy", words.percent, HIGH),
        Column("macro F1", "f1_macro", words.score, HIGH),
        Column("log loss", "log_loss", words.score, LOW),
        Column("Brier", "brier", words.score, LOW),
        Column("ECE", "calibration_error", words.percent),
    )
    unit: ClassVar[str] = "cases"

    @classmethod
    def _fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        classes = [str(name) for name in raw["classes"]]
        confusion = {
            str(model): [[int(count) for count in row] for row in matrix]
            for model, matrix in (raw.get("confusion") or {}).items()
        }
        for matrix in confusion.values():
            if [len(row) for row in matrix] != [len(classes)] * len(classes):
                raise ValueError(f"a confusion matrix is not {len(classes)} by {len(classes)}")
        bins = [row for row in raw.get("reliability") or () if isinstance(row, dict)]
        fields = super()._fields({"target": UNNAMED, **raw})
        return fields | {"classes": classes, "confusion": confusion, "reliability": bins}

    @property
    def title(self) -> str:
        return f"Classifying by {self.target}"

    @property
    def count(self) -> int | None:
        """How many cases it was tested on."""
        found = self.test.get(self.unit, self.test.get("cases"))
        return found if isinstance(found, int) else None

    @property
    def about(self) -> str:
        named = ", ".join(self.classes[:12]) + (" and others" if len(self.classes) > 12 else "")
        return (
            f"Tested on {words.cases(self.count)} {self.unit}, none of which was used in training. The "
            f"{len(self.classes)} classes: {named}."
        )

    @property
    def tested(self) -> tuple[object, ...]:
        return self.target, self.count, *self.classes

    def found(self, network: str, value: float) -> str:
        of = f" of {words.cases(self.count)}" if self.count is not None else ""
        target = "the class" if self.target == UNNAMED else self.target
        return f"{network} names {target} right in {words.percent(value)}{of} {self.unit}"

    def numbers(self, mean: Callable[..., float | None], best: tuple[str, float] | None) -> list[tuple[str, str]]:
        numbers = [(f"of the {self.unit} named right (accuracy)", words.percent(mean("accuracy")))]
        if best:
            numbers.append((f"by the best baseline, {best[0]}", words.percent(best[1])))
        others = (
            ("balanced_accuracy", "found of each class, on average (balanced accuracy)", words.percent),
            ("log_loss", "log loss of the probabilities (0 is perfect)", words.score),
            ("calibration_error", "between how sure it is and how often it is right (ECE)", words.percent),
        )
        known = [(said, show(value)) for key, said, show in others if (value := mean(key)) is not None]
        return [*numbers, *known]

    def columns(self) -> list[Column]:
        """Those of which a model has a value."""
        return [c for c in self.measures if any(row.get(c.metric) is not None for row in self.rows)]


@dataclass(frozen=True, kw_only=True)
class TagScores(ClassScores):
    """The same of taggers, whose cases are words; spans of words are scored where the tags say where they begin."""

    metric: ClassVar[Metric] = Metric(
        "accuracy", "accuracy", "Accuracy: the share of words that got the right tag.", words.percent, gap=points
    )
    baselines: ClassVar[Mapping[str, str]] = {}
    intro: ClassVar[str] = (
        "Each line is one way to tag, judged on the words of the test part. A star marks the best of a column. The "
        "baselines need no network: what they reach is what a network has to beat."
    )
    how: ClassVar[str] = (
        "Accuracy: the share of words tagged right, of all, and of those that training had and had not. Span F1: "
        "precision and share found, in one, of whole spans with their kind. Macro F1: the mean over the tags."
    )
    measures: ClassVar[Sequence[Column]] = (
        Column("accuracy", "accuracy", words.percent, HIGH),
        Column("known words", "accuracy_known", words.percent, HIGH),
        Column("unknown words", "accuracy_unknown", words.percent, HIGH),
        Column("span F1", "span_f1", words.percent, HIGH),
        Column("span precision", "span_precision", words.percent, HIGH),
        Column("span recall", "span_recall", words.percent, HIGH),
        *ClassScores.measures[1:],
    )
    unit: ClassVar[str] = "words"

    @property
    def title(self) -> str:
        return "Tagging each word"

    def found(self, network: str, value: float) -> str:
        return f"{network} gives {words.percent(value)} of {words.cases(self.count)} words the right tag"

    def numbers(self, mean: Callable[..., float | None], best: tuple[str, float] | None) -> list[tuple[str, str]]:
        numbers = super().numbers(mean, best)
        for key, said in (
            ("accuracy_unknown", "of the words that training had not"),
            ("span_f1", "F1 of whole spans"),
        ):
            if (value := mean(key)) is not None:
                numbers.insert(2 if best else 1, (said, words.percent(value)))
        return numbers
