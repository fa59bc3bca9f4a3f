"""Time the cells beyond the classics, and what the options of an LSTM cost: training steps, forward and backward.

    python benchmarks/cells.py                    # the tables, about ten minutes
    python benchmarks/cells.py --only MinGRU
    python benchmarks/cells.py --json out.json --quick

The first table compares a cell with what people write in torch for want of it: the minimal GRU by cumulative sums of
logarithms, as its paper computes it in parallel, and loops over time. The second compares an LSTM that has an option
with elman's plain LSTM. All run in one process, in turn, on the same numbers; a speed is reported only where results
agree, in float64: in float32 the sums of logarithms are off by about 1 % at T=1,000. Figures are medians of the ratios
within each turn, with their middle half as spread. Read ratios: the machine may be shared.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, relu, softplus

import elman

Step = Callable[[], list[Tensor]]
Row = dict[str, Any]
COLUMNS = ("cell", "B, T, I, H", "elman, ms", "the other, ms", "ratio (middle half)", "floor")
TOLERANCE = 1e-6  # of the largest number of each array, in float64


def mingru_by_logarithms(layer: elman.MinGRU, x: Tensor) -> Tensor:
    """As in appendix B of arXiv 2410.01201, along time."""
    z_bar, n_bar = linear(x, layer.weight_ih_l0, layer.bias_ih_l0).chunk(2, dim=-1)
    log_n = torch.where(n_bar >= 0, torch.log(relu(n_bar) + 0.5), -softplus(-n_bar))
    log_a = torch.cumsum(-softplus(z_bar), dim=0)
    return torch.exp(log_a + torch.logcumsumexp(-softplus(-z_bar) + log_n - log_a, dim=0))


def minlstm_by_logarithms(layer: elman.MinLSTM, x: Tensor) -> Tensor:
    i_bar, f_bar, g_bar = linear(x, layer.weight_ih_l0, layer.bias_ih_l0).chunk(3, dim=-1)
    difference = softplus(-f_bar) - softplus(-i_bar)
    log_g = torch.where(g_bar >= 0, torch.log(relu(g_bar) + 0.5), -softplus(-g_bar))
    log_f = torch.cumsum(-softplus(difference), dim=0)
    return torch.exp(log_f + torch.logcumsumexp(-softplus(-difference) + log_g - log_f, dim=0))


def rglru_by_loop(layer: elman.RGLRU, x: Tensor) -> Tensor:
    r, i, u = linear(x, layer.weight_ih_l0, layer.bias_ih_l0).chunk(3, dim=-1)
    a = torch.exp(-8 * softplus(layer.Lambda_l0) * torch.sigmoid(r))
    b = torch.sqrt(1 - a**2) * torch.sigmoid(i) * u
    h, hs = torch.zeros_like(b[0]), []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        hs.append(h)
    return torch.stack(hs)


def lru_by_loop(layer: elman.LRU, x: Tensor) -> Tensor:
    lambda_ = torch.exp(torch.complex(-torch.exp(layer.nu_log_l0), torch.exp(layer.theta_log_l0)))
    B, C = torch.complex(*layer.weight_ih_l0.chunk(2)), torch.complex(*layer.weight_ho_l0.chunk(2, dim=1))
    b = torch.exp(layer.gamma_log_l0) * (x.to(B.dtype) @ B.T)
    h, hs = torch.zeros_like(b[0]), []
    for b_t in b:
        h = lambda_ * h + b_t
        hs.append(h)
    return (torch.stack(hs) @ C.T).real + linear(x, layer.weight_io_l0, layer.bias_o_l0)


def slstm_by_loop(layer: elman.SLSTM, x: Tensor) -> Tensor:
    """A step at a time, products of the input included, as it is commonly written."""
    H = layer.hidden_size
    h = c = n = x.new_zeros(x.shape[1], H)
    m, hs = torch.full_like(h, -torch.inf), []
    for x_t in x:
        bars = linear(x_t, layer.weight_ih_l0, layer.bias_ih_l0) + linear(h, layer.weight_hh_l0)
        i, f, g, o = bars.chunk(4, dim=-1)
        past = logsigmoid(f) + m
        m = torch.maximum(past, i)
        i, f = torch.exp(i - m), torch.exp(past - m)
        c, n = f * c + i * torch.tanh(g), f * n + i
        h = torch.sigmoid(o) * (c / n)
        hs.append(h)
    return torch.stack(hs)


def lstm_by_loop(layer: elman.LSTM, x: Tensor) -> Tensor:
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    hs = []
    for x_t in x:
        bars = linear(x_t, layer.weight_ih_l0, layer.bias_ih_l0) + linear(h, layer.weight_hh_l0, layer.bias_hh_l0)
        i, f, g, o = bars.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        hs.append(h)
    return torch.stack(hs)


LONG, SHORT, TINY = (32, 1000, 64, 128), (32, 100, 64, 128), (2, 7, 3, 4)
OTHERS: list[tuple[str, dict[str, Any], Callable[..., Tensor], tuple[int, ...], float | None]] = [
    ("MinGRU", {"nonlinearity": "positive"}, mingru_by_logarithms, LONG, 5.0),
    ("MinLSTM", {"nonlinearity": "positive"}, minlstm_by_logarithms, LONG, None),
    ("RGLRU", {}, rglru_by_loop, LONG, None),
    ("LRU", {"r_min": 0.9, "r_max": 0.999}, lru_by_loop, LONG, None),
    ("SLSTM", {}, slstm_by_loop, SHORT, None),
    ("LSTM", {}, lstm_by_loop, SHORT, None),
]
PLAIN: list[tuple[str, dict[str, Any], float | None]] = [
    ("LSTM", {"layer_norm": True}, 1.6),
    ("LSTM", {"zoneout": 0.1}, 1.2),
    ("LSTM", {"recurrent_dropout": 0.2}, 1.2),
    ("LSTM", {"peephole": True}, 1.2),
    ("MinGRU", {}, None),
    ("MinLSTM", {}, None),
    ("RGLRU", {}, None),
    ("LRU", {}, None),
    ("SLSTM", {}, None),
]


def training_step(layer: nn.Module, forward: Callable[..., Tensor], x: Tensor, dy: Tensor) -> Step:
    wanted = [x, *layer.parameters()]

    def step() -> list[Tensor]:
        y = forward(layer, x)
        return [y, *torch.autograd.grad(y, wanted, dy, allow_unused=True)]

    return step


def ours(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)[0]


def make(cell: str, options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Any, Tensor, Tensor]:
    B, T, I, H = shape
    torch.manual_seed(0)
    layer = getattr(elman, cell)(I, H, **options).to(dtype)
    return layer, torch.randn(T, B, I, dtype=dtype, requires_grad=True), torch.randn(T, B, H, dtype=dtype)


def disagreement(cell: str, options: dict[str, Any], other: Callable[..., Tensor], shape: tuple[int, ...]) -> float:
    layer, x, dy = make(cell, options, shape, torch.float64)
    found, expected = (training_step(layer, forward, x, dy)() for forward in (ours, other))
    return max(
        float((a - b).detach().abs().max() / b.detach().abs().max())
        for a, b in zip(found, expected, strict=True)
        if b is not None
    )


def in_turn(one: Step, other: Step, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of each run of both, one after the other, for about as long as told and at least three times."""
    times: tuple[list[float], list[float]] = ([], [])
    one(), other()
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for step, into in zip((one, other), times, strict=True):
            start = time.perf_counter()
            step()
            into.append(time.perf_counter() - start)
    return times


def row(cell: str, options: dict[str, Any], shape: tuple[int, ...], steps: tuple[Step, Step], seconds: float) -> Row:
    mine, others = in_turn(*steps, seconds)
    ratios = statistics.quantiles([b / a for a, b in zip(mine, others, strict=True)], n=4, method="inclusive")
    return {
        "cell": cell, "options": options, "shape": shape, "elman_ms": statistics.median(mine) * 1e3,
        "other_ms": statistics.median(others) * 1e3, "ratio": ratios,
    }  # fmt: skip


def print_row(*words: str) -> None:
    print("|", " | ".join(words), "|", flush=True)


def name_of(cell: str, options: dict[str, Any]) -> str:
    return f"{cell} {', '.join(f'{key}={value}' for key, value in options.items())}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only rows whose name begins so")
    parser.add_argument("--seconds", type=float, default=15, help="about how long to measure each row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, few runs: does it still work?")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    seconds, rows = 0.0 if given.quick else given.seconds, []

    print(
        f"torch {torch.__version__}, {given.threads} threads, {os.cpu_count()} cores\n\nTimes faster than in torch:\n"
    )
    print_row(*COLUMNS)
    print_row(*["---"] * len(COLUMNS))
    for cell, options, other, shape, floor in OTHERS:
        if not (name := name_of(cell, options)).startswith(given.only):
            continue
        shape = TINY if given.quick else shape
        error = disagreement(cell, options, other, shape)
        if error > TOLERANCE:
            raise SystemExit(f"{name}: the results differ by {error:.1e}; no speed is reported")
        layer, x, dy = make(cell, options, shape, torch.float32)
        steps = training_step(layer, ours, x, dy), training_step(layer, other, x, dy)
        found = row(cell, options, shape, steps, seconds)
        rows.append(found | {"against": other.__name__, "at_least": floor})
        low, ratio, high = found["ratio"]
        print_row(
            name, ", ".join(map(str, shape)), f"{found['elman_ms']:.1f}", f"{found['other_ms']:.1f} {other.__name__}",
            f"**{ratio:.2f}** ({low:.2f} to {high:.2f})",
            "" if floor is None else f"{floor} {'held' if ratio >= floor else 'missed'}",
        )  # fmt: skip

    print("\nTimes of elman's plain LSTM's training step:\n")
    print_row(*COLUMNS)
    print_row(*["---"] * len(COLUMNS))
    shape = TINY if given.quick else SHORT
    for cell, options, floor in PLAIN:
        if not (name := name_of(cell, options)).startswith(given.only):
            continue
        (plain, x, dy), (layer, _, _) = (
            make("LSTM", {}, shape, torch.float32),
            make(cell, options, shape, torch.float32),
        )
        steps = training_step(layer, ours, x, dy), training_step(plain, ours, x, dy)
        found = row(cell, options, shape, steps, seconds)
        high, ratio, low = (1 / r for r in found["ratio"])
        rows.append(found | {"against": "LSTM", "ratio": [low, ratio, high], "at_most": floor})
        print_row(
            name, ", ".join(map(str, shape)), f"{found['elman_ms']:.1f}", f"{found['other_ms']:.1f} LSTM",
            f"**{ratio:.2f}** ({low:.2f} to {high:.2f})",
            "" if floor is None else f"{floor} {'held' if ratio <= floor else 'missed'}",
        )  # fmt: skip
    if given.json:
        facts = {"torch": torch.__version__, "threads": given.threads, "cores": os.cpu_count()}
        given.json.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
