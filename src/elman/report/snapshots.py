"""A run's snapshots as the page reads them: arrays as short texts, of the widths that a screen shows."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from elman.errors import InputError
from elman.report.recording import packed
from elman.training.record import BINS, MOST, Run, read_arrays

CHARACTERS = 2000  # of one text in the samples
VALUES = 400  # of one series in them


def snapshots_of(path: Path) -> list[dict[str, Any]]:
    """What `viewer/src/snapshots.js` draws, an entry a snapshot in the order of steps; damaged ones are left out."""
    run = Run(path, silent=True)
    steps = run.snapshot_steps()
    kept = sorted({round(k) for k in np.linspace(0, len(steps) - 1, min(len(steps), MOST))}) if steps else []
    found = []
    for step in (steps[k] for k in kept):
        file = run.snapshot_path(step)
        try:
            found.append(_snapshot(file, file.stat().st_mtime_ns))
        except (InputError, OSError):  # it was thinned out meanwhile, or is damaged
            continue
    return found


@lru_cache(maxsize=256)
def _snapshot(file: Path, changed: int) -> dict[str, Any]:
    layers: dict[str, dict[str, np.ndarray]] = {}
    samples: dict[str, np.ndarray] = {}
    for name, array in read_arrays(file).items():
        owner, _, what = name.rpartition("/")
        (samples if owner == "samples" else layers.setdefault(owner, {}))[what] = array
    return {
        "step": int(file.stem),
        "layers": {name: _layer(arrays) for name, arrays in layers.items()},
        "samples": _samples(samples),
    }


def _layer(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found: dict[str, Any] = {"gates": {}, "histograms": {}, "eigenvalues": {}}
    if {"itemised", "targets", "sources"} <= set(arrays):
        itemised, targets, sources = (arrays[name] for name in ("itemised", "targets", "sources"))
        if itemised.shape == (len(targets), len(sources)):
            found["itemised"] = packed(itemised.tolist(), len(sources))
            found["targets"], found["sources"] = targets.tolist(), sources.tolist()
    for name, array in arrays.items():
        kind, _, what = name.partition("_")
        if kind == "low" and array.shape == getattr(arrays.get(f"high_{what}"), "shape", None):
            found["gates"][what] = [_bytes(array), _bytes(arrays[f"high_{what}"])]
        elif kind == "hist" and array.shape == (BINS,) and f"limit_{what}" in arrays:
            limit = float(arrays[f"limit_{what}"])
            if math.isfinite(limit) and limit > 0:
                found["histograms"][what] = [limit, _words(array)]
    for name in ("eigenvalues", "eigenvalues_W_hh"):
        if name in arrays and np.isfinite(arrays[name]).all():
            values = arrays[name].reshape(-1, arrays[name].shape[-1])
            found["eigenvalues"][name] = [
                [[float(f"{part:.4g}") for part in row] for row in (values.real.ravel(), values.imag.ravel())],
                [int(step) for step in arrays["eigen_steps"]] if name == "eigenvalues" else [],
            ]
    return found


def _samples(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "text" in arrays:
        texts = {
            name: [str(text)[:CHARACTERS] for text in arrays[name]] for name in ("text", "prompt") if name in arrays
        }
        return {"kind": "text", **texts}
    if not {"history", "truth", "forecast", "label"} <= set(arrays):
        return {}
    series = {name: [_numbers(row) for row in arrays[name]] for name in ("history", "truth", "forecast")}
    return {"kind": "series", "label": [str(text)[:CHARACTERS] for text in arrays["label"]], **series}


def _numbers(row: np.ndarray) -> list[float | None]:
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in row[-VALUES:].tolist()]


def _bytes(shares: np.ndarray) -> str:
    """Shares from 0 to 1 in steps of 1 / 255."""
    return base64.b64encode(np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def _words(shares: np.ndarray) -> str:
    """Shares from 0 to 1 in steps of 1 / 65535, least significant byte first."""
    return base64.b64encode(np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 65535).astype("<u2").tobytes()).decode()
