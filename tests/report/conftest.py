"""What the report's tests share: run folders as training leaves them, of a made-up river, and a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.report import write_report

SKILL = {"persistence": 1.0, "seasonal_naive": 1.6, "climatology": 1.3, "ridge": 0.5}


def river(days: int, seed: int = 0) -> np.ndarray:
    """Discharge with seasons, rain that drains away slowly, and a few floods. Shape (days,), m³/s, positive."""
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.25, 8.0, days) * (1 + 0.6 * np.cos(2 * np.pi * np.arange(days) / 365.25))
    level = np.empty(days)
    level[0] = 20.0
    for t in range(1, days):
        level[t] = 0.88 * level[t - 1] + 0.9 * rain[t] + 0.6
    return level


def make_run(
    path: Path,
    *,
    truth: np.ndarray | None = None,
    label: str = "LSTM",
    seed: int = 0,
    target: str = "discharge_m3s",
    horizon: int = 7,
    days: int = 200,
    first: date | int = date(1987, 1, 1),
    levels: Sequence[float] = (80, 90),
    event: float | None = None,
    notes: Sequence[str] = (),
    network_error: float = 0.3,
    series: Sequence[str] = ("river",),
) -> Path:
    """Write a whole run folder; a test then takes away or spoils what it is about."""
    path.mkdir(parents=True)
    truth = river(days, seed=1) if truth is None else truth
    rng = np.random.default_rng(seed + 100)
    test = pl.concat([_forecasts(name, truth, first, horizon, levels, event, network_error, rng) for name in series])
    test.write_parquet(path / "test.parquet")
    (path / "scores.json").write_text(json.dumps(_scores(test, target, horizon, levels, event, notes)))
    (path / "events.jsonl").write_text("\n".join(json.dumps(e) for e in _events(rng)) + "\n")
    (path / "config.toml").write_text(
        f"task = {json.dumps('forecast')}\nlabel = {json.dumps(label)}\n"
        f"command = {json.dumps(f'elman fit forecast river.csv --target {target} --horizon {horizon} --seed {seed}')}\n"
        f"[settings]\narchitecture = 'lstm'\nhidden_size = 64\nlr = 0.002\nlevel = {list(levels)}\nseed = {seed}\n"
        f"[data]\npath = 'river.csv'\nsha256 = 'c0ffee{'0' * 58}'\nrows = {len(truth)}\nseries = {len(series)}\n"
        "[versions]\nelman = '0.1.0'\ntorch = '2.13.0'\npython = '3.11.9'\n"
    )
    return path


@pytest.fixture
def visit(browser, tmp_path) -> Iterator[Any]:
    """`visit(*runs)` opens their page; at the end there was no error, and no request but for the page."""
    troubles: list[str] = []
    contexts = []

    def open_page(*folders: Path, width: int = 1280, **options: Any) -> Any:
        path = write_report(folders, tmp_path / "report.html")
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
        page.on(
            "request", lambda r: troubles.append(r.url) if r.url.split(":")[0] not in ("file", "data", "blob") else None
        )
        page.goto(path.as_uri())
        page.wait_for_function("window.elman !== undefined")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Path]:
    """`new_run(name, **what)` makes one more run folder."""
    return lambda name="run", **what: make_run(tmp_path / name, **what)


@pytest.fixture
def change_scores() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    """`change_scores(run, change)` applies a change to the run's scores.json."""

    def apply(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
        scores = json.loads((run / "scores.json").read_text())
        change(scores)
        (run / "scores.json").write_text(json.dumps(scores))

    return apply


def _forecasts(
    name: str,
    truth: np.ndarray,
    first: date | int,
    horizon: int,
    levels: Sequence[float],
    event: float | None,
    error: float,
    rng: np.random.Generator,
) -> pl.DataFrame:
    lead = np.tile(np.arange(1, horizon + 1), len(truth) - horizon)
    start = np.repeat(np.arange(len(truth) - horizon), horizon)
    y = truth[start + lead]
    growth = np.sqrt(lead / horizon)

    def guess(scale: float) -> np.ndarray:
        return np.maximum(y * np.exp(scale * growth * rng.normal(size=len(y)) * 0.5), 0.1)

    forecast = guess(error)
    table = pl.DataFrame(
        {
            "unique_id": [name] * len(lead),
            "cutoff": [_time(first, k) for k in start],
            "ds": [_time(first, k) for k in start + lead],
            "lead": lead,
            "y": y,
            "forecast": forecast,
        }
    )
    for level in levels:
        width = {80: 1.28, 90: 1.64}.get(level, 2.0) * 0.5 * error * growth
        table = table.with_columns(
            pl.Series(f"lo-{level:g}", forecast * np.exp(-width)), pl.Series(f"hi-{level:g}", forecast * np.exp(width))
        )
    if event is not None:
        chance = 1 / (1 + np.exp(-8 * np.log(forecast / event)))
        table = table.with_columns(pl.Series("p_event", chance))
    return table.with_columns(pl.Series(model, guess(scale)) for model, scale in SKILL.items())


def _time(first: date | int, steps: int) -> datetime | int:
    if isinstance(first, int):
        return first + int(steps)
    return datetime(first.year, first.month, first.day) + timedelta(days=int(steps))


def _scores(
    test: pl.DataFrame, target: str, horizon: int, levels: Sequence[float], event: float | None, notes: Sequence[str]
) -> dict[str, Any]:
    rows = []
    for model in ("lstm", *SKILL):
        column, kind = ("forecast", "network") if model == "lstm" else (model, "baseline")
        by_lead = [_score(test.filter(pl.col("lead") == k), column, levels) for k in range(1, horizon + 1)]
        mean = {
            key: None if value is None else float(np.mean([row[key] for row in by_lead]))
            for key, value in by_lead[0].items()
        }
        for lead, row in [*enumerate(by_lead, 1), ("mean", mean)]:
            rows.append({"model": model, "kind": kind, "lead": lead, **row})
    times = test["ds"].sort()
    dates = not times.dtype.is_integer()
    return {
        "target": target,
        "horizon": horizon,
        "freq": "1d" if dates else "1i",
        "test": {
            "first": str(times[0])[:10] if dates else times[0],
            "last": str(times[-1])[:10] if dates else times[-1],
            "forecasts": test["cutoff"].n_unique(),
        },
        "levels": list(levels),
        "notes": list(notes),
        "rows": rows,
        "event": None if event is None else _event(test, event, horizon),
    }


def _score(rows: pl.DataFrame, column: str, levels: Sequence[float]) -> dict[str, float | None]:
    y, forecast = rows["y"].to_numpy(), rows[column].to_numpy()
    error = forecast - y
    metrics: dict[str, float | None] = {
        "nse": float(1 - np.mean(error**2) / np.var(y)),
        "kge": float(1 - abs(1 - np.corrcoef(y, forecast)[0, 1])),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(abs(error))),
        "mase": float(np.mean(abs(error)) / np.mean(abs(np.diff(y)))),
        "pinball": float(np.mean(abs(error)) / 2),
    }
    for level in levels:
        low, high = rows[f"lo-{level:g}"].to_numpy(), rows[f"hi-{level:g}"].to_numpy()
        own = column == "forecast"
        metrics[f"coverage_{level:g}"] = float(np.mean((low <= y) & (y <= high))) if own else None
        metrics[f"width_{level:g}"] = float(np.mean(high - low)) if own else None
    return metrics


def _event(test: pl.DataFrame, threshold: float, horizon: int) -> dict[str, Any]:
    def row(lead: int | str, rows: pl.DataFrame) -> dict[str, Any]:
        came, chance = (rows["y"] >= threshold).to_numpy(), rows["p_event"].to_numpy()
        warned = chance >= 0.5
        hits = int(np.sum(came & warned))
        return {
            "lead": lead,
            "brier": float(np.mean((chance - came) ** 2)),
            "brier_climatology": float(np.mean((came.mean() - came) ** 2)),
            "hit_rate": hits / max(int(came.sum()), 1),
            "false_alarm_ratio": 1 - hits / max(int(warned.sum()), 1),
            "csi": hits / max(int(np.sum(came | warned)), 1),
            "csi_ridge": hits / max(int(np.sum(came | warned)), 1) * 0.8,
            "events": int(came.sum()),
            "forecasts": len(rows),
        }

    rows = [row(k, test.filter(pl.col("lead") == k)) for k in range(1, horizon + 1)]
    bins = []
    for low in np.arange(10) / 10:
        part = test.filter((pl.col("p_event") >= low) & (pl.col("p_event") < low + 0.1))
        bins.append(
            {
                "low": round(float(low), 1),
                "high": round(float(low) + 0.1, 1),
                "forecasts": len(part),
                "mean_probability": part["p_event"].mean(),
                "observed_frequency": (part["y"] >= threshold).mean(),
            }
        )
    return {"condition": f">= {threshold:g}", "warn_from": 0.5, "rows": [*rows, row("all", test)], "reliability": bins}


def _events(rng: np.random.Generator, epochs: int = 20) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"event": "start", "time": 1.7e9}]
    least = float("inf")
    for epoch in range(epochs):
        fall = float(np.exp(-epoch / 5))
        val_loss = 0.2 + 0.4 * fall + 0.005 * max(0, epoch - 14) + 0.003 * float(rng.normal())
        events.append({"event": "step", "step": 40 * epoch, "epoch": epoch, "loss": 0.2 + fall, "grad_norm": 1.0})
        events.append(
            {
                "event": "epoch",
                "epoch": epoch,
                "step": 40 * (epoch + 1),
                "train_loss": 0.14 + 0.5 * fall + 0.005 * float(rng.normal()),
                "val_loss": val_loss,
                "best": val_loss < least,
                "seconds": 1.5,
            }
        )
        least = min(least, val_loss)
    return [*events, {"event": "end", "reason": "early stopping", "seconds": 30.1}]
