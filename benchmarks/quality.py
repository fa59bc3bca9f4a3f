"""How well networks learn, each beside named baselines on the same split.

    python benchmarks/quality.py --data FOLDER --json docs/benchmarks/quality.json --page docs/quality.md
    python benchmarks/quality.py --rows digits,anes96 --quick

vowels: nine speakers by one word, japanese_vowels.npz in FOLDER (`data, lengths, y`), the official split: 270 and 370.
digits: scikit-learn's 8 x 8 digits, read pixel by pixel (64 steps of one number), one fifth held out.
tweets: whether people rated a tweet above 0, vader_tweets.txt in FOLDER (number, mean rating, text), by five-fold
    cross-validation; the spread is over the folds, and all learn from four of them. `TextClassifier`.
pos: the part of speech of each word, ewt_dev_pos.tsv in FOLDER, its last fifth of sentences held out; `SequenceTagger`.
anes96: statsmodels' survey of 1996, a vote and a party of seven from a few answers, one quarter held out; `mlp`.

A network has the default settings but for what its row names; all were chosen on training parts alone. Numbers are
means and standard deviations over seeds, which change everything but the split. Rows whose data are not there are left
out, and said to be.
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

from elman import SequenceClassifier, SequenceTagger, TextClassifier
from elman.data.tagged import Tagged, read_tagged
from elman.tasks.case_scoring import CaseScores

METRICS = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced", "accuracy_unknown": "new words", "f1_macro": "macro F1",
    "log_loss": "log loss", "calibration_error": "ECE",
}  # fmt: skip
LEFT_OUT = {"classify": ("f1_macro",), "tag": ()}
ANSWERS = ["age", "educ", "income", "logpopul", "TVnews", "selfLR", "ClinLR", "DoleLR"]


@dataclass(frozen=True)
class Task:
    """Cases whose last `test` ones are held out, and what is to be reached on them."""

    name: str
    X: Any
    y: np.ndarray
    test: int
    networks: Sequence[dict[str, Any]]
    goal: float | None = None  # accuracy of the first network, mean over the seeds


class Missing(Exception):
    """The data of a task are not there."""


def vowels(data: Path | None) -> Iterator[Task]:
    if data is None or not (data / "japanese_vowels.npz").is_file():
        raise Missing("there is no japanese_vowels.npz in --data")
    with np.load(data / "japanese_vowels.npz") as file:
        parts = np.split(file["data"], np.cumsum(file["lengths"])[:-1])
        networks = [{}, {"architecture": "lstm"}, {"architecture": "cnn"}, {"architecture": "transformer"}]
        yield Task("vowels", parts, file["y"], 370, networks, goal=0.97)


def digits(data: Path | None) -> Iterator[Task]:
    X, y = load_digits(return_X_y=True)
    order = np.concatenate(train_test_split(np.arange(len(y)), test_size=0.2, random_state=0, stratify=y))
    networks = [{}, {"architecture": "cnn"}]
    yield Task("digits", X[order], y[order], round(0.2 * len(y) + 0.5), networks, goal=0.96)


def anes96(data: Path | None) -> Iterator[Task]:
    try:
        from statsmodels.datasets import anes96 as survey
    except ImportError:
        raise Missing("statsmodels is not installed") from None
    table = pl.DataFrame({c: v.to_numpy() for c, v in survey.load_pandas().data.items()})
    for label, inputs, categories in (("vote", [*ANSWERS, "PID"], ("PID",)), ("PID", ANSWERS, ())):
        y = table[label].to_numpy().astype(int)
        order = np.concatenate(train_test_split(np.arange(len(y)), test_size=0.25, random_state=0, stratify=y))
        network = {"architecture": "mlp", "categories": categories}
        yield Task(f"anes96: {label}", table[order].select(inputs), y[order], len(y) // 4, [network])


@dataclass(frozen=True)
class Splits:
    """A part held out for each of some trials, in which a network of each of `networks` learns from the rest."""

    name: str
    make: Callable[..., Any]  # an estimator from its settings
    networks: Sequence[dict[str, Any]]
    parts: Callable[
        [int], Iterator[tuple[Any, Any, int]]
    ]  # X, y and how many last ones are held out, of so many trials
    goal: float | None = None
    beat: str | None = None  # the baseline that is to be beaten


def tweets(data: Path | None) -> Iterator[Splits]:
    if data is None or not (data / "vader_tweets.txt").is_file():
        raise Missing("there is no vader_tweets.txt in --data")
    rows = [line.split("\t") for line in (data / "vader_tweets.txt").read_text().splitlines()]
    X, y = [row[2] for row in rows], np.array([float(row[1]) > 0 for row in rows])

    def parts(trials: int) -> Iterator[tuple[Any, Any, int]]:
        folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
        for _, (train, test) in zip(range(trials), folds, strict=False):
            order = [*train, *test]
            yield [X[k] for k in order], y[order], len(test)

    yield Splits("tweets", TextClassifier, [{}], parts, beat="tf-idf+")


def pos(data: Path | None) -> Iterator[Splits]:
    if data is None or not (data / "ewt_dev_pos.tsv").is_file():
        raise Missing("there is no ewt_dev_pos.tsv in --data")
    whole = read_tagged(data / "ewt_dev_pos.tsv")

    def parts(trials: int) -> Iterator[tuple[Any, Any, int]]:
        for _ in range(trials):
            yield Tagged(whole.words, whole.labels), None, round(0.2 * len(whole.words))

    yield Splits("pos", SequenceTagger, [{}, {"crf": True}], parts, beat="linear")


TASKS: dict[str, Callable[[Path | None], Iterator[Task | Splits]]] = {
    "vowels": vowels, "digits": digits, "tweets": tweets, "pos": pos, "anes96": anes96,
}  # fmt: skip


def tried(task: Splits, trials: int, quick: bool) -> dict[str, Any]:
    """A row for each network and baseline: for each metric one value a trial, and what a network took to train."""
    rows: dict[str, dict[str, Any]] = {}
    for settings in task.networks[: 1 if quick else None]:
        own = ", ".join(f"{key}" for key in settings)
        for seed, (X, y, test) in enumerate(task.parts(trials)):
            began = time.perf_counter()
            network = task.make(seed=seed, **settings, **({"epochs": 1} if quick else {}))
            network.fit(X, y, test=test)
            seconds = time.perf_counter() - began
            scores = network.evaluate(X, y, test=test)
            for told in scores.summary["rows"]:
                name = told["model"] + (f", {own}" if own and told["kind"] == "network" else "")
                if settings is not task.networks[0] and told["kind"] == "baseline":
                    continue
                row = rows.setdefault(name, {"model": name, "kind": told["kind"], "settings": settings})
                if told["kind"] == "network":
                    row.setdefault("seconds", []).append(seconds)
                    print(f"{task.name}, {name}, {seed}: {told['accuracy']:.4f}, {seconds:.0f} s", flush=True)
                add(row, scores, told["model"])
    sizes = [len(y) - test if y is not None else len(X.words) - test, test]
    ordered = sorted(rows.values(), key=lambda row: row["kind"] == "baseline")
    return {"name": task.name, "cases": sizes, "goal": task.goal, "beat": task.beat, "rows": ordered}


def measured(task: Task, seeds: int, quick: bool) -> dict[str, Any]:
    """A row for each network and baseline: for each metric one value a seed, and what a network took to train."""
    X, y, test = task.X, task.y, task.test
    if quick:
        X, y, test = X[-200:], y[-200:], 100
    rows: dict[str, dict[str, Any]] = {}
    for settings in task.networks[: 1 if quick else None]:
        name = settings.get("architecture", SequenceClassifier.architecture)
        row = rows[name] = {"model": name, "kind": "network", "settings": settings, "seconds": []}
        for seed in range(seeds):
            began = time.perf_counter()
            network = SequenceClassifier(seed=seed, **settings, **({"epochs": 1} if quick else {}))
            network.fit(X, y, test=test)
            row["seconds"].append(time.perf_counter() - began)
            first = not seed and settings is task.networks[0]
            scores = network.evaluate(X, y, test=test) if first else network.evaluate(X[-test:], y[-test:])
            add(row, scores, name)
            if first:  # the baselines draw no random numbers
                for baseline in scores.summary["rows"][1:]:
                    rows[baseline["model"]] = add(
                        {"model": baseline["model"], "kind": "baseline"}, scores, baseline["model"]
                    )
            print(
                f"{task.name}, {name}, seed {seed}: {row['accuracy'][-1]:.4f}, {row['seconds'][-1]:.0f} s", flush=True
            )
    ordered = sorted(rows.values(), key=lambda row: row["kind"] == "baseline")
    return {"name": task.name, "cases": [len(y) - test, test], "goal": task.goal, "rows": ordered}


def add(row: dict[str, Any], scores: CaseScores, model: str) -> dict[str, Any]:
    for metric in METRICS:
        if metric in scores.rows.columns and metric not in LEFT_OUT[scores.summary["task"]]:
            row.setdefault(metric, []).append(scores.value(model, metric))
    return row


def spread(values: Sequence[float], digits: int) -> str:
    """
    >>> spread([0.5, 0.7], 2), spread([3.0], 1)
    ('0.60 ± 0.14', '3.0')
    """
    beside = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{beside}"


def table(result: dict[str, Any]) -> str:
    shown = {metric: name for metric, name in METRICS.items() if metric in result["rows"][0]}
    lines = [
        f"### {result['name']}",
        "",
        f"{result['cases'][0]} cases to learn from, {result['cases'][1]} held out." + verdict(result),
        "",
        "| model | " + " | ".join(shown.values()) + " | seconds |",
        "|---|" + "---|" * (len(shown) + 1),
    ]
    for row in result["rows"]:
        cells = [spread(row[metric], 3) for metric in shown]
        seconds = spread(row["seconds"], 0) if "seconds" in row else ""
        name = f"**{row['model']}**" if row["kind"] == "network" else row["model"]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {seconds} |")
    return "\n".join(lines)


def verdict(result: dict[str, Any]) -> str:
    """
    >>> verdict({"goal": 0.9, "rows": [{"model": "gru", "accuracy": [0.8, 0.9]}]})
    ' The goal of 90 % for gru was missed: 85.0 %.'
    """
    first = result["rows"][0]
    if result.get("beat"):
        other = next(row for row in result["rows"] if row["model"] == result["beat"])
        apart = 100 * (mean(first["accuracy"]) - mean(other["accuracy"]))
        word = "more" if apart > 0 else "less"
        return f" {first['model']} names {abs(apart):.1f} points {word} right than {other['model']}."
    if result["goal"] is None:
        return ""
    reached = mean(first["accuracy"])
    word = "reached" if reached >= result["goal"] else "missed"
    return f" The goal of {result['goal']:.0%} for {first['model']} was {word}: {100 * reached:.1f} %.".replace(
        "%", " %", 1
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(TASKS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a look at whether it runs: one epoch, few cases")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--page", type=Path, help="whose part between <!-- quality --> and <!-- /quality --> is written"
    )
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.json and options.json.exists():  # rows that are not measured now stay
        results = {r["name"]: r for r in json.loads(options.json.read_text())["tasks"]}
    for name in options.rows.split(","):
        if name not in TASKS:
            parser.error(f"expected some of {', '.join(TASKS)}; found {name!r}")
        try:
            for task in TASKS[name](options.data):
                measure = tried if isinstance(task, Splits) else measured
                results[task.name] = measure(task, 1 if options.quick else options.seeds, options.quick)  # type: ignore[arg-type]
                if options.json:
                    facts = {"torch": str(torch.__version__), "tasks": list(results.values())}
                    options.json.write_text(json.dumps(facts, indent=1) + "\n")
        except Missing as why:
            print(f"{name} is left out: {why}")
    text = "\n\n".join(table(result) for result in results.values())
    print(text)
    if options.page:
        page = options.page.read_text()
        inside = f"<!-- quality -->\n{text}\n<!-- /quality -->"
        options.page.write_text(re.sub("<!-- quality -->.*<!-- /quality -->", lambda _: inside, page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
