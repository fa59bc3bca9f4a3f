"""What a page says of classifiers and taggers is what their run folders say."""

from __future__ import annotations

import json
import re
from math import comb
from statistics import mean, stdev

import numpy as np
import polars as pl
import pytest
from tests.report.case_runs import CLASSES, class_run, number_run

from elman.report.class_panels import LARGEST, chance, class_panels
from elman.report.compare import comparison
from elman.report.matrix import Matrix
from elman.report.page import page_of
from elman.report.reading import read_run
from elman.report.scores import groups_of, headline, score_table, verdict


def told(*runs):
    read = [read_run(run) for run in runs]
    assert not any(run.no_scores for run in read)
    return read, groups_of(read)


def rows_of(run):
    return {row["model"]: row for row in json.loads((run / "scores.json").read_text())["rows"]}


def panels_of(run):
    read, groups = told(run)
    return {panel.key: panel for panel in class_panels(groups, read[0])}


def change(run, what):
    scores = json.loads((run / "scores.json").read_text())
    what(scores)
    (run / "scores.json").write_text(json.dumps(scores))


def test_the_verdict_says_how_much_better_the_network_is(tmp_path):
    run = class_run(tmp_path / "run")
    rows = rows_of(run)
    own, other = (f"{100 * rows[name]['accuracy']:.1f} %" for name in ("gru", "logistic"))
    apart = 100 * (rows["gru"]["accuracy"] - rows["logistic"]["accuracy"])
    assert verdict(told(run)[1]) == [
        f"The GRU names team right in {own} of 120 cases; the best baseline, logistic regression, reaches {other}, "
        f"{apart:.1f} points less."
    ]


def test_the_verdict_is_honest_where_a_baseline_is_better(tmp_path):
    (said,) = verdict(told(class_run(tmp_path / "run", error=0.4, baseline=0.1))[1])
    assert "the best baseline, logistic regression, is better: " in said and said.endswith(" points more.")


def test_as_good_as_the_baseline_is_said_plainly(tmp_path):
    run = class_run(tmp_path / "run")
    change(run, lambda scores: scores["rows"][1].update(accuracy=scores["rows"][0]["accuracy"]))
    assert verdict(told(run)[1])[0].endswith(" %, as much.")


def test_seeds_are_one_row_with_mean_and_spread(tmp_path):
    runs = [class_run(tmp_path / f"{seed}", seed=seed) for seed in range(3)]
    groups = told(*runs)[1]
    values = [rows_of(run)["gru"]["accuracy"] for run in runs]
    columns, rows = score_table(groups)
    assert columns == ["accuracy", "balanced", "macro F1", "log loss", "Brier", "ECE"]
    assert [row.name for row in rows] == ["GRU", "logistic regression"] and rows[0].seeds == 3
    cell = rows[0].cells[0]
    assert cell.text == f"{100 * mean(values):.1f} %" and cell.spread == f"± {100 * stdev(values):.1f} %"
    assert rows[0].cells[0].best and not rows[1].cells[0].best
    assert not any(row.cells[-1].best for row in rows)  # who always says the same has a good ECE, too
    assert "(mean over three seeds)" in verdict(groups)[0]
    assert headline(groups[0])[0] == ("of the cases named right (accuracy)", f"{100 * mean(values):.1f} %")


def test_chance_is_the_exact_test_of_mcnemar_on_the_cases(tmp_path):
    run = class_run(tmp_path / "run")
    test = pl.read_parquet(run / "test.parquet")
    y = test["y"].to_list()
    right = {name: np.array([a == b for a, b in zip(test[name], y, strict=True)]) for name in ("gru", "logistic")}
    alone, other = (right["gru"] & ~right["logistic"]).sum(), (~right["gru"] & right["logistic"]).sum()
    (said,) = chance(told(run)[1])
    assert said.startswith(f"{alone} cases are named right by the network alone and ") and "logistic regression" in said
    # by hand: of n cases in which one alone is right, how often would a coin part them at least so unevenly
    n, few = alone + other, min(alone, other)
    p = min(1.0, 2 * sum(comb(int(n), k) for k in range(few + 1)) / 2 ** int(n))
    assert (f"p = {p:.3f}" in said or "p < 0.001" in said) if p < 0.05 else f"p = {p:.2f}" in said


def test_chance_says_nothing_without_the_cases(tmp_path):
    run = class_run(tmp_path / "run")
    (run / "test.parquet").unlink()
    assert chance(told(run)[1]) == []


def test_the_matrix_and_the_table_by_class_have_the_counts(tmp_path):
    run = class_run(tmp_path / "run")
    matrix = json.loads((run / "scores.json").read_text())["confusion"]["gru"]
    panels = panels_of(run)
    chart = panels["confusion"].figures[0].chart
    assert isinstance(chart, Matrix) and [list(row) for row in chart.counts] == matrix
    assert [row[1:4] for row in chart.table().rows] == [[str(n) for n in row] for row in matrix]
    for k, (name, there, named, precision, recall, f1) in enumerate(panels["classes"].tables[0][1].rows):
        column = sum(row[k] for row in matrix)
        assert (name, int(there), int(named)) == (CLASSES[k], sum(matrix[k]), column)
        p, r = matrix[k][k] / column, matrix[k][k] / sum(matrix[k])
        assert (precision, recall) == (f"{100 * p:.1f} %", f"{100 * r:.1f} %")
        assert f1 == f"{2 * p * r / (p + r):.3f}"
    pairs = panels["confusion"].tables[0][1].rows
    assert sum(int(row[2]) for row in pairs) == sum(map(sum, matrix)) - sum(matrix[k][k] for k in range(3))
    assert [int(row[2]) for row in pairs] == sorted((int(row[2]) for row in pairs), reverse=True)


def test_the_most_confident_mistakes_come_first(tmp_path):
    run = class_run(tmp_path / "run")
    test = pl.read_parquet(run / "test.parquet").with_columns(sure=pl.max_horizontal("p_blue", "p_green", "p_red"))
    wrong = test.filter(pl.col("y") != pl.col("gru")).sort("sure", descending=True)
    rows = panels_of(run)["mistakes"].tables[0][1].rows
    assert [row[0] for row in rows] == [str(case) for case in wrong["case"][:15]]
    assert [row[1:3] for row in rows] == [list(pair) for pair in wrong.select("y", "gru").rows()[:15]]
    assert [row[3] for row in rows] == [f"{100 * sure:.1f} %" for sure in wrong["sure"][:15]]


def test_a_class_that_training_had_not_has_no_probability(tmp_path):
    run = class_run(tmp_path / "run", error=0.0)
    test = pl.read_parquet(run / "test.parquet")
    y = ["unknown", *test["y"].to_list()[1:]]
    test.with_columns(y=pl.Series(y)).write_parquet(run / "test.parquet")
    (row,) = panels_of(run)["mistakes"].tables[0][1].rows
    assert row[1] == "unknown" and row[-1] == "–"


def test_of_too_many_classes_those_with_the_most_mistakes_are_in_the_matrix(tmp_path):
    run = class_run(tmp_path / "run", classes=[f"c{k}" for k in range(80)], cases=400)
    figure = panels_of(run)["confusion"].figures[0]
    assert len(figure.chart.classes) == LARGEST and figure.size == "whole"
    assert "Of 80 classes the 60 with the most mistakes are shown." in figure.how


@pytest.mark.parametrize("classes", [2, 12, 60])
@pytest.mark.parametrize("width", [360, 1080])
def test_a_matrix_stays_inside_its_picture(classes, width):
    counts = np.random.default_rng(0).integers(0, 2000, (classes, classes)).tolist()
    svg = Matrix("m", [f"a rather long name of class {k}" for k in range(classes)], counts).svg(width, 0)
    _, _, wide, high = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg)
    assert len(boxes) == sum(n > 0 for row in counts for n in row) and wide == width
    assert max(float(x) + float(w) for x, _, w, _ in boxes) <= wide
    assert max(float(y) + float(h) for _, y, _, h in boxes) <= high


def test_texts_and_tags_are_told_as_classes(tmp_path):
    assert "names team right" in verdict(told(class_run(tmp_path / "text", task="text"))[1])[0]
    tags = class_run(tmp_path / "tag", task="tag")

    def as_tags(scores):
        scores["test"] = {"words": 900}
        for row in scores["rows"]:
            row |= {"accuracy_unknown": 0.5, "span_f1": 0.25}

    change(tags, as_tags)
    groups = told(tags)[1]
    assert "of 900 words the right tag" in verdict(groups)[0]
    columns, rows = score_table(groups)
    assert columns[:3] == ["accuracy", "unknown words", "span F1"]
    assert [cell.text for cell in rows[0].cells[1:3]] == ["50.0 %", "25.0 %"]
    assert ("F1 of whole spans", "25.0 %") in headline(groups[0])


def test_a_page_of_a_class_column_that_is_torn_says_so(tmp_path):
    run = class_run(tmp_path / "run")
    change(run, lambda scores: scores["confusion"]["gru"].pop())
    page = page_of([run])
    assert "a confusion matrix is not 3 by 3" in page and 'id="confusion"' not in page


def test_what_is_missing_is_said_in_its_place(tmp_path):
    run = class_run(tmp_path / "run")
    change(run, lambda scores: (scores.pop("confusion"), scores.pop("reliability")))
    (run / "test.parquet").unlink()
    panels = panels_of(run)
    assert list(panels) == ["confusion", "mistakes"]
    assert "no confusion matrix" in panels["confusion"].missing and "no test.parquet" in panels["mistakes"].missing


def test_runs_of_differing_tasks_are_not_compared(tmp_path):
    runs = [class_run(tmp_path / "a", label="A"), number_run(tmp_path / "b", label="B")]
    read, groups = told(*runs)
    assert [group.label for group in groups] == ["A"]
    assert comparison(read, groups).missing.startswith("These runs are of different tasks (classify, regress)")
    page = page_of(runs)
    assert "whose scores can&#39;t be put side by side. Shown are those of the task classify" in page


def test_runs_of_one_task_are_compared_by_its_score(tmp_path):
    runs = [class_run(tmp_path / "a", label="A"), class_run(tmp_path / "b", label="B", error=0.3)]
    read, groups = told(*runs)
    table = comparison(read, groups)
    assert table.columns[2] == "accuracy" and table.record["metric"]["better"] == "higher"
    assert [n["values"] for n in table.record["networks"]] == [[rows_of(run)["gru"]["accuracy"]] for run in runs]
    assert verdict(groups)[1].startswith("The B reaches ")
