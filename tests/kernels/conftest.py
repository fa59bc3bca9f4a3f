import pytest
import torch

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
