"""The Jacobian of a step, against torch's own for the whole state."""

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.testing import assert_close

from elman.layers import GRU, LRU, LSTM, RNN, MinGRU
from elman.layers.jacobian import step_jacobian


def traced(layer, x):
    return layer(x, trace=True)[2]


@pytest.mark.parametrize("cls", [RNN, LSTM, GRU, MinGRU])
@pytest.mark.parametrize("index", [0, 1])
def test_it_is_torchs(cls, index):
    torch.manual_seed(1)
    layer = cls(3, 4, num_layers=2, dtype=torch.float64)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    trace = traced(layer, x)
    parts = [trace.layers[index].h[3, 0]]
    if cls is LSTM:
        parts.append(trace.layers[index].c[3, 0])
    read = x[4, 0] if index == 0 else trace.layers[0].h[4, 0]

    def step(state):
        after = layer.one_step(index, read[None], tuple(p[None] for p in state.split(4)))
        return torch.cat(after, 1)[0]

    expected = jacobian(step, torch.cat(parts))
    assert_close(step_jacobian(layer, trace, x, index), expected)


def test_it_is_that_of_the_equation():
    torch.manual_seed(0)
    rnn = RNN(2, 3, dtype=torch.float64)
    x = torch.randn(7, 1, 2, dtype=torch.float64)
    trace = traced(rnn, x)
    h = trace.layers[0].h[3, 0]  # of the middle step
    assert_close(step_jacobian(rnn, trace, x, 0), torch.diag(1 - h**2) @ rnn.weight_hh_l0.detach())


def test_backwards_the_state_before_is_that_of_the_step_after():
    torch.manual_seed(0)
    rnn = RNN(2, 3, bidirectional=True, batch_first=True, dtype=torch.float64)
    x = torch.randn(1, 7, 2, dtype=torch.float64)
    trace = traced(rnn, x)
    h = trace.layers[1].h[3, 0]
    assert_close(step_jacobian(rnn, trace, x, 1), torch.diag(1 - h**2) @ rnn.weight_hh_l0_reverse.detach())


def test_none_where_the_trace_does_not_tell_the_state_or_there_is_no_middle():
    lru, rnn = LRU(2, 3), RNN(2, 3)
    x = torch.randn(7, 1, 2)
    assert step_jacobian(lru, traced(lru, x), x, 0) is None
    assert step_jacobian(rnn, traced(rnn, x[:2]), x[:2], 0) is None
