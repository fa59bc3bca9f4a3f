"""The reference against numbers worked out by hand, finite differences, and the laws that hold for every recurrence."""

import math

import pytest
import torch
from torch.testing import assert_close

from elman.kernels import reference

CELLS = ["rnn", "lstm", "gru"]
# float64 sums in another order: a few ulp for each of up to 60 steps.
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def take(state, index):
    """The state of some sequences of the batch."""
    return tuple(p[index] for p in state) if isinstance(state, tuple) else state[index]


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def scalar(*numbers):
    """One unit, one input: each gate's weight as a row."""
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def test_rnn_step_by_hand():
    x, h = scalar(0.5), scalar(-0.2)
    W_ih, W_hh, b_ih, b_hh = scalar(0.7), scalar(1.3), scalar(0.1)[0], scalar(-0.4)[0]
    h_bar = 0.7 * 0.5 + 0.1 + 1.3 * -0.2 - 0.4
    assert reference.rnn_step(x, h, W_ih, W_hh, b_ih, b_hh).item() == pytest.approx(math.tanh(h_bar), rel=1e-14)
    assert reference.rnn_step(x, h, W_ih, W_hh, b_ih, b_hh, nonlinearity="relu").item() == 0
    assert reference.rnn_step(-x, -h, W_ih, W_hh, nonlinearity="relu").item() == 0
    assert reference.rnn_step(x, -h, W_ih, W_hh, nonlinearity="relu").item() == pytest.approx(0.35 + 0.26, rel=1e-14)


def test_lstm_step_by_hand():
    """Gates i f g o: each has its own weight, so two that are swapped are seen."""
    x, h, c = 0.5, -0.2, 0.8
    W_ih, W_hh, b_ih, b_hh = (0.7, -0.3, 1.1, 0.2), (0.4, 0.9, -0.6, 1.5), (0.1, 0.2, 0.3, 0.4), (-0.5, 0.6, -0.7, 0.8)
    i, f, g, o = (wi * x + bi + wh * h + bh for wi, wh, bi, bh in zip(W_ih, W_hh, b_ih, b_hh, strict=True))
    c_new = sigmoid(f) * c + sigmoid(i) * math.tanh(g)
    h_new = sigmoid(o) * math.tanh(c_new)
    weights = (scalar(*W_ih), scalar(*W_hh), scalar(*b_ih)[:, 0], scalar(*b_hh)[:, 0])
    found = reference.lstm_step(scalar(x), (scalar(h), scalar(c)), *weights)
    assert [p.item() for p in found] == pytest.approx([h_new, c_new], rel=1e-14)
    projected = reference.lstm_step(scalar(x), (scalar(h), scalar(c)), *weights, scalar(-2.0))
    assert [p.item() for p in projected] == pytest.approx([-2 * h_new, c_new], rel=1e-14)


def test_gru_step_by_hand():
    """Gates r z n; r acts on the recurrent product with its bias, the variant of torch."""
    x, h = 0.5, -0.2
    W_ih, W_hh, b_ih, b_hh = (0.7, -0.3, 1.1), (0.4, 0.9, -0.6), (0.1, 0.2, 0.3), (-0.5, 0.6, -0.7)
    (a_r, a_z, a_n) = (w * x + b for w, b in zip(W_ih, b_ih, strict=True))
    (u_r, u_z, u_n) = (w * h + b for w, b in zip(W_hh, b_hh, strict=True))
    r, z = sigmoid(a_r + u_r), sigmoid(a_z + u_z)
    h_new = (1 - z) * math.tanh(a_n + r * u_n) + z * h
    weights = (scalar(*W_ih), scalar(*W_hh), scalar(*b_ih)[:, 0], scalar(*b_hh)[:, 0])
    assert reference.gru_step(scalar(x), scalar(h), *weights).item() == pytest.approx(h_new, rel=1e-14)


@pytest.mark.parametrize("lengths", [None, [4, 1, 0]])
@pytest.mark.parametrize(("cell", "R", "options"), [
    ("rnn", None, {}), ("rnn", None, {"nonlinearity": "relu"}), ("lstm", None, {}), ("lstm", 2, {}), ("gru", None, {}),
])  # fmt: skip
def test_gradients_match_finite_differences(arguments, cell, R, options, lengths):
    x, state, *weights = arguments(cell, 4, 3, 2, 3, R, requires_grad=True)
    lengths = None if lengths is None else torch.tensor(lengths)
    count = len(parts(state))

    def flat(x, *rest):
        state = rest[:count] if cell == "lstm" else rest[0]
        y, after = getattr(reference, cell)(x, state, *rest[count:], lengths=lengths, **options)
        return y, *parts(after)

    assert torch.autograd.gradcheck(flat, (x, *parts(state), *weights))


@pytest.mark.parametrize("cell", CELLS)
def test_no_state_means_zeros(arguments, cell):
    x, state, *weights = arguments(cell, 5, 3, 2, 4)
    zeros = tuple(torch.zeros_like(p) for p in parts(state))
    function = getattr(reference, cell)
    assert_close(function(x, None, *weights), function(x, zeros if cell == "lstm" else zeros[0], *weights), **EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_law_a_chunked_sequence_is_the_whole_sequence(arguments, cell):
    x, state, *weights = arguments(cell, 20, 3, 2, 5)
    function = getattr(reference, cell)
    y, after = function(x, state, *weights)
    ys = []
    for chunk in x.split([1, 7, 12]):
        y_chunk, state = function(chunk, state, *weights)
        ys.append(y_chunk)
    assert_close(torch.cat(ys), y, **EXACT)
    assert_close(state, after, **EXACT)


@pytest.mark.parametrize("junk", [0.0, 1e30, math.nan, math.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_law_padding_never_changes_a_result(arguments, cell, junk):
    """Nor a gradient, whatever stands there: each padded sequence behaves like itself alone."""
    lengths = torch.tensor([9, 4, 1])
    x, state, *weights = arguments(cell, 9, 3, 2, 5, requires_grad=True)
    function = getattr(reference, cell)
    padded = x.detach().clone()
    for b, length in enumerate(lengths):
        padded[length:, b] = junk
    padded.requires_grad_()
    y, after = function(padded, state, *weights, lengths=lengths)
    together = torch.autograd.grad(y.square().sum() + parts(after)[-1].sum(), weights)

    alone = [torch.zeros_like(w) for w in weights]
    for b, length in enumerate(lengths):
        one = slice(b, b + 1)
        y_alone, after_alone = function(x[:length, one], take(state, one), *weights)
        assert_close(y[:length, one], y_alone, **EXACT)
        assert (y[length:, b] == 0).all()
        assert_close(take(after, one), after_alone, **EXACT)
        loss = y_alone.square().sum() + parts(after_alone)[-1].sum()
        for total, part in zip(alone, torch.autograd.grad(loss, weights), strict=True):
            total += part
    assert_close(together, tuple(alone), **EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_law_batch_order_never_changes_a_result(arguments, cell):
    lengths, order = torch.tensor([9, 4, 1, 0]), torch.tensor([2, 0, 3, 1])
    x, state, *weights = arguments(cell, 9, 4, 2, 5)
    function = getattr(reference, cell)
    y, after = function(x, state, *weights, lengths=lengths)
    y_mixed, after_mixed = function(x[:, order], take(state, order), *weights, lengths=lengths[order])
    assert_close(y_mixed, y[:, order], **EXACT)
    assert_close(after_mixed, take(after, order), **EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_of_length_zero_keeps_its_state(arguments, cell):
    x, state, *weights = arguments(cell, 3, 2, 2, 4)
    y, after = getattr(reference, cell)(x, state, *weights, lengths=torch.tensor([3, 0]))
    assert (y[:, 1] == 0).all()
    for before, last in zip(parts(state), parts(after), strict=True):
        assert torch.equal(last[1], before[1])


@pytest.mark.parametrize("cell", CELLS)
def test_nan_and_infinity_spread_forward_only(arguments, cell):
    x, state, *weights = arguments(cell, 6, 2, 2, 4)
    x[3, 0, 0] = math.nan
    y, _ = getattr(reference, cell)(x, state, *weights)
    assert y[:3].isfinite().all()
    assert y[3:, 0].isnan().all()
    assert y[:, 1].isfinite().all()
