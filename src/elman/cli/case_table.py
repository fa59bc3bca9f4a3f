"""The score table of classifiers and regressors in the terminal."""

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from elman.tasks.case_scoring import CaseScores

HEADINGS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced",
    "f1_macro": "Macro F1",
    "log_loss": "Log loss",
    "brier": "Brier",
    "calibration_error": "ECE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}
LEGEND = {
    "classify": "Balanced: mean over the classes of the share found. ECE: how far stated certainty is from the truth.",
    "regress": "R2: 1 is perfect, 0 as good as the mean.",
}


def case_table(label: str, scores: "CaseScores", width: int) -> Table:
    """A line for the network and for each baseline; the narrower the terminal, the fewer metrics."""
    summary: dict[str, Any] = scores.summary
    table = Table(
        title=f"{summary['target']}, {summary['test']['cases']} cases of the test part", caption=LEGEND[summary["task"]]
    )
    shown = [name for name in HEADINGS if name in summary["rows"][0]]
    shown = shown[: max(1, (width - max(16, len(label)) - 4) // 12)]
    table.add_column("Model", no_wrap=True)
    for name in shown:
        table.add_column(HEADINGS[name], justify="right")
    for row in summary["rows"]:
        title = Text(label, style="bold") if row["kind"] == "network" else Text(f"  {row['model']}")
        table.add_row(title, *(_cell(row[name]) for name in shown))
    return table


def _cell(value: float | None) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
