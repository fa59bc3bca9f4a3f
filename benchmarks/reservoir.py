"""Time a leaky sparse reservoir against scipy's CSR product and numpy, written in place.

    python benchmarks/reservoir.py      # the table, about a minute

One sequence, float32. "a row" is how many numbers a row of W has.
"""

import numpy as np

import floors
from floors import verdict
from measure import Benchmark, Case, Row, floors_said, median, milliseconds, said, speed_up
from workers import Peers

I, LEAK = 4, 0.3


def measure(peers: Peers, case: Case) -> Row:
    N, row, T = case
    random = np.random.default_rng(0)
    numbers = {
        "x": random.standard_normal((T, I)),
        "W_in": random.uniform(-0.5, 0.5, (N, I)),
        "b": random.uniform(-0.1, 0.1, N),
        # The sum of a row's magnitudes stays below 1, so that rounding is forgotten and the results can be compared.
        "values": random.uniform(-1, 1, N * row) * 1.8 / row,
    }
    numbers = {name: array.astype(np.float32) for name, array in numbers.items()}
    numbers["rows"] = np.repeat(np.arange(N), row)
    numbers["columns"] = np.concatenate([random.choice(N, row, replace=False) for _ in range(N)])
    times = peers.compare(["elman", "numpy"], "reservoir", numbers, leak=LEAK)
    ratios = speed_up(times, "numpy")
    return {
        "seconds": median(times),
        "speed_up": {"numpy": ratios},
        "floors": [verdict("scipy", ratios[1], floors.RESERVOIR)] if N >= 1000 else [],
    }


def cells(row: Row) -> list[str]:
    times = row["seconds"]
    return [
        *(milliseconds(times[name]) for name in ("elman", "numpy")),
        said(row["speed_up"]["numpy"]),
        floors_said(row),
    ]


BENCHMARK = Benchmark(
    columns=("N, a row, T", "elman, ms", "scipy, ms", "faster", "floors"),
    cases=[(N, row, 1000) for N in (500, 1000, 2000, 5000) for row in (10, 30, 100)],
    quick_cases=[(20, 3, 10), (50, 5, 10)],
    measure=measure,
    cells=cells,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
