"""Cells whose gates look at the input alone: the native kernel held to the float64 reference on any instruction set."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.testing import assert_close

from elman import compiled, kernels
from elman.kernels import gated_native, gated_reference, native, native_status, scan_reference
from elman.kernels.gated_reference import BLOCKS

NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_cell = pytest.mark.parametrize("cell", BLOCKS)
# 2e-7 of each squashing; a state forgets what was rounded before.
FORWARD = {torch.float32: 1e-5, torch.float64: 1e-11}
GRADIENT = {torch.float32: 5e-5, torch.float64: 1e-10}


def make(cell, T, B, H, dtype=torch.float64, *, state=True, scale=2.0, seed=0):
    """p, decay (None but for rglru) and h_0."""
    g = torch.Generator().manual_seed(seed)
    p = scale * torch.randn(T, B, BLOCKS[cell] * H, generator=g, dtype=torch.float64)
    decay = -torch.rand(H, generator=g, dtype=torch.float64) if cell == "rglru" else None
    h_0 = torch.randn(B, H, generator=g, dtype=torch.float64) if state else None
    return [None if t is None else t.to(dtype).requires_grad_() for t in (p, decay, h_0)]


def masks(T, B, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "lengths": torch.randint(0, T + 1, (B,), generator=g),
        "reset": torch.rand(T, B, generator=g) < 0.2,
    }


def by_reference(cell, p, decay, h_0, lengths=None, reset=None):
    a, b, _ = gated_reference.coefficients(cell, p, decay)
    return scan_reference.scan(a, b, h_0, lengths=lengths, reset=reset)


def by_kernel(cell, p, decay, h_0, lengths=None, reset=None):
    return gated_native.gated_scan(cell, p, decay, h_0, lengths, reset)


def with_gradients(run, cell, made, **options):
    h, h_n = run(cell, *made, **options)
    g = torch.Generator().manual_seed(1)
    dh, dh_n = (torch.randn(t.shape, generator=g, dtype=torch.float64).to(t.dtype) for t in (h, h_n))
    return (h, h_n), torch.autograd.grad([h, h_n], [t for t in made if t is not None], [dh, dh_n])


def compare(cell, made, **options):
    dtype = made[0].dtype
    exact = [None if t is None else t.detach().double().requires_grad_() for t in made]
    found, gradients = with_gradients(by_kernel, cell, made, **options)
    expected, expected_gradients = with_gradients(by_reference, cell, exact, **options)
    assert_close(found, expected, rtol=FORWARD[dtype], atol=FORWARD[dtype], check_dtype=False)
    for g, e in zip(gradients, expected_gradients, strict=True):
        scale = float(e.abs().max()) if e.numel() else 0
        assert_close(g, e, rtol=0, atol=GRADIENT[dtype] * max(1, scale), check_dtype=False)


@needs_native
@every_cell
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize(("T", "B"), [(1, 1), (1, 3), (63, 3)])
@pytest.mark.parametrize("H", [1, 5, 17, 300])
def test_awkward_sizes(poisoned, isa, cell, dtype, T, B, H):
    compare(cell, make(cell, T, B, H, dtype))
    compare(cell, make(cell, T, B, H, dtype), **masks(T, B))
    compare(cell, make(cell, T, B, H, dtype, state=False))


@needs_native
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_calls(data):
    T, B, H = (data.draw(st.integers(1, most), label=name) for name, most in zip("TBH", (40, 12, 90), strict=True))
    cell, dtype = data.draw(st.sampled_from(list(BLOCKS))), data.draw(st.sampled_from(list(FORWARD)))
    seed, wanted = data.draw(st.integers(0, 999)), data.draw(st.sets(st.sampled_from(["lengths", "reset"])))
    options = {name: mask for name, mask in masks(T, B, seed).items() if name in wanted}
    compare(cell, make(cell, T, B, H, dtype, state=data.draw(st.booleans()), seed=seed), **options)


@needs_native
@every_cell
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("scale", [1e-30, 50.0, 1e4, 1e30])
def test_gates_that_are_wide_open_or_shut(isa, cell, dtype, scale):
    """Values, and finite gradients; for gates that are both almost shut see the test of their ratio."""
    made = make(cell, 9, 3, 20, dtype, scale=scale)
    exact = [None if t is None else t.detach().double().requires_grad_() for t in made]
    found, gradients = with_gradients(by_kernel, cell, made)
    expected, _ = with_gradients(by_reference, cell, exact)
    assert_close(
        found, expected, rtol=1e-5, atol=1e-5 * max(1.0, float(expected[0].detach().abs().max())), check_dtype=False
    )
    assert all(g.isfinite().all() for g in gradients)


@needs_native
@every_cell
@pytest.mark.parametrize("dtype", FORWARD)
def test_law_chunks_and_steps_are_the_whole_by_every_bit(isa, cell, dtype):
    p, decay, h_0 = (None if t is None else t.detach() for t in make(cell, 20, 3, 67, dtype))
    reset = masks(20, 3)["reset"]
    whole, last = by_kernel(cell, p, decay, h_0, reset=reset)
    for size in (1, 7):
        h, parts = h_0, []
        for t in range(0, 20, size):
            part, h = by_kernel(cell, p[t : t + size], decay, h, reset=reset[t : t + size])
            parts.append(part)
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(h, last)


@needs_native
@every_cell
def test_law_padding_never_changes_a_result(isa, poisoned, cell):
    made, lengths = make(cell, 9, 4, 17), torch.tensor([9, 0, 3, 1])
    before = with_gradients(by_kernel, cell, made, lengths=lengths)
    padding = torch.arange(9)[:, None] >= lengths
    made[0] = made[0].detach().masked_fill(padding[..., None], math.nan).requires_grad_()
    assert_close(with_gradients(by_kernel, cell, made, lengths=lengths), before, rtol=0, atol=0)


@needs_native
@every_cell
def test_law_threads_never_change_a_bit(isa, threads, cell):
    made, options = make(cell, 200, 8, 150, torch.float32), masks(200, 8)
    threads(2)
    assert native.threads_for(gated_native.WORK * 200 * 8 * 150) == 2
    results = []
    for count in (1, 2, 2):
        threads(count)
        results.append(with_gradients(by_kernel, cell, made, **options))
    assert_close(results[1], results[0], rtol=0, atol=0)
    assert_close(results[2], results[0], rtol=0, atol=0)


@needs_native
@every_cell
def test_nan_stays_in_its_unit_and_sequence(isa, cell):
    p, decay, h_0 = (None if t is None else t.detach() for t in make(cell, 6, 3, 20))
    for block in range(BLOCKS[cell]):
        sums = p.clone()
        sums[2, 1, 20 * block + 4] = math.nan
        found, expected = by_kernel(cell, sums, decay, h_0)[0], by_kernel(cell, p, decay, h_0)[0]
        assert found[2:, 1, 4].isnan().all()
        found[2:, 1, 4] = expected[2:, 1, 4] = 0
        assert torch.equal(found, expected)


@needs_native
@every_cell
@pytest.mark.parametrize("options", [{}, masks(4, 3)], ids=["whole", "masked"])
def test_gradcheck(isa, cell, options):
    made = [t for t in make(cell, 4, 3, 3) if t is not None]

    def run(p, *rest):
        decay, h_0 = rest if cell == "rglru" else (None, rest[0])
        return by_kernel(cell, p, decay, h_0, **options)

    assert torch.autograd.gradcheck(run, made)


@needs_native
@every_cell
def test_second_derivatives_and_vectorised_ones(cell):
    p, decay, h_0 = make(cell, 4, 2, 3)
    given = [t for t in (p, decay, h_0) if t is not None]

    def call(run):
        def total(p, *rest):
            decay, h_0 = rest if cell == "rglru" else (None, rest[0])
            return sum(t.square().sum() for t in run(cell, p, decay, h_0, **masks(4, 2)))

        return total

    found = torch.autograd.functional.hessian(call(by_kernel), tuple(given))
    assert_close(found, torch.autograd.functional.hessian(call(by_reference), tuple(given)))
    h, _ = by_kernel(cell, p, decay, h_0)
    directions = torch.randn(5, *h.shape, dtype=h.dtype)
    expected = [torch.autograd.grad(by_reference(cell, p, decay, h_0)[0], given, d) for d in directions]
    found = torch.autograd.grad(h, given, directions, is_grads_batched=True)
    assert_close(found, tuple(torch.stack(one) for one in zip(*expected, strict=True)))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch.func.jvp compiles its own formulas
@every_cell
def test_transforms_at_the_door(cell):
    p, decay, h_0 = make(cell, 4, 2, 3)

    def door(p, h_0):
        return kernels.gated_scan(cell, p, decay, h_0)[0]

    def reference(p, h_0):
        return by_reference(cell, p, decay, h_0)[0]

    tangents = torch.randn_like(p), torch.randn_like(h_0)
    expected = torch.func.jvp(reference, (p, h_0), tangents)
    assert_close(torch.func.jvp(door, (p, h_0), tangents), expected)
    with forward_ad.dual_level():
        found = door(*(forward_ad.make_dual(t, d) for t, d in zip((p, h_0), tangents, strict=True)))
        assert_close(forward_ad.unpack_dual(found).tangent, expected[1])
    ps = torch.stack([p, 2 * p]).detach()
    assert_close(torch.vmap(door, (0, None))(ps, h_0), torch.stack([reference(one, h_0) for one in ps]))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@every_cell
def test_a_compiled_call(cell):
    made, options = make(cell, 5, 2, 3), masks(5, 2)

    def door(p, decay, h_0):
        return kernels.gated_scan(cell, p, decay, h_0, **options)

    torch._dynamo.reset()  # else the number of units, another one than before, is taken as one that changes
    compiled_door = torch.compile(door, backend="aot_eager", fullgraph=True)
    results = [with_gradients(lambda cell, *given, run=run: run(*given), cell, made) for run in (door, compiled_door)]
    assert_close(*results)


@needs_native
@every_cell
def test_a_trace_holds_gates_and_the_gradient_whoever_runs(cell, monkeypatch):
    made, options = make(cell, 7, 3, 5), masks(7, 3)
    traces = []
    for name in ("native", "reference"):
        monkeypatch.setenv("ELMAN_KERNEL", name)
        traces.append(kernels.Trace())
        with_gradients(kernels.gated_scan, cell, made, **options, trace=traces[-1])
    one, other = traces
    assert_close((one.bars, one.gates, one.squares), (other.bars, other.gates, other.squares))
    # dL/dh_t, later steps included: that of a number added to h_t, which is one added to b_t.
    a, b, _ = gated_reference.coefficients(cell, made[0], made[1])
    b = b.detach().requires_grad_()
    result = scan_reference.scan(a, b, made[2], **options)
    g = torch.Generator().manual_seed(1)
    (db,) = torch.autograd.grad(result, [b], [torch.randn(t.shape, generator=g, dtype=t.dtype) for t in result])
    assert_close(one.squares[..., 0], db.square().sum(-1))


@needs_native
def test_the_door_takes_the_kernel_where_it_can(monkeypatch):
    monkeypatch.delenv("ELMAN_KERNEL", raising=False)
    p, _, h_0 = make("mingru", 5, 3, 4)
    said = f"gated_scan runs on the native kernels: they cover this call ({NATIVE.isa})."
    assert kernels.explain("gated_scan", "mingru", p, None, h_0) == said
    assert "the native gates take float32 or float64" in kernels.explain("gated_scan", "mingru", p.half())
    assert_close(kernels.gated_scan("mingru", p, None, h_0), by_reference("mingru", p, None, h_0))
    assert kernels.gated_scan("mingru", p[:, :0])[0].shape == (5, 0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "gru"}, "expected cell as one of mingru, mingru_positive"),
        ({"p": torch.zeros(6, 4, 7)}, "expected p (T, B, 3 * H), decay (H)"),
        ({"p": torch.zeros(0, 4, 9)}, "with at least one step"),
        ({"p": torch.zeros(4, 9)}, "p (4, 9) float32"),
        ({"decay": None}, "decay (H)"),
        ({"cell": "minlstm"}, "expected p (T, B, 3 * H), h_0 (B, H)"),
        ({"h_0": torch.zeros(4, 2)}, "h_0 (4, 2)"),
        ({"h_0": torch.zeros(4, 3).double()}, "h_0 (4, 3) float64"),
        ({"lengths": torch.tensor([1, 2])}, "lengths (2,)"),
        ({"lengths": torch.ones(4)}, "lengths (4,) float32"),
        ({"reset": torch.zeros(6, 3, dtype=torch.bool)}, "reset (6, 3)"),
        ({"reset": torch.zeros(6, 4)}, "reset of bool"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    made = {"cell": "rglru", "p": torch.zeros(6, 4, 9), "decay": torch.zeros(3), "h_0": torch.zeros(4, 3)} | change
    with pytest.raises(ValueError) as caught:
        kernels.gated_scan(**made)
    assert message in str(caught.value)


@needs_native
@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {name: value}
            for name, value in (("dtype", 2), ("cell", 5), ("cell", -1), ("T", 0), ("B", -1), ("H", 2**62))
        ),
        *({"cell": 4} | {name: 0} for name in ("h", "h_n", "p", "decay")),
        {"isa": 9},
    ],
)
def test_the_bindings_refuse_numbers_that_can_not_be(wrong):
    memory = torch.zeros(4096)
    numbers = {"isa": 0, "cell": 0, "dtype": 0, "threads": 1, "T": 1, "B": 1, "H": 1}
    pointers = dict.fromkeys(("p", "decay", "h_0", "h", "h_n"), memory.data_ptr()) | {"lengths": 0, "reset": 0}
    with pytest.raises(ValueError, match=r"gated_scan: expected|needs an address|was not compiled"):
        compiled._native.gated_forward(**(numbers | pointers | wrong))
