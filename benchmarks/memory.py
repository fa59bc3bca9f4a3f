"""Measure the memory of a training step, elman's layers against torch's.

    python benchmarks/memory.py         # the table, about two minutes

How far the resident memory of a fresh process grows at its peak, over three steps; weights, input and dL/dy stood
there before. The middle of three processes.
"""

import statistics
import subprocess
import sys
from pathlib import Path

import floors
from floors import verdict
from layers import GATES, QUICK_LAYERS, SHAPES
from measure import Benchmark, Case, Row, floors_said
from workers import Peers

PROGRAM = Path(__file__).parent / "peers" / "peak.py"


def measure(peers: Peers, case: Case) -> Row:
    median: dict[str, float] = {}
    for library in ("elman", "torch"):
        command, found = [sys.executable, PROGRAM, library, *map(str, case)], []
        for _ in range(1 if peers.how.quick else 3):  # a forked child would count code that its parent has read already
            done = subprocess.run(command, env=peers.how.environment(), check=True, capture_output=True, text=True)
            found.append(int(done.stdout))
        median[library] = statistics.median(found)
    # Below a page or two the ratio says nothing.
    ratio = max(median["torch"], 1 << 16) / max(median["elman"], 1 << 16)
    return {"bytes": median, "floors": [verdict("torch", ratio, floors.MEMORY)]}


def cells(row: Row) -> list[str]:
    ours, theirs = row["bytes"]["elman"], row["bytes"]["torch"]
    return [f"{ours / 2**20:.1f}", f"{theirs / 2**20:.1f}", f"{ours / max(theirs, 1):.0%}", floors_said(row)]


BENCHMARK = Benchmark(
    columns=("B, T, I, H", "elman, MB", "torch, MB", "of torch's", "floors"),
    cases=[(cell, *shape) for shape in SHAPES for cell in GATES],
    quick_cases=QUICK_LAYERS[-1:],
    measure=measure,
    cells=cells,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
