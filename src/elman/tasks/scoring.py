"""Scores of forecasts, each beside those of the baselines: does the network earn its keep?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from torch import Tensor

from elman.data.windows import Windows
from elman.files import read_json, replacing, write_json
from elman.tasks import baselines
from elman.tasks.calibration import Event
from elman.training import metrics

WARN_FROM = 0.5  # the probability from which a forecast of an event counts as a warning


@dataclass(frozen=True)
class Scores:
    """What a test part says of a forecaster: a row for each model and lead time, and the forecasts that were scored."""

    summary: dict[str, Any]  # `scores.json`
    forecasts: pl.DataFrame  # `test.parquet`

    @property
    def rows(self) -> pl.DataFrame:
        """Columns model, kind, lead (1, 2, ..., "mean"), and the metrics; None where one does not apply."""
        rows = [{**row, "lead": str(row["lead"])} for row in self.summary["rows"]]
        return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.selectors.float().fill_nan(None))

    def mean(self, model: str, metric: str = "nse") -> float:
        """The mean over the lead times of one metric of one model."""
        return float(self.rows.filter(pl.col("model") == model, pl.col("lead") == "mean")[metric][0])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` has written into a run folder."""
        return cls(read_json(folder / "scores.json"), pl.read_parquet(folder / "test.parquet"))

    def save(self, folder: Path) -> None:
        """Write `scores.json` and `test.parquet` into a run folder."""
        with replacing(folder / "test.parquet") as aside:
            self.forecasts.write_parquet(aside)
        write_json(folder / "scores.json", self.summary)


@dataclass(frozen=True)
class Forecasts:
    """What a network said of N windows, in the target's unit."""

    windows: Windows
    origins: Tensor  # (N, 2): series, last known step
    point: np.ndarray  # (N, horizon)
    quantiles: np.ndarray  # (N, horizon, Q), calibrated
    taus: tuple[float, ...]
    frame: pl.DataFrame  # the same in long form, a row for each window and lead

    @property
    def horizon(self) -> int:
        return self.point.shape[1]

    def column(self, name: str) -> np.ndarray:
        """(N, horizon) of a column of the long form; NaN for missing."""
        return self.frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, self.horizon)


def score(
    network: str,
    forecasts: Forecasts,
    *,
    target: str,
    levels: Sequence[float],
    event: Event | None,
    season: int | None,
    train_ends: Sequence[int],
    test_begins: Sequence[int],
    notes: Sequence[str],
) -> Scores:
    """Score `forecasts` by lead time; several series count alike (a metric is the mean over them).

    The baselines learn from the steps before `test_begins` of each series, ridge's penalty from `train_ends` on.
    """
    panel, origins, horizon = forecasts.windows.panel, forecasts.origins, forecasts.horizon
    season = season or baselines.season_of(panel.step)
    y = forecasts.column("y")
    applied = {
        "persistence": baselines.persistence(panel, origins, horizon),
        "seasonal_naive": baselines.seasonal_naive(panel, origins, horizon, season),
        "climatology": baselines.climatology(panel, panel.head(test_begins), origins, horizon),
        "ridge": baselines.ridge(forecasts.windows, origins, train_ends=train_ends, val_ends=test_begins),
    }
    notes = [
        *notes,
        *(f"there is no {name} baseline: it can't be made here" for name, v in applied.items() if v is None),
    ]
    others = {name: values for name, values in applied.items() if values is not None}
    scales = [_naive_error(s.target[:n], season) for s, n in zip(panel.series, test_begins, strict=True)]
    members = [(origins[:, 0] == k).numpy() for k in range(len(panel.series))]

    def over_series(metric: Callable[[np.ndarray, int], float]) -> float:
        values = [metric(rows, k) for k, rows in enumerate(members) if rows.any()]
        known = [v for v in values if not np.isnan(v)]
        return float(np.mean(known)) if known else float("nan")

    def measure(point: np.ndarray, quantiles: np.ndarray, lead: int) -> dict[str, float]:
        pairs = {
            "nse": lambda r, k: metrics.nse(y[r, lead], point[r, lead]),
            "kge": lambda r, k: metrics.kge(y[r, lead], point[r, lead]),
            "rmse": lambda r, k: metrics.rmse(y[r, lead], point[r, lead]),
            "mae": lambda r, k: metrics.mae(y[r, lead], point[r, lead]),
            "mase": lambda r, k: metrics.mase(y[r, lead], point[r, lead], scales[k]),
            "pinball": lambda r, k: float(
                np.mean(
                    [metrics.pinball(y[r, lead], quantiles[r, lead, q], tau) for q, tau in enumerate(forecasts.taus)]
                )
            ),
        }
        return {name: over_series(metric) for name, metric in pairs.items()}

    def intervals(lead: int) -> dict[str, float]:
        found = {}
        for level in levels:
            low, high = (forecasts.column(f"{side}-{level:g}")[:, lead] for side in ("lo", "hi"))
            found[f"coverage_{level:g}"] = over_series(lambda r, k: metrics.coverage(y[r, lead], low[r], high[r]))  # noqa: B023
            found[f"width_{level:g}"] = float(np.mean(high - low))
        return found

    rows = []
    for model, point in {network: forecasts.point, **others}.items():
        mine = model == network
        # A forecast without intervals is scored as one whose quantiles all coincide.
        quantiles = forecasts.quantiles if mine else np.repeat(point[..., None], len(forecasts.taus), axis=-1)
        by_lead = [measure(point, quantiles, k) | (intervals(k) if mine else {}) for k in range(horizon)]
        name = {"model": model, "kind": "network" if mine else "baseline"}
        rows += [{**name, "lead": k + 1, **values} for k, values in enumerate(by_lead)]
        rows.append({**name, "lead": "mean", **{m: float(np.mean([v[m] for v in by_lead])) for m in by_lead[0]}})

    times = forecasts.frame["ds"]
    summary = {
        "target": target,
        "horizon": horizon,
        "freq": panel.step,
        "season": season,
        "test": {"first": str(times.min()), "last": str(times.max()), "forecasts": len(origins)},
        "levels": list(levels),
        "notes": list(notes),
        "rows": rows,
        "event": None if event is None else _event_scores(event, forecasts, y, others, test_begins),
    }
    frame = forecasts.frame.with_columns(
        pl.Series(name, values.ravel()).fill_nan(None) for name, values in others.items()
    )
    return Scores(summary, frame)


def _naive_error(train: np.ndarray, season: int) -> float:
    """The mean absolute error of the seasonal naive forecast within the training part: the scale of MASE."""
    return metrics.mae(train[season:], train[:-season]) if len(train) > season else float("nan")


def _event_scores(
    event: Event, forecasts: Forecasts, y: np.ndarray, others: Mapping[str, np.ndarray], test_begins: Sequence[int]
) -> dict[str, Any]:
    """Brier score, warnings and reliability by lead time; the base rate comes from the steps before the test part."""
    before = np.concatenate([s.target[:n] for s, n in zip(forecasts.windows.panel.series, test_begins, strict=True)])
    base_rate = float(event.happened(before[~np.isnan(before)]).mean())
    probability, rows = forecasts.column("p_event"), []
    for lead in [*range(forecasts.horizon), "all"]:
        at = slice(None) if lead == "all" else slice(lead, lead + 1)
        seen = ~np.isnan(y[:, at])
        happened, p = event.happened(y[:, at][seen]), probability[:, at][seen]
        row = {
            "lead": lead if lead == "all" else lead + 1,
            "brier": metrics.brier(happened, p),
            "brier_climatology": metrics.brier(happened, np.full(p.shape, base_rate)),
            **metrics.contingency(happened, p >= WARN_FROM),
            "events": int(happened.sum()),
            "forecasts": int(seen.sum()),
        }
        for name, point in others.items():
            row[f"csi_{name}"] = metrics.contingency(happened, event.happened(point[:, at][seen]))["csi"]
        rows.append(row)
    seen = ~np.isnan(y)
    reliability = metrics.reliability(event.happened(y[seen]), probability[seen])
    return {
        "condition": str(event),
        "warn_from": WARN_FROM,
        "base_rate": base_rate,
        "rows": rows,
        "reliability": reliability,
    }
