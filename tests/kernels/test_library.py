"""The ops `elman::recurrence` and its backward as torch sees them: every rule gives the values of the reference.

Kernels would silently drop what a transform carries, so values are compared, not only that nothing is raised.
"""

import pytest
import torch
from torch.autograd import forward_ad
from torch.testing import assert_close

from elman import kernels
from elman.kernels import native_status, reference
from elman.kernels.arguments import FIRST, LAST, Arguments

from .test_variants import EXTRAS, make

NATIVE = native_status()
pytestmark = [
    pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or ""),
    # torch loads its own rules for forward mode by a function that it has deprecated
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
CASES = [
    ("rnn_tanh", []),
    ("rnn_relu", ["zoneout"]),
    ("lstm", []),
    ("lstm", EXTRAS),
    ("gru", []),
    ("gru", ["norm", "mask"]),
]
cases = pytest.mark.parametrize(("cell", "extras"), CASES)
EXACT = {"rtol": 1e-9, "atol": 1e-10}


def call(a):
    """y and the state, by the op."""
    y, h_n, c_n, *_ = torch.ops.elman.recurrence(*a[:FIRST], True, *a[FIRST:])
    return (y, h_n, c_n) if a.cell == "lstm" else (y, h_n)


def expected(a):
    y, state = reference.run(a)
    return y, *state


def of_x(function, a):
    return lambda x: function(a._replace(x=x))


@cases
def test_opcheck(cell, extras):
    a = make(cell, 3, 2, 2, 4, extras, lengths=True, reset=True)
    for t in a.differentiable:
        if t is not None:
            t.requires_grad_()
    torch.library.opcheck(torch.ops.elman.recurrence, (*a[:FIRST], True, *a[FIRST:]))
    plain = Arguments(*[t.detach() if isinstance(t, torch.Tensor) else t for t in a])
    torch.library.opcheck(torch.ops.elman.recurrence, (*plain[:FIRST], False, *plain[FIRST:]))
    y, h_n, c_n, *kept = torch.ops.elman.recurrence(*plain[:FIRST], True, *plain[FIRST:])
    for need_dx in (True, False):
        given = (*plain[:FIRST], need_dx, *plain[FIRST:], y, *kept, y, h_n, c_n if cell == "lstm" else None)
        torch.library.opcheck(torch.ops.elman.recurrence_backward, given)


@cases
def test_forward_mode(cell, extras):
    a = make(cell, 4, 3, 2, 4, extras, lengths=True)
    tangent = torch.randn_like(a.x)
    wanted = torch.func.jvp(of_x(expected, a), (a.x,), (tangent,))[1]
    assert_close(torch.func.jvp(of_x(call, a), (a.x,), (tangent,))[1], wanted, **EXACT)
    with forward_ad.dual_level():
        found = call(a._replace(x=forward_ad.make_dual(a.x, tangent)))
        assert_close(tuple(forward_ad.unpack_dual(t).tangent for t in found), wanted, **EXACT)


@cases
def test_vmap_over_any_argument(cell, extras):
    a = make(cell, 4, 3, 2, 4, extras, lengths=True, reset=True)
    xs = torch.stack([a.x, 2 * a.x, -a.x], dim=1)
    found = torch.vmap(of_x(call, a), 1)(xs)
    assert_close(
        found, tuple(map(torch.stack, zip(*(expected(a._replace(x=x)) for x in xs.unbind(1)), strict=True))), **EXACT
    )
    Ws = torch.stack([a.W_hh, -a.W_hh])
    found = torch.vmap(lambda W: call(a._replace(W_hh=W)))(Ws)
    assert_close(found, tuple(map(torch.stack, zip(*(expected(a._replace(W_hh=W)) for W in Ws), strict=True))), **EXACT)


@cases
def test_gradients_of_each_sample(cell, extras):
    a = make(cell, 4, 3, 2, 4, [e for e in extras if e != "mask"])
    xs = torch.stack([a.x, 2 * a.x, -a.x])

    def loss(function):
        return lambda W, x: function(a._replace(W_hh=W, x=x))[0].square().sum()

    found = torch.vmap(torch.func.grad(loss(call)), (None, 0))(a.W_hh, xs)
    assert_close(found, torch.stack([torch.func.grad(loss(expected))(a.W_hh, x) for x in xs]), **EXACT)


@cases
def test_derivatives_of_derivatives(cell, extras):
    a = make(cell, 3, 2, 1, 3, [e for e in extras if e != "norm"], lengths=True)

    def loss(function):
        return lambda x: function(a._replace(x=x))[0].square().sum()

    for transform in (torch.func.hessian, torch.func.jacrev, torch.func.jacfwd):
        assert_close(transform(loss(call))(a.x), transform(loss(expected))(a.x), **EXACT)
    hessian = torch.autograd.functional.hessian
    for vectorize in (False, True):
        assert_close(hessian(loss(call), a.x, vectorize=vectorize), hessian(loss(expected), a.x), **EXACT)
        jacobian = torch.autograd.functional.jacobian(of_x(call, a), a.x, vectorize=vectorize)
        assert_close(jacobian, torch.autograd.functional.jacobian(of_x(expected, a), a.x), **EXACT)


@cases
@pytest.mark.parametrize("dynamic", [False, True])
def test_torch_compile_in_one_graph(cell, extras, dynamic):
    a = make(cell, 5, 3, 2, 4, extras, lengths=True, reset=True)
    state = (a.h_0, a.c_0) if cell == "lstm" else a.h_0
    options = {n: getattr(a, n) for n in Arguments._fields[LAST - 4 :] if getattr(a, n) is not None}
    options |= {"norm_ih": a.norm_ih, "norm_hh": a.norm_hh, "zoneout_h": a.zoneout_h}
    if cell == "lstm":
        options |= {"W_hr": a.W_hr, "peephole": a.peephole, "zoneout_c": a.zoneout_c}
    if cell == "rnn_relu":
        options["nonlinearity"] = "relu"

    def function(x, W_hh):
        return getattr(kernels, a.name)(x, state, a.W_ih, W_hh, a.b_ih, a.b_hh, **options)[0]

    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    given = [a.x.requires_grad_(), a.W_hh.requires_grad_()]
    found, wanted = compiled(*given), function(*given)
    assert torch.equal(found, wanted)
    for mine, other in zip(*(torch.autograd.grad(y.square().sum(), given) for y in (found, wanted)), strict=True):
        assert_close(mine, other, **EXACT)


def test_compiled_scans_and_reservoirs():
    a, b = torch.rand(5, 2, 3, requires_grad=True), torch.randn(5, 2, 3)
    torch.compiler.reset()
    compiled = torch.compile(lambda a: kernels.scan(a, b)[0], fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(a), kernels.scan(a, b)[0])
    weights = kernels.ReservoirWeights(torch.randn(9, 3), torch.randn(9, 9))
    compiled = torch.compile(
        lambda x: kernels.reservoir(x, None, weights, leak=0.3)[0], fullgraph=True, backend="aot_eager"
    )
    assert torch.equal(compiled(b), kernels.reservoir(b, None, weights, leak=0.3)[0])


def test_export_with_dynamic_batch_and_time():
    a = make("lstm", 7, 4, 3, 5)

    class Net(torch.nn.Module):
        def forward(self, x, lengths):
            return kernels.lstm(x, None, a.W_ih, a.W_hh, a.b_ih, a.b_hh, lengths=lengths)

    T, B = torch.export.Dim("T", min=2, max=100), torch.export.Dim("B", min=2, max=100)
    shapes = {"x": {0: T, 1: B}, "lengths": {0: B}}
    exported = torch.export.export(Net(), (a.x, torch.tensor([7, 3, 1, 2])), dynamic_shapes=shapes)
    assert any("elman.recurrence" in str(node.target) for node in exported.graph.nodes)
    x, lengths = torch.randn(11, 6, 3, dtype=torch.float64), torch.tensor([1, 11, 5, 0, 2, 9])
    assert_close(exported.module()(x, lengths), Net()(x, lengths), rtol=0, atol=0)


def test_a_trace_inside_torch_compile_is_refused():
    a = make("gru", 3, 2, 2, 4)
    torch.compiler.reset()
    compiled = torch.compile(
        lambda x: kernels.gru(x, None, a.W_ih, a.W_hh, trace=kernels.Trace())[0], fullgraph=True, backend="aot_eager"
    )
    with pytest.raises(Exception, match=r"a trace can't be taken inside torch\.compile"):
        compiled(a.x)


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_the_backward_op_refuses_what_does_not_fit(cell):
    a = make(cell, 4, 3, 2, 5)
    y, h_n, c_n, saved, c = torch.ops.elman.recurrence(*a[:FIRST], True, *a[FIRST:])
    dc_n = c_n if cell == "lstm" else None
    for change in ({"y": y[:3]}, {"dy": y[:, :2]}, {"dh_n": h_n.float()}, {"saved": y[:2]}):
        given = {"y": y, "saved": saved, "c": c, "dy": y, "dh_n": h_n, "dc_n": dc_n} | change
        with pytest.raises(ValueError, match=f"expected {next(iter(change))} "):
            torch.ops.elman.recurrence_backward(*a[:FIRST], True, *a[FIRST:], *given.values())
