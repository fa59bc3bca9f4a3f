"""The native kernels, held to the reference on every instruction set that this machine has."""

import math
import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from elman import compiled
from elman.kernels import native, native_status, ops, reference

NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_isa = pytest.mark.parametrize("isa", NATIVE.supported or [None])

# Against the float64 reference. float32: rounding of sums over up to 600 numbers, and 2e-7 of each tanh, in a
# recurrence that contracts; float64: the same, 2^29 times finer, with room for the reference's own rounding.
GRADIENTS = {torch.float32: 2e-5, torch.float64: 1e-11}
TOLERANCE = {torch.float32: {"rtol": 5e-6, "atol": 5e-6}, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}
DTYPES = [torch.float32, torch.float64]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
CELLS = list(GATES)


def exact(made):
    return [tuple(t.double() for t in a) if isinstance(a, tuple) else None if a is None else a.double() for a in made]


def test_the_kernels_are_built_where_they_can_be():
    """Else every test below would be skipped without a word on a machine that could have run them."""
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    if which("c++") and headers:
        assert NATIVE.built, NATIVE.why_not


def with_gradients(function, made, options, dys):
    """`(outputs, gradients)`: of the sum of all outputs times `dys`, by every argument that is there."""
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in flat(made)]
    x, *rest = leaves
    state = None if made[1] is None else tuple(rest[: len(rest) - 4]) if isinstance(made[1], tuple) else rest[0]
    y, after = function(x, state, *rest[-4:], **options)
    outputs = [y, *(after if isinstance(after, tuple) else (after,))]
    total = sum((out * dy.to(out.dtype)).sum() for out, dy in zip(outputs, dys, strict=True))
    there = [t for t in leaves if t is not None]
    return outputs, torch.autograd.grad(total, there)


def flat(made):
    x, state, *weights = made
    return [x, *(state if isinstance(state, tuple) else (state,)), *weights]


def outputs_of(cell, T, B, H, seed=5):
    g = torch.Generator().manual_seed(seed)
    shapes = [(T, B, H), (B, H), (B, H)] if cell == "lstm" else [(T, B, H), (B, H)]
    return [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]


def assert_agrees(cell, made, isa, **options):
    """Forward and all gradients against the float64 reference; gradients relative to the largest of their tensor."""
    T, B, _ = made[0].shape
    dys = outputs_of(cell, T, B, made[3].shape[1])
    dtype = made[0].dtype
    found, gradients = with_gradients(getattr(ops, cell), made, {**options, "isa": isa}, dys)
    wanted, expected = with_gradients(getattr(reference, cell), exact(made), options, dys)
    assert_close(found, wanted, check_dtype=False, **TOLERANCE[dtype])
    for gradient, exact_one in zip(gradients, expected, strict=True):
        largest = exact_one.abs().max().clamp(min=1e-3)
        assert ((gradient - exact_one).abs().max() / largest).item() <= GRADIENTS[dtype]


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("T", "H"), [(1, 1), (1, 17), (63, 1), (63, 5), (63, 32), (9, 500)])
@pytest.mark.parametrize("B", [1, 3, 13])
@pytest.mark.parametrize("cell", CELLS)
def test_awkward_sizes(arguments, poisoned, cell, isa, dtype, T, B, H):
    assert_agrees(cell, arguments(cell, T, B, 3, H, dtype=dtype), isa)


@needs_native
@every_isa
@pytest.mark.parametrize("threads", [1, 2])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_calls(isa, threads, data):
    cell = data.draw(st.sampled_from(CELLS), label="cell")
    T, B, I, H = (
        data.draw(st.integers(1, most), label=name) for name, most in zip("TBIH", (30, 20, 80, 150), strict=True)
    )
    dtype = data.draw(st.sampled_from(DTYPES))
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))

    def draw(*shape, bound):
        return ((torch.rand(shape, generator=g, dtype=torch.float64) * 2 - 1) * bound).to(dtype)

    bias, rows = data.draw(st.booleans(), label="bias"), GATES[cell] * H
    h, c = draw(B, H, bound=1), draw(B, H, bound=1)
    state = data.draw(st.booleans(), label="state")
    made = [
        draw(T, B, I, bound=2),
        None if not state else (h, c) if cell == "lstm" else h,
        *(draw(rows, n, bound=1 / math.sqrt(I + H)) for n in (I, H)),
        *(draw(rows, bound=1) if bias else None for _ in range(2)),
    ]
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B), label="lengths")
    options = {"lengths": None if lengths is None else torch.tensor(lengths)}
    if data.draw(st.booleans(), label="reset"):
        options["reset"] = torch.rand(T, B, generator=g) < 0.3
    if cell == "rnn":
        options["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
    with using_threads(threads):
        assert_agrees(cell, made, isa, **options)


@needs_native
@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_sizes_up_to_600(data):
    cell, dtype = data.draw(st.sampled_from(CELLS)), data.draw(st.sampled_from(DTYPES))
    sizes = [data.draw(st.integers(1, 600), label=name) for name in "TBIH"]
    while math.prod(sizes) > 3e8:  # what the reference computes in some seconds
        sizes[sizes.index(max(sizes))] //= 2
    T, B, I, H = sizes
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))

    def draw(*shape, bound):
        return ((torch.rand(shape, generator=g, dtype=torch.float64) * 2 - 1) * bound).to(dtype)

    rows, bound = GATES[cell] * H, 1 / math.sqrt(I + H)
    h, c = draw(B, H, bound=1), draw(B, H, bound=1)
    weights = [draw(rows, I, bound=bound), draw(rows, H, bound=bound), draw(rows, bound=1), draw(rows, bound=1)]
    made = [draw(T, B, I, bound=2), (h, c) if cell == "lstm" else h, *weights]
    lengths, reset = torch.randint(0, T + 1, (B,), generator=g), torch.rand(T, B, generator=g) < 0.05
    assert_agrees(cell, made, None, lengths=lengths, reset=reset)


@contextmanager
def using_threads(count):
    """Every call is worth a thread."""
    before, worth = torch.get_num_threads(), native.WORTH_A_THREAD
    torch.set_num_threads(count)
    native.WORTH_A_THREAD = 1
    yield
    native.WORTH_A_THREAD = worth
    torch.set_num_threads(before)


@needs_native
@every_isa
@pytest.mark.parametrize("cell", CELLS)
def test_law_threads_and_repetition_never_change_a_bit(arguments, cell, isa):
    made = arguments(cell, 40, 23, 9, 37, dtype=torch.float32)
    dys = outputs_of(cell, 40, 23, 37)
    results = []
    for threads in (1, 2, 2, 1):
        with using_threads(threads):
            outputs, gradients = with_gradients(getattr(ops, cell), made, {"isa": isa}, dys)
        results.append([*outputs, *gradients[: len(gradients) - 4]])  # those of the weights are torch's products
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_long_sequences_are_summed_over_their_parts(arguments, cell):
    """Longer than the 768 rows whose gradients the kernel holds at a time."""
    assert_agrees(cell, arguments(cell, 163, 7, 3, 17), None)
    assert_agrees(cell, arguments(cell, 163, 7, 3, 17), None, lengths=torch.tensor([163, 0, 1, 140, 162, 3, 8]))


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck_of_first_and_second_derivatives(arguments, cell):
    x, state, *weights = arguments(cell, 4, 3, 2, 3, requires_grad=True)
    lengths = torch.tensor([4, 1, 3])

    def run(x, *rest):
        given = rest[:-4] if cell == "lstm" else rest[0]
        y, after = getattr(ops, cell)(x, given, *rest[-4:], lengths=lengths)
        return y, *(after if cell == "lstm" else (after,))

    inputs = (x, *(state if cell == "lstm" else (state,)), *weights)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_a_graph_that_is_kept_gives_the_same_gradient_again(arguments, cell):
    x, state, *weights = arguments(cell, 30, 40, 5, 60, dtype=torch.float32, requires_grad=True)
    y, _ = getattr(ops, cell)(x, state, *weights)
    first = torch.autograd.grad(y.sum(), x, retain_graph=True)[0]
    other = torch.autograd.grad(getattr(ops, cell)(x * 2, state, *weights)[0].sum(), x)[0]  # takes memory meanwhile
    assert not torch.equal(other, first)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], first)


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_two_python_threads_at_once(arguments, cell):
    made = [arguments(cell, 50, 8, 6, 40, dtype=torch.float32, seed=seed) for seed in range(4)]
    expected = [with_gradients(getattr(ops, cell), m, {}, outputs_of(cell, 50, 8, 40))[1] for m in made]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(with_gradients, getattr(ops, cell), m, {}, outputs_of(cell, 50, 8, 40)) for m in made * 5]
        for k, job in enumerate(jobs):
            assert all(torch.equal(a, b) for a, b in zip(job.result()[1], expected[k % 4], strict=True))


@needs_native
def test_kernels_run_in_a_forked_process():
    """As in a DataLoader's workers: OpenMP's threads do not survive a fork."""
    code = (
        "import os, torch, elman\n"
        "net, x = elman.LSTM(16, 128), torch.randn(100, 32, 16)\n"
        "net(x)[0].sum().backward()\n"
        "pid = os.fork()\n"
        "torch.set_num_threads(1)\n"
        "ok = torch.isfinite(net(x)[0]).all().item()\n"
        "os._exit(0 if ok else 1) if pid == 0 else None\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "0", done.stderr


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_good_to_the_last_bits(isa, dtype):
    """Through a network of one unit without memory; relative, so that small numbers keep their digits too."""
    v = torch.cat([torch.linspace(-12, 12, 100_001), torch.logspace(-30, 0, 1001), torch.tensor([0.0])]).to(dtype)
    weight, nothing = torch.ones(1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype)
    _, found = ops.rnn(v[None, :, None], None, weight, nothing, isa=isa)
    # The worst of four million numbers is 2.61 of these off, of these here 2.4 or, compiled without optimisation, 2.53.
    ulp = torch.finfo(dtype).eps
    assert_close(found[:, 0].double(), v.double().tanh(), rtol=2.75 * ulp, atol=0)


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nan_and_infinity_spread_as_in_the_reference(arguments, isa, dtype, nonlinearity):
    x, state, *weights = arguments("rnn", 6, 9, 3, 20, dtype=dtype)
    x[2, 0, 1], x[3, 1, 0], x[3, 2, 0], state[3, 4] = math.nan, math.inf, -math.inf, math.nan
    found = ops.rnn(x, state, *weights, nonlinearity=nonlinearity, isa=isa)
    expected = reference.rnn(*exact([x, state, *weights]), nonlinearity=nonlinearity)
    assert_close(found, expected, check_dtype=False, equal_nan=True, **TOLERANCE[dtype])


@needs_native
@every_isa
def test_law_padding_never_changes_a_result(arguments, poisoned, isa):
    x, state, *weights = arguments("rnn", 9, 7, 3, 20)
    lengths = torch.tensor([9, 0, 3, 1, 9, 8, 2])
    before = ops.rnn(x, state, *weights, lengths=lengths, isa=isa)
    for b, length in enumerate(lengths):
        x[length:, b] = math.nan
    after = ops.rnn(x, state, *weights, lengths=lengths, isa=isa)
    assert_close(after, before, rtol=0, atol=0)


@needs_native
@every_isa
def test_law_batch_order_never_changes_a_result_by_a_bit(arguments, isa):
    x, state, *weights = arguments("rnn", 9, 13, 3, 20, dtype=torch.float32)
    order = torch.randperm(13, generator=torch.Generator().manual_seed(0))
    y, h = ops.rnn(x, state, *weights, isa=isa)
    y_mixed, h_mixed = ops.rnn(x[:, order], state[order], *weights, isa=isa)
    assert torch.equal(y_mixed, y[:, order])
    assert torch.equal(h_mixed, h[order])


@needs_native
def test_views_of_any_layout_are_read_right(arguments):
    x, state, W_ih, W_hh, b_ih, b_hh = arguments("rnn", 6, 4, 3, 5)
    strange = [
        x.transpose(0, 1).contiguous().transpose(0, 1),
        state.repeat(2, 1)[::2][[0, 2, 1, 3]][[0, 2, 1, 3]] * 0 + state,
        W_ih.T.contiguous().T,
        W_hh.T.contiguous().T,
        torch.stack([b_ih, b_hh], dim=1)[:, 0],
        torch.stack([b_ih, b_hh], dim=1)[:, 1],
    ]
    expected = ops.rnn(x, state, W_ih, W_hh, b_ih, b_hh)
    assert_close(ops.rnn(*strange), expected, rtol=0, atol=0)
    wide = torch.tensor([6, 9, 2, 9, 4, 9, 1, 9], dtype=torch.int32)[::2]
    assert_close(ops.rnn(*strange, lengths=wide), reference.rnn(*strange, lengths=wide), rtol=1e-12, atol=1e-12)


@needs_native
def test_the_arguments_are_left_as_they_were(arguments):
    made = arguments("rnn", 6, 4, 3, 5)
    before = [t.clone() for t in made]
    ops.rnn(*made)
    assert all(torch.equal(a, b) for a, b in zip(made, before, strict=True))


@needs_native
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a | {"x": a["x"][0]}, "x of shape (T, B, I) with at least one step, found (4, 3)"),
        (lambda a: a | {"W_ih": a["W_ih"][:, :2]}, "W_ih (5, 2)"),
        (lambda a: a | {"W_hh": a["W_hh"][:4]}, "W_hh (4, 5)"),
        (lambda a: a | {"b_hh": a["b_hh"][:4]}, "b_hh (4,)"),
        (lambda a: a | {"b_hh": None}, "both b_ih and b_hh, or neither"),
        (lambda a: a | {"state": a["state"][:3]}, "h (3, 5)"),
        (lambda a: a | {"lengths": torch.tensor([1, 2])}, "lengths (2,)"),
        (lambda a: a | {"lengths": torch.tensor([1, 2, 7, 1])}, "lengths from 0 to T=6, found 7 for sequence 2"),
        (lambda a: a | {"lengths": torch.tensor([1, 2, 3, -1])}, "found -1 for sequence 3"),
        (lambda a: a | {"x": a["x"].float()}, "float32 or float64, all alike"),
        (lambda a: {k: v.half() for k, v in a.items()}, "float32 or float64, all alike"),
        (lambda a: a | {"x": a["x"].to("meta")}, "on the CPU only"),
        (lambda a: a | {"x": a["x"][:, :0], "state": a["state"][:0]}, "the batch is empty"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, change, message):
    names = ("x", "state", "W_ih", "W_hh", "b_ih", "b_hh")
    made = change(dict(zip(names, arguments("rnn", 6, 4, 3, 5), strict=True)))
    with pytest.raises((ValueError, RuntimeError)) as caught:
        ops.rnn(**made)
    assert message in str(caught.value)


@needs_native
@pytest.mark.parametrize("wrong", [
    {"dtype": 2}, {"cell": 4}, {"cell": -1}, {"T": 0}, {"B": -1}, {"I": 2**62}, {"H": 2**40}, {"x": 0}, {"packed": 0},
    {"packed_size": 1}, {"isa": 9}, {"cell": 2, "c_n": 0}, {"parts": 2}, {"members": 0}, {"members": 2**40},
])  # fmt: skip
def test_the_bindings_refuse_numbers_that_can_not_be(wrong):
    from elman.compiled import _native

    memory = torch.zeros(4096)
    arrays = ("x", "h_0", "c_0", "W_ih", "W_hh", "b_ih", "b_hh", "y", "h_n", "c_n", "saved", "c", "packed")
    sizes = {
        "isa": 0,
        "cell": 0,
        "dtype": 0,
        "parts": 1,
        "members": 1,
        "T": 1,
        "B": 1,
        "I": 1,
        "H": 1,
        "lengths": 0,
        "reset": 0,
    }
    made = sizes | dict.fromkeys(arrays, memory.data_ptr()) | {"packed_size": 4096} | wrong
    with pytest.raises(ValueError, match=r"expected|needs an address|was not compiled"):
        _native.forward(**made)


@needs_native
def test_the_committed_stub_is_the_generated_one():
    from elman.compiled import _native

    generated = Path(_native.__file__).with_name("_native.pyi")
    committed = Path(__file__).parents[2] / "src" / "elman" / "compiled" / "_native.pyi"
    assert committed.read_text() == generated.read_text(), f"copy {generated} over {committed}"


def run_with_isa(isa):
    code = "from elman.compiled import chosen_isa; print(chosen_isa())"
    environment = os.environ | {"ELMAN_ISA": isa}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@needs_native
@every_isa
def test_elman_isa_forces_an_instruction_set(isa):
    assert run_with_isa(isa).stdout.strip() == isa


@needs_native
def test_without_elman_isa_the_widest_is_used():
    assert run_with_isa("").stdout.strip() == NATIVE.supported[-1]


@needs_native
def test_a_wrong_elman_isa_raises():
    done = run_with_isa("sse9")
    assert done.returncode != 0
    assert "ELMAN_ISA: expected one of baseline" in done.stderr
    assert "found 'sse9'" in done.stderr


@needs_native
def test_an_instruction_set_that_the_machine_lacks_raises(monkeypatch):
    class OldMachine:
        compiled = staticmethod(lambda: ["baseline", "avx2", "avx512"])
        supported = staticmethod(lambda: ["baseline"])

    monkeypatch.setattr(compiled, "_native", OldMachine)
    monkeypatch.setenv("ELMAN_ISA", "avx2")
    with pytest.raises(RuntimeError, match="ELMAN_ISA=avx2, but this machine can run only baseline"):
        compiled.chosen_isa.__wrapped__()
