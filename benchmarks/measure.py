"""What every benchmark shares: statistics, the machine's facts, the table and the command line.

A speed-up is the median of the ratios within each turn of the workers (`workers.py`), with their middle half as spread,
so that a machine that is slow for a while is slow for all.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from floors import Verdict, summary
from workers import Disagreement, How, Peers

Row = dict[str, Any]
Case = tuple[Any, ...]

BUSY = 0.1  # of all processors; where other programs take more, a comparison says little


def median(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def speed_up(times: Mapping[str, Sequence[float]], over: str) -> list[float]:
    """The first quarter, the median and the third quarter of how many times faster than `over` we were."""
    return statistics.quantiles(
        [b / a for a, b in zip(times["elman"], times[over], strict=True)], n=4, method="inclusive"
    )


def fastest(speed_ups: Mapping[str, Sequence[float]], among: Sequence[str]) -> str:
    """The one over which our speed-up is smallest, of those that were measured.

    >>> fastest({"torch": [1.9, 2.0, 2.1], "jax": [1.4, 1.5, 1.6]}, ["torch", "jax", "onnxruntime"])
    'jax'
    """
    return min((name for name in among if name in speed_ups), key=lambda name: speed_ups[name][1])


def verdicts(row: Row) -> list[Verdict]:
    return [Verdict(**given) for given in row.get("floors", [])]


def floors_said(row: Row) -> str:
    return "; ".join(f"{v.what} {v}" for v in verdicts(row))


def said(ratios: Sequence[float]) -> str:
    """A speed-up with its spread.

    >>> said([1.91, 2.0, 2.14]), said([19.1, 20.0, 21.4])
    ('**2.00** (1.91 to 2.14)', '**20.0** (19.1 to 21.4)')
    """
    low, middle, high = (f"{r:.1f}" if ratios[1] >= 10 else f"{r:.2f}" for r in ratios)
    return f"**{middle}** ({low} to {high})"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def processor() -> str:
    """Its name, its widest vectors and how many cores this machine has of it."""
    about: dict[str, str] = {}
    if Path("/proc/cpuinfo").exists():
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        about = {key.strip(): value.strip() for key, _, value in lines}
    flags = about.get("flags", "").split()
    vectors = next((f" with {name}" for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return f"{about.get('model name', platform.machine())}{vectors}, {os.cpu_count()} cores"


@dataclass(frozen=True)
class Benchmark:
    """A table: its cases, how one of them becomes a row, and how a row is written."""

    columns: Sequence[str]
    cases: Sequence[Case]
    quick_cases: Sequence[Case]
    measure: Callable[[Peers, Case], Row]
    cells: Callable[[Row], Sequence[str]]
    threads: int = 2

    def table(self, rows: Sequence[Row]) -> list[str]:
        """The rows in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns)]
        return ["| " + " | ".join(line) + " |" for line in (*lines, *map(self._line, rows))]

    def _row(self, peers: Peers, case: Case) -> Row:
        row: Row = {"name": name_of(case)}
        before = time.perf_counter(), *peers.processor_seconds()
        try:
            row |= self.measure(peers, case)
        except Disagreement as error:
            row["refused"] = str(error)
        after = time.perf_counter(), *peers.processor_seconds()
        took, worked, ours = (b - a for a, b in zip(before, after, strict=True))
        row["others"] = max(0.0, worked - ours) / took / (os.cpu_count() or 1)
        return row

    def _line(self, row: Row) -> Sequence[str]:
        if "refused" in row:
            return [row["name"], f"refused: {row['refused']}", *[""] * (len(self.columns) - 2)]
        return [row["name"], *self.cells(row)]

    def main(self, doc: str) -> None:
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--json", type=Path, help="write what was measured to this file too")
        parser.add_argument("--threads", type=int, default=self.threads)
        parser.add_argument("--quick", action="store_true", help="tiny cases, few runs: does it still work?")
        parser.add_argument("--only", default="", help="only rows whose name begins so, such as lstm or 'gru 32, 100'")
        parser.add_argument("--seconds", type=float, default=10, help="about how long to measure each row")
        parser.add_argument("--passive", action="store_true", help="OpenMP's threads sleep while they wait")
        options = parser.parse_args()
        use_cores(options.threads)

        rows: list[Row] = []
        facts: dict[str, Any] = {"processor": processor(), "threads": options.threads}
        facts |= {"waiting": "passive" if options.passive else "as OpenMP's default"}
        facts |= {"python": platform.python_version(), "elman": version("elman"), "torch": version("torch")}
        with Peers(How(options.threads, options.quick, options.passive, options.seconds)) as peers:
            for case in self.quick_cases if options.quick else self.cases:
                if not name_of(case).startswith(options.only):
                    continue
                rows.append(self._row(peers, case))
                print(*self.table(rows)[-1 if len(rows) > 1 else 0 :], sep="\n", flush=True)
                facts |= dict(sorted(peers.about.items()))
                if options.json:  # after each row, as a long run may be stopped
                    options.json.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
        print("", *notes(facts, rows), sep="\n\n")
        if any("refused" in row for row in rows):
            sys.exit(1)


def notes(facts: dict[str, Any], rows: Sequence[Row]) -> list[str]:
    """What stands under a table, as paragraphs: the floors, what was measured on, and how much else ran there."""
    floors = summary([(row["name"], v) for row in rows for v in verdicts(row)])
    measured = measured_on(facts)
    others = statistics.median(row["others"] for row in rows) if rows else 0.0
    if others <= BUSY:
        return [floors, measured]
    return [floors, measured, f"**Other programs took {others:.0%} of the processors: these figures say little.**"]


def measured_on(facts: Mapping[str, Any]) -> str:
    return "Measured on: " + "; ".join(f"{name} {value}" for name, value in facts.items()) + "."


def name_of(case: Case) -> str:
    """The words of a case, then its sizes.

    >>> name_of(("lstm", 32, 100, 50, 50))
    'lstm 32, 100, 50, 50'
    """
    words = [part for part in case if isinstance(part, str)]
    return " ".join([*words, ", ".join(f"{part:g}" for part in case if not isinstance(part, str))])


def use_cores(threads: int) -> None:
    """Gives this process and its workers as many cores as threads, for libraries that take all they see."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
