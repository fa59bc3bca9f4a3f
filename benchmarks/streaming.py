"""Time one step of a stream: elman against torch's cells, ONNX Runtime with bound buffers, and well-written numpy.

    python benchmarks/streaming.py      # the table, about three minutes

Batch 1, 16 inputs, float32, one thread; each library carries the state in the way that is its fastest. Microseconds a
step, from Python.
"""

import numpy as np

import floors
from floors import verdict
from layers import GATES, weights
from measure import Benchmark, Case, Row, fastest, floors_said, median, said, speed_up
from workers import Peers

PEERS = ("torch", "onnxruntime", "numpy")
I, STEPS = 16, 1000


def measure(peers: Peers, case: Case) -> Row:
    cell, H = case
    x = np.random.default_rng(0).standard_normal((20 if peers.how.quick else STEPS, I), dtype=np.float32)
    times = peers.compare(["elman", *PEERS], "stream", {"x": x, **weights(cell, I, H)}, cell=cell)
    times = {name: [s / len(x) for s in seconds] for name, seconds in times.items()}
    over = {peer: speed_up(times, peer) for peer in times if peer != "elman"}
    faster = fastest(over, ["onnxruntime", "numpy"])
    pairs = {
        "torch": floors.by_size(floors.STREAM_OVER_TORCH, H),
        faster: floors.by_size(floors.STREAM_OVER_THE_FASTER, H),
    }
    found = [verdict(peer, over[peer][1], pair) for peer, pair in pairs.items() if pair]
    return {"seconds": median(times), "speed_up": over, "faster_peer": faster, "floors": found}


def cells(row: Row) -> list[str]:
    times, faster = row["seconds"], row["faster_peer"]
    return [
        *(f"{times[name] * 1e6:.3g}" if name in times else "" for name in ("elman", *PEERS)),
        said(row["speed_up"]["torch"]),
        f"{said(row['speed_up'][faster])} {faster}",
        floors_said(row),
    ]


BENCHMARK = Benchmark(
    columns=(
        "H", "elman, us", "torch's cell", "ONNX Runtime", "numpy", "faster than torch",
        "than the faster of the others", "floors",
    ),
    cases=[(cell, H) for cell in GATES for H in (32, 64, 128, 256)],
    quick_cases=[("rnn", 5), ("gru", 8), ("lstm", 8)],
    measure=measure,
    cells=cells,
    threads=1,
)  # fmt: skip

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
