import math

import pytest
import torch

from elman import compiled
from elman.kernels import gated_native, native_status, recurrence, reservoir_native, scan_native, variants

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@pytest.fixture
def arguments():
    """Makes `(x, state, *weights)` for a kernel, every number different; a seed gives the same ones again."""

    def make(cell, T, B, I, H, R=None, *, dtype=torch.float64, seed=0, bias=True, state=True, requires_grad=False):
        g = torch.Generator().manual_seed(seed)

        def draw(*shape, bound=1.0):
            t = (torch.rand(shape, generator=g, dtype=torch.float64) * 2 - 1) * bound
            return t.to(dtype).requires_grad_(requires_grad)

        rows, size, bound = GATES[cell] * H, R or H, H**-0.5
        x = draw(T, B, I, bound=2.0)
        h, c = draw(B, size), draw(B, H)
        biases = [draw(rows, bound=bound), draw(rows, bound=bound)] if bias else [None, None]
        weights = [draw(rows, I, bound=bound), draw(rows, size, bound=bound), *biases]
        if R:
            weights.append(draw(R, H, bound=bound))
        given = None if not state else (h, c) if cell == "lstm" else h
        return x, given, *weights

    return make


@pytest.fixture(params=native_status().supported or [None])
def isa(request, monkeypatch):
    """Each instruction set that this machine has, in turn, is the one that runs."""
    monkeypatch.setattr(compiled, "chosen_isa", lambda: request.param)
    return request.param


@pytest.fixture
def poisoned(monkeypatch):
    """Memory handed out uninitialised holds NaN, so that a number which a kernel forgot is seen."""
    for module in (gated_native, recurrence, reservoir_native, scan_native, variants):
        monkeypatch.setattr(module, "empty", lambda like, *shape: like.new_full(shape, math.nan))
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def threads():
    """Sets how many threads torch may use."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
