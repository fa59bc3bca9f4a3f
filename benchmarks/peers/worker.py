"""The loop of a worker: a process that holds one library, and sleeps until it is told what to run.

Orders come as lines of JSON on stdin, answers go as lines of JSON to stdout:

    {"prepare": TASK, "numbers": FILE, "results": FILE, ...}  ->  {}
    {"run": TASK, "fill": SECONDS}                            ->  {"seconds": of one run}

"numbers" is an .npz file of the arrays that every library is given, "results" where this one's are written for
comparison. An error is answered as {"error": its traceback}.
"""

import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Numbers = dict[str, np.ndarray]
Run = Callable[[], Sequence[Any]]
Task = Callable[[Numbers, dict[str, Any]], Run]

LONG = 0.1  # seconds; a run that takes longer needs no run before it that wakes threads up and fills caches


def turn(run: Run, fill: float) -> float:
    """The median seconds of one run, of as many as fill `fill` seconds."""
    times = [_timed(run)]
    total = 0.0 if times[0] < LONG else times[0]
    if not total:
        times.clear()
    while not times or total < fill:
        times.append(_timed(run))
        total += times[-1]
    return statistics.median(times)


def _timed(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def serve(tasks: dict[str, Task], about: dict[str, str], to_numpy: Callable[[Any], np.ndarray] = np.asarray) -> None:
    """Obeys until stdin ends. The first line says what this worker is: versions and the like."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    runs: dict[str, Run] = {}

    def obey(order: dict[str, Any]) -> dict[str, Any]:
        if "run" in order:
            return {"seconds": turn(runs[order["run"]], order["fill"])}
        task = order["prepare"]
        runs.pop(task, None)  # and with it the memory that it holds
        with np.load(order["numbers"]) as file:
            run = tasks[task](dict(file), order)
        np.savez(order["results"], *map(to_numpy, run()))
        runs[task] = run
        return {}

    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = obey(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
