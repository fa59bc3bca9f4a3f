"""Print by how many bytes the memory of this process grew at its peak, over three training steps.

    python benchmarks/peers/peak.py elman|torch rnn|gru|lstm B T I H

What stands before the first step does not count: the library, its threads, the weights, the input and dL/dy.
"""

import importlib
import os
import resource
import sys

import torch


def peak() -> int:
    """The most that was resident since `forget_peak`, or ever, where the system can't forget."""
    try:
        with open("/proc/self/status") as status:
            return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def step(layers: object, cell: str, B: int, T: int, I: int, H: int, runs: int) -> int:
    layer = getattr(layers, {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}[cell])(I, H)
    x, dy = torch.randn(T, B, I, requires_grad=True), torch.randn(T, B, H)
    wanted = (x, *layer.parameters())
    forget_peak()
    before = peak()
    for _ in range(runs):
        y = layer(x)[0]
        gradients = torch.autograd.grad(y, wanted, dy)
        del y, gradients
    return peak() - before


if __name__ == "__main__":
    library, cell, *sizes = sys.argv[1:]
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    layers = importlib.import_module("elman" if library == "elman" else "torch.nn")
    step(layers, cell, 2, 3, 4, 5, runs=2)  # loads whatever is loaded late
    torch.randn(256, 256) @ torch.randn(256, 256)  # and wakes the threads
    print(step(layers, cell, *map(int, sizes), runs=3))
