"""Write the tables of docs/benchmarks.md and the picture from what the benchmarks measured.

    for b in layers streaming scan reservoir memory; do python benchmarks/$b.py --json docs/benchmarks/$b.json; done
    python benchmarks/report.py

Between `<!-- NAME -->` and `<!-- /NAME -->` in the page stands what this writes; the rest is written by hand.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import hotspots
import layers
import memory
import picture
import reservoir
import scan
import streaming
from elman.files import write_text
from measure import Benchmark, measured_on, notes

DOCS = Path(__file__).parents[1] / "docs"
BENCHMARKS: dict[str, Benchmark] = {
    "layers": layers.BENCHMARK,
    "streaming": streaming.BENCHMARK,
    "scan": scan.BENCHMARK,
    "reservoir": reservoir.BENCHMARK,
    "memory": memory.BENCHMARK,
}


def filled(page: str, name: str, text: str) -> str:
    """`page` with `text` at the place that is called `name`.

    >>> filled("a <!-- x -->old<!-- /x --> b", "x", "new")
    'a <!-- x -->\\nnew\\n<!-- /x --> b'
    """
    text = f"<!-- {name} -->\n{text}\n<!-- /{name} -->"
    return re.sub(f"<!-- {name} -->.*<!-- /{name} -->", lambda _: text, page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=DOCS / "benchmarks", help="the folder of NAME.json")
    parser.add_argument("--page", type=Path, default=DOCS / "benchmarks.md")
    parser.add_argument("--pictures", type=Path, default=DOCS / "pictures")
    options = parser.parse_args()

    page = options.page.read_text()
    results: dict[str, Any] = {}
    for name, benchmark in BENCHMARKS.items():
        path = options.results / f"{name}.json"
        if path.exists():
            results[name] = json.loads(path.read_text())
            facts, rows = results[name]["facts"], results[name]["rows"]
            text = "\n\n".join(["\n".join(benchmark.table(rows)), *notes(facts, rows)])
            page = filled(page, name, text)
    if (path := options.results / "hotspots.json").exists():
        found = json.loads(path.read_text())
        table = "\n".join(hotspots.table(found["rows"]))
        page = filled(page, "hotspots", f"{table}\n\n{measured_on(found['facts'])}")
    write_text(options.page, page)
    if {"layers", "streaming"} <= results.keys():
        for theme in ("light", "dark"):
            path = options.pictures / f"speed-{theme}.svg"
            picture.draw(results["layers"]["rows"], results["streaming"]["rows"], path, theme)


if __name__ == "__main__":
    main()
