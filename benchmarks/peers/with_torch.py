"""torch's side of every benchmark, and with other layers than torch.nn's, elman's."""

import os
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from worker import Numbers, Run, Task, serve

NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


def tensors(numbers: Numbers, *names: str) -> list[Tensor]:
    return [torch.from_numpy(numbers[name]) for name in names]


def filled(module: nn.Module, numbers: Numbers) -> nn.Module:
    """`module`, a layer or a cell, with the numbers as weights."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(numbers[name.removesuffix("_l0")]))
    return module


def recurrent(layers: ModuleType) -> dict[str, Task]:
    """A training step and forward alone of `layers.RNN`, `GRU` and `LSTM`."""

    def layer_of(numbers: Numbers, job: dict[str, str]) -> nn.Module:
        W_ih = numbers["weight_ih"]
        return filled(getattr(layers, NAMES[job["cell"]])(W_ih.shape[1], numbers["weight_hh"].shape[1]), numbers)

    def train(numbers: Numbers, job: dict[str, str]) -> Run:
        layer = layer_of(numbers, job)
        x, dy = tensors(numbers, "x", "dy")
        wanted = (x.requires_grad_(), *layer.parameters())

        def run() -> list[Tensor]:
            y = layer(x)[0]
            return [y, *torch.autograd.grad(y, wanted, dy)]

        return run

    def forward(numbers: Numbers, job: dict[str, str]) -> Run:
        layer = layer_of(numbers, job)
        (x,) = tensors(numbers, "x")

        @torch.no_grad()
        def run() -> list[Tensor]:
            return [layer(x)[0]]

        return run

    return {"train": train, "forward": forward}


def stream(numbers: Numbers, job: dict[str, str]) -> Run:
    """One step after the other with torch's cells, which know no out=."""
    W_ih, W_hh = numbers["weight_ih"], numbers["weight_hh"]
    cell = filled(getattr(nn, NAMES[job["cell"]] + "Cell")(W_ih.shape[1], W_hh.shape[1]), numbers)
    steps = [x[None] for x in torch.from_numpy(numbers["x"])]
    zeros = torch.zeros(1, W_hh.shape[1])

    @torch.inference_mode()
    def run() -> list[Tensor]:
        state = (zeros, zeros) if job["cell"] == "lstm" else zeros
        for x in steps:
            state = cell(x, state)
        return list(state) if isinstance(state, tuple) else [state]

    return run


def scan_by_loop(a: Tensor, b: Tensor) -> Tensor:
    """As fast as a loop over torch's operations gets: one operation a step."""
    h, hs = torch.zeros_like(b[0]), []
    for a_t, b_t in zip(a.expand_as(b).unbind(0), b.unbind(0), strict=True):
        h = torch.addcmul(b_t, a_t, h)
        hs.append(h)
    return torch.stack(hs)


def scans(scan: object) -> dict[str, Task]:
    """A training step and forward alone of `scan(a, b)`."""

    def train(numbers: Numbers, job: dict[str, str]) -> Run:
        a, b, dy = tensors(numbers, "a", "b", "dy")
        wanted = (a.requires_grad_(), b.requires_grad_())

        def run() -> list[Tensor]:
            h = scan(a, b)
            return [h, *torch.autograd.grad(h, wanted, dy)]

        return run

    def forward(numbers: Numbers, job: dict[str, str]) -> Run:
        a, b = tensors(numbers, "a", "b")

        @torch.no_grad()
        def run() -> list[Tensor]:
            return [scan(a, b)]

        return run

    return {"scan_train": train, "scan_forward": forward}


def sgemm(numbers: Numbers, job: dict[str, str]) -> Run:
    """The machine's measure: 2 * 1024 ** 3 operations."""
    a = torch.from_numpy(np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32))

    def run() -> list[Tensor]:
        return [a @ a]

    return run


def addition(numbers: Numbers, job: dict[str, str]) -> Run:
    """The measure of what moves memory: as many numbers as `b`, two read and one written."""
    (b,) = tensors(numbers, "b")
    other, out = torch.ones_like(b), torch.empty_like(b)

    def run() -> list[Tensor]:
        return [torch.add(b, other, out=out)]

    return run


def start(tasks: dict[str, Task], about: dict[str, str]) -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(tasks, about | {"torch": str(torch.__version__)}, lambda t: t.detach().numpy())


if __name__ == "__main__":
    own = {"stream": stream, "sgemm": sgemm, "addition": addition}
    start(recurrent(nn) | scans(scan_by_loop) | own, {})
