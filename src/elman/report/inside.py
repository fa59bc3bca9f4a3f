"""What a run saw inside a few sequences, made small enough to travel inside a page: states in 16 or 8 bits each.

Where all of it would not fit, there are fewer sequences first, then fewer bits, then fewer units: those that move most.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.errors import InputError
from elman.report.runs import Run
from elman.training.look import Inside

Array = NDArray[Any]

STATES = 420_000  # characters that the states, gates and memories of all shown sequences may take
WIDE = 150_000  # and the states of the other sequences, in which similar spans are looked for
SERIES = 8  # that are drawn of what was read
UNITS = 128  # kept of a larger layer, where even one sequence of all would not fit
CHOICES = ((16, 6), (16, 4), (16, 3), (8, 4), (8, 2), (8, 1))  # bits and sequences, the best first
MISSING = (
    "No look inside a sequence was kept: the network reads all at once, there was no run folder, probing was off "
    "(probe=0), training has not come to its end yet, or the run was made by an older version."
)


def inside_of(run: Run, share: float = 1.0) -> dict[str, Any]:
    """The numbers behind the page's section on one sequence, as JSON takes them, in `share` of the space there is.

    Where there are none, `{"missing": why}`.
    """
    if not (run.path / "inside.json").is_file():
        return {"missing": MISSING}
    try:
        seen = Inside.load(run.path)
        return _record(seen, share)
    except InputError as error:
        return {"missing": f"The look inside a sequence can't be read: {error}."}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return {"missing": f"The look inside a sequence can't be read ({error!r}): it was changed."}


def packed(values: Array, bits: int = 16) -> dict[str, Any]:
    """Numbers in so many bits, evenly from the lowest to the highest; the highest code stands for what is not finite.

    A number is `low + step * code`; codes are base64, the least significant byte first.

    >>> packed(np.array([0.0, 0.5, 1.0]), 8)
    {'shape': [3], 'bits': 8, 'low': 0.0, 'step': 0.003937007874015748, 'codes': 'AH/+'}
    """
    gone = 2**bits - 1
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    step = (high - low) / (gone - 1) or 1.0
    codes = np.where(known, np.rint((np.where(known, values, low).astype(np.float64) - low) / step), gone)
    return _coded(codes, bits, low, step)


def whole(values: Array) -> dict[str, Any]:
    """Whole numbers from 0, exactly; those below stand for none."""
    bits = 8 if values.max(initial=0) < 255 else 16
    return _coded(np.where(values < 0, 2**bits - 1, values), bits, 0.0, 1.0)


def _coded(codes: Array, bits: int, low: float, step: float) -> dict[str, Any]:
    text = base64.b64encode(codes.astype(f"<u{bits // 8}").tobytes()).decode("ascii")
    return {"shape": list(codes.shape), "bits": bits, "low": low, "step": step, "codes": text}


def _record(seen: Inside, share: float) -> dict[str, Any]:
    facts, arrays = dict(seen.facts), seen.arrays
    layers = facts.pop("layers")
    bits, N, units = _room(arrays, len(layers), share)
    M = _wide(arrays, len(layers), share)
    record = {
        **facts,
        "labels": facts["labels"],
        "times": None if facts["times"] is None else facts["times"][:N],
        "sequences": N,
        "connectivity": packed(_logs(arrays["connectivity"][:N]), 8),
        "connected": whole(arrays["connected"][:N]),
        "targets": arrays["targets"][:N].tolist(),
        "saliency": {
            name: packed(arrays[f"saliency.{name}"][:N], 16) for name in ("gradient", "integrated", "occlusion")
        } | {name: _short(arrays[f"saliency.{name}"][:N]) for name in ("value", "baseline", "delta")},
        "layers": [
            {**layer, **_layer(arrays, k, bits, N, M, units)} for k, layer in enumerate(layers)
        ],
    }  # fmt: skip
    for name, most in (("outputs", N), ("along", N), ("truth", N), ("surprisal", N), ("top_share", N)):
        if name in arrays:
            exact = name == "truth" and facts["kind"] == "classes"
            record["output_values" if name == "outputs" else name] = (whole if exact else packed)(arrays[name][:most])
    if "inputs" in arrays:
        record["read"] = [packed(series) for series in np.moveaxis(arrays["inputs"], -1, 0)[:SERIES]]
    if "words" in arrays:
        record["text"] = whole(arrays["words"])
    if "top" in arrays:
        record["top"] = whole(arrays["top"][:N])
    return record


def _layer(arrays: Any, k: int, bits: int, N: int, M: int, units: int) -> dict[str, Any]:
    kept = _kept(arrays[f"h.{k}"], units)
    place = {int(unit): at for at, unit in enumerate(kept)}
    size = arrays[f"h.{k}"].shape[-1]

    def states(name: str) -> dict[str, Any]:
        values = arrays[name][:N]
        # A projected h has numbers of its own.
        return packed(values[..., kept] if values.shape[-1] == size else values[..., :units], bits)

    layer = {
        "kept": kept.tolist(),
        "h": states(f"h.{k}"),
        "c": states(f"c.{k}") if f"c.{k}" in arrays else None,
        "gate": {name.rsplit(".", 1)[1]: states(name) for name in arrays if name.startswith(f"gate.{k}.")},
        "contributions": packed(arrays[f"contributions.{k}"][:N]),
        "wide": {
            **_coded(arrays[f"wide.{k}"][:M][..., kept], 8, *_between(arrays[f"wide_range.{k}"])),
            "exact": True,  # every code is a number, none stands for a missing one
        },
        "order": [place[int(unit)] for unit in arrays[f"order.{k}"] if int(unit) in place],
        "related": _short(arrays[f"related.{k}"][kept]),
        "spans": arrays[f"spans.{k}"][kept].tolist(),
        "peaks": _short(arrays[f"peaks.{k}"][kept]),
        "path": packed(arrays[f"path.{k}"], 8) | {"own": packed(arrays[f"path.{k}"][:N], 16)},
        "path_shares": _short(arrays[f"path_shares.{k}"]),
    }  # fmt: skip
    if f"favoured.{k}" in arrays:
        layer["favoured"] = arrays[f"favoured.{k}"][kept].tolist()
        layer["favoured_weights"] = _short(arrays[f"favoured_weights.{k}"][kept])
    return layer


def _room(arrays: Any, layers: int, share: float) -> tuple[int, int, int]:
    """Bits, sequences and units that fit."""
    names = [n for n in arrays if n.startswith(("h.", "c.", "gate."))]
    each = sum(arrays[n][0].size for n in names) * 4 / 3
    N = len(arrays["h.0"])
    widest = max(arrays[f"h.{k}"].shape[-1] for k in range(layers))
    for bits, most in CHOICES:
        if min(most, N) * each * bits / 8 <= share * STATES:
            return bits, min(most, N), max(widest, *(arrays[n].shape[-1] for n in names))
    return 8, 1, max(8, min(UNITS, int(widest * share * STATES / each)))


def _wide(arrays: Any, layers: int, share: float) -> int:
    each = sum(arrays[f"wide.{k}"][0].size for k in range(layers)) * 4 / 3
    return max(1, min(*(len(arrays[f"wide.{k}"]) for k in range(layers)), 10**6, int(share * WIDE / each)))


def _kept(h: Array, units: int) -> Array:
    """The units that are kept, in their order: all, or those that move most."""
    if h.shape[-1] <= units:
        return np.arange(h.shape[-1])
    return np.sort(np.argsort(-h.reshape(-1, h.shape[-1]).std(axis=0), kind="stable")[:units])


def _between(limits: Array) -> tuple[float, float]:
    low, high = float(limits[0]), float(limits[1])
    return low, max(high - low, 1e-30) / 255


def _logs(norms: Array) -> Array:
    """log10 of norms, at least that of a hundred-millionth of the largest; NaN for zero."""
    with np.errstate(divide="ignore"):
        logs = np.log10(norms.astype(np.float64))
    if not np.isfinite(logs).any():
        return np.full(logs.shape, np.nan)
    return np.where(np.isfinite(logs), np.maximum(logs, logs[np.isfinite(logs)].max() - 8), np.nan)


def _short(values: Array) -> Any:
    """Five digits of each, None for what is not finite."""
    if values.ndim:
        return [_short(value) for value in values]
    return float(f"{values.item():.5g}") if np.isfinite(values) else None
