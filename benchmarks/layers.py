"""Time elman's layers against torch's, JAX and ONNX Runtime: a training step, and forward alone.

    python benchmarks/environments.py   # once: the environments of JAX and ONNX Runtime; without them, torch alone
    python benchmarks/layers.py         # the table, about half an hour
    python benchmarks/layers.py --only "train lstm 32"
    python benchmarks/layers.py --json out.json --quick

A training step ("train") is forward and backward, with the gradients of the weights and of the input. "torch tuned" is
torch with glibc's malloc told to keep its memory. "sgemm" is the share of what torch's 1024 x 1024 x 1024 product does
in the same minute. Read ratios: the machine may be shared.
"""

import statistics

import numpy as np

import floors
from floors import verdict
from measure import Benchmark, Case, Row, fastest, floors_said, median, milliseconds, said, speed_up
from workers import Peers

SHAPES = [
    (32, 100, 50, 50), (32, 100, 64, 128), (64, 128, 128, 256), (1, 1000, 16, 64), (128, 50, 28, 128),
    (64, 200, 512, 512), (256, 365, 27, 64), (512, 64, 8, 32), (16, 2000, 40, 96),
]  # fmt: skip
QUICK_LAYERS = [("rnn", 3, 9, 4, 5), ("gru", 1, 30, 4, 8), ("lstm", 1, 30, 4, 8)]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
PEERS = {"train": ["torch", "torch tuned", "jax"], "forward": ["torch", "torch tuned", "jax", "onnxruntime"]}
SGEMM = "torch: sgemm"


def weights(cell: str, I: int, H: int) -> dict[str, np.ndarray]:
    """As torch.nn draws them, in its layouts."""
    random, rows, bound = np.random.default_rng(1), GATES[cell] * H, H**-0.5
    shapes = {"weight_ih": (rows, I), "weight_hh": (rows, H), "bias_ih": (rows,), "bias_hh": (rows,)}
    return {name: random.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}


def measure(peers: Peers, case: Case) -> Row:
    what, cell, B, T, I, H = case
    random = np.random.default_rng(0)
    x, dy = (random.standard_normal((T, B, size), dtype=np.float32) for size in (I, H))
    numbers = {"x": x, "dy": dy, **weights(cell, I, H)}
    times = peers.compare(["elman", *PEERS[what], SGEMM], what, numbers, cell=cell)
    sgemm = times.pop(SGEMM)
    # Backward does the products of forward twice.
    operations = (3 if what == "train" else 1) * 2 * GATES[cell] * T * B * H * (I + H)
    share = statistics.median(operations / (2 * 1024**3) * b / a for a, b in zip(times["elman"], sgemm, strict=True))
    speed_ups = {peer: speed_up(times, peer) for peer in times if peer != "elman"}
    best = fastest(speed_ups, PEERS[what])
    over = {peer: ratios[1] for peer, ratios in speed_ups.items()}
    return {
        "seconds": median(times),
        "speed_up": speed_ups,
        "fastest_peer": best,
        "sgemm": share,
        "floors": list(promised(case, over, best, share)),
    }


def promised(case: Case, over: dict[str, float], best: str, share: float) -> list[dict[str, object]]:
    what, cell, B, _, _, H = case
    against = "torch tuned" if cell == "lstm" and what == "train" else "torch"
    if what == "train":
        pair = floors.TRAIN_AT_BATCH_1[cell] if B == 1 else floors.by_size(floors.TRAIN[cell], H)
    else:
        pair = floors.FORWARD[cell] if H <= 128 else None
    found = [verdict(against, over[against], pair)] if pair else []
    if what == "forward" and cell != "rnn" and "onnxruntime" in over:
        found.append(verdict("onnxruntime", over["onnxruntime"], floors.FORWARD_OVER_ONNXRUNTIME))
    if what == "train" and B >= 32 and H >= 128:
        found.append(verdict("sgemm", share, floors.SHARE_OF_SGEMM))
    return [*found, verdict("fastest peer", over[best], floors.FASTEST_PEER)]


def cells(row: Row) -> list[str]:
    times, best = row["seconds"], row["fastest_peer"]
    return [
        *(milliseconds(times[name]) if name in times else "" for name in ("elman", *PEERS["forward"])),
        said(row["speed_up"]["torch"]),
        f"{said(row['speed_up'][best])} {best}",
        f"{row['sgemm']:.0%}",
        floors_said(row),
    ]


BENCHMARK = Benchmark(
    columns=(
        "B, T, I, H", "elman, ms", "torch", "torch tuned", "JAX", "ONNX Runtime", "faster than torch",
        "than the fastest peer", "sgemm", "floors",
    ),
    cases=[(what, cell, *shape) for shape in SHAPES for cell in GATES for what in PEERS],
    quick_cases=[(what, *layer) for layer in QUICK_LAYERS for what in PEERS],
    measure=measure,
    cells=cells,
)  # fmt: skip

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
