"""Time what the training loop costs beside a bare loop over tensors, and what a probe costs beside training.

    python benchmarks/training.py

An LSTM 4 -> 16 with a linear head, sequences of 20 steps in batches of 32, Adam, one thread. "bare" is forward,
backward and step, and nothing else; "clipped" also clips the gradient and reads loss and norm, as every loop does that
is to stop when they go wrong; "DataLoader" is the bare loop over torch's loader. `train` guards, clips, records each
step in a run folder and saves a checkpoint an epoch. All run in turn, an epoch each; figures are medians of the ratios
within each turn, with their middle half. "probe" is `train` with looks inside and snapshots as they are by default, on
a network of 64 units over 100 steps, ten epochs each.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import elman
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.record import Run

OVERHEAD, PROBING = 1.15, 1.03  # floors
EPOCHS = 10  # of a run that is looked into, some 10 s: the first and the last look are taken of shorter ones too


class Model(nn.Module):
    def __init__(self, hidden_size: int):
        super().__init__()
        self.lstm, self.head = elman.LSTM(4, hidden_size, batch_first=True), nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def bare(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Any], clip: bool) -> None:
    for batch in batches:
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        if clip:
            value.item()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()


def compare(ways: dict[str, Callable[[], None]], over: str, turns: int) -> dict[str, list[float]]:
    """For each way, first quarter, median and third quarter of how many times as long as `over` it takes."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - began)
    print(f"{over}: {statistics.median(times[over]) * 1e3:.1f} ms a turn")
    return {
        name: statistics.quantiles([a / b for a, b in zip(times[name], times[over], strict=True)], n=4)
        for name in ways
        if name != over
    }


def trained(
    folder: str, model: Model, batches: list[tuple[Tensor, Tensor]], *, epochs: int = 1, probed: Tensor | None = None
) -> Callable[[], None]:
    """So many more epochs as `train` does them: a run each time, in a folder of its own."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def more() -> None:
        run = Run(tempfile.mkdtemp(dir=folder))
        run.start({})
        probe = None if probed is None else Probe(lambda m: m(probed).sum())
        train(model, lambda _: batches, loss, optimizer=optimizer, epochs=epochs, clip=1.0, run=run, probe=probe)

    return more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--batches", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)

    def data(steps: int, batches: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(32 * batches, steps, 4, generator=generator)
        return x, x[:, -1, 0]

    with tempfile.TemporaryDirectory() as folder:
        x, y = data(20, options.batches)
        batches = list(zip(x.split(32), y.split(32), strict=True))
        model = Model(16)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
        ways = {
            "bare": lambda: bare(model, optimizer, batches, False),
            "clipped": lambda: bare(model, optimizer, batches, True),
            "DataLoader": lambda: bare(model, optimizer, loader, False),
            "train": trained(folder, Model(16), batches),
        }
        found = compare(ways, "bare", options.turns)
        for name, (low, middle, high) in found.items():
            said = f"floor {OVERHEAD} {'held' if middle <= OVERHEAD else 'MISSED'}" if name == "train" else ""
            print(f"{name:>12} takes {middle:.2f} times as long ({low:.2f} to {high:.2f}) {said}")

        x, y = data(100, options.batches)
        batches = list(zip(x.split(32), y.split(32), strict=True))
        ways = {
            "train": trained(folder, Model(64), batches, epochs=EPOCHS),
            "probe": trained(folder, Model(64), batches, epochs=EPOCHS, probed=x[:16]),
        }
        for name, (low, middle, high) in compare(ways, "train", max(2, options.turns // 5)).items():
            said = f"floor {PROBING} {'held' if middle <= PROBING else 'MISSED'}"
            print(f"{name:>12} takes {middle:.3f} times as long ({low:.3f} to {high:.3f}) {said}")


if __name__ == "__main__":
    main()
