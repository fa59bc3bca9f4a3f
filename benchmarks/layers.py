"""Time elman's recurrent kernels against torch's own layers: a training step, and forward alone.

    python benchmarks/layers.py                 # the table, about three minutes
    python benchmarks/layers.py --malloc tuned  # the same with glibc's malloc told to keep its memory
    python benchmarks/layers.py --json out.json --quick

Both run in one process, in turn, on the same numbers; medians, with the middle half of the ratios as spread. A speed-up
is reported only where the results agree. "sgemm" is the share of what torch's 1024 x 1024 x 1024 product does in the
same minute. Read ratios: the machine may be shared.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from elman import kernels

SHAPES = [
    (32, 100, 50, 50), (32, 100, 64, 128), (64, 128, 128, 256), (1, 1000, 16, 64), (128, 50, 28, 128),
    (64, 200, 512, 512), (256, 365, 27, 64), (512, 64, 8, 32), (16, 2000, 40, 96),
]  # fmt: skip
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
# The speed-up over torch that a training step must hold, by hidden size; at batch 1, by cell.
FLOORS = {
    "rnn": {64: 3.0, 128: 2.0, 256: 1.7, 512: 1.3},
    "gru": {64: 3.5, 128: 2.2, 256: 1.7, 512: 1.3},
    "lstm": {64: 1.4, 128: 1.25, 256: 1.2, 512: 1.0},
}
FLOORS_AT_BATCH_1 = {"rnn": 25.0, "gru": 25.0, "lstm": 2.0}
FORWARD_FLOORS = {"rnn": 2.5, "gru": 2.5, "lstm": 1.5}  # up to 128 units


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Seconds of each run of both, one after the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for warm_up in (True, *([False] * runs)):
        for function, into in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            if not warm_up:
                into.append(time.perf_counter() - start)
    return times


def sgemm(seconds: float = 0.3) -> float:
    """GFLOP/s of torch's matrix product, now."""
    a, done = torch.randn(1024, 1024), 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ a
        done += 1
    return done * 2 * 1024**3 / (time.perf_counter() - start) / 1e9


def measure(cell: str, shape: tuple[int, int, int, int], quick: bool) -> dict[str, object]:
    """One row of the table."""
    B, T, I, H = shape
    torch.manual_seed(0)
    layer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](I, H)
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    x, dy = torch.randn(T, B, I, requires_grad=True), torch.randn(T, B, H)
    wanted = (x, *weights)

    def ours() -> tuple[torch.Tensor, ...]:
        y = getattr(kernels, cell)(x, None, *weights)[0]
        return y, *torch.autograd.grad(y, wanted, dy)

    def theirs() -> tuple[torch.Tensor, ...]:
        y = layer(x)[0]
        return y, *torch.autograd.grad(y, wanted, dy)

    def without_gradient(function: Callable[[], object]) -> Callable[[], object]:
        return torch.no_grad()(function)

    for a, b in zip(ours(), theirs(), strict=True):
        error = ((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item()
        assert error < 1e-4, f"{cell} {shape}: the results differ by {error:.1e}; no speed is reported"
    operations = 2 * GATES[cell] * T * B * H * (I + H)
    runs = 2 if quick else max(5, min(40, int(4e10 / (3 * operations + 4e8))))
    speed = sgemm(0.05 if quick else 0.3)
    row: dict[str, object] = {"cell": cell, "B": B, "T": T, "I": I, "H": H}
    for what, factor, times in (
        ("train", 3, in_turn(ours, theirs, runs)),
        (
            "forward",
            1,
            in_turn(
                without_gradient(lambda: getattr(kernels, cell)(x, None, *weights)),
                without_gradient(lambda: layer(x)),
                runs,
            ),
        ),
    ):
        mine, other = (statistics.median(t) for t in times)
        ratios = statistics.quantiles([b / a for a, b in zip(*times, strict=True)], n=4)
        row[what] = {
            "elman_ms": mine * 1e3, "torch_ms": other * 1e3, "speed_up": other / mine,
            "spread": [ratios[0], ratios[2]], "sgemm": factor * operations / mine / 1e9 / speed,
        }  # fmt: skip
    row["floors"] = floors(cell, B, H, row["train"]["speed_up"], row["forward"]["speed_up"])  # type: ignore[index]
    return row


def floors(cell: str, B: int, H: int, train: float, forward: float) -> dict[str, str]:
    floor = FLOORS_AT_BATCH_1[cell] if B == 1 else next(f for most, f in FLOORS[cell].items() if most >= H)
    said = {"train": f"{floor:g} {'held' if train >= floor else 'missed'}"}
    if H <= 128:
        said["forward"] = f"{FORWARD_FLOORS[cell]:g} {'held' if forward >= FORWARD_FLOORS[cell] else 'missed'}"
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--malloc", choices=["default", "tuned"], default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="two shapes, few runs: does it still work?")
    options = parser.parse_args()
    if options.malloc == "tuned" and "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | TUNED)
    torch.set_num_threads(options.threads)

    status = kernels.native_status()
    facts = {
        "processor": processor(), "threads": options.threads, "malloc": options.malloc, "torch": str(torch.__version__),
        "kernels": status.isa or status.why_not, "python": platform.python_version(),
    }  # fmt: skip
    print("; ".join(f"{k} {v}" for k, v in facts.items()))
    columns = (
        "B, T, I, H", "cell", "training step: elman / torch ms", "speed-up (middle half)", "sgemm", "floor",
        "forward: elman / torch ms", "speed-up", "floor",
    )  # fmt: skip
    print_row(*columns)
    print_row(*["---"] * len(columns))
    rows = []
    for shape in [(3, 9, 4, 5), (1, 30, 4, 8)] if options.quick else SHAPES:
        for cell in GATES:
            row = measure(cell, shape, options.quick)
            rows.append(row)
            train, forward, said = row["train"], row["forward"], row["floors"]
            print_row(
                ", ".join(map(str, shape)), cell, f"{train['elman_ms']:.2f} / {train['torch_ms']:.2f}",
                f"**{train['speed_up']:.2f}** ({train['spread'][0]:.2f} to {train['spread'][1]:.2f})",
                f"{train['sgemm']:.0%}", said["train"], f"{forward['elman_ms']:.2f} / {forward['torch_ms']:.2f}",
                f"{forward['speed_up']:.2f}", said.get("forward", ""),
            )  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")


def print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.machine()
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
