"""Single steps on numpy arrays, held to the reference on every instruction set that this machine has."""

import array
import ctypes
import importlib
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from elman import compiled
from elman.kernels import reference

if compiled.WHY_NOT:
    pytest.skip(compiled.WHY_NOT, allow_module_level=True)

from elman.compiled import steps
from elman.compiled.steps import Step

# Against the float64 reference: rounding of sums over up to 520 numbers, and 2e-7 of each tanh.
TOLERANCE = {"float32": {"rtol": 5e-6, "atol": 5e-6}, "float64": {"rtol": 1e-12, "atol": 1e-12}}
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}

every_isa = pytest.mark.parametrize("isa", compiled._native.supported())
every_cell = pytest.mark.parametrize("cell", compiled.CELLS)
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def draw(shape, dtype, bound=1.0, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(-bound, bound, shape).astype(dtype)


def weights_of(cell, I, H, dtype="float64", bias=True):
    rows, bound = GATES[cell] * H, H**-0.5
    biases = [draw((rows,), dtype, bound, seed) if bias else None for seed in (3, 4)]
    return [draw((rows, I), dtype, bound, 1), draw((rows, H), dtype, bound, 2), *biases]


def state_of(cell, B, H, dtype="float64"):
    return draw((2 if cell == "lstm" else 1, B, H), dtype, seed=5)


def step_of(cell, weights, isa=None):
    name, _, nonlinearity = cell.partition("_")
    return Step(name, *weights, isa=isa, **({"nonlinearity": nonlinearity} if nonlinearity else {}))


def referee(cell, x, state, weights):
    """The sequence `x (T, B, I)` by the reference in float64: h of each step, and the state after the last."""
    x, *weights = (None if a is None else torch.from_numpy(a).double() for a in (x, *weights))
    name, _, nonlinearity = cell.partition("_")
    h, *c = torch.from_numpy(state).double()
    options = {"nonlinearity": nonlinearity} if nonlinearity else {}
    y, after = getattr(reference, name)(x, (h, *c) if c else h, *weights, **options)
    return y.numpy(), torch.stack(after).numpy() if c else after[None].numpy()


@every_isa
@every_dtype
@every_cell
def test_a_step_is_the_reference_s(cell, dtype, isa):
    for H in (1, 5, 17, 64, 130, 500):
        for I, bias in ((1, False), (20, True)):
            weights = weights_of(cell, I, H, dtype, bias)
            step = step_of(cell, weights, isa)
            for B in (1, 13, 3):  # scratch grows, and serves fewer streams later
                x, state = draw((B, I), dtype, 2.0), state_of(cell, B, H, dtype)
                _, expected = referee(cell, x[None], state, weights)
                assert step(x, state) is None
                assert_allclose(state, expected, **TOLERANCE[dtype], err_msg=f"{H=} {I=} {B=}")


@every_isa
@every_dtype
@every_cell
@pytest.mark.parametrize("B", [1, 3])
def test_steps_are_the_sequence(cell, dtype, isa, B):
    weights, xs = weights_of(cell, 7, 33, dtype), draw((200, B, 7), dtype, 2.0)
    step = step_of(cell, weights, isa)
    state = step.zeros(B)
    y, last = referee(cell, xs, state, weights)
    for x, h in zip(xs, y, strict=True):
        step(x, state)
        assert_allclose(state[0], h, **TOLERANCE[dtype])
    assert_allclose(state, last, **TOLERANCE[dtype])


@every_cell
def test_one_stream_may_give_its_input_flat(cell):
    step, x = step_of(cell, weights_of(cell, 3, 5)), draw((1, 3), "float64")
    flat, whole = step.zeros(), step.zeros()
    step(x[0], flat)
    step(x, whole)
    assert_array_equal(flat, whole)
    assert whole.any()


@every_cell
def test_weights_are_copied_whatever_their_layout(cell):
    weights = weights_of(cell, 3, 5)
    first, second = step_of(cell, weights), step_of(cell, [np.asfortranarray(W) for W in weights])
    for W in weights:
        W[:] = np.nan
    states = [step.zeros() for step in (first, second)]
    for step, state in zip((first, second), states, strict=True):
        step(np.ones(3), state)
    assert_array_equal(*states)
    assert np.isfinite(states[0]).all()


@every_isa
@every_dtype
@every_cell
def test_nan_and_infinity_spread_within_their_stream(cell, dtype, isa):
    weights = weights_of(cell, 3, 17, dtype)
    step = step_of(cell, weights, isa)
    for bad in (np.nan, np.inf, -np.inf):
        x, state = np.ones((3, 3), dtype), step.zeros(3)
        x[1, 2] = bad
        _, expected = referee(cell, x[None], state, weights)
        step(x, state)
        assert_allclose(state, expected, **TOLERANCE[dtype])
        assert np.isfinite(state[:, [0, 2]]).all()
        assert np.isnan(state[:, 1]).all() == np.isnan(bad)


@every_cell
def test_threads_may_share_a_step(cell):
    step, xs = step_of(cell, weights_of(cell, 3, 40)), draw((500, 60, 3), "float64")

    def run(B):
        state = step.zeros(B)
        for x in xs:
            step(x[:B], state)
        return state

    sizes = [1, 60, 13, 60, 30]
    alone = [run(B) for B in sizes]
    with ThreadPoolExecutor(len(sizes)) as pool:
        for found, expected in zip(pool.map(run, sizes), alone, strict=True):
            assert_array_equal(found, expected)


@every_isa
@every_cell
def test_the_kernel_moves_a_sequence_s_state_in_place(cell, isa):
    """What steps rely on, csrc/kernels.h promises for any T, lengths and parts: h_n may be h_0, and c_n may be c_0."""
    T, B, I, H = sizes = (9, 5, 3, 17)
    W_ih, W_hh, *_ = weights_of(cell, I, H)
    x, lengths, y = draw((T, B, I), "float64"), np.array([9, 0, 1, 5, 9]), np.empty((T, B, H))
    how = [compiled._native.compiled().index(isa), compiled.CELLS.index(cell), 1]
    packed = np.empty(compiled._native.forward_workspace(*how, *sizes, 2))

    def run(before, after):
        h_0, c_0, h_n, c_n = (a.ctypes.data for a in (before[0], before[-1], after[0], after[-1]))
        x_, W_ih_, W_hh_, lengths_, y_, packed_ = (a.ctypes.data for a in (x, W_ih, W_hh, lengths, y, packed))
        given = [x_, h_0, c_0, W_ih_, W_hh_, 0, 0, lengths_, 0, y_, h_n, c_n, 0, 0, packed_, packed.size]
        compiled._native.forward(*how, 2, 1, *sizes, *given)

    state, elsewhere = state_of(cell, B, H), state_of(cell, B, H)
    run(elsewhere.copy(), elsewhere)
    run(state, state)
    assert_array_equal(state, elsewhere)


def misaligned(shape, code):
    """Memory one byte off, which Python calls an array of `code` all the same."""
    return memoryview(bytearray(math.prod(shape) * array.array(code).itemsize + 1))[1:].cast(code, shape)


def read_only(a):
    a.setflags(write=False)
    return a


@pytest.mark.parametrize(("x", "state", "error", "message"), [
    (np.ones((3, 4)), None, TypeError, "state: expected a numpy array, found NoneType"),
    ([[1.0] * 4] * 3, np.zeros((2, 3, 5)), TypeError, "x: expected a numpy array, found list"),
    (np.ones((3, 4), "float32"), np.zeros((2, 3, 5)), TypeError,
     "x: expected float64 of shape (3, 4), C-contiguous, aligned; found float32 of shape (3, 4)"),
    (np.ones((3, 4), "int64"), np.zeros((2, 3, 5)), TypeError, "found format 'l' of shape (3, 4)"),
    (np.ones((3, 4), ">f8"), np.zeros((2, 3, 5)), TypeError, "found format '>d' of shape (3, 4)"),
    (np.ones((3, 5)), np.zeros((2, 3, 5)), ValueError, "x: expected float64 of shape (3, 4)"),
    (np.ones(4), np.zeros((2, 3, 5)), ValueError, "found float64 of shape (4,)"),
    (np.float64(1), np.zeros((2, 1, 5)), ValueError, "found float64 of shape ()"),
    (np.ones((4, 3)).T, np.zeros((2, 3, 5)), ValueError, "found float64 of shape (3, 4), not contiguous"),
    (np.ones((3, 4))[:, ::-1], np.zeros((2, 3, 5)), ValueError, "found float64 of shape (3, 4), not contiguous"),
    (np.broadcast_to(1.0, (3, 4)), np.zeros((2, 3, 5)), ValueError, "not contiguous, read-only"),
    (np.ones((3, 4)), np.zeros((1, 3, 5)), ValueError,
     "state: expected float64 of shape (2, 3, 5), C-contiguous, aligned, writable; found float64 of shape (1, 3, 5)"),
    (np.ones((3, 4)), np.zeros((3, 5)), ValueError, "found float64 of shape (3, 5)"),
    (np.ones((0, 4)), np.zeros((2, 0, 5)), ValueError, "found float64 of shape (2, 0, 5)"),
    (np.ones((3, 4)), np.zeros((2, 3, 5), "float32"), TypeError, "state: expected float64"),
    (np.ones((3, 4)), np.zeros((2, 3, 10))[:, :, ::2], ValueError, "not contiguous"),
    (np.ones((3, 4)), read_only(np.zeros((2, 3, 5))), ValueError, "found float64 of shape (2, 3, 5), read-only"),
    (misaligned((3, 4), "d"), np.zeros((2, 3, 5)), ValueError, "found float64 of shape (3, 4), not aligned"),
])  # fmt: skip
def test_what_does_not_fit_raises(x, state, error, message):
    step = step_of("lstm", weights_of("lstm", 4, 5))
    with pytest.raises(error) as caught:
        step(x, state)
    assert message in str(caught.value)


def test_shared_memory_raises():
    step = step_of("lstm", weights_of("lstm", 5, 5))
    memory = np.zeros(31)
    state = memory[10:30].reshape(2, 2, 5)
    step(memory[:10].reshape(2, 5), state)
    for first in (1, 15, 20):
        with pytest.raises(ValueError, match="x, state: expected arrays that share no memory, found an overlap"):
            step(memory[first : first + 10].reshape(2, 5), state)


@pytest.mark.parametrize(("cell", "changes", "error", "message"), [
    ("lstn", {}, ValueError, """found cell='lstn', nonlinearity='tanh'"""),
    ("rnn", {"nonlinearity": "sine"}, ValueError, """found cell='rnn', nonlinearity='sine'"""),
    ("gru", {"isa": "avx9"}, ValueError, "avx9"),
    ("gru", {"b_hh": None}, ValueError, "expected both biases b_ih and b_hh or neither, found one"),
    ("gru", {"W_hh": np.ones((15, 5), "int32")}, TypeError, "W_hh: expected float32 or float64, found format 'i'"),
    ("gru", {"W_ih": np.ones((15, 3), "float32")}, TypeError, "W_ih: expected float64 of shape (15, 3)"),
    ("gru", {"W_ih": np.ones((12, 3))}, ValueError, "W_ih: expected float64 of shape (15, 3)"),
    ("gru", {"W_ih": np.ones((15, 0))}, ValueError, "W_ih: expected float64 of shape (15, 1)"),
    ("gru", {"W_ih": np.ones(15)}, ValueError, "found float64 of shape (15,)"),
    ("gru", {"W_hh": np.ones((0, 0))}, ValueError, "expected float64 of shape (3, "),
    ("gru", {"W_hh": np.ones((20, 5))}, ValueError, "W_hh: expected float64 of shape (15, 5)"),
    ("gru", {"b_ih": np.ones((15, 1))}, ValueError, "b_ih: expected float64 of shape (15,)"),
    ("gru", {"b_hh": np.ones(15, "float32")}, TypeError, "b_hh: expected float64 of shape (15,)"),
])  # fmt: skip
def test_what_makes_no_step_raises(cell, changes, error, message):
    names = ("W_ih", "W_hh", "b_ih", "b_hh")
    made = dict(zip(names, weights_of("gru", 3, 5), strict=True))
    with pytest.raises(error) as caught:
        Step(cell, **(made | changes))
    assert message in str(caught.value)


def test_a_step_that_was_never_made_raises():
    with pytest.raises((RuntimeWarning, TypeError)), pytest.warns(RuntimeWarning, match="uninitialized"):
        Step.__new__(Step)(np.ones(3), np.zeros((1, 1, 5)))


# Weird arrays. Most are refused; whether one is taken, Python's own view of its memory decides.

DTYPES = ["float32", "float64", ">f4", "float16", "int32", "bool", "complex64", "datetime64[s]", "S3", "V0", "O"]
LAYOUTS = {
    "reversed": lambda a: a[..., ::-1] if a.ndim else a,
    "transposed": lambda a: a.T,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "broadcast": lambda a: np.broadcast_to(a[..., :1], a.shape) if a.ndim else a,
    "misaligned": lambda a: misaligned(a.shape, a.dtype.char) if a.dtype.char in "fd" and a.size else a,
    "read-only": lambda a: read_only(a.copy()),
    "memoryview": lambda a: memoryview(a) if a.dtype.kind == "f" else a,
    "scalar": lambda a: a.ravel()[0] if a.size else a,
}
OTHERS = [
    None, 1, 1.5, "text", b"", b"abcd" * 6, bytearray(24), [1.0, 2.0], object(), array.array("f", [1, 2, 3]),
    array.array("d"), (ctypes.c_float * 3)(), memoryview(bytes(24)).cast("f", (2, 3)), torch.ones(2, 3),
    memoryview(bytearray(24))[::-1], float, np.ma.ones((2, 3), "float32"),
]  # fmt: skip
SIZES = st.sampled_from([0, 1, 2, 3, 5])


@st.composite
def weird(draw, usual):
    """Something else now and then; else an array that is odd in its shape, its numbers or its layout, or in none."""
    other, odd_shape, odd_numbers, odd_layout = (draw(st.integers(0, 5)) == 0 for _ in range(4))
    if other:
        return OTHERS[draw(st.integers(0, len(OTHERS) - 1))]  # not all of them have a hash
    shape = draw(st.lists(SIZES, max_size=4).map(tuple) if odd_shape else st.sampled_from(usual))
    made = np.zeros(shape, draw(st.sampled_from(DTYPES)) if odd_numbers else "float32")
    return LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))](made) if odd_layout else made


def is_float32(a, *shapes, writable=False):
    try:
        view = memoryview(a)
    except (TypeError, ValueError, BufferError):
        return False
    return (
        (view.format, view.c_contiguous) == ("f", True)
        and view.shape in shapes
        and np.asarray(view).flags.aligned
        and not (writable and view.readonly)
    )


@settings(max_examples=500, deadline=None, derandomize=True)
@given(x=weird([(3,), (1, 3), (2, 3)]), state=weird([(2, 1, 5), (2, 2, 5)]))
@example(np.ones(3, "float32"), np.zeros((2, 1, 5), "float32"))
@example(memoryview(np.ones((2, 3), "float32")), np.zeros((2, 2, 5), "float32"))
def test_weird_arrays_are_refused(x, state):
    step = step_of("lstm", weights_of("lstm", 3, 5, "float32"))
    fits = any(
        is_float32(x, *([(B, 3), (3,)] if B == 1 else [(B, 3)])) and is_float32(state, (2, B, 5), writable=True)
        for B in (1, 2)
    )
    if fits:
        step(x, state)
        assert np.asarray(state).any()
    else:
        with pytest.raises((TypeError, ValueError), match=r"^(x|state): expected "):
            step(x, state)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(number=st.just(2) | st.integers(), data=st.data())
def test_weird_weights_are_refused(number, data):
    usual = {"W_ih": [(20, 3)], "W_hh": [(20, 5)], "b_ih": [(20,)], "b_hh": [(20,)]}
    given = {name: data.draw(weird(shapes), label=name) for name, shapes in usual.items()}
    cell = compiled.CELLS[number] if 0 <= number < len(compiled.CELLS) else None
    biases = [given["b_ih"], given["b_hh"]]
    fits = cell is not None and any(
        is_float32(given["W_hh"], (rows, H))
        and is_float32(given["W_ih"], *[(rows, I) for I in (1, 2, 3, 5)])
        and (biases[0] is biases[1] is None or all(is_float32(b, (rows,)) for b in biases))
        for H, rows in [(H, GATES[cell] * H) for H in (1, 5)]
    )
    if fits:
        compiled._native.Step(0, number, **given)
    else:
        with pytest.raises((TypeError, ValueError)):
            compiled._native.Step(0, number, **given)


def test_streams_do_not_load_torch():
    look = "import sys, elman.compiled.steps; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", look], check=True)


def test_without_the_kernels_it_says_why(monkeypatch):
    monkeypatch.setattr(compiled, "WHY_NOT", "the native kernels were not built: no compiler")
    with pytest.raises(ImportError, match=r"steps can't be used: the native kernels were not built: no compiler"):
        importlib.reload(steps)
