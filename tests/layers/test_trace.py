"""What a trace tells beyond what the battery holds every cell to."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.testing import assert_close

from elman import kernels, layers

EXACT = {"rtol": 1e-10, "atol": 1e-10}  # float64, a few steps


def make(cls=layers.LSTM, **options):
    torch.manual_seed(0)
    return cls(3, 5, dtype=torch.float64, **options)


@pytest.mark.parametrize("options", [{}, {"peephole": True}, {"layer_norm": True}])
def test_the_gradient_of_c_by_hand(options):
    """c_t reaches the loss through h_t and through every later step."""
    layer = make(**options)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    y, (_, c_n), trace = layer(x, trace=True)
    factors = torch.randn_like(y)
    ((y * factors).sum() + c_n.square().sum()).backward()

    w = layer._arguments(x, layer._weights(0, 0))
    W_ih, W_hh = w.pop("W_ih"), w.pop("W_hh")
    h, c, cs, loss = x.new_zeros(2, 5), x.new_zeros(2, 5), [], 0.0
    for x_t, factor in zip(x, factors, strict=True):
        seen = {}
        h, c = kernels.lstm_step(x_t, (h, c), W_ih, W_hh, **w, seen=seen)
        seen["c"].retain_grad()
        cs.append(seen["c"])
        loss = loss + (h * factor).sum()
    (loss + c.square().sum()).backward()
    expected = torch.stack([c.grad.square().sum().sqrt() for c in cs])
    assert trace.grad_norm_c.shape == (6, 1)
    assert_close(trace.grad_norm_c[:, 0], expected, **EXACT)
    assert_close(torch.stack([c.detach() for c in cs]), trace.layers[0].c, **EXACT)


def test_the_gradient_of_one_step_reaches_back_only():
    layer = make(num_layers=2)
    y, _, trace = layer(torch.randn(6, 2, 3, dtype=torch.float64), trace=True)
    y[3].sum().backward()
    assert (trace.grad_norm[4:] == 0).all()
    assert (trace.grad_norm[:4] > 0).all()


def test_a_second_backward_replaces_the_first():
    y, _, trace = make()(torch.randn(6, 2, 3, dtype=torch.float64), trace=True)
    y.sum().backward(retain_graph=True)
    first = trace.grad_norm
    (2 * y.sum()).backward()
    assert_close(trace.grad_norm, 2 * first, **EXACT)


def test_a_layer_that_no_gradient_goes_through_is_nan():
    layer = make(num_layers=2)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_("_l1" in name)
    y, _, trace = layer(torch.randn(6, 2, 3, dtype=torch.float64), trace=True)
    y.sum().backward()
    assert trace.grad_norm[:, 0].isnan().all()
    assert (trace.grad_norm[:, 1] > 0).all()


def test_only_a_cell_with_c_has_its_gradient():
    y, _, trace = make(layers.GRU)(torch.randn(6, 2, 3, dtype=torch.float64), trace=True)
    y.sum().backward()
    with pytest.raises(AttributeError, match="this cell has no c"):
        _ = trace.grad_norm_c


def test_a_trace_is_time_major_whatever_the_layout():
    layer, first = make(), make(batch_first=True)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    y, _, trace = layer(x, trace=True)
    y_first, _, trace_first = first(x.transpose(0, 1), trace=True)
    assert_close(trace_first.layers[0].h, trace.layers[0].h, **EXACT)
    assert_close(trace_first.layers[0].gates, trace.layers[0].gates, **EXACT)
    _, _, alone = layer(x[:, 0], trace=True)
    assert_close(alone.layers[0].bars["f"], trace.layers[0].bars["f"][:, :1], **EXACT)
    packed = pack_padded_sequence(x, torch.tensor([4, 6]), enforce_sorted=False)
    _, _, trace_packed = layer(packed, trace=True)
    _, _, trace_padded = layer(x, lengths=[4, 6], trace=True)
    assert_close(trace_packed.layers[0].h, trace_padded.layers[0].h, **EXACT)
    y.sum().backward(), y_first.sum().backward()
    assert_close(trace_first.grad_norm, trace.grad_norm, **EXACT)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_restarts_from_a_learned_state_leave_the_trace_in_the_order_of_x(bidirectional):
    """A learned state of zeros is no state: both ways of restarting record the same."""
    learned = make(learned_state=True, num_layers=2, bidirectional=bidirectional)
    plain = make(num_layers=2, bidirectional=bidirectional)
    x, reset, lengths = torch.randn(6, 2, 3, dtype=torch.float64), torch.rand(6, 2) < 0.3, torch.tensor([4, 6])
    reset[2, 0] = reset[0, 1] = True
    traces = []
    for layer in (learned, plain):
        y, _, trace = layer(x, reset=reset, lengths=lengths, trace=True)
        y[:4].sum().backward()
        traces.append(trace)
    for one, other in zip(*(trace.layers for trace in traces), strict=True):
        for name in ("h", "c", "gates", "bars"):
            assert_close(getattr(one, name), getattr(other, name), **EXACT)
    assert_close(traces[0].grad_norm, traces[1].grad_norm, **EXACT)
    assert_close(traces[0].grad_norm_c, traces[1].grad_norm_c, **EXACT)
