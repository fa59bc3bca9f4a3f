"""Workers that run in turn: each library in a process of its own (`peers/`), under its own Python and settings.

They are given the same numbers in a file and write their results into another; a speed is measured only where these
agree. Then they run in turn, A B C A B C, one at a time, while the others sleep.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from environments import interpreter

TOLERANCE = 1e-4  # of the largest number of each array: float32, summed in another order over up to 2,000 steps
TUNED = {  # glibc's malloc told to keep its memory
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
UNSET = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    *TUNED,
)  # numpy chooses its own kernels
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# name: the program in peers/, whose Python runs it, and its environment variables
WORKERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "elman": ("with_elman", "", {}),
    "torch": ("with_torch", "", {}),
    "torch tuned": ("with_torch", "", TUNED),
    "numpy": ("with_numpy", "", {}),
    "jax": ("with_jax", "jax", {"JAX_PLATFORMS": "cpu"}),
    "onnxruntime": ("with_onnxruntime", "onnxruntime", {}),
}


class Disagreement(Exception):
    """The results of two libraries differ, so that comparing their speed would mean nothing."""


def python_of(name: str) -> Path:
    environment = WORKERS[name][1]
    return interpreter(environment) if environment else Path(sys.executable)


@dataclass(frozen=True)
class How:
    """What all workers of a run have in common."""

    threads: int = 2
    quick: bool = False
    passive: bool = False
    """Whether threads of OpenMP sleep at once when they wait, instead of spinning for a while."""
    seconds: float = 10.0
    """About how long one comparison may take."""

    def environment(self, more: Mapping[str, str] = {}) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in UNSET}
        policy = {"OMP_WAIT_POLICY": "passive"} if self.passive else {}
        return kept | dict.fromkeys(THREADS, str(self.threads)) | policy | dict(more)


class Worker:
    """A process that holds one library and sleeps between orders; see peers/worker.py."""

    def __init__(self, name: str, how: How) -> None:
        program, _, variables = WORKERS[name]
        self.name = name
        self._process = subprocess.Popen(
            [python_of(name), Path(__file__).parent / "peers" / f"{program}.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=how.environment(variables),
            text=True,
        )
        self.about = self._answer()

    def prepare(self, task: str, numbers: Path, **job: Any) -> list[np.ndarray]:
        """Makes ready to run `task`, and gives the results of one run."""
        results = numbers.with_name(f"{self.name}.npz")
        self._ask({"prepare": task, "numbers": str(numbers), "results": str(results), **job})
        with np.load(results) as file:
            return list(file.values())

    def run(self, task: str, fill: float) -> float:
        """The median seconds of one run, of as many as fill `fill` seconds."""
        return self._ask({"run": task, "fill": fill})["seconds"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def processor_seconds(self) -> float:
        """How long all its threads have run, in all."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"it ended with status {self._process.wait()}"}
        if "error" in answer:
            raise RuntimeError(f"the worker {self.name!r} failed: {answer['error']}")
        return answer


class Peers:
    """The workers of one benchmark, begun when first asked for, and the runs that each makes ready."""

    def __init__(self, how: How) -> None:
        self.how = how
        self._workers: dict[str, Worker] = {}
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._folder.cleanup()

    @property
    def about(self) -> dict[str, str]:
        return {k: v for worker in self._workers.values() for k, v in worker.about.items()}

    def processor_seconds(self) -> tuple[float, float]:
        """How long all processors have worked for anybody, since they began, and how long of it for this benchmark.

        Zeros where the system does not tell.
        """
        if not Path("/proc/stat").exists():
            return 0.0, 0.0
        with open("/proc/stat") as stat:
            user, nice, system, _idle, _waiting, *interrupts = map(int, stat.readline().split()[1:9])
        ours = sum(os.times()[:4]) + sum(worker.processor_seconds() for worker in self._workers.values())
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK"), ours

    def compare(
        self, names: Sequence[str], task: str, numbers: Mapping[str, np.ndarray], **job: Any
    ) -> dict[str, list[float]]:
        """Seconds of each turn of those of `names` that are installed, once their results agree with the second's.

        "PEER: TASK" runs another task than the others, whose results nothing is compared with.
        """
        path = Path(self._folder.name) / "numbers.npz"
        np.savez(path, **numbers)
        runs: dict[str, tuple[Worker, str]] = {}
        results: dict[str, list[np.ndarray]] = {}
        for name in names:
            peer, _, other_task = name.partition(": ")
            if python_of(peer).exists():
                runs[name] = self._worker(peer), other_task or task
                found = runs[name][0].prepare(runs[name][1], path, quick=self.how.quick, **job)
                if not other_task:
                    results[name] = found
        truth = list(results)[1]
        for name, found in results.items():
            check_agreement(f"{name} and {truth}", found, results[truth])
        return interleave(runs, self.how)

    def _worker(self, name: str) -> Worker:
        if name not in self._workers:
            self._workers[name] = Worker(name, self.how)
        return self._workers[name]


def check_agreement(who: str, found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape:
            raise Disagreement(f"{who}: result {k} has the shapes {a.shape} and {b.shape}")
        error = np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)
        if not error < TOLERANCE:  # NaN is a disagreement too
            raise Disagreement(f"{who} differ by {error:.1e} in result {k}")


def interleave(runs: Mapping[str, tuple[Worker, str]], how: How) -> dict[str, list[float]]:
    """Seconds of every run in each turn. The first turn is left out: it tells how many there is time for."""
    fill = 0.001 if how.quick else 0.02
    times: dict[str, list[float]] = {name: [] for name in runs}
    start, left = time.perf_counter(), -1
    while left:
        for name, (worker, task) in runs.items():
            time.sleep(0.003)  # until the threads of the one before have stopped looking for work
            times[name].append(worker.run(task, fill))
        if left < 0:
            left = 3 if how.quick else min(21, max(5, int(how.seconds / (time.perf_counter() - start)))) + 1
            times = {name: [] for name in runs}
        left -= 1
    return times
