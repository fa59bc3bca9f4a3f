"""RNN, LSTM and GRU against torch.nn's in configurations drawn at random: a failing test's number is its seed."""

import random

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from elman import layers

# float64: sums in another order, at most 12 steps, 3 layers and 20 units. float32: a few ulp (6e-8) for each of some
# hundred sums on the longest way of a gradient, relative to numbers of size 1.
TOLERANCE = {torch.float64: {"rtol": 1e-9, "atol": 1e-10}, torch.float32: {"rtol": 1e-4, "atol": 2e-5}}


def draw(seed):
    """A class, the arguments that both constructors take, and how it is called."""
    rng = random.Random(seed)
    cls = rng.choice(["RNN", "LSTM", "GRU"])
    H = rng.choice([1, 2, 5, 8, 17, 20])
    options = {
        "input_size": rng.choice([1, 3, 4, 9]),
        "hidden_size": H,
        "num_layers": rng.choice([1, 1, 2, 3]),
        "bias": rng.random() < 0.7,
        "batch_first": rng.random() < 0.5,
        "bidirectional": rng.random() < 0.4,
        "dtype": rng.choice([torch.float32, torch.float64]),
    }
    if cls == "LSTM" and H > 1 and rng.random() < 0.4:
        options["proj_size"] = rng.randrange(1, H)
    if cls == "RNN":
        options["nonlinearity"] = rng.choice(["tanh", "relu"])
    call = {
        "form": rng.choice(["tensor", "tensor", "one sequence", "packed", "sorted and packed", "lengths"]),
        "state": rng.random() < 0.5,
        "stride": rng.choice(["contiguous", "transposed", "sliced"]),
        "T": rng.choice([1, 2, 5, 12]),
        "B": rng.choice([1, 2, 3, 7]),
    }
    call["lengths"] = [rng.randint(1, call["T"]) for _ in range(call["B"])]
    call["lengths"][rng.randrange(call["B"])] = call["T"]
    return cls, options, call


def make_x(options, call, generator):
    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=options["dtype"])

    T, B, I = call["T"], call["B"], options["input_size"]
    shape = (T, I) if call["form"] == "one sequence" else (B, T, I) if options["batch_first"] else (T, B, I)
    if call["stride"] == "transposed":
        return normal(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)
    return normal(*shape[:-1], 2 * I)[..., ::2] if call["stride"] == "sliced" else normal(*shape)


def make_state(cls, options, call, generator):
    L = options["num_layers"] * (2 if options["bidirectional"] else 1)
    batch = () if call["form"] == "one sequence" else (call["B"],)
    H = options["hidden_size"]
    sizes = [options.get("proj_size") or H, H][: 2 if cls == "LSTM" else 1]
    return [torch.randn(L, *batch, size, generator=generator, dtype=options["dtype"]) for size in sizes]


def leaves(y, state):
    y = y.data if isinstance(y, PackedSequence) else y
    return [y, *(state if isinstance(state, tuple) else (state,))]


# torch warns, once a process, that its own projections are slow.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("seed", range(300))
def test_torch_is_the_oracle(seed):
    cls, options, call = draw(seed)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    theirs = getattr(torch.nn, cls)(**options)
    torch.manual_seed(seed)
    ours = getattr(layers, cls)(**options)
    assert repr(ours).removesuffix(", nonlinearity=relu)").rstrip(")") == repr(theirs).rstrip(")")
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)

    x = make_x(options, call, generator).requires_grad_()
    first = [t.requires_grad_() for t in make_state(cls, options, call, generator)] if call["state"] else []
    state = None if not first else tuple(first) if cls == "LSTM" else first[0]
    lengths = torch.tensor(sorted(call["lengths"], reverse=True) if "sorted" in call["form"] else call["lengths"])
    if call["form"] in ("packed", "sorted and packed", "lengths"):
        packed = pack_padded_sequence(x, lengths, options["batch_first"], "sorted" in call["form"])
        y, after = theirs(packed, state)
        if call["form"] == "lengths":
            y = pad_packed_sequence(y, options["batch_first"])[0]
            found = ours(x, state, lengths=lengths)
        else:
            found = ours(packed, state)
            for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
                assert_close(getattr(found[0], field), getattr(y, field))
        expected = y, after
    else:
        found, expected = ours(x, state), theirs(x, state)

    found, expected = leaves(*found), leaves(*expected)
    assert_close(found, expected, **TOLERANCE[options["dtype"]])
    directions = [torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in expected]
    gradients = [
        torch.autograd.grad(result, [x, *first, *layer.parameters()], directions, retain_graph=True)
        for result, layer in ((found, ours), (expected, theirs))
    ]
    scale = max(1.0, *(g.abs().max().item() for g in gradients[1]))
    assert_close(*([g / scale for g in group] for group in gradients), **TOLERANCE[options["dtype"]])


def test_the_draws_reach_every_choice():
    drawn = [draw(seed) for seed in range(300)]
    for cls in ("RNN", "LSTM", "GRU"):
        of_cls = [(options, call) for name, options, call in drawn if name == cls]
        for name in ("num_layers", "bias", "batch_first", "bidirectional", "dtype", "hidden_size"):
            assert len({options[name] for options, _ in of_cls}) == {"num_layers": 3, "hidden_size": 6}.get(name, 2)
        for name in ("form", "state", "stride", "T", "B"):
            assert len({call[name] for _, call in of_cls}) == {"form": 5, "state": 2, "stride": 3, "T": 4, "B": 4}[name]
