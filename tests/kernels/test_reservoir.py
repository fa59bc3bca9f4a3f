"""The reservoir: the native kernel held to the float64 reference on every instruction set that this machine has."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch.autograd import forward_ad
from torch.testing import assert_close

from elman import compiled, kernels
from elman.kernels import ReservoirWeights, native, native_status, reservoir_native, reservoir_reference
from elman.kernels.reservoir_weights import LINE, pack

NATIVE = native_status()
sparse_layouts = pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta:UserWarning")
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
DTYPES = [torch.float32, torch.float64]
FORWARD = {torch.float32: 5e-6, torch.float64: 1e-12}
LEAK = 0.3
D = torch.float64


def matrices(N, I, dtype=D, *, density=0.3, bias=True, seed=0):
    """W_in, W and b; W's entries shrink with N, so that a state does not grow into chaos."""
    g = torch.Generator().manual_seed(seed)
    W = torch.randn(N, N, generator=g, dtype=D) * (torch.rand(N, N, generator=g) < density)
    W = 0.9 * W / max(1.0, math.sqrt(N * density))
    W_in, b = torch.randn(N, I, generator=g, dtype=D), torch.randn(N, generator=g, dtype=D)
    return W_in.to(dtype), W.to(dtype), b.to(dtype) if bias else None


def signals(T, B, I, N, dtype=D, *, state=True, feedback=True, lengths=True, reset=True, seed=0):
    g = torch.Generator().manual_seed(seed)
    x, h = torch.randn(T, B, I, generator=g, dtype=D), torch.randn(B, N, generator=g, dtype=D)
    options = {
        "feedback": torch.randn(T, B, N, generator=g, dtype=D).to(dtype) if feedback else None,
        "lengths": torch.randint(0, T + 1, (B,), generator=g) if lengths else None,
        "reset": torch.rand(T, B, generator=g) < 0.2 if reset else None,
    }
    return x.to(dtype), h.to(dtype) if state else None, options


def double(t):
    return t.double() if t is not None and t.is_floating_point() else t


def reference(x, h, weights, *, leak=LEAK, **options):
    return reservoir_reference.reservoir(x, h, *weights, leak=leak, **options)


def run(x, h, weights, *, leak=LEAK, **options):
    return reservoir_native.reservoir(x, h, ReservoirWeights(*weights), leak=leak, **options)


def compare(x, h, weights, *, leak=LEAK, **options):
    found = run(x, h, weights, leak=leak, **options)
    exact = {name: double(t) for name, t in options.items()}
    expected = reference(double(x), double(h), [double(w) for w in weights], leak=leak, **exact)
    assert_close(found, expected, rtol=FORWARD[x.dtype], atol=FORWARD[x.dtype], check_dtype=False)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("T", [1, 33])
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("N", [1, 5, 17, 130])
def test_awkward_sizes(poisoned, isa, dtype, T, B, N):
    plain = {"feedback": None, "lengths": None, "reset": None}
    for I, density in ((1, 0), (3, 0.1), (2, 1)):
        weights = matrices(N, I, dtype, density=density)
        x, h, options = signals(T, B, I, N, dtype)
        compare(x, h, weights, **options)
        compare(x, None, (*weights[:2], None), **plain)


@needs_native
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_calls(data):
    T, B, I, N = (data.draw(st.integers(1, most)) for most in (20, 5, 9, 1200))
    dtype, density = data.draw(st.sampled_from(DTYPES)), data.draw(st.sampled_from([0, 0.003, 0.05, 0.4, 1]))
    seed, bias, leak = data.draw(st.integers(0, 999)), data.draw(st.booleans()), data.draw(st.floats(0, 1))
    wanted = {name: data.draw(st.booleans()) for name in ("state", "feedback", "lengths", "reset")}
    x, h, options = signals(T, B, I, N, dtype, seed=seed, **wanted)
    for chosen in NATIVE.supported:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "chosen_isa", lambda chosen=chosen: chosen)
            compare(x, h, matrices(N, I, dtype, density=density, bias=bias, seed=seed), leak=leak, **options)


@needs_native
@sparse_layouts
def test_arguments_of_any_layout_are_read_right():
    weights, (x, h, options) = matrices(17, 3), signals(9, 4, 3, 17)
    expected = run(x, h, weights, **options)
    turned = {name: t.mT.contiguous().mT if t.dim() > 1 else t for name, t in options.items()}
    assert_close(run(x.mT.contiguous().mT, h.T.contiguous().T, weights, **turned), expected, rtol=0, atol=0)
    assert_close(run(x, h, [w.t().contiguous().t() for w in weights], **options), expected, rtol=0, atol=0)
    W_in, W, b = weights
    for layout in (W.to_sparse_coo(), W.to_sparse_csr(), W.to_sparse_csc()):
        assert_close(run(x, h, (W_in, layout, b), **options), expected, rtol=0, atol=0)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_law_chunks_and_steps_are_the_whole_by_every_bit(isa, dtype):
    weights = ReservoirWeights(*matrices(70, 3, dtype))
    x, h_0, options = signals(20, 3, 3, 70, dtype)
    feedback, reset = options["feedback"], options["reset"]
    whole, last = reservoir_native.reservoir(x, h_0, weights, leak=LEAK, feedback=feedback, reset=reset)
    for size in (1, 7):
        h, parts = h_0, []
        for t in range(0, 20, size):
            now = {"feedback": feedback[t : t + size], "reset": reset[t : t + size]}
            part, h = reservoir_native.reservoir(x[t : t + size], h, weights, leak=LEAK, **now)
            parts.append(part)
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(h, last)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_law_steps_are_the_sequence(isa, dtype):
    weights, (x, h_0, options) = ReservoirWeights(*matrices(70, 3, dtype)), signals(12, 3, 3, 70, dtype)
    feedback = options["feedback"]
    whole, _ = kernels.reservoir(x, h_0, weights, leak=LEAK, feedback=feedback)
    h = h_0
    for t in range(12):
        h = kernels.reservoir_step(x[t], h, weights, leak=LEAK, feedback=feedback[t])
        assert torch.equal(h, whole[t])


@needs_native
def test_law_padding_never_changes_a_result(isa, poisoned):
    weights, (x, h, options) = matrices(40, 3), signals(9, 4, 3, 40, lengths=False)
    lengths = torch.tensor([9, 0, 3, 1])
    padding = (torch.arange(9)[:, None] >= lengths)[..., None]
    before = run(x, h, weights, **options | {"lengths": lengths})
    spoiled = {"lengths": lengths, "feedback": options["feedback"].masked_fill(padding, math.nan)}
    after = run(x.masked_fill(padding, math.nan), h, weights, **options | spoiled)
    assert_close(after, before, rtol=0, atol=0)
    for k, length in enumerate(lengths.tolist()):
        if length:
            alone = {"feedback": options["feedback"][:length, k : k + 1], "reset": options["reset"][:length, k : k + 1]}
            assert torch.equal(run(x[:length, k : k + 1], h[k : k + 1], weights, **alone)[1], before[1][k : k + 1])


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("B", [1, 5])
def test_law_threads_and_repetition_never_change_a_bit(isa, threads, dtype, B):
    weights, (x, h, options) = matrices(300, 4, dtype), signals(60, B, 4, 300, dtype)
    threads(2)
    assert native.threads_for(60 * B * reservoir_native.GATHER * 300 * 90) == 2
    results = []
    for count in (1, 2, 2):
        threads(count)
        results.append(run(x, h, weights, **options))
    assert_close(results[1], results[0], rtol=0, atol=0)
    assert_close(results[2], results[0], rtol=0, atol=0)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_spread_as_in_the_reference(isa, dtype):
    weights, (x, h, options) = matrices(37, 2, dtype, density=1), signals(8, 6, 2, 37, dtype, lengths=False)
    options["reset"] = torch.tensor([[t == 5] * 6 for t in range(8)])
    h[0, 3], x[4, 1, 1], x[2, 2, 0] = math.nan, math.inf, -math.inf
    options["feedback"][3, 3, 5], options["feedback"][6, 4, 9], h[5, 20] = math.nan, math.inf, math.inf
    found, expected = run(x, h, weights, **options), reference(x, h, weights, **options)
    assert expected[0].isnan().any()
    assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-5)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_spreads_only_along_the_numbers_of_W(isa, dtype):
    W_in, W, b = matrices(100, 2, dtype, density=0.02)
    x, h, _ = signals(4, 1, 2, 100, dtype)
    h[0, 7] = math.nan
    csr, state, states = sparse.csr_array(W.numpy()), h[0].numpy(), []
    for x_t in x[:, 0].numpy():
        h_bar = W_in.numpy() @ x_t + csr @ state + b.numpy()
        state = ((1 - LEAK) * state + LEAK * np.tanh(h_bar)).astype(state.dtype)
        states.append(state)
    expected = torch.from_numpy(np.stack(states))[:, None]
    assert 0 < expected[1].isnan().sum() < 50
    found, _ = run(x, h, (W_in, W, b))
    assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-5)


def call_op(x, h, feedback, W_in, rows, columns, values, b, lengths=None, reset=None):
    return torch.ops.elman.reservoir(x, h, feedback, lengths, reset, LEAK, W_in, rows, columns, values, b)


def call_twin(x, h, feedback, W_in, rows, columns, values, b, lengths=None, reset=None):
    N = W_in.shape[0]
    W = values.new_zeros(N, N).index_put((rows, columns), values, accumulate=True)
    return reference(x, h, (W_in, W, b), feedback=feedback, lengths=lengths, reset=reset)


def op_arguments(dtype=D, *, N=5, seed=0, requires_grad=False):
    W_in, W, b = matrices(N, 2, dtype, density=0.5, seed=seed)
    rows, columns = W.nonzero(as_tuple=True)
    x, h, options = signals(4, 3, 2, N, dtype, seed=seed)
    floats = [x, h, options["feedback"], W_in, W[rows, columns], b]
    x, h, feedback, W_in, values, b = (t.requires_grad_(requires_grad) for t in floats)
    return (x, h, feedback, W_in, rows, columns, values, b), options["lengths"], options["reset"]


@needs_native
def test_gradients_come_from_the_reference():
    made, lengths, reset = op_arguments(requires_grad=True)
    leaves = [t for t in made if t.is_floating_point()]
    found, expected = (call(*made, lengths, reset) for call in (call_op, call_twin))
    assert_close(found, expected)
    pairs = [torch.autograd.grad(y.square().sum() + h.sum(), leaves) for y, h in (found, expected)]
    assert_close(pairs[0], pairs[1])
    assert torch.autograd.gradcheck(lambda *given: call_op(*given, lengths, reset), made)


@needs_native
def test_gradients_through_the_door():
    W_in, W, b = (t.requires_grad_() for t in matrices(6, 2))
    x, h, options = signals(5, 2, 2, 6)
    y, _ = kernels.reservoir(x, h, ReservoirWeights(W_in, W, b), leak=LEAK, **options)
    found = torch.autograd.grad(y.square().sum(), [W_in, W, b])
    y, _ = reference(x, h, (W_in, W, b), **options)
    expected = torch.autograd.grad(y.square().sum(), [W_in, W, b])
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1] * (W != 0))  # only the numbers that W has can change
    assert_close(found[2], expected[2])


# torch.func.jvp compiles its own formulas by torch.jit.script when it is first used
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@needs_native
def test_forward_mode_has_the_values_of_the_reference():
    (x, *rest), lengths, reset = op_arguments()
    tangent = torch.randn_like(x)
    weights = ReservoirWeights(*matrices(5, 2))
    h, options = rest[0], {"lengths": lengths, "reset": reset}
    pairs = [
        (lambda x: call_op(x, *rest, lengths, reset), lambda x: call_twin(x, *rest, lengths, reset)),
        (
            lambda x: kernels.reservoir(x, h, weights, leak=LEAK, **options),
            lambda x: reference(x, h, (weights.W_in, weights.W, weights.b), **options),
        ),
    ]
    for call, twin in pairs:
        _, expected = torch.func.jvp(twin, (x,), (tangent,))
        assert_close(torch.func.jvp(call, (x,), (tangent,))[1], expected)
        with forward_ad.dual_level():
            found = tuple(forward_ad.unpack_dual(t).tangent for t in call(forward_ad.make_dual(x, tangent)))
        assert_close(found, expected)


@needs_native
def test_vmap():
    made, *_ = op_arguments()
    x, *rest = made
    xs = torch.stack([x, 2 * x, -x])
    expected = [torch.stack(ts) for ts in zip(*(call_twin(x, *rest) for x in xs), strict=True)]
    assert_close(torch.vmap(lambda x: call_op(x, *rest))(xs), tuple(expected))
    assert_close(torch.vmap(lambda x: call_op(x, *rest), 1)(xs.transpose(0, 1)), tuple(expected))
    weights = ReservoirWeights(*matrices(5, 2))
    found = torch.vmap(lambda x: kernels.reservoir(x, None, weights, leak=LEAK)[0])(xs)
    whole = (weights.W_in, weights.W, weights.b)
    assert_close(found, torch.stack([reference(x, None, whole)[0] for x in xs]))


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(dtype, requires_grad):
    (x, h, feedback, *weights, b), lengths, reset = op_arguments(dtype, requires_grad=requires_grad)
    torch.library.opcheck(torch.ops.elman.reservoir, (x, h, feedback, lengths, reset, LEAK, *weights, b))
    torch.library.opcheck(torch.ops.elman.reservoir, (x, None, None, None, None, LEAK, *weights, None))


@needs_native
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(6, 4, dtype=D)}, "x (6, 4) float64"),
        ({"x": torch.zeros(0, 4, 3, dtype=D)}, "with at least one step"),
        ({"x": torch.zeros(6, 4, 2, dtype=D)}, "x (6, 4, 2)"),
        ({"x": torch.zeros(6, 4, 3)}, "x (6, 4, 3) float32"),
        ({"h_0": torch.zeros(4, 6, dtype=D)}, "h (4, 6)"),
        ({"feedback": torch.zeros(6, 4, 3, dtype=D)}, "feedback (6, 4, 3)"),
        ({"lengths": torch.tensor([1, 2])}, "lengths (2,)"),
        ({"lengths": torch.ones(4, dtype=D)}, "lengths (4,) float64"),
        ({"reset": torch.zeros(6, 4, dtype=D)}, "reset (6, 4) float64"),
        ({"leak": 1.5}, "expected a leak from 0 to 1, found 1.5"),
        ({"leak": math.nan}, "expected a leak from 0 to 1, found nan"),
        ({"lengths": torch.tensor([1, 2, 7, 1])}, "lengths from 0 to T=6, found 7 for sequence 2"),
        ({"lengths": torch.tensor([1, 2, 3, -1])}, "found -1 for sequence 3"),
        ({"x": torch.zeros(6, 0, 3, dtype=D), "h_0": None}, "the batch is empty"),
        ({"x": torch.zeros(6, 4, 3, dtype=D, device="meta")}, "on the CPU only"),
        ({"x": torch.zeros(6, 4, 3, dtype=D, requires_grad=True)}, "a gradient is needed"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    x, h, _ = signals(6, 4, 3, 5)
    made = {"x": x, "h_0": h, "weights": ReservoirWeights(*matrices(5, 3)), "leak": LEAK} | change
    with pytest.raises((ValueError, RuntimeError)) as caught:
        reservoir_native.reservoir(**made)
    assert message in str(caught.value)


@needs_native
@pytest.mark.parametrize(
    "change",
    [
        {3: torch.zeros(5, dtype=D)},
        {4: torch.tensor([0, 5])},
        {5: torch.tensor([-1, 0])},
        {4: torch.tensor([0])},
        {4: torch.tensor([0, 1], dtype=torch.int32)},
        {7: torch.zeros(4, dtype=D)},
    ],
)
def test_the_op_refuses_weights_that_do_not_fit(change):
    made, *_ = op_arguments()
    given = [*made[:4], torch.tensor([0, 1]), torch.tensor([0, 1]), torch.ones(2, dtype=D), made[7]]
    call_op(*given)
    for k, t in change.items():
        given[k] = t
    with pytest.raises(ValueError, match=r"reservoir: expected W_in \(N, I\), rows, columns and values of one length"):
        call_op(*given)


@pytest.mark.parametrize(
    ("W_in", "W", "b", "message"),
    [
        ((5, 2), (5, 4), None, "expected W (N, N)"),
        ((4, 2), (5, 5), None, "W_in (4, 2)"),
        ((5, 0), (5, 5), None, "N and I at least 1"),
        ((5, 2), (5, 5), (4,), "b (4,)"),
        ((5, 2), (5,), None, "W (5,)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(W_in, W, b, message):
    with pytest.raises(ValueError) as caught:
        ReservoirWeights(torch.zeros(W_in), torch.zeros(W), None if b is None else torch.zeros(b))
    assert message in str(caught.value)
    with pytest.raises(ValueError, match="of W's dtype and device"):
        ReservoirWeights(torch.zeros(5, 2, dtype=D), torch.zeros(5, 5))


@needs_native
@sparse_layouts
@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr])
def test_weights_are_copied(layout):
    W_in, W, b = matrices(6, 2)
    given = W if layout == torch.strided else W.to_sparse(layout=layout)
    weights, (x, h, _) = ReservoirWeights(W_in, given, b), signals(5, 2, 2, 6)
    before, twice = reservoir_native.reservoir(x, h, weights, leak=LEAK), W * 2
    numbers = given if layout == torch.strided else given._values() if layout == torch.sparse_coo else given.values()
    for t in (W_in, b, numbers):
        t.mul_(2)
    assert_close(weights.W, twice / 2, rtol=0, atol=0)
    assert_close(reservoir_native.reservoir(x, h, weights, leak=LEAK), before, rtol=0, atol=0)


@sparse_layouts
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("density", [0, 0.1, 1])
@pytest.mark.parametrize("N", [1, 16, 17, 90])
def test_law_packing_keeps_every_number(dtype, density, N):
    W_in, W, b = matrices(N, 3, dtype, density=density)
    weights = ReservoirWeights(W_in, W, b)
    assert torch.equal(weights.W, W)
    assert torch.equal(ReservoirWeights(W_in, W.to_sparse_csr(), b).W, W)
    lanes = LINE // W.element_size()
    starts, values, columns, units, places, packed_W_in, packed_b = pack(
        W_in, weights.rows, weights.columns, weights.values, b
    )
    assert torch.equal(units[places.long()], torch.arange(N, dtype=torch.int32))
    found = W.new_zeros(len(units), len(units) + 1)
    chunk = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff() * lanes)
    found.index_put_((chunk * lanes + torch.arange(len(values)) % lanes, columns.long()), values, accumulate=True)
    at = places.long()
    assert torch.equal(found[at][:, at], W)
    assert torch.equal(found.count_nonzero(), W.count_nonzero())
    assert torch.equal(packed_W_in.transpose(1, 2).flatten(0, 1)[at], W_in)
    assert torch.equal(packed_b[at], b)


@needs_native
@pytest.mark.parametrize(
    "wrong",
    [{"dtype": 2}, {"T": 0}, {"B": -1}, {"N": 2**31}, {"I": 2**40}, {"T": 2**60}, {"y": 0}, {"x": 0}, {"isa": 9}],
)
def test_the_bindings_refuse_numbers_that_can_not_be(wrong):
    memory = torch.zeros(4096)
    numbers = {"isa": 0, "dtype": 0, "parts": 1, "members": 1, "T": 1, "B": 1, "I": 1, "N": 1, "leak": 0.5}
    names = ["x", "h_0", "starts", "values", "columns", "units", "places", "W_in", "b", "y", "h_n", "states"]
    pointers = dict.fromkeys(names, memory.data_ptr()) | {"feedback": 0, "lengths": 0, "reset": 0}
    with pytest.raises(ValueError, match=r"reservoir: expected|needs an address|was not compiled"):
        compiled._native.reservoir_forward(**(numbers | pointers | wrong))


@needs_native
def test_the_door_takes_the_kernel_where_it_can(monkeypatch):
    monkeypatch.delenv("ELMAN_KERNEL", raising=False)
    weights, (x, h, options) = ReservoirWeights(*matrices(5, 2)), signals(4, 3, 2, 5)
    expected = f"reservoir runs on the native kernels: they cover this call ({NATIVE.isa})."
    assert kernels.explain("reservoir", x, h, weights) == expected
    found = kernels.reservoir(x, h, weights, leak=LEAK, **options)
    assert_close(found, reference(x, h, (weights.W_in, weights.W, weights.b), **options))
    leaf = x.clone().requires_grad_()
    assert "the reference: a gradient is needed" in kernels.explain("reservoir", leaf, h, weights)
    monkeypatch.setenv("ELMAN_KERNEL", "native")
    with pytest.raises(RuntimeError, match="ELMAN_KERNEL=native, but a gradient is needed"):
        kernels.reservoir(leaf, h, weights, leak=LEAK)
    monkeypatch.setenv("ELMAN_KERNEL", "reference")
    assert kernels.explain("reservoir", x, h, weights) == "reservoir runs on the reference: ELMAN_KERNEL forces it."
