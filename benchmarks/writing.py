"""How well networks learn to write, against the seconds that they trained.

    python benchmarks/writing.py --data FOLDER --minutes 4 --json docs/benchmarks/writing.json \
        --page docs/writing.md --pictures docs/pictures
    python benchmarks/writing.py --rows anchor,default --quick

The text is tinyshakespeare.txt in FOLDER: its first 90 % are trained on, its last 10 % are never learned from; on
them the loss is measured, in nats a character.

default, large: `TextGenerator` as it comes, and a larger one for those who have the time.
lstm, gru, rnn, mingru, transformer: the same with other architectures. An epoch of each is timed first, and as many
are then trained as fit into --minutes, so that each learning rate falls to its end.
anchor: a setting that many compare with, 4 layers of self-attention over 64 characters, 128 numbers wide, batches of
12 blocks from anywhere in the text, 2,000 steps, AdamW at 0.001 that falls to 0.0001; by `elman.models.language`.

Rows are trained one after another, each on all processors that torch uses. The default was chosen among a few settings
by its loss on the last tenth, which is therefore no test part; the others have its settings but for what NETWORKS
names, and nothing was searched for them.
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import elman
from elman.data.tokens import Characters
from elman.files import write_text
from elman.models.language import LanguageModel
from elman.report.charts import FONT, PALETTE
from elman.report.marks import clean, stroke, text
from picture import logarithmic

NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"architecture": "gru"},
    "rnn": {"architecture": "rnn", "learning_rate": 1e-3},
    "mingru": {"architecture": "mingru", "num_layers": 3},
    "transformer": {
        "architecture": "transformer", "num_layers": 4, "hidden_size": 192, "learning_rate": 2e-3, "dropout": 0.1,
    },
}  # fmt: skip
LARGE = {"hidden_size": 640, "dropout": 0.4, "epochs": 20}
COLOURS = {"lstm": "s1", "gru": "s2", "rnn": "s3", "mingru": "s4", "transformer": "s5"}
GOALS = {"default": (1.50, 600), "large": (1.46, 2400)}  # nats, and within how many seconds
Row = dict[str, Any]


def trained(written: str, settings: dict[str, Any]) -> Row:
    """The loss after each epoch, and the seconds since training began."""
    losses: list[list[float]] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            losses.append([event["seconds"], event["val_loss"]])
            print(f"  {event['seconds']:7.1f} s  {event['val_loss']:.4f}", flush=True)

    network = elman.TextGenerator(**settings).fit(written, on_event=note)
    parameters = sum(p.numel() for p in network.network_.parameters())
    return {"settings": settings, "parameters": parameters, "losses": losses, "nats": network.nats_}


def within(written: str, settings: dict[str, Any], minutes: float) -> Row:
    """As many epochs as fit into so many minutes, one at least."""
    [[epoch, _]] = trained(written, {**settings, "epochs": 1})["losses"]
    return trained(written, {**settings, "epochs": max(1, int(60 * minutes / epoch))})


def anchor(written: str, steps: int = 2000) -> Row:
    ids = Characters.learned([written]).encode(written)
    whole = torch.from_numpy(ids.astype("int64"))
    training, held = whole[: round(0.9 * len(whole))], whole[round(0.9 * len(whole)) :]
    torch.manual_seed(0)
    network = LanguageModel(
        int(whole.max()) + 1, "transformer", hidden_size=128, num_layers=4, embedding_size=128, tied=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: falling(step, steps))
    began, evaluating = time.perf_counter(), 0.0
    losses = []
    for step in range(1, steps + 1):
        begins = torch.randint(len(training) - 64, (12, 1))
        loss = surprise(network, training[begins + torch.arange(65)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if step == steps or step % (steps // 8) == 0:
            stopped = time.perf_counter()
            with torch.no_grad():
                blocks = held[: (len(held) - 1) // 64 * 64].view(-1, 64)
                after = held[64 : len(blocks) * 64 + 1 : 64, None]
                found = [surprise(network, part).item() for part in torch.cat([blocks, after], 1).split(256)]
                sizes = [len(part) for part in blocks.split(256)]
            nats = sum(f * n for f, n in zip(found, sizes, strict=True)) / sum(sizes)
            losses.append([stopped - began - evaluating, nats])
            evaluating += time.perf_counter() - stopped
            print(f"  {losses[-1][0]:7.1f} s  {nats:.4f}", flush=True)
    parameters = sum(p.numel() for p in network.parameters())
    return {"settings": {"steps": steps}, "parameters": parameters, "losses": losses, "nats": losses[-1][1]}


def surprise(network: LanguageModel, blocks: Tensor) -> Tensor:
    logits, _ = network(blocks[:, :-1])
    return cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())


def falling(step: int, steps: int) -> float:
    """A learning rate's factor: up over 100 steps, then along a cosine down to a tenth.

    >>> falling(0, 2000), round(falling(99, 2000), 2), round(falling(1999, 2000), 2)
    (0.01, 1.0, 0.1)
    """
    if step < 100:
        return (step + 1) / 100
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 99) / max(1, steps - 100)))


ROWS: dict[str, Callable[[str, float], Row]] = {
    "default": lambda written, _: trained(written, {}),
    "large": lambda written, _: trained(written, LARGE),
    **{n: lambda written, minutes, s=s: within(written, s, minutes) for n, s in NETWORKS.items()},  # type: ignore[misc]
    "anchor": lambda written, _: anchor(written),
}


def quick(written: str, name: str) -> Row:
    if name == "anchor":
        return anchor(written[:20_000], 8)
    settings = NETWORKS.get(name, LARGE if name == "large" else {})
    return trained(written[:20_000], {**settings, "hidden_size": 16, "epochs": 1})


def table(rows: dict[str, Row]) -> str:
    lines = ["| | parameters | epochs or steps | seconds | nats a character | bits |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        seconds, nats = row["losses"][-1]
        times = row["settings"].get("steps", len(row["losses"]))
        lines.append(
            f"| {name} | {row['parameters']:,} | {times:,} | {seconds:.0f} | {nats:.3f} | {nats / math.log(2):.3f} |"
        )
    for name, (goal, limit) in GOALS.items():
        if name in rows:
            reached = min((s for s, nats in rows[name]["losses"] if nats < goal), default=math.inf)
            word = f"reached after {reached:.0f} s" if reached <= limit else "missed"
            lines += ["", f"{name}: below {goal:.2f} nats within {limit / 60:.0f} minutes was {word}."]
    return "\n".join(lines)


WIDTH, HEIGHT = 860.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 740.0, 70.0, 340.0
SHOWN = (1.4, 2.2)  # nats


def draw(rows: dict[str, Row], path: Path, theme: str) -> None:
    def colour(role: str) -> str:
        return PALETTE[role][theme == "dark"]

    lines = {name: rows[name]["losses"] for name in COLOURS if name in rows}
    every = [second for losses in lines.values() for second, _ in losses]
    low, high = min(every), max(every)
    x, y = logarithmic(low, high, LEFT, RIGHT), logarithmic(*SHOWN, BOTTOM, TOP)
    parts = [
        text("Writing Shakespeare: loss on text that was held back", 24, 34, colour("ink"), size=16, weight=600),
        text("nats a character", 24, 56, colour("muted")),
        text("seconds of training, logarithmic", RIGHT, BOTTOM + 40, colour("muted"), anchor="end"),
    ]
    for tick in (1.4, 1.5, 1.6, 1.8, 2.0, 2.2):
        parts.append(stroke(f"M{LEFT} {y(tick):.1f}H{RIGHT}", colour("grid"), 1))
        parts.append(text(f"{tick:.1f}", LEFT - 8, y(tick) + 4, colour("muted"), anchor="end"))
    for tick in (n for n in (5, 10, 20, 50, 100, 200, 500, 1000, 2000) if low <= n <= high):
        parts.append(text(f"{tick}", x(tick), BOTTOM + 18, colour("muted"), anchor="middle"))
    ends: list[float] = []
    for name, losses in sorted(lines.items(), key=lambda of: of[1][-1][1]):
        places = [(x(s), y(min(nats, SHOWN[1])), s, nats) for s, nats in losses]
        shade = colour(COLOURS[name])
        parts.append(stroke("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b, *_ in places), shade, 2))
        for a, b, s, nats in places:
            tip = clean(f"{name}: {nats:.3f} nats after {s:.0f} s")
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{shade}"><title>{tip}</title></circle>')
        at = places[-1][1]
        while any(abs(at - other) < 15 for other in ends):  # labels of lines that end together
            at -= 1
        ends.append(at)
        parts.append(text(f"{name} {losses[-1][1]:.3f}", places[-1][0] + 10, at + 4, shade, weight=600))
    label = "Loss against seconds of training: " + ", ".join(f"{n} {v[-1][1]:.3f}" for n, v in lines.items())
    write_text(
        path,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" '
        f'height="{HEIGHT:g}" role="img" aria-label="{label}" font-family="{FONT}">'
        f'<rect width="100%" height="100%" rx="10" fill="{colour("ground")}"/>' + "".join(parts) + "</svg>\n",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--quick", action="store_true", help="a look at whether it runs, on a text of its own")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="whose part between <!-- learning --> marks is written")
    parser.add_argument("--pictures", type=Path, help="folder for writing-light.svg and writing-dark.svg")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data names the folder that holds tinyshakespeare.txt")
    written = "To be, or not to be: that is the question.\n" * 500
    if not options.quick:
        written = (options.data / "tinyshakespeare.txt").read_text()
    rows: dict[str, Row] = {}
    if options.json and options.json.exists():  # rows that are not measured now stay
        rows = json.loads(options.json.read_text())["rows"]
    for name in filter(None, options.rows.split(",")):
        if name not in ROWS:
            parser.error(f"expected some of {', '.join(ROWS)}; found {name!r}")
        print(name, flush=True)
        rows[name] = quick(written, name) if options.quick else ROWS[name](written, options.minutes)
        if options.json:
            facts = {"torch": str(torch.__version__), "threads": torch.get_num_threads()}
            ordered = {name: rows[name] for name in ROWS if name in rows}
            options.json.write_text(json.dumps({**facts, "rows": ordered}, indent=1) + "\n")
    rows = {name: rows[name] for name in ROWS if name in rows}
    print(table(rows))
    if options.page:
        inside = f"<!-- learning -->\n{table(rows)}\n<!-- /learning -->"
        page = re.sub("<!-- learning -->.*<!-- /learning -->", lambda _: inside, options.page.read_text(), flags=re.S)
        options.page.write_text(page)
    if options.pictures:
        for theme in ("light", "dark"):
            draw(rows, options.pictures / f"writing-{theme}.svg", theme)


if __name__ == "__main__":
    main()
