"""What a run recorded of its training, made small enough to travel inside a page.

The page gets numbers, never drawings: `record_of` gives plain JSON, `embedded` writes it so that no string in it can
end the element that it stands in. Lines keep at most `POINTS` points each, and always their lowest and highest;
heatmaps keep at most `COLUMNS` columns, the first and the last among them, and `SAID` texts are kept in the same way.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from elman.report.marks import Floats, thin_line
from elman.report.runs import Row, Run, number
from elman.report.status import status_of

POINTS = 2000
COLUMNS = 400
SAID, CHARACTERS = 40, 2000  # texts that a network in training wrote, and the length of one
# log10 of a norm as a whole number of thousandths above LOWEST, in 16 bits; 0 stands for a norm of zero, GONE for none
LOWEST, STEPS, GONE = -46, 1000, 65535


def record_of(run: Run, name: str) -> dict[str, Any]:
    """The numbers behind the page's training section, as JSON takes them."""
    steps = of_kind(run.events, "step", "loss")
    epochs = of_kind(run.events, "epoch", "train_loss")
    probes = _looks(of_kind(run.events, "probe"))
    settings = run.config.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    losses, norms = _column(steps, "loss"), _column(steps, "grad_norm")
    clip = number(settings.get("clip"))
    return {
        "name": name,
        "last": max([0, *(int(e["step"]) for e in (*steps, *epochs, *probes, *of_kind(run.events, "error")))]),
        "loss": _line(steps, losses) | {"smooth": _means(steps, losses)},
        "grad_norm": _line(steps, norms),
        "lr": _line(steps, _column(steps, "lr")),
        "clip": clip,
        "clipped": None if clip is None else int(np.sum(norms > clip)),
        "steps": len(steps),
        "constant": next(
            (c for f in run.events if f.get("event") == "fact" and (c := number(f.get("constant")))), None
        ),
        "epochs": {
            "step": [int(e["step"]) for e in epochs],
            "seconds": [_short(e.get("seconds")) for e in epochs],
            "train": [_short(e.get("train_loss")) for e in epochs],
            "val": [_short(e.get("val_loss")) for e in epochs],
            "best": [e.get("best") is True for e in epochs],
        },
        "layers": _layers(probes),
        "updates": _updates(probes),
        "said": _said(probes),
        "status": status_of(run),
    }


def embedded(value: Any) -> str:
    """`value` as JSON for a script element: a reader of HTML finds nothing in it that would end the element.

    >>> embedded({"a": "</script><b>"})
    '{"a":"\\\\u003c/script>\\\\u003cb>"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def of_kind(events: Iterable[Row], kind: str, *needed: str) -> list[Row]:
    """The events of one kind that have a step and the numbers `needed`, in the order of their steps."""
    found = [
        e for e in events if e.get("event") == kind and all(number(e.get(k)) is not None for k in ("step", *needed))
    ]
    return sorted(found, key=lambda e: e["step"])


def layers_of(probe: Row) -> dict[str, Row]:
    """What one look saw, by the layer's name; a layer that was called several times is there once for each call."""
    found: dict[str, Row] = {}
    layers = probe.get("layers")
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict) and isinstance(layer.get("grad_norm"), list) and isinstance(layer.get("lags"), list):
            name, calls = str(layer.get("name", "")), 1
            while (key := name if calls == 1 else f"{name}, call {calls}") in found:
                calls += 1
            found[key] = layer
    return found


def gates_of(layer: Row) -> dict[str, list[Any]]:
    """The shares low and high of each gate."""
    gates = layer.get("gates")
    found = gates.items() if isinstance(gates, dict) else ()
    return {letter: shares for letter, shares in found if isinstance(shares, list) and len(shares) == 2}


def _looks(probes: Sequence[Row]) -> list[Row]:
    """One look for each step: of two, the later, which is the one at the network that was kept."""
    by_step: dict[int, Row] = {}
    for probe in probes:
        earlier = by_step.get(probe["step"], {})
        by_step[probe["step"]] = {**earlier, **probe}  # a last look has no step of the weights beside it; it keeps one
    return list(by_step.values())


def _layers(probes: Sequence[Row]) -> list[dict[str, Any]]:
    seen = [(probe["step"], layers_of(probe)) for probe in probes]
    names = list(dict.fromkeys(name for _, layers in seen for name in layers))
    return [_layer(name, [(step, layers[name]) for step, layers in seen if name in layers]) for name in names]


def _layer(name: str, looks: list[tuple[int, Row]]) -> dict[str, Any]:
    last = looks[-1][1]
    looks = [look for look in looks if look[1]["lags"] == last["lags"]]
    looks = [looks[k] for k in _columns(len(looks))]
    rows = [layer for _, layer in looks]
    layer: dict[str, Any] = {
        "name": name,
        "cell": str(last.get("cell", "")),
        "steps": int(number(last.get("steps")) or len(last["lags"])),
        "units": last.get("units"),
        "at": [step for step, _ in looks],
        "lags": last["lags"],
        "norms": {
            key: packed([row.get(key) for row in rows], len(last["lags"]))
            for key in ("grad_norm", "grad_norm_c")
            if key in last
        },
        "gates": {
            letter: [[_short(_end(row, letter, end)) for row in rows] for end in (0, 1)]
            for letter in gates_of(last)
        },
    }  # fmt: skip
    for key in ("horizon", "dead", "stuck", "rank", "size", "radius", "jacobian_radius", "jacobian_norm", "lyapunov"):
        if any(number(row.get(key)) is not None for row in rows):
            layer[key] = [_short(row.get(key)) for row in rows]
    for key in ("jacobian_radius_band", "jacobian_norm_band"):
        bands = [band if isinstance(band := row.get(key), list) and len(band) == 2 else (None, None) for row in rows]
        if any(number(low) is not None for low, _ in bands):
            layer[key] = [[_short(band[end]) for band in bands] for end in (0, 1)]
    return layer


def _end(layer: Row, letter: str, end: int) -> Any:
    return gates_of(layer).get(letter, (None, None))[end]


def _updates(probes: Sequence[Row]) -> dict[str, Any]:
    looks = [(p["step"], p["updates"]) for p in probes if isinstance(p.get("updates"), dict)]
    looks = [looks[k] for k in _columns(len(looks))]
    names = list(dict.fromkeys(name for _, updates in looks for name in updates))
    return {
        "step": [step for step, _ in looks],
        "ratios": {name: [_short(updates.get(name)) for _, updates in looks] for name in names},
    }


def _said(probes: Sequence[Row]) -> list[dict[str, Any]]:
    looks = [{"step": p["step"], "text": p["said"][:CHARACTERS]} for p in probes if isinstance(p.get("said"), str)]
    return [looks[k] for k in sorted({round(k) for k in np.linspace(0, len(looks) - 1, min(len(looks), SAID))})]


def _columns(count: int) -> list[int]:
    """Which of so many columns are kept: all, or evenly picked ones with the first and the last.

    >>> _columns(3), len(_columns(5000)), _columns(5000)[-1]
    ([0, 1, 2], 400, 4999)
    """
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, COLUMNS))}) if count else []


def packed(profiles: Sequence[Any], lags: int) -> str:
    """Norms of shape (columns, lags) as base64 of 16-bit logarithms, least significant byte first."""
    rows = [p if isinstance(p, list) and len(p) == lags else [None] * lags for p in profiles]
    numbers = [[number(value) for value in row] for row in rows]
    values = np.array(numbers, dtype=np.float64).reshape(len(rows), lags)  # None becomes NaN
    with np.errstate(divide="ignore", invalid="ignore"):
        code = np.rint((np.log10(values) - LOWEST) * STEPS)
    code = np.where(values == 0, 0, np.where(np.isnan(code), GONE, np.clip(code, 1, GONE - 1)))
    return base64.b64encode(code.astype("<u2").tobytes()).decode("ascii")


def _column(events: Sequence[Row], key: str) -> Floats:
    return np.array([np.nan if (v := number(e.get(key))) is None else v for e in events], dtype=np.float64)


def _line(events: Sequence[Row], y: Floats) -> dict[str, Any]:
    x, y = thin_line(_column(events, "step"), y, POINTS // 2)
    return {"step": [int(step) for step in x], "value": [_short(v) for v in y]}


def _means(events: Sequence[Row], y: Floats) -> dict[str, Any] | None:
    """Means over stretches of a line that was thinned, for smoothing: its lowest and highest points average to less."""
    if len(y) <= POINTS:
        return None
    parts = np.array_split(np.arange(len(y)), POINTS // 2)
    x = _column(events, "step")
    return {"step": [int(x[p].mean()) for p in parts], "value": [_short(np.nanmean(y[p])) for p in parts]}


def _short(value: Any) -> float | int | None:
    """Five digits; None for what is no finite number."""
    found = number(value.item() if isinstance(value, np.floating) else value)
    if found is None:
        return None
    short = float(f"{found:.5g}")
    return int(short) if short.is_integer() and abs(short) < 1e6 else short
