"""The laws that hold for every recurrent layer with every option: a new cell is one line in `TABLE`.

Sizes are small and awkward, numbers are float64 and all different. Options that draw are tried as they evaluate
(laws about results) and as they train, from one seed (laws about gradients).
"""

import copy
import io
import math

import pytest
import torch
from torch.testing import assert_close

from elman import layers

RNN, LSTM, GRU = layers.RNN, layers.LSTM, layers.GRU
MinGRU, MinLSTM, RGLRU, LRU, SLSTM = layers.MinGRU, layers.MinLSTM, layers.RGLRU, layers.LRU, layers.SLSTM
TABLE = [
    *((cls, {}) for cls in (RNN, LSTM, GRU)),
    (RNN, {"nonlinearity": "relu"}),
    (LSTM, {"proj_size": 2}),
    (LSTM, {"peephole": True}),
    (LSTM, {"zoneout": (0.2, 0.4)}),
    (LSTM, {"forget_bias": 1.0}),
    *((cls, {"bias": False}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"layer_norm": True}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"recurrent_dropout": 0.4}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"weight_dropout": 0.4}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"zoneout": 0.3}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"recurrent_init": "orthogonal"}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"recurrent_init": "identity"}) for cls in (RNN, LSTM, GRU)),
    *((cls, {"learned_state": True}) for cls in (RNN, LSTM, GRU)),
    (RNN, {"layer_norm": True, "bias": False, "zoneout": 0.3, "recurrent_dropout": 0.4, "learned_state": True}),
    (LSTM, {"layer_norm": True, "peephole": True, "proj_size": 3, "zoneout": (0.3, 0.1), "weight_dropout": 0.2}),
    (GRU, {"layer_norm": True, "recurrent_dropout": 0.4, "weight_dropout": 0.2, "learned_state": True}),
    *((cls, {}) for cls in (MinGRU, MinLSTM, RGLRU, LRU, SLSTM)),
    *((cls, {"bias": False}) for cls in (MinGRU, MinLSTM, RGLRU, LRU, SLSTM)),
    *((cls, {"learned_state": True}) for cls in (MinGRU, MinLSTM, RGLRU, LRU)),
    *((cls, {"nonlinearity": "positive"}) for cls in (MinGRU, MinLSTM)),
    *((cls, {"forget_bias": 2.0}) for cls in (MinGRU, MinLSTM)),
    (LRU, {"r_min": 0.9, "r_max": 0.999, "max_phase": 0.3}),
]
EVERY = pytest.mark.parametrize(
    ("cls", "options"),
    TABLE,
    ids=["-".join([cls.__name__, *(f"{k}={v}" for k, v in options.items())]) for cls, options in TABLE],
)
STACKED = {"num_layers": 2, "bidirectional": True}

# float64; sums in another order over at most 9 steps, 2 layers and 5 units.
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def make(cls, options, *sizes, seed=0, **more):
    """A layer whose parameters all differ, also those that start alike."""
    torch.manual_seed(seed)
    layer = cls(*(sizes or (3, 5)), **options, **more, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return layer


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def joined(given):
    return given[0] if len(given) == 1 else tuple(given)


def some_state(layer, B=3, seed=1):
    """A state with every number different, shaped and typed like the one that the layer gives."""
    torch.manual_seed(seed)
    with torch.no_grad():
        _, state = layer(torch.zeros(B, 1, 3).double() if layer.batch_first else torch.zeros(1, B, 3).double())
    return joined([torch.rand_like(part) for part in parts(state)])


def some_x(T=7, B=3, seed=2):
    torch.manual_seed(seed)
    return torch.randn(T, B, 3, dtype=torch.float64)


def gradients(layer, result, *inputs):
    """Of a loss in which every number of the result has its own say, for the inputs and all parameters."""
    y, state = result[:2]
    loss = sum(
        (t.abs().square() * torch.arange(1, t.numel() + 1).reshape(t.shape)).sum() / t.numel()
        for t in (y, *parts(state))
    )
    found = torch.autograd.grad(loss, [*inputs, *layer.parameters()], allow_unused=True, materialize_grads=True)
    return list(found)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("more", [{}, STACKED | {"batch_first": True}])
def test_shapes_and_types(cls, options, dtype, more):
    layer = cls(3, 5, **options, **more, dtype=dtype)
    L = layer.num_layers * (2 if layer.bidirectional else 1)
    y, state = layer(torch.randn(2, 4, 3, dtype=dtype))
    y_one, state_one = layer(torch.randn(4, 3, dtype=dtype))
    B = 2 if layer.batch_first else 4
    assert (y.shape, y.dtype, y_one.shape) == ((2, 4, layer.output_size), dtype, (4, layer.output_size))
    assert len(parts(state)) == len(layer.letters)
    for part, part_one in zip(parts(state), parts(state_one), strict=True):
        assert part.shape[:2] == (L, B)
        assert part_one.shape == (L, part.shape[2])
        assert part.real.dtype == part_one.real.dtype == dtype
    assert {p.dtype.to_real() for p in layer.parameters()} == {dtype}
    assert repr(layer).startswith(f"{cls.__name__}(3, 5")
    for name, value in options.items():
        assert f"{name}={value}" in repr(layer)


@EVERY
def test_a_batch_first_layer_is_the_same_layer(cls, options):
    layer, first = make(cls, options, **STACKED).eval(), make(cls, options, batch_first=True, **STACKED).eval()
    first.load_state_dict(layer.state_dict())
    x, state = some_x(), some_state(layer)
    reset, lengths = torch.rand(7, 3) < 0.3, torch.tensor([7, 2, 5])
    y, after = layer(x, state, lengths=lengths, reset=reset)
    y_first, after_first = first(x.transpose(0, 1), state, lengths=lengths, reset=reset.T)
    assert_close((y_first.transpose(0, 1), after_first), (y, after), **EXACT)
    one = joined([part[:, 0] for part in parts(state)])
    for alone in (layer, first):
        y_alone, after_alone = alone(x[:, 0], one, reset=reset[:, 0])
        expected, after_expected = layer(x[:, :1], joined([p[:, :1] for p in parts(state)]), reset=reset[:, :1])
        assert_close(y_alone, expected[:, 0], **EXACT)
        assert_close(parts(after_alone), tuple(p[:, 0] for p in parts(after_expected)), **EXACT)


@EVERY
def test_no_state_is_the_state_that_the_layer_starts_from(cls, options):
    layer = make(cls, options, **STACKED).eval()
    if layer.learned_state:
        given = [getattr(layer, f"{k}_0")[:, None].expand(-1, 3, -1) for k in layer.letters]
        assert all(part.abs().min() > 0 for part in given)
    else:
        given = [torch.zeros_like(part) for part in parts(some_state(layer))]
    x = some_x()
    assert_close(layer(x), layer(x, joined(given)), **EXACT)
    assert not torch.allclose(layer(x)[0][-1], layer(x, some_state(layer))[0][-1])


@EVERY
def test_law_steps_and_chunks_with_a_carried_state_are_the_whole(cls, options):
    layer = make(cls, options, num_layers=2).eval()
    x, start = some_x(9).requires_grad_(), some_state(layer)
    for part in parts(start):
        part.requires_grad_()
    for state_0 in (start, None):
        whole = layer(x, state_0)
        inputs = [x, *(parts(start) if state_0 is not None else [])]
        expected = gradients(layer, whole, *inputs)
        for sizes in ([1, 5, 3], [1] * 9):
            state, ys = state_0, []
            for chunk in x.split(sizes):
                y, state = layer(chunk, state) if len(sizes) < 9 else layer.step(chunk[0], state)
                ys.append(y if len(sizes) < 9 else y[None])
            chunked = torch.cat(ys), state
            assert_close(chunked, whole, **EXACT)
            assert_close(gradients(layer, chunked, *inputs), expected, **EXACT)


@EVERY
def test_a_step_of_one_sequence_is_a_step_of_a_batch(cls, options):
    layer = make(cls, options, num_layers=2, batch_first=True).eval()
    x, state = some_x(1)[0], some_state(layer)
    y, after = layer.step(x, state)
    y_one, after_one = layer.step(x[1], joined([part[:, 1] for part in parts(state)]))
    assert_close(y_one, y[1], **EXACT)
    assert_close(parts(after_one), tuple(part[:, 1] for part in parts(after)), **EXACT)


@EVERY
@pytest.mark.parametrize("junk", [0.0, 1e30, math.nan, math.inf])
def test_law_padding_never_changes_a_result(cls, options, junk):
    """Nor a gradient: each padded sequence behaves like itself alone."""
    layer = make(cls, options, **STACKED).eval()
    x, state, lengths = some_x(), some_state(layer), [7, 1, 4]
    padded = x.clone()
    for b, length in enumerate(lengths):
        padded[length:, b] = junk
    padded.requires_grad_()
    y, after = layer(padded, state, lengths=lengths)
    loss = y.square().sum() + sum(part.abs().square().sum() for part in parts(after))
    dx, *together = torch.autograd.grad(loss, [padded, *layer.parameters()], allow_unused=True, materialize_grads=True)

    alone = [torch.zeros_like(p) for p in layer.parameters()]
    for b, length in enumerate(lengths):
        one = x[:length, b : b + 1].clone().requires_grad_()
        y_one, after_one = layer(one, joined([part[:, b : b + 1] for part in parts(state)]))
        assert_close(y[:length, b : b + 1], y_one, **EXACT)
        assert (y[length:, b] == 0).all()
        assert_close(tuple(part[:, b : b + 1] for part in parts(after)), parts(after_one), **EXACT)
        loss = y_one.square().sum() + sum(part.abs().square().sum() for part in parts(after_one))
        dx_one, *found = torch.autograd.grad(
            loss, [one, *layer.parameters()], allow_unused=True, materialize_grads=True
        )
        assert_close(dx[:length, b : b + 1], dx_one, **EXACT)
        assert (dx[length:, b] == 0).all()
        for total, part in zip(alone, found, strict=True):
            total += part
    assert_close(together, alone, **EXACT)


@EVERY
def test_law_batch_order_never_changes_a_result(cls, options):
    layer = make(cls, options, **STACKED).eval()
    x, state, order = some_x(B=4), some_state(layer, 4), torch.tensor([2, 0, 3, 1])
    lengths, reset = torch.tensor([7, 1, 0, 5]), torch.rand(7, 4) < 0.3
    y, after = layer(x, state, lengths=lengths, reset=reset)
    mixed = joined([part[:, order] for part in parts(state)])
    y_mixed, after_mixed = layer(x[:, order], mixed, lengths=lengths[order], reset=reset[:, order])
    assert_close(y_mixed, y[:, order], **EXACT)
    assert_close(parts(after_mixed), tuple(part[:, order] for part in parts(after)), **EXACT)
    # A sequence of no steps keeps its state.
    assert torch.equal(parts(after)[0][:, 2], parts(state)[0][:, 2])


def cut_by_hand(layer, x, state, reset, length):
    """One sequence `x (T, 1, I)` through one layer, stretch by stretch: y and the state after it, both directions."""
    starts = sorted({0, *(t for t in range(length) if reset[t])})
    ys, directions = [], 2 if layer.bidirectional else 1
    left = [part.clone() for part in parts(state)]
    for begin, end in zip(starts, [*starts[1:], length], strict=True):
        y, after = layer(x[begin:end], None)
        first, last = begin == 0 and not reset[0], end == length
        if first or (last and directions == 2):
            fresh = parts(some_start(layer))
            given = [part.clone() for part in fresh]
            for mine, theirs in zip(given, parts(state), strict=True):
                if first:
                    mine[0] = theirs[0]
                if last and directions == 2:
                    mine[1] = theirs[1]
            y, after = layer(x[begin:end], joined(given))
        ys.append(y)
        for mine, theirs in zip(left, parts(after), strict=True):
            if last:
                mine[0] = theirs[0]
            if begin == 0 and directions == 2:
                mine[1] = theirs[1]
    return torch.cat(ys), joined(left)


def some_start(layer):
    """The state of one sequence from which the layer starts, of one layer in its directions."""
    if layer.learned_state:
        return joined([getattr(layer, f"{k}_0")[:, None] for k in layer.letters])
    return joined([torch.zeros_like(part) for part in parts(some_state(layer, 1))])


@EVERY
@pytest.mark.parametrize("bidirectional", [False, True])
def test_law_a_reset_is_a_cut(cls, options, bidirectional):
    """Gradients included, with lengths, at the first step and at the last, and several in a row."""
    layer = make(cls, options, bidirectional=bidirectional).eval()
    x, state, lengths = some_x(B=4).requires_grad_(), some_state(layer, 4), [7, 5, 7, 3]
    reset = torch.zeros(7, 4, dtype=torch.bool)
    for t, b in [(3, 0), (0, 1), (4, 1), (5, 1), (2, 2), (3, 2), (6, 2), (1, 3), (3, 3)]:
        reset[t, b] = True
    y, after = layer(x, state, lengths=lengths, reset=reset)
    expected = []
    for b, length in enumerate(lengths):
        one = joined([part[:, b : b + 1] for part in parts(state)])
        y_b, after_b = cut_by_hand(layer, x[:, b : b + 1], one, reset[:, b], length)
        expected.append((torch.cat([y_b, y_b.new_zeros(7 - length, *y_b.shape[1:])]), *parts(after_b)))
    by_hand = tuple(torch.cat(t, dim=1) for t in zip(*expected, strict=True))
    assert_close((y, *parts(after)), by_hand, **EXACT)
    by_hand = by_hand[0], joined(by_hand[1:])
    assert_close(gradients(layer, (y, after), x), gradients(layer, by_hand, x), **EXACT)


@EVERY
@pytest.mark.parametrize("train", [True, False])
def test_gradients_are_the_references(cls, options, train, monkeypatch):
    """Whatever runs by default, a plain loop over the steps gives the same, from the same draws."""
    layer = make(cls, options, **STACKED, dropout=0.3).train(train)
    x, state = some_x().requires_grad_(), some_state(layer)
    for part in parts(state):
        part.requires_grad_()
    reset = torch.rand(7, 3) < 0.2
    for more in ({}, {"lengths": torch.tensor([7, 1, 4]), "reset": reset}):
        found = []
        for kernel in ("", "reference"):
            monkeypatch.setenv("ELMAN_KERNEL", kernel)
            torch.manual_seed(5)
            result = layer(x, state, **more)
            found.append((result, gradients(layer, result, x, *parts(state))))
        assert_close(*found, **EXACT)
        with torch.no_grad():
            torch.manual_seed(5)
            assert_close(layer(x, state, **more), found[0][0], **EXACT)


@EVERY
def test_gradients_are_finite_differences(cls, options):
    layer = make(cls, options, 3, 4, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    state = some_state(layer, 2)
    state = joined([part * 0.5 for part in parts(state)])
    reset = torch.zeros(4, 2, dtype=torch.bool)
    reset[2, 1] = True
    for start in (state, None):
        first = [] if start is None else list(parts(start))
        count = len(first)

        def run(x, *rest, count=count):
            torch.manual_seed(6)
            given = joined(rest[:count]) if count else None
            weights = dict(zip(names, rest[count:], strict=True))
            more = {"lengths": torch.tensor([4, 3]), "reset": reset}
            y, after = torch.func.functional_call(layer, weights, (x, given), more)
            return y, *parts(after)

        inputs = [some_x(4, 2), *first, *(p.detach() for p in layer.parameters())]
        assert torch.autograd.gradcheck(run, [t.clone().requires_grad_() for t in inputs], fast_mode=True)


@EVERY
def test_saving_and_copying(cls, options):
    layer = make(cls, options, **STACKED).eval()
    x, state = some_x(), some_state(layer)
    expected = layer(x, state)
    other = make(cls, options, **STACKED, seed=9).eval()
    assert not torch.allclose(other(x, state)[0], expected[0])
    other.load_state_dict(layer.state_dict())
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (other, copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert_close(twin(x, state), expected, rtol=0, atol=0)
        assert repr(twin) == repr(layer)


@EVERY
@pytest.mark.parametrize("train", [True, False])
def test_a_trace_changes_nothing(cls, options, train):
    layer = make(cls, options, **STACKED).train(train)
    x, state = some_x(), some_state(layer)
    more = {"lengths": torch.tensor([7, 1, 4]), "reset": torch.rand(7, 3) < 0.2}
    torch.manual_seed(3)
    expected = layer(x, state, **more)
    torch.manual_seed(3)
    y, after, trace = layer(x, state, **more, trace=True)
    assert_close((y, after), expected, **EXACT)
    assert_close(gradients(layer, (y, after)), gradients(layer, expected), **EXACT)
    assert len(trace.layers) == 4
    assert_close(torch.cat([trace.layers[2].h, trace.layers[3].h], dim=-1), y.detach(), **EXACT)
    past = torch.arange(7)[:, None] >= torch.tensor([7, 1, 4])
    for one in trace.layers:
        recorded = [*one.gates.values(), *one.bars.values(), *([] if one.c is None else [one.c])]
        assert all(t.shape[:2] == (7, 3) and not t.requires_grad for t in (one.h, *recorded))
        assert all((t[past] == 0).all() for t in (one.h, *recorded))
    with torch.no_grad():
        torch.manual_seed(3)
        assert_close(layer(x, state, **more, trace=True)[:2], expected, **EXACT)


def sigmoids(one, letters):
    for letter in letters:
        assert_close(one.gates[letter], torch.sigmoid(one.bars[letter]), **EXACT)


def rnn_equation(layer, one, weights, h, c):
    phi = torch.relu if layer.nonlinearity == "relu" else torch.tanh
    assert_close(one.gates["h"], phi(one.bars["h"]), **EXACT)
    return one.gates["h"], None


def lstm_equation(layer, one, weights, h, c):
    sigmoids(one, "ifo")
    assert_close(one.gates["g"], torch.tanh(one.bars["g"]), **EXACT)
    i, f, g, o = (one.gates[k] for k in "ifgo")
    new = f * c + i * g
    short = new
    if layer.layer_norm:
        short = torch.nn.functional.layer_norm(new, new.shape[-1:], weights["norm_c"], weights.get("bias_c"))
    given = o * torch.tanh(short)
    return (given if not layer.proj_size else given @ weights["weight_hr"].T), new


def gru_equation(layer, one, weights, h, c):
    sigmoids(one, "rz")
    assert_close(one.gates["n"], torch.tanh(one.bars["n"]), **EXACT)
    return (1 - one.gates["z"]) * one.gates["n"] + one.gates["z"] * h, None


def candidate(layer, v):
    return torch.where(v >= 0, v + 0.5, torch.sigmoid(v)) if layer.nonlinearity == "positive" else v


def mingru_equation(layer, one, weights, h, c):
    sigmoids(one, "z")
    assert_close(one.gates["n"], candidate(layer, one.bars["n"]), **EXACT)
    return (1 - one.gates["z"]) * h + one.gates["z"] * one.gates["n"], None


def minlstm_equation(layer, one, weights, h, c):
    i, f = torch.sigmoid(one.bars["i"]), torch.sigmoid(one.bars["f"])
    assert_close((one.gates["i"], one.gates["f"]), (i / (i + f), f / (i + f)), **EXACT)
    assert_close(one.gates["g"], candidate(layer, one.bars["g"]), **EXACT)
    return one.gates["f"] * h + one.gates["i"] * one.gates["g"], None


def rglru_equation(layer, one, weights, h, c):
    sigmoids(one, "ri")
    assert_close(one.gates["u"], one.bars["u"], **EXACT)
    a = torch.exp(-8 * torch.nn.functional.softplus(weights["Lambda"]) * one.gates["r"])
    return a * h + torch.sqrt(1 - a**2) * one.gates["i"] * one.gates["u"], None


def slstm_equation(layer, one, weights, h, c):
    """For c; its normaliser is in no trace, so h stands as it is."""
    sigmoids(one, "o")
    assert_close(one.gates["g"], torch.tanh(one.bars["g"]), **EXACT)
    i, f = one.gates["i"], one.gates["f"]
    assert (torch.maximum(i, f) == 1).all()  # what the stabiliser sees to
    return one.h, f * c + i * one.gates["g"]


EQUATIONS = {
    RNN: rnn_equation,
    LSTM: lstm_equation,
    GRU: gru_equation,
    MinGRU: mingru_equation,
    MinLSTM: minlstm_equation,
    RGLRU: rglru_equation,
    LRU: lambda layer, one, weights, h, c: (one.h, None),  # it has no gates
    SLSTM: slstm_equation,
}
"""From what a trace holds and h and c of the step before to h and c, before any zoneout."""


@EVERY
def test_the_gates_of_a_trace_give_the_states(cls, options):
    layer = make(cls, options, **STACKED).eval()
    x, state = some_x(), some_state(layer)
    _, _, trace = layer(x, state, trace=True)
    for index, one in enumerate(trace.layers):
        weights = layer._weights(index // 2, index % 2)
        backward = index % 2 == 1

        def before(now, first, backward=backward):
            return torch.cat([now[1:], first[None]] if backward else [first[None], now[:-1]])

        first = [part[index] for part in parts(state)]
        h = None if cls is LRU else before(one.h, first[0])  # its y is not its h
        c = None if one.c is None else before(one.c, first[1])
        new_h, new_c = EQUATIONS[cls](layer, one, weights, h, c)
        shares = options.get("zoneout", 0.0)
        share_h, share_c = shares if isinstance(shares, tuple) else (shares, shares)
        assert_close(one.h, new_h + share_h * (h - new_h) if share_h else new_h, **EXACT)
        if c is not None:
            assert_close(one.c, new_c + share_c * (c - new_c), **EXACT)


def one_of(layer, index):
    """A single layer and direction as a layer of its own, which shares the parameters."""
    suffix = f"_l{index // 2}" + ("_reverse" if index % 2 else "")
    single = copy.deepcopy(layer)
    single.num_layers, single.bidirectional, single.learned_state = 1, False, False
    single.input_size = 3 if index < 2 else layer.output_size
    for kind in layer._weights(0, 0):
        setattr(single, f"{kind}_l0", getattr(layer, f"{kind}{suffix}"))
    return single


@EVERY
def test_the_gradient_through_time_is_autograds(cls, options):
    """`trace.grad_norm` against single layers, run step by step, whose every h was watched."""
    if cls is LRU:
        pytest.skip("its h is not its y; see test_linear_cells")
    layer = make(cls, options, **STACKED).eval()
    x, state = some_x(), some_state(layer)
    y, _, trace = layer(x, state, trace=True)
    with pytest.raises(RuntimeError, match="call backward"):
        _ = trace.grad_norm

    hs, below = [], x
    for index in range(4):
        single = one_of(layer, index)
        h, now = [], joined([part[index : index + 1] for part in parts(state)])
        for x_t in below.flip(0) if index % 2 else below:
            y_t, now = single.step(x_t, now)
            y_t.retain_grad()
            h.append(y_t)
            now = joined([y_t[None], *parts(now)[1:]])  # the watched tensor is all that the next step sees of h
        hs.append(h[::-1] if index % 2 else h)
        if index % 2:
            below = torch.cat([torch.stack(hs[index - 1]), torch.stack(hs[index])], dim=-1)
    assert_close(below, y, **EXACT)
    factors = torch.rand_like(y)
    (below * factors).sum().backward()
    expected = torch.stack([torch.stack([h.grad.square().sum().sqrt() for h in one]) for one in hs], dim=1)
    (y * factors).sum().backward()
    assert trace.grad_norm.shape == (7, 4)
    assert_close(trace.grad_norm, expected, **EXACT)
