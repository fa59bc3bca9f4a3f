"""Where the time goes in every row whose floor was missed: samples of what runs, by what it is for.

    make hotspots        # the kernels once more, with their source lines, and this; about ten minutes. Needs perf.

A row is measured beside its peers as its own benchmark does, then sampled. "products" are the multiplications and
additions of the matrix products with the loads they need; "their speed" is how fast those went, as a share of what
torch's 1024 x 1024 x 1024 product does in the same minute. "could be" is how much faster than the peer that set the
floor this would be if all but the products took no time at all.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import layers
import scan
import streaming
from measure import Benchmark, Row, milliseconds, name_of, processor, use_cores, verdicts
from workers import How, Peers

BENCHMARKS: dict[str, Benchmark] = {
    "layers": layers.BENCHMARK,
    "streaming": streaming.BENCHMARK,
    "scan": scan.BENCHMARK,
}
# The first that is found in the calls, inlined ones too, that led to a sample. A copy within RowSums is one of the rows
# that the products read; the loads and stores of a whole tile are its own.
PURPOSES = (
    ("products", r"\baccumulate(_alone)?\b"),
    ("squashing", r"\b(tanh|sigmoid|exp2?|expm1)\b"),
    ("copies", r"\bpack\w*|RowSums|Columns|\badd_products\b"),
    ("the cell", r"\b(step|step_back|back|tile|forward|backward|start|input_sums|scan\w*|Scan\w*)\b"),
)
COLUMNS = ("products", "squashing", "the cell", "copies", "waiting", "the rest")


class Watched(Peers):
    """Peers that sample elman once its row is measured."""

    shares: Mapping[str, float] = {}
    seconds: float = 4.0

    def compare(
        self, names: Sequence[str], task: str, numbers: Mapping[str, np.ndarray], **job: Any
    ) -> dict[str, list[float]]:
        times = super().compare(names, task, numbers, **job)
        worker = self._worker("elman")
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "perf.data"
            command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1500", "-p", str(worker.pid), "-o", str(data)]
            with subprocess.Popen(command, stderr=subprocess.PIPE) as perf:
                worker.run(task, self.seconds)
                perf.send_signal(signal.SIGINT)
                perf.wait()
            self.shares = shares(list(samples(data)))
        return times


def samples(data: Path) -> Iterable[str]:
    """What each sample was for."""
    script = ["perf", "script", "-i", str(data), "--show-mmap-events", "-F", "ip,sym,dso"]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    libraries: list[tuple[int, int, int, str]] = []  # first and last address, that of the file's begin, the file
    found: list[tuple[int, str]] = []
    for line in lines:
        if mapped := re.search(r"MMAP2? .*\[(0x\w+)\((0x\w+)\) @ (0x\w+|0) .*: \S+ (\S+)$", line):
            first, size, offset = (int(n, 16) for n in mapped.groups()[:3])
            libraries.append((first, first + size, first - offset, mapped[4]))
        elif sampled := re.match(r"\s*([0-9a-f]+) .*\((.*)\)$", line):
            found.append((int(sampled[1], 16), sampled[2]))
    own = {ip for ip, file in found if "_native" in file}
    begin = next((b for _, _, b, file in libraries if "_native" in file), 0)
    file = next((f for _, f in found if "_native" in f), "")
    calls = callers([ip - begin for ip in own], file) if own else {}
    for ip, file in found:
        if ip in own:
            yield purpose(calls[ip - begin])
        else:
            yield "waiting" if "gomp" in file or "sched_yield" in file else "the rest"


def callers(addresses: Sequence[int], library: str) -> dict[int, str]:
    """The functions, inlined ones too, that each address of a library belongs to."""
    command = ["addr2line", "-e", library, "-f", "-i", "-C", "-a"]
    given = "\n".join(map(hex, addresses))
    told = subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
    found: dict[int, list[str]] = {}
    for line in told.splitlines():
        if line.startswith("0x"):
            found[address := int(line, 16)] = []
        else:
            found[address].append(line)
    # Every second line is a function, the others are places; of a function's name the arguments are of no use.
    return {a: " ".join(line.partition("(")[0] for line in lines[::2]) for a, lines in found.items()}


def purpose(calls: str) -> str:
    """What a sample was for.

    >>> purpose("Simd<float>::load RowSums<float>::pack add_products"), purpose("tanh Lstm::step Recurrence::tile")
    ('copies', 'squashing')
    """
    return next((name for name, words in PURPOSES if re.search(words, calls)), "the rest")


def shares(found: Sequence[str]) -> dict[str, float]:
    """The share of each, of all samples.

    >>> shares(["products", "products", "waiting", "the rest"])["products"]
    0.5
    """
    counted = Counter(found)
    return {name: counted[name] / max(1, len(found)) for name in COLUMNS}


def missed(folder: Path) -> list[tuple[str, str, list[str]]]:
    """The benchmark and the name of each row that has missed a floor, and over whom."""
    rows = []
    for name in BENCHMARKS:
        for row in json.loads((folder / f"{name}.json").read_text())["rows"]:
            whom = [v.what for v in verdicts(row) if not v.held]
            if whom:
                rows.append((name, row["name"], whom))
    return rows


def cells(row: Row) -> list[str]:
    speed = row.get("speed")
    over = "; ".join(f"{r:.2f} {name}" for name, r in row["speed_up"].items())
    bound = "; ".join(f"{r:.2f} {name}" for name, r in row["bound"].items())
    return [
        milliseconds(row["seconds"]), *(f"{row['shares'][name]:.0%}" for name in COLUMNS),
        "" if speed is None else f"{speed:.0%}", over, bound,
    ]  # fmt: skip


HEAD = ("row", "ms", *COLUMNS, "their speed", "faster than", "could be")


def table(rows: Sequence[Row]) -> list[str]:
    lines = [HEAD, ["---"] * len(HEAD), *([row["name"], *cells(row)] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def profiled(peers: Watched, name: str, of: str) -> Row:
    benchmark = BENCHMARKS[name]
    case = next(case for case in benchmark.cases if name_of(case) == of)
    measured = benchmark.measure(peers, case)
    share = peers.shares["products"]
    over = {peer: ratios[1] for peer, ratios in measured["speed_up"].items()}
    return {
        "name": f"{'step ' if name == 'streaming' else 'scan ' if name == 'scan' else ''}{of}",
        "seconds": measured["seconds"]["elman"],
        "shares": dict(peers.shares),
        "speed": measured["sgemm"] / share if "sgemm" in measured and share else None,
        "speed_up": over,
        "bound": {peer: ratio / share for peer, ratio in over.items()} if share > 0.2 else {},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[1] / "docs" / "benchmarks")
    parser.add_argument("--json", type=Path, help="write what was found to this file too")
    parser.add_argument("--only", default="", help="only rows whose name begins so")
    options = parser.parse_args()
    use_cores(2)
    rows: list[Row] = []
    for name, of, _ in missed(options.results):
        if not of.startswith(options.only):
            continue
        threads = BENCHMARKS[name].threads
        with Watched(How(threads, seconds=6)) as peers:
            rows.append(profiled(peers, name, of))
            facts = {"processor": processor(), "threads": "2, of a stream 1"} | peers.about
        print(*table(rows)[-1 if len(rows) > 1 else 0 :], sep="\n", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    if not os.environ.get("ELMAN_PROFILED"):
        sys.exit("run it by `make hotspots`: it needs kernels that know their source lines")
    main()
