"""Measure how many random patterns Hopfield networks hold, and how long a recall takes.

    python benchmarks/capacity.py --json docs/benchmarks/capacity.json --pictures docs/pictures      # some minutes

Two pictures: recall of the hebbian rule against load in networks of several sizes, whose curves grow steeper the larger
the network and cross near the capacity of 0.138 N that is known for very large ones (Amit, Gutfreund and Sompolinsky
1985); and the three rules side by side.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import polars as pl

from elman import capacity_curve
from elman.data.patterns import damaged
from elman.files import write_json
from elman.layers.associative import AssociativeMemory
from elman.report.charts import Chart, Line, Rule, save_svg
from elman.tasks.capacity import transition

EDGE = (0.12, 0.13, 0.135, 0.14, 0.145, 0.15, 0.155, 0.16, 0.17, 0.18)
WIDE = (0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45)
COLOURS = ("s1", "s2", "s3", "s4")
CUES, REPEATS = 100, 5


def edge(units: list[int], trials: int) -> pl.DataFrame:
    """The hebbian rule near its edge; a small network gets as many more trials as it has fewer patterns."""
    curves = []
    for N in units:
        many = max(1, round(trials * max(units) / N))
        curves.append(capacity_curve(N, EDGE, storages=["hebbian"], trials=many).with_columns(units=pl.lit(N)))
    return pl.concat(curves)


def seconds(N: int, load: float) -> dict[str, float]:
    """The median time to store, and to recall from 100 cues with a tenth of their units turned."""
    draw = np.random.default_rng(0)
    patterns = draw.choice([-1.0, 1.0], (round(load * N), N))
    cues = damaged(np.resize(patterns, (CUES, N)), 0.1, draw)
    times: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        for name in ("hebbian", "storkey", "pseudo-inverse"):
            begin = time.perf_counter()
            memory = AssociativeMemory.storing(patterns, name)
            times.setdefault(f"store, {name}", []).append(time.perf_counter() - begin)
        for name in ("asynchronous", "synchronous"):
            begin = time.perf_counter()
            memory.settle(cues, update=name, order="random")
            times.setdefault(f"recall, {name}", []).append(time.perf_counter() - begin)
    return {"units": N, "patterns": len(patterns), **{name: statistics.median(each) for name, each in times.items()}}


def pictures(near: pl.DataFrame, wide: pl.DataFrame, folder: Path) -> None:
    sizes = near["units"].unique(maintain_order=True).to_list()
    by_size = [(f"{N:,} units", near.filter(units=N)) for N in sizes]
    by_rule = [(rule, wide.filter(storage=rule, noise=0.0)) for rule in wide["storage"].unique(maintain_order=True)]
    for name, title, curves, rules in (
        (
            "capacity",
            "The hebbian rule at its edge: the larger the network, the steeper",
            by_size,
            [Rule(0.138, "x", "0.138")],
        ),
        ("rules", "How many random patterns three rules hold, in 500 units", by_rule, []),
    ):
        lines = [
            Line(label, curve["load"].to_numpy(), 100 * curve["found"].to_numpy(), colour, dots=True)
            for (label, curve), colour in zip(curves, COLOURS, strict=False)
        ]
        chart = Chart(title, "load: stored patterns a unit", "patterns found (%)", lines, rules=rules, y_range=(0, 100))
        for theme in ("light", "dark"):
            save_svg(chart, folder / f"{name}-{theme}.svg", height=360, theme=theme)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", default="500,1000,2000,4000")
    parser.add_argument("--trials", type=int, default=3, help="of the largest network; smaller ones get more")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    units = [int(word) for word in options.units.split(",")]
    near = edge(units, options.trials)
    wide = capacity_curve(min(500, max(units)), WIDE, noises=NOISES, trials=options.trials)
    times = [seconds(N, 0.1) for N in (units[-1] // 4, units[-1])]
    for N in units:
        curve = near.filter(units=N)
        print(f"hebbian, {N:,} units: half is found at a load of {transition(curve)}")
        print("  " + "  ".join(f"{row['load']:.3f} {100 * row['found']:.0f} %" for row in curve.iter_rows(named=True)))
    for rule in wide["storage"].unique(maintain_order=True):
        ends = {noise: transition(wide.filter(storage=rule, noise=noise)) for noise in NOISES}
        print(f"{rule}: half is found at " + ", ".join(f"{k:g} noise {v}" for k, v in ends.items()))
    for row in times:
        print(json.dumps(row))
    if options.json:
        write_json(options.json, {"edge": near.to_dicts(), "rules": wide.to_dicts(), "seconds": times})
    if options.pictures:
        pictures(near, wide, options.pictures)


if __name__ == "__main__":
    main()
