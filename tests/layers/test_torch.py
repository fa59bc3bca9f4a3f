"""What PyTorch's users do with a module, done with these layers."""

import copy
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed import TCPStore
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vmap
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.testing import assert_close

from elman import kernels, layers

RNN, LSTM, GRU = layers.RNN, layers.LSTM, layers.GRU
MinGRU, MinLSTM, RGLRU, LRU, SLSTM = layers.MinGRU, layers.MinLSTM, layers.RGLRU, layers.LRU, layers.SLSTM
TABLE = [
    *((cls, {}) for cls in (RNN, LSTM, GRU)),
    (LSTM, {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    (LSTM, {"layer_norm": True, "peephole": True, "zoneout": 0.2}),
    *((cls, {"layer_norm": True, "recurrent_dropout": 0.3, "weight_dropout": 0.2}) for cls in (RNN, GRU)),
    (GRU, {"learned_state": True, "zoneout": 0.2}),
    *((cls, {}) for cls in (MinGRU, MinLSTM, RGLRU, LRU, SLSTM)),
    *((cls, {"num_layers": 2, "bidirectional": True, "learned_state": True}) for cls in (MinGRU, LRU)),
]
EVERY = pytest.mark.parametrize(
    ("cls", "options"),
    TABLE,
    ids=["-".join([cls.__name__, *(f"{k}={v}" for k, v in options.items())]) for cls, options in TABLE],
)
EXACT = {"rtol": 1e-10, "atol": 1e-10}  # float64, a few steps


def make(cls, options=None, *sizes, seed=0, dtype=torch.float64, **more):
    torch.manual_seed(seed)
    return cls(*(sizes or (3, 4)), **(options or {}), **more, dtype=dtype)


def some_x(T=5, B=2, I=3, dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randn(T, B, I, dtype=dtype)


def leaves(result):
    y, state = result
    return [y, *(state if isinstance(state, tuple) else (state,))]


def loss_of(result):
    return sum((t.square() * torch.linspace(0.5, 1.5, t.numel()).reshape(t.shape)).sum() for t in leaves(result))


@pytest.fixture
def compiler():
    """torch.compile from a clean start. Its own warnings of things to come are none of ours."""
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.compiler.reset()


class Model(nn.Module):
    """A layer in the middle of other things."""

    def __init__(self, layer):
        super().__init__()
        self.before = nn.Linear(3, 3, dtype=torch.float64)
        self.layer = layer
        self.after = nn.Linear(layer.output_size, 2, dtype=torch.float64)

    def forward(self, x, state=None, lengths=None, reset=None):
        y, state = self.layer(self.before(x), state, lengths=lengths, reset=reset)
        return self.after(y), state


@EVERY
def test_compile_without_a_graph_break(cls, options, compiler):
    model = Model(make(cls, options)).eval()
    x = some_x().requires_grad_()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    _, state = model(x)
    state = tuple(t.detach() for t in state) if isinstance(state, tuple) else state.detach()
    more = {"lengths": torch.tensor([5, 3])}
    if not options.get("learned_state"):
        more["reset"] = torch.rand(5, 2) < 0.3
    for given in ({}, {"state": state}, more):
        found, expected = compiled(x, **given), model(x, **given)
        assert_close(found, expected, **EXACT)
        assert_gradients_agree(model, x, found, expected)


def assert_gradients_agree(model, x, *results):
    inputs = [x, *model.parameters()]
    assert_close(*(torch.autograd.grad(loss_of(r), inputs, materialize_grads=True, allow_unused=True) for r in results))


@EVERY
def test_compile_while_training(cls, options, compiler):
    """Draws come from the compiler's generator there, so what is compared is a layer whose draws leave no choice."""
    sure = {k: (1.0 if "dropout" in k or k == "zoneout" else v) for k, v in options.items()}
    model = Model(make(cls, sure)).train()
    x = some_x().requires_grad_()
    found, expected = torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x)
    assert_close(found, expected, **EXACT)
    assert_gradients_agree(model, x, found, expected)
    drawing = Model(make(cls, options)).train()
    compiled = torch.compile(drawing, fullgraph=True, backend="aot_eager")
    drawn = any("dropout" in k or k == "zoneout" for k in options)
    assert torch.equal(compiled(x)[0], compiled(x)[0]) != drawn


@EVERY
def test_export_with_dynamic_batch_and_time(cls, options, compiler):
    model = Model(make(cls, options)).eval()
    _, state = model(some_x())
    B, T = torch.export.Dim("B", min=2, max=100), torch.export.Dim("T", min=2, max=1000)
    states = ({1: B},) * len(state) if isinstance(state, tuple) else {1: B}
    unrolled = cls is SLSTM  # a loop in Python, so for one length
    shapes = {"x": {1: B} if unrolled else {0: T, 1: B}, "state": states}
    exported = torch.export.export(model, (some_x(), state), dynamic_shapes=shapes)
    for steps, batch in ((5, 2), (5 if unrolled else 9, 7)):
        x = some_x(steps, batch)
        _, first = model(x.flip(0))
        assert_close(exported.module()(x, first), model(x, first), **EXACT)


@EVERY
def test_vmap_over_inputs_and_over_models(cls, options):
    layer = make(cls, options).eval()
    xs = torch.stack([some_x(), some_x() * 2, -some_x()])
    assert_close(vmap(layer)(xs), stacked([layer(x) for x in xs]), **EXACT)
    others = [make(cls, options, seed=seed).eval() for seed in range(3)]
    parameters, buffers = stack_module_state(others)

    def call(parameters, buffers, x):
        return functional_call(layer, (parameters, buffers), (x,))

    expected = stacked([other(xs[0]) for other in others])
    assert_close(vmap(call, in_dims=(0, 0, None))(parameters, buffers, xs[0]), expected, **EXACT)


def stacked(results):
    first = results[0][1]
    ys = torch.stack([y for y, _ in results])
    if isinstance(first, torch.Tensor):
        return ys, torch.stack([state for _, state in results])
    return ys, tuple(torch.stack(part) for part in zip(*(state for _, state in results), strict=True))


@EVERY
def test_gradients_of_single_sequences(cls, options):
    layer = make(cls, options).eval()
    x = some_x(B=3)
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(parameters, one):
        return loss_of(functional_call(layer, parameters, (one,)))

    found = vmap(grad(loss), in_dims=(None, 1))(parameters, x)
    for b in range(3):
        expected = torch.autograd.grad(loss_of(layer(x[:, b])), list(layer.parameters()), allow_unused=True)
        for name, value in zip(parameters, expected, strict=True):
            assert_close(found[name][b], torch.zeros_like(parameters[name]) if value is None else value, **EXACT)


@pytest.mark.parametrize("option", ["zoneout", "recurrent_dropout", "weight_dropout", "dropout"])
@pytest.mark.parametrize("cls", [RNN, LSTM, GRU])
def test_vmap_draws_for_each_or_once_as_it_is_told(cls, option):
    layer = make(cls, {option: 0.5}, 3, 8, num_layers=2)
    x = some_x()[:, 0].expand(4, -1, -1)
    different = vmap(lambda x: layer(x)[0], randomness="different")(x)
    assert not torch.allclose(different[0], different[1])
    same = vmap(lambda x: layer(x)[0], randomness="same")(x)
    assert_close(same[0], same[1], **EXACT)
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda x: layer(x)[0])(x)


# Forward mode within torch still compiles some of its rules by torch.jit.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@EVERY
def test_jvp_is_the_jacobian_times_the_direction(cls, options):
    layer = make(cls, options).eval()
    x = some_x()
    direction = torch.randn_like(x)
    y, tangent = jvp(lambda x: layer(x)[0], (x,), (direction,))
    assert_close(y, layer(x)[0], **EXACT)
    step = 1e-6
    difference = (layer(x + step * direction)[0] - layer(x - step * direction)[0]) / (2 * step)
    assert_close(tangent, difference, rtol=1e-6, atol=1e-8)  # the difference's own error is of the order of step^2
    assert_close(torch.einsum("tbhijk,ijk->tbh", jacrev(lambda x: layer(x)[0])(x), direction), tangent, **EXACT)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        assert_close(torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent, tangent, **EXACT)


@EVERY
def test_double_backward_is_the_references_and_finite_differences(cls, options, monkeypatch):
    layer = make(cls, options, 2, 3).eval()
    x = some_x(3, 2, 2).requires_grad_()
    found = []
    for kernel in ("", "reference"):
        monkeypatch.setenv("ELMAN_KERNEL", kernel)
        (dx,) = torch.autograd.grad(loss_of(layer(x)), x, create_graph=True)
        found.append(torch.autograd.grad(dx.square().sum(), [x, *layer.parameters()], allow_unused=True))
    assert_close(*found, **EXACT)
    monkeypatch.setenv("ELMAN_KERNEL", "")
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,), fast_mode=True)


@EVERY
def test_autocast_to_bfloat16_computes_in_the_weights_precision(cls, options):
    """The layer itself loses nothing: what is lost is in an input that came as bfloat16, 2^-9 of each number."""
    layer = make(cls, options, dtype=torch.float32).eval()
    x = some_x(dtype=torch.float32)
    y, state = layer(x)
    short = make(cls, options).double().eval()
    short.load_state_dict(layer.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(layer(x), (y, state), rtol=0, atol=0)
        assert_close(layer(x, state), layer(x, state), rtol=0, atol=0)
        rounded = x.bfloat16()
        found = layer(rounded)
        assert found[0].dtype == torch.float32
        loss_of(found).backward()
    assert_close([t.double() for t in leaves(found)], leaves(short(rounded.double())), rtol=0, atol=1e-5)
    assert_close(found[0], y, rtol=0, atol=0.03)
    assert all(
        p.grad is None or (p.grad.dtype == torch.float32 and p.grad.isfinite().all()) for p in layer.parameters()
    )


@pytest.mark.parametrize("cls", [RNN, LSTM, GRU])
def test_bfloat16_weights_run(cls):
    layer = make(cls, {}, 3, 16)
    x = some_x(20)
    y, _ = layer(x)
    found, _ = copy.deepcopy(layer).bfloat16()(x.bfloat16())
    assert found.dtype == torch.bfloat16
    # Rounding to 8 bits, 2^-9 of each number, at every one of 20 contracting steps.
    assert_close(found.double(), y, rtol=0, atol=0.03)


@pytest.mark.parametrize("parametrization", [weight_norm, spectral_norm])
@EVERY
def test_parametrized_weights(cls, options, parametrization):
    """The layer computes with what the parametrization gives, and gradients reach what it is made of."""
    layer = make(cls, options).eval()
    name = "weight_hh_l0" if hasattr(layer, "weight_hh_l0") else "weight_ih_l0"
    parametrization(layer, name)
    plain = make(cls, options).eval()
    with torch.no_grad():
        getattr(plain, name).copy_(getattr(layer, name))
    x = some_x()
    assert_close(layer(x), plain(x), **EXACT)
    if parametrization is spectral_norm:
        assert torch.linalg.matrix_norm(getattr(layer, name), 2).item() == pytest.approx(1, abs=0.1)
    loss_of(layer(x)).backward()
    made_of = list(layer.parametrizations[name].parameters())
    assert made_of
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in made_of)
    other = make(cls, options, seed=5).eval()
    parametrization(other, name)
    other.load_state_dict(layer.state_dict())
    assert_close(other(x), layer(x), **EXACT)


@EVERY
def test_an_optimizer_and_a_dictionary_of_states(cls, options):
    layer = make(cls, options)
    x = some_x(B=8)
    with torch.no_grad():
        target = make(cls, options, seed=7).eval()(x)[0]
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    losses = []
    for _ in range(40):
        loss = (layer(x)[0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.7 * losses[0]


@pytest.fixture
def ran(monkeypatch):
    """Which implementations ran; each gives zeros, for there is nothing to compute with."""
    seen = []

    def spy(name):
        def run(a, *rest, **more):
            seen.append(name)
            (T, B, _), R = a.x.shape, a.W_hh.shape[1]
            sizes = (R, a.hidden_size) if a.name == "lstm" else (R,)
            return a.x.new_zeros(T, B, R), tuple(a.x.new_zeros(B, size) for size in sizes)

        return run

    for name, module in (("native", kernels.ops), ("torch", kernels.fused), ("reference", kernels.reference)):
        monkeypatch.setattr(module, "run", spy(name))
    return seen


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize(
    ("cls", "options", "expected"),
    [
        *((cls, {}, "torch") for cls in (RNN, LSTM, GRU)),
        (RNN, {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True}, "torch"),
        (LSTM, {"proj_size": 2, "bias": False}, "torch"),
        (LSTM, {"weight_dropout": 0.5}, "torch"),
        *((cls, {"layer_norm": True}, "reference") for cls in (RNN, LSTM, GRU)),
        *((cls, {"recurrent_dropout": 0.5}, "reference") for cls in (RNN, LSTM, GRU)),
        *((cls, {"zoneout": 0.5}, "reference") for cls in (RNN, LSTM, GRU)),
        (LSTM, {"peephole": True}, "reference"),
    ],
)
def test_another_device_runs_torchs_own_where_it_can(cls, options, expected, device, ran, monkeypatch):
    """Tensors that only claim to be there. The chooser, which sends what is no plain tensor to the reference, has to
    be kept from seeing that these are none."""
    monkeypatch.setattr(kernels, "_transformed", lambda tensors: None)
    monkeypatch.setattr(cls, "reset_parameters", lambda self: None)  # which such tensors can't do
    with FakeTensorMode(), torch.no_grad():
        layer = cls(3, 4, **options, device=device)
        assert {p.device.type for p in layer.parameters()} == {device}
        y, _ = layer(torch.zeros(5, 2, 3, device=device))
        assert y.device.type == device
        assert set(ran) == {expected}
        ran.clear()
        layer(torch.zeros(5, 2, 3, device=device), trace=True)
        if not layer.bidirectional:  # cutting such tensors is more than they can do
            layer(torch.zeros(5, 2, 3, device=device), reset=torch.zeros(5, 2, dtype=torch.bool, device=device))
        assert set(ran) == {"reference"}


def test_two_processes_give_the_gradients_of_one():
    meeting = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    script = Path(__file__).with_name("two_processes.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(meeting.port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    finally:  # one that waits for the other must not outlive the test
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    assert all("the same gradients" in output for output in outputs)
