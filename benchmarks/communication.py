"""Measure what several processes say to each other at a step, beside the work of the step.

    python -m torch.distributed.run --standalone --nproc-per-node 2 benchmarks/communication.py
    python benchmarks/communication.py      # one process: the work alone

An LSTM with a linear head of 8, forward and backward of this process's share of a batch, one thread; then the sums that
`elman.training.distributed` makes before a step. Medians.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

import elman
from elman.training.distributed import World, joined

SHAPES = [(64, 60, 12, 64), (64, 100, 64, 128), (64, 128, 128, 256), (64, 200, 512, 512)]  # B, T, I, H


def milliseconds(work: Callable[[], object], world: World, times: int) -> float:
    took = []
    for _ in range(times + 1):
        world.wait()
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:]) * 1e3


def main() -> None:
    torch.set_num_threads(1)
    with joined() as world:
        if world.first:
            print(f"{world.size} processes\n\n| B, T, I, H | weights | MB a step | the sums, ms | the work, ms |")
            print("| --- | --- | --- | --- | --- |")
        for B, T, I, H in SHAPES:
            net = nn.ModuleList([elman.LSTM(I, H), nn.Linear(H, 8)])
            parameters = list(net.parameters())
            x = torch.randn(T, B // world.size, I)

            def step(net: nn.ModuleList = net, x: torch.Tensor = x) -> None:
                net[1](net[0](x)[0]).square().mean().backward()

            def sums(parameters: list[nn.Parameter] = parameters) -> None:
                world.sum(1.0, 1.0, 0.0, 0.0)
                world.sum_gradients(parameters)

            work, said = milliseconds(step, world, 7), milliseconds(sums, world, 21)
            weights = sum(p.numel() for p in parameters)
            if world.first:
                print(f"| {B}, {T}, {I}, {H} | {weights:,} | {4 * weights / 1e6:.2f} | {said:.2f} | {work:.1f} |")


if __name__ == "__main__":
    main()
