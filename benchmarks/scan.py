"""Time the diagonal scan h_t = a_t h_{t-1} + b_t against a loop over torch's operations.

    python benchmarks/scan.py           # the table, about a minute

"real" and "complex" have an `a` for every step, "constant" one for all of them. "bandwidth" is how fast the numbers
that forward alone reads and writes go through memory, as a share of torch's addition of as many numbers.
"""

import statistics

import numpy as np

import floors
from floors import verdict
from measure import Benchmark, Case, Row, floors_said, median, milliseconds, said, speed_up
from workers import Peers

ADDITION = "torch: addition"


def measure(peers: Peers, case: Case) -> Row:
    what, kind, B, T, H = case
    random = np.random.default_rng(0)
    a = random.uniform(0.5, 0.99, (H,) if kind == "constant" else (T, B, H)).astype(np.float32)
    b, dy = (random.standard_normal((T, B, H), dtype=np.float32) for _ in range(2))
    if kind == "complex":
        a = a * np.exp(1j * random.uniform(0, 3, a.shape)).astype(np.complex64)
        b, dy = (t + 1j * random.standard_normal(t.shape, dtype=np.float32) for t in (b, dy))
    times = peers.compare(["elman", "torch", ADDITION], f"scan_{what}", {"a": a, "b": b, "dy": dy})
    addition = times.pop(ADDITION)
    moved = (a.size + 2 * b.size) / (3 * b.size)
    share = statistics.median(moved * s / ours for ours, s in zip(times["elman"], addition, strict=True))
    ratios = speed_up(times, "torch")
    return {
        "seconds": median(times),
        "speed_up": {"torch": ratios},
        "bandwidth": share if what == "forward" else None,
        "floors": [verdict("loop", ratios[1], floors.SCAN)] if what == "train" else [],
    }


def cells(row: Row) -> list[str]:
    times, share = row["seconds"], row["bandwidth"]
    return [
        *(milliseconds(times[name]) for name in ("elman", "torch")),
        said(row["speed_up"]["torch"]),
        "" if share is None else f"{share:.0%}",
        floors_said(row),
    ]


SHAPES = [
    ("real", 32, 100, 128), ("real", 64, 365, 64), ("real", 1, 2000, 256), ("real", 32, 1000, 256),
    ("constant", 32, 500, 128), ("complex", 16, 500, 128),
]  # fmt: skip
BENCHMARK = Benchmark(
    columns=("B, T, H", "elman, ms", "loop, ms", "faster", "bandwidth", "floors"),
    cases=[(what, *shape) for shape in SHAPES for what in ("train", "forward")],
    quick_cases=[("train", "real", 2, 9, 5), ("forward", "complex", 1, 7, 3)],
    measure=measure,
    cells=cells,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
