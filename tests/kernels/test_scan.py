"""The diagonal scan: the native kernel held to the float64 reference on every instruction set that this machine has."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.testing import assert_close

from elman import compiled, kernels
from elman.kernels import native, native_status, scan_native, scan_reference

NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
FORWARD = {torch.float32: 5e-6, torch.float64: 1e-12, torch.complex64: 5e-6, torch.complex128: 1e-12}
GRADIENT = {torch.float32: 2e-5, torch.float64: 1e-12, torch.complex64: 2e-5, torch.complex128: 1e-12}


def make(T, B, H, dtype=torch.float64, *, shared=False, state=True, seed=0):
    g = torch.Generator().manual_seed(seed)
    exact = torch.complex128 if dtype.is_complex else torch.float64
    a = torch.rand((H,) if shared else (T, B, H), generator=g, dtype=torch.float64).to(exact)
    if dtype.is_complex:
        a = a * torch.exp(1j * 6 * torch.rand(a.shape, generator=g, dtype=torch.float64))
    b, h_0 = torch.randn(T, B, H, generator=g, dtype=exact), torch.randn(B, H, generator=g, dtype=exact)
    return [t.to(dtype).requires_grad_() for t in ((a, b, h_0) if state else (a, b))]


def masks(T, B, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "lengths": torch.randint(0, T + 1, (B,), generator=g),
        "reset": torch.rand(T, B, generator=g) < 0.2,
    }


def with_gradients(scan, made, **options):
    h, h_n = scan(*made, **options)
    g = torch.Generator().manual_seed(1)
    exact = torch.complex128 if h.is_complex() else torch.float64
    dh, dh_n = (torch.randn(t.shape, generator=g, dtype=exact).to(t.dtype) for t in (h, h_n))
    return (h, h_n), torch.autograd.grad([h, h_n], made, [dh, dh_n])


def compare(made, **options):
    dtype = made[0].dtype
    exact = [t.detach().to(torch.complex128 if t.is_complex() else torch.float64).requires_grad_() for t in made]
    found, gradients = with_gradients(scan_native.scan, made, **options)
    expected, expected_gradients = with_gradients(scan_reference.scan, exact, **options)
    assert_close(found, expected, rtol=FORWARD[dtype], atol=FORWARD[dtype], check_dtype=False)
    for g, e in zip(gradients, expected_gradients, strict=True):
        scale = float(e.abs().max()) if e.numel() else 0
        assert_close(g, e, rtol=0, atol=GRADIENT[dtype] * max(1, scale), check_dtype=False)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("T", [1, 63])
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("H", [1, 5, 17, 500])
def test_awkward_sizes(poisoned, isa, dtype, T, B, H):
    for shared in (False, True):
        compare(make(T, B, H, dtype, shared=shared))
        compare(make(T, B, H, dtype, shared=shared), **masks(T, B))
        compare(make(T, B, H, dtype, shared=shared, state=False))


@needs_native
@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_calls(data):
    T, B, H = (data.draw(st.integers(1, most), label=name) for name, most in zip("TBH", (40, 12, 90), strict=True))
    dtype, shared, state = data.draw(st.sampled_from(DTYPES)), data.draw(st.booleans()), data.draw(st.booleans())
    seed, wanted = data.draw(st.integers(0, 999)), data.draw(st.sets(st.sampled_from(["lengths", "reset"])))
    options = {name: mask for name, mask in masks(T, B, seed).items() if name in wanted}
    compare(make(T, B, H, dtype, shared=shared, state=state, seed=seed), **options)


@needs_native
@pytest.mark.parametrize("options", [{}, masks(9, 4)], ids=["whole", "masked"])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[:1].expand(9, 4, 6),
        lambda a: a[:, :1].expand(9, 4, 6),
        lambda a: a[:1, :1].expand(9, 4, 6),
        lambda a: a[..., :1].expand(9, 4, 6),
        lambda a: a.transpose(0, 2).contiguous().transpose(0, 2),
        lambda a: a[0, 0],
        lambda a: a[0, :, 0].repeat(2)[2:],
        lambda a: torch.stack([a, a], dim=-1)[..., 0],
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_views_of_any_layout_are_read_right(isa, poisoned, dtype, view, options):
    a, b, h_0 = make(9, 4, 6, dtype)
    compare([view(a.detach()).requires_grad_(), b, h_0], **options)
    (found,) = torch.autograd.grad(scan_native.scan(view(a), b, h_0, **options)[0].abs().sum(), [a])
    (expected,) = torch.autograd.grad(scan_reference.scan(view(a), b, h_0, **options)[0].abs().sum(), [a])
    assert_close(found, expected, rtol=1e-12, atol=1e-12)


@needs_native
def test_lazily_conjugated_and_negated_arguments_are_read_right():
    a, b, h_0 = (t.detach() for t in make(9, 4, 6, torch.complex128))
    assert_close(scan_native.scan(a.conj(), b.conj(), h_0.conj()), scan_reference.scan(a.conj(), b.conj(), h_0.conj()))
    imaginary = a.conj().imag
    assert imaginary.is_neg()
    assert_close(scan_native.scan(imaginary, b.real), scan_reference.scan(imaginary, b.real))


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_law_chunks_and_steps_are_the_whole_by_every_bit(isa, dtype):
    a, b, h_0 = (t.detach() for t in make(20, 3, 17, dtype))
    reset = masks(20, 3)["reset"]
    whole, last = scan_native.scan(a, b, h_0, reset=reset)
    for size in (1, 7):
        h, parts = h_0, []
        for t in range(0, 20, size):
            part, h = scan_native.scan(a[t : t + size], b[t : t + size], h, reset=reset[t : t + size])
            parts.append(part)
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(h, last)


@needs_native
def test_law_padding_never_changes_a_result(isa, poisoned):
    a, b, h_0 = make(9, 4, 17)
    lengths = torch.tensor([9, 0, 3, 1])
    before = with_gradients(scan_native.scan, [a, b, h_0], lengths=lengths)
    padding = torch.arange(9)[:, None] >= lengths
    made = [t.detach().masked_fill(padding[..., None], math.nan).requires_grad_() for t in (a, b)]
    after = with_gradients(scan_native.scan, [*made, h_0], lengths=lengths)
    assert_close(after, before, rtol=0, atol=0)


@needs_native
@pytest.mark.parametrize("options", [{}, masks(400, 8)], ids=["whole", "masked"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_law_threads_never_change_a_bit(isa, threads, dtype, shared, options):
    made = make(400, 8, 150, dtype, shared=shared)
    threads(2)
    assert native.threads_for(scan_native.WORK * made[1].numel()) == 2
    results = []
    for count in (1, 2, 2):
        threads(count)
        results.append(with_gradients(scan_native.scan, made, **options))
    assert_close(results[1], results[0], rtol=0, atol=0)
    assert_close(results[2], results[0], rtol=0, atol=0)


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("state", [True, False])
def test_nan_and_infinity_spread_as_in_the_reference(isa, dtype, state):
    made = [t.detach() for t in make(8, 6, 20, dtype, state=state)]
    a, b = made[:2]
    a[0, 0], a[4, 1, 3], b[2, 2, 4], b[3, 3, 5], b[1, 4] = math.nan, math.inf, math.nan, -math.inf, math.inf
    made = [t.requires_grad_() for t in made]
    for options in ({}, {"reset": torch.tensor([[t in (0, 5)] * 6 for t in range(8)])}):
        found, expected = (with_gradients(scan, made, **options) for scan in (scan_native.scan, scan_reference.scan))
        assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-5)


@needs_native
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("options", [{}, masks(4, 3)], ids=["whole", "masked"])
def test_gradcheck(isa, dtype, shared, options):
    made = make(4, 3, 3, dtype, shared=shared)
    assert torch.autograd.gradcheck(lambda *given: scan_native.scan(*given, **options), made)


@needs_native
@pytest.mark.parametrize("shared", [False, True])
def test_gradgradcheck(shared):
    made, options = make(3, 2, 2, torch.complex128, shared=shared), masks(3, 2)
    assert torch.autograd.gradgradcheck(lambda *given: scan_native.scan(*given, **options), made)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("options", [{}, masks(6, 3)], ids=["whole", "masked"])
def test_the_twin_of_backward_is_the_gradient_of_the_twin(dtype, shared, options):
    made = make(6, 3, 4, dtype, shared=shared)
    (h, h_n), expected = with_gradients(scan_reference.scan, made, **options)
    g = torch.Generator().manual_seed(1)
    dh, dh_n = (torch.randn(t.shape, generator=g, dtype=t.dtype) for t in (h, h_n))
    given = (options.get("lengths"), options.get("reset"))
    assert_close(scan_reference.scan_backward(made[0], h, made[2], *given, dh, dh_n), expected)


@needs_native
def test_only_what_is_asked_for_gets_a_gradient():
    a, b, h_0 = make(5, 3, 4)
    expected = torch.autograd.grad(scan_reference.scan(a, b, h_0)[1].sum(), [a, b, h_0])
    for wanted in range(3):
        made = [t.detach().requires_grad_(k == wanted) for k, t in enumerate((a, b, h_0))]
        (found,) = torch.autograd.grad(scan_native.scan(*made)[1].sum(), [made[wanted]])
        assert_close(found, expected[wanted])


@needs_native
def test_gradients_can_be_asked_for_twice_and_not_after_a_change_in_place():
    a, b, h_0 = make(5, 3, 4)
    h, _ = scan_native.scan(a, b, h_0)
    first = torch.autograd.grad(h.sum(), [a], retain_graph=True)
    assert_close(torch.autograd.grad(h.sum(), [a], retain_graph=True), first)
    with torch.no_grad():
        a.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(h.sum(), [a])


CALLS = {
    "function": scan_native.scan,
    "op": lambda *made: torch.ops.elman.scan(*made, None, None),
    "door": kernels.scan,
}


# torch.func.jvp compiles its own formulas by torch.jit.script when it is first used
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@needs_native
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("shared", [False, True])
def test_derivatives_of_every_kind_have_the_right_values(call, shared):
    made = make(5, 3, 4, shared=shared)
    tangents = [torch.randn_like(t) for t in made]

    def loss(scan):
        return lambda *given: sum(t.square().sum() for t in scan(*given))

    if call is not scan_native.scan:  # which is for calls outside of such transforms
        _, expected = torch.func.jvp(scan_reference.scan, tuple(made), tuple(tangents))
        assert_close(torch.func.jvp(call, tuple(made), tuple(tangents))[1], expected)
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(t, d) for t, d in zip(made, tangents, strict=True)]
            found = tuple(forward_ad.unpack_dual(t).tangent for t in call(*duals))
        assert_close(found, expected)
        for transform in (torch.func.grad, torch.func.hessian, torch.func.jacrev, torch.func.jacfwd):
            assert_close(transform(loss(call))(*made), transform(loss(scan_reference.scan))(*made))
    for vectorize in (False, True):
        found = torch.autograd.functional.jacobian(call, tuple(made), vectorize=vectorize)
        assert_close(found, torch.autograd.functional.jacobian(scan_reference.scan, tuple(made)))
    found = torch.autograd.functional.hessian(loss(call), tuple(made))
    assert_close(found, torch.autograd.functional.hessian(loss(scan_reference.scan), tuple(made)))


@needs_native
def test_vmap_and_gradients_of_each_sample():
    samples = [make(5, 3, 4, seed=seed) for seed in range(3)]
    a, b, h_0 = (torch.stack([t.detach() for t in ts]) for ts in zip(*samples, strict=True))

    def op(a, b, h_0):
        return torch.ops.elman.scan(a, b, h_0, None, None)[0]

    expected = torch.stack([scan_reference.scan(*made)[0] for made in zip(a, b, h_0, strict=True)])
    assert_close(torch.vmap(op)(a, b, h_0), expected)
    found = torch.vmap(op, (None, 1, 0))(a[0], b.transpose(0, 1), h_0)
    assert_close(found, torch.stack([scan_reference.scan(a[0], *made)[0] for made in zip(b, h_0, strict=True)]))
    found = torch.vmap(torch.func.grad(lambda *made: op(*made).square().sum()))(a, b, h_0)
    for k in range(3):
        one = a[k].clone().requires_grad_()
        loss = scan_reference.scan(one, b[k], h_0[k])[0].square().sum()
        assert_close(found[k], torch.autograd.grad(loss, [one])[0])


@needs_native
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
@pytest.mark.parametrize("shared", [False, True])
def test_opcheck(dtype, shared):
    a, b, h_0 = make(5, 3, 4, dtype, shared=shared)
    options = masks(5, 3)
    torch.library.opcheck(torch.ops.elman.scan, (a, b, h_0, options["lengths"], options["reset"]))
    torch.library.opcheck(torch.ops.elman.scan, (a.detach(), b, None, None, None))
    h, h_n = (t.detach() for t in scan_native.scan(a, b, h_0))
    for da_wanted in (True, False):
        given = (a.detach(), h, h_0.detach(), None, options["reset"], h, h_n, da_wanted)
        torch.library.opcheck(torch.ops.elman.scan_backward, given)


D = torch.float64


@needs_native
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": torch.zeros(6, 4, dtype=D)}, "b (6, 4) float64"),
        ({"b": torch.zeros(0, 4, 3, dtype=D)}, "with at least one step"),
        ({"a": torch.zeros(4, 3, dtype=D)}, "a (4, 3)"),
        ({"a": torch.zeros(1, 4, 3, dtype=D)}, "a (1, 4, 3)"),
        ({"h_0": torch.zeros(4, 2, dtype=D)}, "h_0 (4, 2)"),
        ({"h_0": torch.zeros(4, 3, dtype=torch.float32)}, "h_0 (4, 3) float32"),
        ({"a": torch.zeros(3, dtype=torch.complex128)}, "a (3,) complex128"),
        ({"lengths": torch.tensor([1, 2])}, "lengths (2,)"),
        ({"lengths": torch.ones(4, dtype=D)}, "lengths (4,) float64"),
        ({"reset": torch.zeros(6, 3, dtype=torch.bool)}, "reset (6, 3)"),
        ({"reset": torch.zeros(6, 4, dtype=D)}, "reset of bool"),
        ({"lengths": torch.tensor([1, 2, 7, 1])}, "lengths from 0 to T=6, found 7 for sequence 2"),
        ({"lengths": torch.tensor([1, 2, 3, -1])}, "found -1 for sequence 3"),
        ({k: torch.zeros(6, 4, 3, dtype=torch.half) for k in "ab"} | {"h_0": None}, "all alike"),
        ({k: torch.zeros(6, 0, 3, dtype=D) for k in "ab"} | {"h_0": None}, "the batch is empty"),
        ({k: torch.zeros(6, 4, 3, dtype=D, device="meta") for k in "ab"}, "on the CPU only"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    made = dict(zip(("a", "b", "h_0"), (t.detach() for t in make(6, 4, 3)), strict=True)) | change
    with pytest.raises((ValueError, RuntimeError)) as caught:
        scan_native.scan(**made)
    assert message in str(caught.value)


@needs_native
def test_the_backward_op_refuses_what_does_not_fit():
    a, h, h_0 = (t.detach() for t in make(6, 4, 3))
    for dh, dh_n in ((h[:5], None), (h.float(), None), (None, h_0[:3])):
        with pytest.raises(ValueError, match="scan: expected dh"):
            torch.ops.elman.scan_backward(a, h, h_0, None, None, dh, dh_n, True)
    with pytest.raises(ValueError, match="do not fit together"):
        torch.ops.elman.scan_backward(a[:5], h, h_0, None, None, h, None, True)


@needs_native
@pytest.mark.parametrize("wrong", [{"dtype": 2}, {"T": 0}, {"B": -1}, {"H": 2**62}, {"h": 0}, {"a": 0}, {"isa": 9}])
def test_the_bindings_refuse_numbers_that_can_not_be(wrong):
    memory = torch.zeros(4096)
    numbers = {"isa": 0, "dtype": 0, "complex": False, "threads": 1, "T": 1, "B": 1, "H": 1, "a_step": 1, "a_row": 1}
    pointers = dict.fromkeys(("a", "b", "h_0", "h", "h_n"), memory.data_ptr()) | {"lengths": 0, "reset": 0}
    with pytest.raises(ValueError, match=r"scan: expected|needs an address|was not compiled"):
        compiled._native.scan_forward(**(numbers | pointers | wrong))


@needs_native
def test_the_door_takes_the_kernel_where_it_can(monkeypatch):
    monkeypatch.delenv("ELMAN_KERNEL", raising=False)
    a, b, h_0 = make(5, 3, 4)
    expected = f"scan runs on the native kernels: they cover this call ({NATIVE.isa})."
    assert kernels.explain("scan", a, b, h_0) == expected
    assert "the reference: the native scan takes float32" in kernels.explain("scan", a.half(), b.half())
    assert_close(kernels.scan(a, b, h_0), scan_reference.scan(a, b, h_0))
    seen = []
    torch.func.vmap(lambda b: [seen.append(kernels.explain("scan", a, b)), b][1])(b[None].detach())
    assert "torch.func transform" in seen[0]
    monkeypatch.setenv("ELMAN_KERNEL", "native")
    with pytest.raises(RuntimeError, match="ELMAN_KERNEL=native, but the native scan takes float32"):
        kernels.scan(a.half(), b.half())
    monkeypatch.setenv("ELMAN_KERNEL", "reference")
    assert kernels.explain("scan", a, b) == "scan runs on the reference: ELMAN_KERNEL forces it."
