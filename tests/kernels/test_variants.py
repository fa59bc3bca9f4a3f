"""Cells with extras and traces: the native kernels, held to the reference on every instruction set that runs here."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from elman import kernels
from elman.kernels import Trace, native, native_status, ops, reference
from elman.kernels.arguments import FIRST, GATES, LAST, LETTERS, Arguments

NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_isa = pytest.mark.parametrize("isa", NATIVE.supported or [None])

# As for the plain cells; normalised sums of few units are small differences of large numbers, and a float32 gradient of
# theirs has lost that much more: five times.
TOLERANCE = {torch.float32: {"rtol": 5e-6, "atol": 5e-6}, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}
GRADIENTS = {torch.float32: 1e-4, torch.float64: 1e-11}
EXTRAS = ["norm", "mask", "keep_h", "keep_c", "zoneout", "peephole", "projection"]
OF_LSTM = ("keep_c", "peephole", "projection")
CELLS = list(GATES)


def make(
    cell, T, B, I, H, extras=(), *, dtype=torch.float64, seed=0, bias=True, state=True, lengths=False, reset=False
):
    """Arguments whose numbers are all different."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape, bound=1.0, about=0.0):
        return ((torch.rand(shape, generator=g, dtype=torch.float64) * 2 - 1) * bound + about).to(dtype)

    def coin(*shape, share=0.3):
        return torch.rand(shape, generator=g) < share

    lstm, rows, R = cell == "lstm", GATES[cell] * H, max(1, H // 2) if "projection" in extras and H > 1 else H
    norm, bound = "norm" in extras, H**-0.5
    shares = (0.2, 0.3 if lstm else 0.0) if "zoneout" in extras else (0.0, 0.0)
    gain, small = {"bound": 0.5, "about": 1.0}, {"bound": 0.3, "about": 0.4}  # so that errors do not grow with time
    return Arguments(
        cell,
        *shares,
        draw(T, B, I, bound=2.0),
        draw(B, R) if state else None,
        draw(B, H) if state and lstm else None,
        draw(rows, I, bound=bound),
        draw(rows, R, bound=bound),
        draw(rows, bound=bound) if bias else None,
        draw(rows, bound=bound) if bias else None,
        draw(R, H, bound=bound) if R != H else None,
        draw(3, H) if "peephole" in extras else None,
        draw(rows, **gain) if norm else None,
        draw(rows, **small) if norm else None,
        draw(H, **gain) if norm and lstm else None,
        draw(H) if norm and lstm and bias else None,
        coin(B, R, share=0.7).to(dtype) / 0.7 if "mask" in extras else None,
        coin(T, B, R) if "keep_h" in extras else None,
        coin(T, B, H) if "keep_c" in extras else None,
        torch.randint(0, T + 1, (B,), generator=g) if lengths else None,
        coin(T, B, share=0.2) if reset else None,
    )


def run(function, a, dtype=None, **options):
    """Outputs, the gradients of all that has some, and the trace."""
    cast = lambda t: t.to(dtype) if t is not None and dtype and t.is_floating_point() else t  # noqa: E731
    leaves = [None if t is None else cast(t).detach().clone().requires_grad_() for t in a.differentiable]
    given = Arguments(*a[:FIRST], *leaves, *(cast(t) for t in a[LAST:]))
    trace = Trace()
    y, state = function(given, trace=trace, **options)
    outputs = [y, *state]
    g = torch.Generator().manual_seed(5)
    dys = [torch.randn(out.shape, generator=g, dtype=torch.float64) for out in outputs]
    total = sum((out * dy.to(out.dtype)).sum() for out, dy in zip(outputs, dys, strict=True))
    return outputs, torch.autograd.grad(total, [t for t in leaves if t is not None]), trace


def assert_agrees(a, isa=None):
    dtype = a.x.dtype
    found, gradients, trace = run(ops.run, a, isa=isa)
    wanted, expected, true = run(reference.run, a, torch.float64)
    assert_close(found, wanted, check_dtype=False, **TOLERANCE[dtype])
    names = [n for n, t in zip(Arguments._fields[FIRST:], a.differentiable, strict=False) if t is not None]
    for name, gradient, exact in zip(names, gradients, expected, strict=True):
        largest = exact.abs().max().clamp(min=1e-3)
        assert ((gradient - exact).abs().max() / largest).item() <= GRADIENTS[dtype], name
    for part in ("gates", "bars"):
        for letter in LETTERS[a.cell]:
            assert_close(getattr(trace, part)[letter].double(), getattr(true, part)[letter], rtol=2e-5, atol=2e-5)
    if a.cell == "lstm":
        assert_close(trace.c.double(), true.c, rtol=2e-5, atol=2e-5)
    largest = true.squares.max().clamp(min=1e-3)
    assert ((trace.squares - true.squares).abs().max() / largest).item() <= 2 * GRADIENTS[dtype]


def fits(cell, extra):
    return cell == "lstm" or extra not in OF_LSTM


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("cell", "extra"), [(c, e) for c in CELLS for e in [*EXTRAS, "nothing"] if fits(c, e)])
def test_each_extra_alone(cell, extra, dtype, isa):
    assert_agrees(make(cell, 9, 5, 3, 21, [extra], dtype=dtype, lengths=True, reset=True), isa)


@needs_native
@every_isa
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_extras_together(isa, data):
    cell = data.draw(st.sampled_from(CELLS), label="cell")
    sizes = [data.draw(st.integers(1, most), label=name) for name, most in zip("TBIH", (20, 9, 40, 70), strict=True)]
    extras = data.draw(st.sets(st.sampled_from([e for e in EXTRAS if fits(cell, e)])), label="extras")
    flags = {name: data.draw(st.booleans(), label=name) for name in ("bias", "state", "lengths", "reset")}
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    if "norm" in extras:
        # Normalised, one or two numbers are signs, and one input's size says nothing: gradients would be mere rounding.
        sizes[2:] = [max(size, 8) for size in sizes[2:]]
    assert_agrees(make(cell, *sizes, extras, dtype=dtype, seed=data.draw(st.integers(0, 99)), **flags), isa)


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_threads_and_repetition_never_change_a_bit(cell, monkeypatch):
    monkeypatch.setattr(native, "WORTH_A_THREAD", 1)
    extras = [e for e in EXTRAS if fits(cell, e)]
    a = make(cell, 20, 13, 5, 24, extras, dtype=torch.float32, lengths=True, reset=True)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        outputs, gradients, trace = run(ops.run, a)
        results.append((*outputs, gradients[0], trace.squares, *(gradients if threads == 2 else ())))
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(results[0], results[1], strict=False))
    assert all(torch.equal(one, other) for one, other in zip(results[1], results[2], strict=True))


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_long_sequences_in_chunks(cell):
    extras = [e for e in EXTRAS if fits(cell, e)]
    assert_agrees(make(cell, 200, 7, 3, 9, extras, lengths=True))


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_a_trace_changes_nothing(cell):
    """Not by more than the order of a sum and a fused operation can: a few units in the last place, step by step."""
    a = make(cell, 12, 6, 5, 17, dtype=torch.float32)
    assert_close(ops.run(a, Trace()), ops.run(a), rtol=2e-6, atol=2e-6)


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck_of_first_and_second_derivatives(cell):
    a = make(cell, 3, 2, 2, 3, [e for e in EXTRAS if fits(cell, e) and e != "norm"], lengths=True)
    normed = make(cell, 3, 2, 2, 4, ["norm"], reset=True)
    for made in (a, normed):
        inputs = [t.requires_grad_() for t in made.differentiable if t is not None]

        def call(*tensors, made=made):
            left = iter(tensors)
            full = [None if t is None else next(left) for t in made.differentiable]
            y, state = ops.run(Arguments(*made[:FIRST], *full, *made[LAST:]))
            return y, *state

        assert torch.autograd.gradcheck(call, inputs)
        assert torch.autograd.gradgradcheck(call, inputs)


@needs_native
@every_isa
def test_nan_spreads_and_padding_is_never_looked_at(isa):
    a = make("lstm", 6, 4, 3, 20, EXTRAS, lengths=True)
    a = a._replace(lengths=torch.tensor([6, 3, 0, 5]))
    before = ops.run(a, isa=isa)
    x = a.x.clone()
    x[3:, 1], x[:, 2], x[5:, 3] = math.nan, math.inf, math.nan
    assert_close(ops.run(a._replace(x=x), isa=isa), before, rtol=0, atol=0)
    x[2, 0, 1] = math.nan
    y, _ = ops.run(a._replace(x=x, keep_h=None, keep_c=None), isa=isa)
    assert y[:2, 0].isfinite().all()
    assert y[2:, 0].isnan().all()
    assert y[:, 1].isfinite().all()


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_the_step_of_a_trace_is_the_cells_equation(cell):
    """Of the door's choice: gates are the squashed bars, and y follows from them."""
    a = make(cell, 5, 3, 2, 4)
    trace = Trace()
    options = {"trace": trace, "lengths": torch.tensor([5, 2, 0])}
    state = (a.h_0, a.c_0) if cell == "lstm" else a.h_0
    y, _ = getattr(kernels, a.name)(a.x, state, a.W_ih, a.W_hh, a.b_ih, a.b_hh, **options)
    tanh = {"lstm": "g", "gru": "n"}.get(cell, "h")
    valid = torch.arange(5)[:, None] < options["lengths"]
    for letter, gate in trace.gates.items():
        squash = torch.tanh if letter == tanh else torch.sigmoid
        assert_close(gate, squash(trace.bars[letter]) * valid[..., None], rtol=1e-12, atol=1e-12)
    if cell == "lstm":
        assert_close(y, trace.gates["o"] * torch.tanh(trace.c), rtol=1e-12, atol=1e-12)
    with pytest.raises(RuntimeError, match="no gradient went back"):
        trace.grad_norm()
