"""The native kernels, held to the reference on every instruction set that this machine has."""

import math
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from elman.kernels import native_status, ops, reference

NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_isa = pytest.mark.parametrize("isa", NATIVE.supported or [None])

# Against the float64 reference. float32: rounding of sums over up to 600 numbers, and 2e-7 of each tanh, in a
# recurrence that contracts; float64: the same, 2^29 times finer, with room for the reference's own rounding.
TOLERANCE = {torch.float32: {"rtol": 5e-6, "atol": 5e-6}, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}
DTYPES = [torch.float32, torch.float64]


@pytest.fixture
def poisoned():
    """Memory that torch hands out uninitialised holds NaN, so that a number which the kernel forgot is seen."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def exact(arguments):
    return [None if a is None else a.double() for a in arguments]


def test_the_kernels_are_built_where_they_can_be():
    """Else every test below would be skipped without a word on a machine that could have run them."""
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    if which("c++") and headers:
        assert NATIVE.built, NATIVE.why_not


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("T", [1, 63])
@pytest.mark.parametrize("B", [1, 3, 13])
@pytest.mark.parametrize("H", [1, 5, 17, 32, 500])
def test_awkward_sizes(arguments, poisoned, isa, dtype, T, B, H):
    made = arguments("rnn", T, B, 3, H, dtype=dtype)
    assert_close(ops.rnn(*made, isa=isa), reference.rnn(*exact(made)), check_dtype=False, **TOLERANCE[dtype])


@needs_native
@every_isa
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_calls(isa, data):
    T, B, I, H = (
        data.draw(st.integers(1, most), label=name) for name, most in zip("TBIH", (30, 20, 80, 150), strict=True)
    )
    dtype, relu = data.draw(st.sampled_from(DTYPES)), data.draw(st.booleans())
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))

    def draw(*shape, bound):
        return ((torch.rand(shape, generator=g, dtype=torch.float64) * 2 - 1) * bound).to(dtype)

    bias = data.draw(st.booleans(), label="bias")
    made = [
        draw(T, B, I, bound=2),
        draw(B, H, bound=1) if data.draw(st.booleans(), label="state") else None,
        *(draw(H, n, bound=1 / math.sqrt(I + H)) for n in (I, H)),
        *(draw(H, bound=1) if bias else None for _ in range(2)),
    ]
    lengths = data.draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B), label="lengths")
    options = {
        "nonlinearity": "relu" if relu else "tanh",
        "lengths": None if lengths is None else torch.tensor(lengths),
    }
    expected = reference.rnn(*exact(made), **options)
    assert_close(ops.rnn(*made, **options, isa=isa), expected, check_dtype=False, **TOLERANCE[dtype])


@needs_native
@every_isa
@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_good_to_the_last_bits(isa, dtype):
    """Through a network of one unit without memory; relative, so that small numbers keep their digits too."""
    v = torch.cat([torch.linspace(-12, 12, 100_001), torch.logspace(-30, 0, 1001), torch.tensor([0.0])]).to(dtype)
    weight, nothing = torch.ones(1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype)
    _, found = ops.rnn(v[None, :, None], None, weight, nothing, isa=isa)
    ulp = torch.finfo(dtype).eps
    assert_close(found[:, 0].double(), v.double().tanh(), rtol=2.5 * ulp, atol=0)


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
        (lambda a: a | {"W_hh": a["W_hh"].requires_grad_()}, "no backward pass yet"),
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
    {"dtype": 2}, {"T": 0}, {"B": -1}, {"I": 2**62}, {"H": 2**40}, {"x": 0}, {"workspace": 0}, {"workspace_size": 1},
    {"isa": 9},
])  # fmt: skip
def test_the_bindings_refuse_numbers_that_can_not_be(wrong):
    from elman.kernels import _native

    memory = torch.zeros(4096)
    pointers = dict.fromkeys(("x", "h_0", "W_ih", "W_hh", "b_ih", "b_hh", "y", "h_n", "workspace"), memory.data_ptr())
    sizes = {"isa": 0, "dtype": 0, "relu": False, "T": 1, "B": 1, "I": 1, "H": 1, "lengths": 0, "workspace_size": 4096}
    with pytest.raises(ValueError, match=r"rnn: expected|need an address|was not compiled"):
        _native.rnn_forward(**(sizes | pointers | wrong))


@needs_native
def test_the_committed_stub_is_the_generated_one():
    from elman.kernels import _native

    generated = Path(_native.__file__).with_name("_native.pyi")
    committed = Path(__file__).parents[2] / "src" / "elman" / "kernels" / "_native.pyi"
    assert committed.read_text() == generated.read_text(), f"copy {generated} over {committed}"


def run_with_isa(isa):
    code = "from elman.kernels import ops; print(ops.chosen_isa())"
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

    monkeypatch.setattr(ops, "_native", OldMachine)
    monkeypatch.setenv("ELMAN_ISA", "avx2")
    with pytest.raises(RuntimeError, match="ELMAN_ISA=avx2, but this machine can run only baseline"):
        ops.chosen_isa.__wrapped__()
