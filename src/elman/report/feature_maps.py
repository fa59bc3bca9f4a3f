"""What a run saw of convolutions or attention in some cases, made small enough to travel inside a page: 8 bits each.

Where all of it would not fit, there are fewer cases, and of a layer with many channels those that differ most.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from elman.errors import InputError
from elman.report.inside import packed, whole
from elman.report.runs import Run
from elman.training.look import Features

ROOM = 500_000  # characters that all maps and all attention of a run may take
CHANNELS = 24  # of a layer that are drawn


def features_of(run: Run, share: float = 1.0) -> dict[str, Any] | None:
    """The numbers behind the page's part on feature maps, as JSON takes them, in `share` of the space there is.

    None where the run kept none, `{"missing": why}` where they can't be read.
    """
    if not (run.path / "features.json").is_file():
        return None
    try:
        return _record(Features.load(run.path), share)
    except InputError as error:
        return {"missing": f"The feature maps can't be read: {error}."}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return {"missing": f"The feature maps can't be read ({error!r}): they were changed."}


def _record(seen: Features, share: float) -> dict[str, Any]:
    facts, arrays = dict(seen.facts), seen.arrays
    layers, attention = facts["layers"], facts["attention"]
    kept = [_kept(arrays, k, len(facts["cases"])) for k in range(len(layers))]
    cases: list[dict[str, Any]] = []
    room = share * ROOM
    for n, case in enumerate(facts["cases"]):
        maps = [arrays[f"map.{n}.{k}"][kept[k]] for k in range(len(layers))]
        looks = [arrays[f"attention.{n}.{k}"] for k in range(len(attention))]
        room -= sum(array.size for array in (*maps, *looks)) * 4 / 3
        if room < 0 and cases:
            break
        cases.append(
            {
                **case,
                "read": packed(arrays[f"read.{n}"]),
                "output": [float(f"{value:.5g}") for value in arrays[f"output.{n}"]],
                "share": packed(arrays[f"share.{n}"]),
                "occluded": packed(arrays[f"occluded.{n}"]),
                "picked": whole(arrays[f"picked.{n}"]) if f"picked.{n}" in arrays else None,
                "maps": [packed(values, 8) for values in maps],
                "attention": [packed(values, 8) for values in looks],
            }
        )
    return {
        **facts,
        "cases": cases,
        "layers": [
            {
                **layer,
                "kept": kept[k].tolist(),
                "filter": packed(arrays[f"filter.{k}"][kept[k]]) if f"filter.{k}" in arrays else None,
            }
            for k, layer in enumerate(layers)
        ],
    }


def _kept(arrays: Any, k: int, cases: int) -> Any:
    """The channels of a layer that are drawn, in their order: all, or those that vary most."""
    spread = np.mean([arrays[f"map.{n}.{k}"].reshape(len(arrays[f"map.{n}.{k}"]), -1).std(1) for n in range(cases)], 0)
    return np.sort(np.argsort(-spread, kind="stable")[:CHANNELS])
