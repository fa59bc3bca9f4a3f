"""The one-step cells against torch.nn's, and against the sequence."""

import pytest
import torch
from torch.testing import assert_close

from elman import layers

NAMES = ["RNN", "LSTM", "GRU"]
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, one step


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (1,), (3,)])
@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_torchs(name, batch, bias):
    torch.manual_seed(3)
    ours = getattr(layers, f"{name}Cell")(4, 5, bias=bias)
    torch.manual_seed(3)
    theirs = getattr(torch.nn, f"{name}Cell")(4, 5, bias=bias)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert repr(ours) == repr(theirs)
    ours.double(), theirs.double()
    x, h, c = torch.randn(*batch, 4).double(), torch.randn(*batch, 5).double(), torch.randn(*batch, 5).double()
    state = (h, c) if name == "LSTM" else h
    assert_close(ours(x), theirs(x), **EXACT)
    assert_close(ours(x, state), theirs(x, state), **EXACT)


def test_relu():
    ours, theirs = layers.RNNCell(4, 5, nonlinearity="relu"), torch.nn.RNNCell(4, 5, nonlinearity="relu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 4)
    assert_close(ours(x), theirs(x))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_law_steps_are_the_sequence(name):
    torch.manual_seed(0)
    layer, cell = getattr(layers, name)(4, 5).double(), getattr(layers, f"{name}Cell")(4, 5).double()
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x = torch.randn(30, 3, 4).double()
    y, after = layer(x)
    state, ys = None, []
    for x_t in x:
        state = cell(x_t, state)
        ys.append(state[0] if name == "LSTM" else state)
    assert_close(torch.stack(ys), y, rtol=1e-11, atol=1e-11)  # 30 steps
    last = after if isinstance(after, tuple) else (after,)
    for part, expected in zip(state if name == "LSTM" else (state,), last, strict=True):
        assert_close(part, expected[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.GRUCell(3, 5)(torch.zeros(2, 4)), "expected x of shape (B, 3) or (3,), found (2, 4)"),
        (lambda: layers.GRUCell(3, 5)(torch.zeros(2, 3), torch.zeros(1, 5)), "h of shape (2, 5), found (1, 5)"),
        (
            lambda: layers.LSTMCell(3, 5)(torch.zeros(3), (torch.zeros(5), torch.zeros(4))),
            "c of shape (5,), found (4,)",
        ),
        (lambda: layers.GRUCell(3, 0), "hidden_size as a whole number of at least 1, found 0"),
        (lambda: layers.GRUCell(3, 5)([1.0, 2.0, 3.0]), "expected x as a tensor, found list"),
        (lambda: layers.RNNCell(3, 5)(torch.zeros(2, 3).double()), "x as torch.float32, like the weights"),
        (lambda: layers.LSTMCell(3, 5)(torch.zeros(2, 3), torch.zeros(2, 5)), "the pair (h, c), found Tensor"),
        (lambda: layers.RNNCell(3, 5, nonlinearity="sine"), "'tanh' or 'relu', found 'sine'"),
    ],
)
def test_an_error_says_what_was_expected_and_found(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)
