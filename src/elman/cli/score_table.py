"""The score table of the terminal."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from elman.tasks.scoring import Scores


def score_table(groups: Mapping[str, Sequence["Scores"]], width: int) -> Table:
    """A section for each label: its network, as mean ± standard deviation over its runs, and then the baselines.

    The narrower the terminal, the fewer metrics; the page and `scores.json` have them all.
    """
    first = next(iter(groups.values()))[0].summary
    horizon, levels = first["horizon"], first["levels"]
    period = " to ".join(first["test"][end].removesuffix(" 00:00:00") for end in ("first", "last"))
    table = Table(
        title=f"{first['target']}, {horizon} steps ahead, {period}",
        caption="Means over the lead times, but for NSE at single steps. NSE: 1 is perfect, 0 as good as the mean.",
    )
    metrics: dict[str, tuple[int | str, str]] = {
        "NSE": ("mean", "nse"),
        "step 1": (1, "nse"),
        f"step {horizon}": (horizon, "nse"),
        "RMSE": ("mean", "rmse"),
        **{f"in {level:g} %": ("mean", f"coverage_{level:g}") for level in levels},
        **{name: ("mean", name.lower()) for name in ("KGE", "MAE", "MASE", "Pinball")},
    }
    if horizon == 1:
        metrics = {name: at for name, at in metrics.items() if not name.startswith("step")}
    spread = any(len(runs) > 1 for runs in groups.values())
    names = max(len(label) for label in groups) + len(" (10 seeds)") if spread else max(16, *map(len, groups))
    metrics = dict(list(metrics.items())[: max(1, (width - names - 4) // (16 if spread else 11))])
    table.add_column("Model", no_wrap=True)
    for name in metrics:
        table.add_column(name, justify="right")
    shown = set()  # baselines that read the same inputs come out the same in every group
    for label, runs in groups.items():
        for model, kind in {(row["model"], row["kind"]): None for row in runs[0].summary["rows"]}:
            seeds = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
            title = Text(label + seeds, style="bold") if kind == "network" else Text(f"  {model}")
            cells = [_cell([_value(run.summary, model, *at) for run in runs]) for at in metrics.values()]
            if (model, *cells) not in shown:
                table.add_row(title, *cells)
            if kind == "baseline":
                shown.add((model, *cells))
        table.add_section()
    return table


def _value(summary: Mapping[str, Any], model: str, lead: int | str, metric: str) -> float | None:
    rows = [row for row in summary["rows"] if row["model"] == model and row["lead"] == lead]
    value = rows[0].get(metric) if rows else None
    return None if value is None or value != value else float(value)


def _cell(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return ""
    digits = 2 if abs(mean(known)) < 100 else 0
    spread = f" ± {stdev(known):.{digits}f}" if len(known) > 1 and stdev(known) > 1e-9 else ""
    return f"{mean(known):.{digits}f}{spread}"
