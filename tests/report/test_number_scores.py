"""What a page says and draws of regressors is what their run folders say."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from tests.report.case_runs import number_run

from elman.report.number_scores import DOTS, number_panels
from elman.report.reading import read_run
from elman.report.scores import groups_of, score_table, verdict


def told(run):
    read = read_run(run)
    return read, groups_of([read])


def test_the_verdict_says_what_is_explained(tmp_path):
    run = number_run(tmp_path / "run")
    rows = {row["model"]: row for row in json.loads((run / "scores.json").read_text())["rows"]}
    r2, ridge = rows["gru"]["r2"], rows["ridge"]["r2"]
    assert verdict(told(run)[1]) == [
        f"The GRU explains {100 * r2:.0f} % of the variance of cost (R² {r2:.2f}); the best baseline, ridge "
        f"regression, reaches {ridge:.2f}."
    ]
    columns, table = score_table(told(run)[1])
    assert columns == ["R²", "RMSE", "MAE"] and [row.name for row in table] == ["GRU", "the mean", "ridge regression"]


def test_a_network_that_learnt_nothing_is_told_so(tmp_path):
    assert (
        "predicts cost no better than its plain mean would" in verdict(told(number_run(tmp_path / "r", error=5))[1])[0]
    )


@pytest.mark.parametrize("cases", [80, 2500])
def test_the_scatter_and_the_histogram_have_the_cases(tmp_path, cases):
    run = number_run(tmp_path / "run", cases=cases)
    read, groups = told(run)
    (panel,) = number_panels(groups, read)
    test = pl.read_parquet(run / "test.parquet")
    every = -(-cases // DOTS)
    diagonal, dots = panel.figures[0].chart.lines
    np.testing.assert_array_equal(dots.x, test["y"].to_numpy()[::every])
    np.testing.assert_array_equal(dots.y, test["gru"].to_numpy()[::every])
    assert list(diagonal.x) == list(diagonal.y)
    assert sum(int(row[1].replace(",", "")) for row in panel.figures[1].table.rows) == cases
    errors = (test["gru"] - test["y"]).abs().sort(descending=True)
    assert [abs(float(row[3].replace("−", "-"))) for row in panel.tables[0][1].rows] == pytest.approx(
        errors[:12].to_list(), rel=0.01
    )


def test_without_the_cases_the_panel_says_why(tmp_path):
    run = number_run(tmp_path / "run")
    (run / "test.parquet").unlink()
    read, groups = told(run)
    (panel,) = number_panels(groups, read)
    assert "no test.parquet" in panel.missing and not panel.figures
