"""RNN, LSTM and GRU against torch.nn, which is their oracle, on every implementation that stands behind them."""

import copy
import warnings

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.testing import assert_close

from elman import layers

NAMES = ["RNN", "LSTM", "GRU"]
# float64; sums in another order over up to 63 steps, 3 layers and 500 units.
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(params=["default", "torch", "reference"], autouse=True)
def implementation(request, monkeypatch):
    monkeypatch.setenv("ELMAN_KERNEL", "" if request.param == "default" else request.param)
    return request.param


def twins(name, *sizes, seed=0, **options):
    """Our layer and torch's with the same parameters, in float64."""
    torch.manual_seed(seed)
    theirs = getattr(torch.nn, name)(*sizes, **options).double()
    ours = getattr(layers, name)(*sizes, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def random_state(layer, B):
    L = layer.num_layers * (2 if layer.bidirectional else 1)
    h = torch.randn(L, *B, getattr(layer, "proj_size", 0) or layer.hidden_size, dtype=torch.float64)
    c = torch.randn(L, *B, layer.hidden_size, dtype=torch.float64)
    return (h, c) if isinstance(layer, torch.nn.LSTM) else h


def leaves(result):
    y, state = result
    y = y if isinstance(y, torch.Tensor) else y.data
    return (y, *state) if isinstance(state, tuple) else (y, state)


def assert_twins_agree(ours, theirs, x, state, **ours_only):
    """Forward, and the gradients of input, state and parameters."""
    given = [] if state is None else list(state) if isinstance(state, tuple) else [state]
    found, expected = ours(x, state, **ours_only), theirs(x, state)
    assert_close(leaves(found), leaves(expected), **EXACT)
    data = x if isinstance(x, torch.Tensor) else x.data
    directions = [torch.randn_like(t) for t in leaves(expected)]
    gradients = [
        torch.autograd.grad(leaves(result), [data, *given, *layer.parameters()], directions)
        for result, layer in ((found, ours), (expected, theirs))
    ]
    assert_close(*gradients, **EXACT)
    with torch.no_grad():
        assert_close(leaves(ours(x, state, **ours_only)), leaves(expected), **EXACT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("T", [1, 63])
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("H", [1, 5, 17])
def test_awkward_sizes(name, T, B, H):
    ours, theirs = twins(name, 4, H)
    assert_twins_agree(ours, theirs, torch.randn(T, B, 4).double().requires_grad_(), None)


@pytest.mark.parametrize("name", NAMES)
def test_a_wide_layer(name):
    ours, theirs = twins(name, 3, 500)
    assert_twins_agree(ours, theirs, torch.randn(4, 3, 3).double().requires_grad_(), None)


OPTIONS = [
    {"num_layers": 3},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False},
    {"batch_first": True},
]
CONFIGURATIONS = [
    *((name, options) for name in NAMES for options in OPTIONS),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("LSTM", {"proj_size": 3}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": False}),
]


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS)
@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("form", ["batched", "unbatched", "packed", "packed sorted"])
def test_every_option_in_every_form(name, options, with_state, form):
    ours, theirs = twins(name, 4, 6, **options)
    T, B = 8, 3
    batch = () if form == "unbatched" else (B,)
    shape = (*batch, T, 4) if options.get("batch_first") else (T, *batch, 4)
    x = torch.randn(shape).double().requires_grad_()
    state = random_state(theirs, batch) if with_state else None
    for part in [] if state is None else state if isinstance(state, tuple) else [state]:
        part.requires_grad_()
    if form.startswith("packed"):
        enforce_sorted = form == "packed sorted"
        lengths = torch.tensor([8, 8, 2] if enforce_sorted else [5, 8, 5])
        # Packed from detached data, so that the packed data is the leaf whose gradient is compared.
        x = pack_padded_sequence(x.detach(), lengths, options.get("batch_first", False), enforce_sorted)
        x.data.requires_grad_()
        for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            before, after = getattr(x, field), getattr(ours(x)[0], field)
            assert (before is None and after is None) or torch.equal(before, after)
    assert_twins_agree(ours, theirs, x, state)


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS)
def test_lengths_do_what_packing_does(name, options):
    ours, theirs = twins(name, 4, 6, **options)
    batch_first = options.get("batch_first", False)
    x = torch.randn((3, 8, 4) if batch_first else (8, 3, 4)).double()
    lengths = [5, 8, 1]
    state = random_state(theirs, (3,))
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
    y, after = theirs(packed, state)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first)
    for given in (lengths, tuple(lengths), torch.tensor(lengths), torch.tensor(lengths, dtype=torch.int32)):
        assert_close(ours(x, state, lengths=given), (y, after), **EXACT)


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS)
def test_a_seed_gives_torchs_parameters_bit_for_bit(name, options):
    torch.manual_seed(7)
    ours = getattr(layers, name)(5, 6, **options)
    torch.manual_seed(7)
    theirs = getattr(torch.nn, name)(5, 6, **options)
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS)
def test_a_state_dict_loads_both_ways(name, options):
    ours, theirs = getattr(layers, name)(5, 6, **options), getattr(torch.nn, name)(5, 6, **options)
    theirs.load_state_dict(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.reset_parameters()
    ours.load_state_dict(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_to_rounding(name):
    ours, theirs = (layer.float() for layer in twins(name, 16, 32, num_layers=2))
    x = torch.randn(50, 4, 16)
    # 32 units and 50 contracting steps: the errors of a few ulp (1.2e-7) each do not build up.
    assert_close(leaves(ours(x)), leaves(theirs(x)), rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_between_layers_while_training_only(name):
    ours, theirs = twins(name, 4, 64, num_layers=2, dropout=0.4)
    x = torch.randn(20, 8, 4).double()
    seen = []
    run = ours._sequence
    ours._sequence = lambda x, *rest, **more: (seen.append(x), run(x, *rest, **more))[1]
    first, _ = ours(x)
    second, _ = ours(x)
    assert not torch.equal(first, second)
    share = (seen[1] == 0).double().mean().item()
    assert share == pytest.approx(0.4, abs=0.02)  # 10,240 draws: a standard deviation of 0.005, so 4 of them
    assert (seen[0] == x).all()

    ours.eval(), theirs.eval()
    assert_close(leaves(ours(x)), leaves(theirs(x)), **EXACT)
    whole = getattr(layers, name)(4, 5, num_layers=2, dropout=1.0)
    assert whole(x.float())[0].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_law_a_carried_state_makes_chunks_the_whole(name):
    ours, _ = twins(name, 4, 6, num_layers=2)
    x = torch.randn(20, 3, 4).double()
    y, after = ours(x)
    state, ys = None, []
    for chunk in x.split([1, 12, 7]):
        y_chunk, state = ours(chunk, state)
        ys.append(y_chunk)
    assert_close(torch.cat(ys), y, **EXACT)
    assert_close(state, after, **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_law_padding_and_batch_order_never_change_a_result(name):
    ours, _ = twins(name, 4, 6, num_layers=2, bidirectional=True, batch_first=True)
    x = torch.randn(4, 9, 4).double()
    lengths, order = torch.tensor([9, 4, 1, 6]), torch.tensor([2, 0, 3, 1])
    y, state = ours(x, lengths=lengths)
    for b, length in enumerate(lengths):
        y_alone, alone = ours(x[b : b + 1, :length])
        assert_close(y[b : b + 1, :length], y_alone, **EXACT)
        assert (y[b, length:] == 0).all()
        for part, part_alone in zip(leaves((y, state))[1:], leaves((y, alone))[1:], strict=True):
            assert_close(part[:, b : b + 1], part_alone, **EXACT)
    y_mixed, _ = ours(x[order], lengths=lengths[order])
    assert_close(y_mixed, y[order], **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_reprs(name):
    ours, theirs = twins(name, 4, 6, num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 4).double()
    assert_close(copy.deepcopy(ours)(x), ours(x), rtol=0, atol=0)
    assert repr(ours) == repr(theirs)
    ours.flatten_parameters()


def test_an_empty_batch_gives_an_empty_result(implementation):
    if implementation == "torch":
        pytest.skip("torch's own implementation refuses an empty batch")
    y, (h, c) = layers.LSTM(4, 6)(torch.randn(5, 0, 4))
    assert (y.shape, h.shape, c.shape) == ((5, 0, 6), (1, 0, 6), (1, 0, 6))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: layers.LSTM(0, 5), ValueError, "input_size as a whole number of at least 1, found 0"),
        (lambda: layers.LSTM(3, 5.0), ValueError, "hidden_size as a whole number of at least 1, found 5.0"),
        (lambda: layers.LSTM(3, 5, proj_size=5), ValueError, "proj_size from 0 to below hidden_size=5, found 5"),
        (lambda: layers.LSTM(3, 5, 2, dropout=1.5), ValueError, "a probability from 0 to 1, found 1.5"),
        (lambda: layers.RNN(3, 5, nonlinearity="sine"), ValueError, "'tanh' or 'relu', found 'sine'"),
        (lambda: layers.LSTM(3, 5)([[1.0]]), TypeError, "expected x as a tensor (T, B, I)"),
        (lambda: layers.LSTM(3, 5)(torch.zeros(3)), ValueError, "expected x of shape (T, B, I)"),
        (lambda: layers.LSTM(3, 5)(torch.zeros(4, 2, 7)), ValueError, "expected 3 input features"),
        (lambda: layers.LSTM(3, 5)(torch.zeros(0, 2, 3)), ValueError, "at least one step in x, found (0, 2, 3)"),
        (lambda: layers.LSTM(3, 5)(torch.zeros(4, 2, 3).double()), ValueError, "use x.to(torch.float32)"),
        (lambda: layers.LSTM(3, 5)(torch.zeros(4, 2, 3), torch.zeros(1, 2, 5)), ValueError, "the pair (h, c)"),
        (lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5),) * 2), ValueError, "one tensor h"),
        (
            lambda: layers.LSTM(3, 5)(torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5), torch.zeros(1, 3, 5))),
            ValueError,
            "the state's c of shape (1, 2, 5) (layers * directions, batch, size), found (1, 3, 5)",
        ),
        (lambda: layers.LSTM(3, True), ValueError, "hidden_size as a whole number of at least 1, found True"),
        (lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), 0.0), TypeError, "state's h as a tensor, found float"),
        (
            lambda: layers.LSTM(3, 5)(torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5).double(),) * 2),
            ValueError,
            "the state's h as torch.float32, like the weights, found torch.float64",
        ),
        (
            lambda: layers.GRU(3, 5).step([1.0]),
            TypeError,
            "expected x as a tensor (B, I), or (I) unbatched, found list",
        ),
        (
            lambda: layers.GRU(3, 5)(torch.zeros(4, 3), torch.zeros(1, 1, 5)),
            ValueError,
            "the state's h of shape (1, 5) (layers * directions, size), found (1, 1, 5)",
        ),
        (
            lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), lengths=[4]),
            ValueError,
            "one length for each of the 2 sequences, shape (2,), found (1,)",
        ),
        (
            lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), lengths=[4, 5]),
            ValueError,
            "lengths from 0 to 4, the number of steps in x, found 5 for sequence 1",
        ),
        (lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), lengths=[-1, 4]), ValueError, "found -1 for sequence 0"),
        (lambda: layers.GRU(3, 5)(torch.zeros(4, 2, 3), lengths=[1.0, 4.0]), TypeError, "whole numbers"),
        (lambda: layers.GRU(3, 5)(torch.zeros(4, 3), lengths=[2]), ValueError, "lengths= needs a batch"),
        (
            lambda: layers.GRU(3, 5)(pack_padded_sequence(torch.zeros(4, 2, 3), [4, 2]), lengths=[4, 2]),
            ValueError,
            "a PackedSequence carries its own lengths",
        ),
    ],
)
def test_an_error_says_what_was_expected_and_found(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_dropout_with_one_layer_warns_as_torch_does():
    with pytest.warns(UserWarning, match="with num_layers=1 it does nothing"):
        layers.LSTM(3, 5, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.LSTM(3, 5, num_layers=2, dropout=0.5)
