"""`elman fit memory` and `elman recall`: a network that stores pictures and recalls damaged ones."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from elman.cli.options import Force, Json, Output, Quiet, command_line
from elman.cli.terminal import say, width
from elman.errors import InputError
from elman.tasks.settings import MemorySettings

if TYPE_CHECKING:
    import numpy as np

    from elman.tasks.memory import HopfieldNetwork

SHOWN = 4  # recalls in the terminal
DAMAGE = 0.2
AT_ONCE = 32  # recalls whose whole way is held in memory


def fit_memory(
    pictures: Path,
    /,
    *,
    output: Output,
    settings: Annotated[MemorySettings, Parameter(name="*")] = MemorySettings(),  # noqa: B008 (never changed)
    config: Path | None = None,
    size: int | None = None,
    label: str | None = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Store pictures, or other patterns, to recall damaged ones.

    Parameters
    ----------
    pictures
        a folder of images; .npy or .npz; or CSV or Parquet with a pattern in each row, of -1 and 1 or of 0 and 1
    config
        config.toml of an earlier run, for its settings; options given here win
    size
        pixels of each side that images are brought to (default: 32 where they are larger than 64, or differ)
    label
        name of the run on the page
    """
    from dataclasses import asdict

    from elman.data.pictures import read_pictures
    from elman.report import write_report
    from elman.tasks.memory import HopfieldNetwork
    from elman.training.record import Run

    if size is not None and size < 2:
        raise InputError(f"--size {size}: at least 2 pixels were expected")
    patterns, names, note = read_pictures(pictures, size)
    network = HopfieldNetwork(**asdict(settings))
    label = label or (network.kind if network.kind == "modern" else network.storage)
    run = Run(output, label=label, command=command_line())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notes say the same, below
        network.fit(patterns, run=run, force=force)
    told = _tried(network, names, DAMAGE, network.seed)
    page = write_report([run.path], run.path / "report.html")
    if json:
        import json as js

        right = sum(one["right"] for one in told) / len(told)
        told_of = {"patterns": len(patterns), "units": network.n_features_in_, "damage": DAMAGE, "recalled": right}
        print(js.dumps(told_of))
    if quiet:
        return
    for text in [*([f"{note[0].upper()}{note[1:]}."] if note else []), *network.notes_]:
        say(f"Note: {text}", markup=False)
    if not json:
        _show(told)
    say(f"Model and page are in {output}; open {page}, or: elman recall {output} PICTURE", markup=False)


def recall(
    run: Path,
    cues: Path | None = None,
    /,
    *,
    damage: float | None = None,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Recall the stored pattern from a damaged one; without CUES, from the stored ones, damaged.

    Parameters
    ----------
    run
        a run folder of `elman fit memory`, or its model folder
    cues
        an image or a folder of images; .npy or .npz; or CSV or Parquet with a cue in each row
    damage
        share of the units of each cue that are turned before (default: 0.2 of stored patterns, none of CUES)
    seed
        of the damage
    """
    from elman.data.pictures import read_pictures
    from elman.tasks.loading import load
    from elman.tasks.memory import HopfieldNetwork

    network = load(run)
    if not isinstance(network, HopfieldNetwork):
        raise InputError(f"{run} holds a model for the task {network.task!r}; one of `elman fit memory` was expected")
    if cues is None:
        names = [str(k) for k in range(len(network.network_.patterns))]
        told = _tried(network, names, DAMAGE if damage is None else damage, seed)
    else:
        from elman.data.patterns import read_cues

        shape = network.coding_.shape
        found, names, _ = read_pictures(cues, (shape[0], shape[1]) if len(shape) == 2 else None)
        inside = read_cues(found, network.coding_)
        told = _recalled(network, inside if damage is None else _spoiled(network, inside, damage, seed), names)
    if json:
        import json as js

        for one in told:
            print(js.dumps({k: v for k, v in one.items() if k not in ("before", "after")}))
        return
    _show(told)


def _tried(network: "HopfieldNetwork", names: Sequence[str], damage: float, seed: int) -> list[dict[str, Any]]:
    """Recalls of the stored patterns from damaged ones, with whether each is right."""
    stored = network.network_.patterns.numpy()
    return _recalled(network, _spoiled(network, stored, damage, seed), names, stored)


def _spoiled(network: "HopfieldNetwork", cues: "np.ndarray", damage: float, seed: int) -> "np.ndarray":
    import numpy as np

    from elman.tasks.memory_trials import spoiled

    return spoiled(network, cues, damage, np.random.default_rng(seed))


def _recalled(
    network: "HopfieldNetwork", cues: "np.ndarray", names: Sequence[str], truth: "np.ndarray | None" = None
) -> list[dict[str, Any]]:
    """What is recalled from each cue (n, N), a row to print; with `truth` (n, N) also whether it is right."""
    told: list[dict[str, Any]] = []
    for begin in range(0, len(cues), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        way = network.recall(network.coding_.write(cues[part]))
        for k, name in enumerate(names[part]):
            told.append(
                {
                    "cue": name,
                    "stored": int(way.nearest[k]),
                    "overlap": round(float(way.overlaps[-1, k, way.nearest[k]]), 4),
                    "steps": int(way.steps[k]),
                    "rests": bool(way.converged[k]),
                    "before": _grid(way.states[0, k], network.coding_.shape),
                    "after": _grid(way.states[-1, k], network.coding_.shape),
                }
            )
            if truth is not None:
                told[-1]["right"] = bool(network.right(way.states[-1, [k]], truth[[begin + k]])[0])
    return told


def _show(told: Sequence[dict[str, Any]]) -> None:
    """Some recalls as small pictures, a line on each, and how many were right where that is known."""
    for one in told[:SHOWN]:
        rests = "" if one["rests"] else ", and does not rest"
        print(
            f"{one['cue']}: stored pattern {one['stored']}, overlap {one['overlap']:.2f}, steps {one['steps']}{rests}"
        )
        before, after = (half_blocks(one[key], (width() - 5) // 2) for key in ("before", "after"))
        for k, (left, right) in enumerate(zip(before, after, strict=True)):
            print(f"{left} {'→' if k == len(before) // 2 else ' '} {right}".rstrip())
    if len(told) > SHOWN:
        print(f"and {len(told) - SHOWN} more")
    if told and "right" in told[0]:
        print(f"{sum(one['right'] for one in told)} of {len(told)} damaged patterns were recalled without an error")


def _grid(values: "np.ndarray", shape: tuple[int, ...]) -> "np.ndarray":
    """(H, W) of bools: what is above the middle of its range; a pattern that is no picture is wrapped into a square."""
    import numpy as np

    high = values > (values.min() + values.max()) / 2 if values.min() < values.max() else values > 0
    if len(shape) == 2:
        return high.reshape(shape)
    wide = int(np.ceil(np.sqrt(len(high))))
    return np.pad(high, (0, -len(high) % wide)).reshape(-1, wide)


def half_blocks(picture: "np.ndarray", most: int) -> list[str]:
    """`picture (H, W)` of bools in lines of text, two rows of pixels in each, at most so many columns wide.

    >>> import numpy as np
    >>> half_blocks(np.eye(4, dtype=bool), 40)
    ['▀▄  ', '  ▀▄']
    """
    import numpy as np

    stride = max(1, -(-picture.shape[1] // most))
    small = picture[::stride, ::stride]
    small = np.pad(small, ((0, len(small) % 2), (0, 0)))
    pairs = small.reshape(-1, 2, small.shape[1]).astype(int)
    return ["".join(" ▄▀█"[k] for k in 2 * upper + lower) for upper, lower in pairs]
