"""The cells beyond the classics against their papers' equations, written out here a step at a time."""

import math

import pytest
import torch
from torch.nn.functional import softplus
from torch.testing import assert_close

from elman import layers

NAMES = ["MinGRU", "MinLSTM", "RGLRU", "LRU", "SLSTM"]
# float64; sums in another order over up to 60 steps.
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def make(name, *sizes, seed=0, **options):
    """A layer in float64 whose parameters all differ, biases included."""
    torch.manual_seed(seed)
    layer = getattr(layers, name)(*sizes, **options).double()
    for parameter in layer.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return layer


def g(v):
    return torch.where(v >= 0, v + 0.5, torch.sigmoid(v))


def mingru_by_hand(w, x, g=lambda v: v):
    h = torch.zeros(x.shape[1], 5).double()
    for x_t in x:
        z, n = (x_t @ w["weight_ih_l0"].T + w["bias_ih_l0"]).split(5, dim=1)
        z, n = torch.sigmoid(z), g(n)
        h = (1 - z) * h + z * n
        yield h


def minlstm_by_hand(w, x, g=lambda v: v):
    h = torch.zeros(x.shape[1], 5).double()
    for x_t in x:
        i, f, n = (x_t @ w["weight_ih_l0"].T + w["bias_ih_l0"]).split(5, dim=1)
        i, f, n = torch.sigmoid(i), torch.sigmoid(f), g(n)
        h = f / (f + i) * h + i / (f + i) * n
        yield h


def rglru_by_hand(w, x):
    h = torch.zeros(x.shape[1], 5).double()
    for x_t in x:
        r, i, u = (x_t @ w["weight_ih_l0"].T + w["bias_ih_l0"]).split(5, dim=1)
        a = torch.exp(-softplus(w["Lambda_l0"])) ** (8 * torch.sigmoid(r))
        h = a * h + torch.sqrt(1 - a**2) * torch.sigmoid(i) * u
        yield h


def lru_by_hand(w, x):
    B, C = torch.complex(*w["weight_ih_l0"].split(5)), torch.complex(*w["weight_ho_l0"].split(5, dim=1))
    a = torch.exp(-torch.exp(w["nu_log_l0"]) + 1j * torch.exp(w["theta_log_l0"]))
    h = torch.zeros(x.shape[1], 5, dtype=torch.complex128)
    for x_t in x:
        h = a * h + torch.exp(w["gamma_log_l0"]) * (x_t.to(B.dtype) @ B.T)
        yield (h @ C.T).real + x_t @ w["weight_io_l0"].T + w["bias_o_l0"]


def slstm_by_hand(w, x, heads=1):
    """The paper's equations 8 to 12 without a stabiliser, which small numbers do not need."""
    H = w["weight_hh_l0"].shape[0] // 4
    blocks = w["weight_hh_l0"].view(4, heads, H // heads, H // heads)
    R = torch.cat([torch.block_diag(*gate) for gate in blocks])
    h = c = n = torch.zeros(x.shape[1], H).double()
    for x_t in x:
        i, f, z, o = (x_t @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ R.T).split(H, dim=1)
        i, f, z, o = torch.exp(i), torch.sigmoid(f), torch.tanh(z), torch.sigmoid(o)
        c, n = f * c + i * z, f * n + i
        h = o * c / n
        yield h


@pytest.mark.parametrize(
    ("name", "by_hand", "options"),
    [
        ("MinGRU", mingru_by_hand, {}),
        ("MinGRU", lambda w, x: mingru_by_hand(w, x, g), {"nonlinearity": "positive"}),
        ("MinLSTM", minlstm_by_hand, {}),
        ("MinLSTM", lambda w, x: minlstm_by_hand(w, x, g), {"nonlinearity": "positive"}),
        ("RGLRU", rglru_by_hand, {}),
        ("LRU", lru_by_hand, {}),
        ("SLSTM", slstm_by_hand, {}),
    ],
)
def test_a_cell_is_its_papers_equation_gradients_included(name, by_hand, options):
    layer = make(name, 4, 5, **options)
    x = torch.randn(60, 3, 4).double().requires_grad_()
    weights = dict(layer.named_parameters())
    y, expected = layer(x)[0], torch.stack(list(by_hand(weights, x)))
    assert_close(y, expected, **EXACT)
    dy = torch.randn_like(y)
    gradients = [torch.autograd.grad(result, [x, *weights.values()], dy) for result in (y, expected)]
    assert_close(*gradients, **EXACT)


@pytest.mark.parametrize("heads", [2, 3, 6])
def test_slstm_heads_are_blocks_of_the_recurrent_matrix(heads):
    layer = make("SLSTM", 4, 6, num_heads=heads)
    x = torch.randn(20, 3, 4).double()
    weights = dict(layer.named_parameters())
    y, expected = layer(x)[0], torch.stack(list(slstm_by_hand(weights, x, heads)))
    assert_close(y, expected, **EXACT)
    dy = torch.randn_like(y)
    assert_close(*[torch.autograd.grad(result, [*weights.values()], dy) for result in (y, expected)], **EXACT)
    h = torch.zeros(1, 3, 6).double()
    h[..., 0] = 1  # head 0 alone sees it
    moved = (layer(x[:1], (h, *(torch.zeros_like(h),) * 3))[0] != layer(x[:1])[0]).any(1).squeeze(0)
    assert moved.tolist() == [True] * (6 // heads) + [False] * (6 - 6 // heads)


@pytest.mark.parametrize("name", NAMES)
def test_law_steps_and_chunks_with_a_carried_state_are_the_whole(name):
    layer = make(name, 4, 6, num_layers=2)
    x = torch.randn(20, 3, 4).double()
    reset = torch.rand(20, 3) < 0.2
    for mask in (None, reset):
        y, after = layer(x, reset=mask)
        for sizes in ([1] * 20, [1, 12, 7]):
            state, ys = None, []
            for part, mask_part in zip(
                x.split(sizes), [None] * 20 if mask is None else mask.split(sizes), strict=False
            ):
                y_part, state = layer(part, state, reset=mask_part)
                ys.append(y_part)
            assert_close(torch.cat(ys), y, **EXACT)
            assert_close(state, after, **EXACT)
    state, ys = None, []
    for x_t in x:
        y_t, state = layer.step(x_t, state)
        ys.append(y_t)
    assert_close(torch.stack(ys), layer(x)[0], **EXACT)


def minlstm_in_logarithms(w, x, h_0, state_through_g):
    """minLSTM as its paper's appendix B computes it in parallel, by logarithms.

    A published implementation sends the carried state through g as well, as if it were a candidate.
    """
    i, f, n = (x @ w["weight_ih_l0"].T + w["bias_ih_l0"]).split(5, dim=-1)
    difference = softplus(-f) - softplus(-i)
    log_f = torch.nn.functional.pad(-softplus(difference), (0, 0, 0, 0, 1, 0)).cumsum(0)
    log_h_0 = (g(h_0) if state_through_g else h_0).log()
    return torch.exp(log_f + torch.logcumsumexp(torch.cat([log_h_0, -softplus(-difference) + g(n).log()]) - log_f, 0))[
        1:
    ]


def test_minlstm_carries_its_state_right_where_a_published_implementation_does_not():
    layer = make("MinLSTM", 4, 5, nonlinearity="positive")
    w, x = dict(layer.named_parameters()), torch.randn(30, 3, 4).double()
    whole, _ = layer(x)
    _, h = layer(x[:10])
    ours, _ = layer(x[10:], h)
    assert_close(ours, whole[10:], **EXACT)
    # The state is what y gave last, as it stands, and gates are normalised with it and without it.
    assert_close(h[0], whole[9], **EXACT)
    assert_close(minlstm_in_logarithms(w, x[10:], h, state_through_g=False), whole[10:], rtol=1e-8, atol=1e-8)
    theirs = minlstm_in_logarithms(w, x[10:], h, state_through_g=True)
    assert (theirs - whole[10:]).abs().max() > 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e3, 1e-3])
def test_extreme_inputs_give_finite_results_and_gradients(name, scale):
    layer = make(name, 4, 6).float()
    x = (scale * torch.randn(30, 3, 4)).requires_grad_()
    y, state = layer(x)
    y.sum().backward()
    for t in (y, *(state if isinstance(state, tuple) else [state]), x.grad, *(p.grad for p in layer.parameters())):
        assert t.isfinite().all()


def test_minlstm_gates_keep_their_ratio_where_both_are_almost_shut():
    layer = make("MinLSTM", 1, 1)
    layer.load_state_dict(
        {
            "weight_ih_l0": torch.tensor([[0.0], [0.0], [1.0]]),
            "bias_ih_l0": torch.tensor([-2000.0, -2000.0 + math.log(3), 0.0], dtype=torch.float64),
        }
    )
    # i : f = 1 : 3, though both are zero in float64.
    assert_close(layer(torch.ones(1, 1, 1).double())[0].item(), 0.25)


def test_slstm_normaliser_is_at_least_one_and_a_zero_state_is_none():
    layer = make("SLSTM", 4, 6).float()
    x = 30 * torch.randn(50, 3, 4)
    zeros = (torch.zeros(1, 3, 6),) * 4
    assert_close(layer(x), layer(x, zeros), rtol=0, atol=0)
    for length in range(1, 50):
        assert (layer(x[:length])[1][2] >= 1).all()
    given = tuple(torch.randn(1, 3, 6) for _ in range(4))
    assert_close(layer(x, given, lengths=[0, 0, 0])[1], given, rtol=0, atol=0)
    assert_close(layer(x, zeros, lengths=[0, 0, 0])[1], zeros, rtol=0, atol=0)


def test_slstm_starts_anew_at_a_reset_however_small_the_input_gate():
    layer = make("SLSTM", 1, 2).float()
    with torch.no_grad():
        layer.bias_ih_l0[:2] = -300.0  # exp(-300) is zero in float32
    x = torch.randn(6, 1, 1)
    reset = torch.tensor([False, False, True, False, False, False])[:, None]
    assert_close(layer(x, reset=reset)[0][2:], layer(x[2:])[0], rtol=0, atol=0)
    assert layer(x, reset=reset)[0].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_knows_the_gradient_of_every_h(name):
    layer = make(name, 4, 5)
    x, lengths = torch.randn(9, 3, 4).double(), torch.tensor([9, 4, 7])
    dy = torch.randn(9, 3, 5).double()
    y, _, trace = layer(x, lengths=lengths, trace=True)
    assert_close(y, layer(x, lengths=lengths)[0], **EXACT)
    y.backward(dy)
    # dL/dh_t, found by stopping after step t and perturbing what is carried on from there.
    for t in range(9):
        alive = lengths > t
        _, state = layer(x[: t + 1], lengths=lengths.clamp(max=t + 1))
        parts = [part.detach().requires_grad_() for part in (state if isinstance(state, tuple) else (state,))]
        total = torch.zeros(()).double()
        if t < 8:
            given = tuple(parts) if isinstance(state, tuple) else parts[0]
            rest, _ = layer(x[t + 1 :], given, lengths=(lengths - t - 1).clamp(min=0))
            total = total + (rest * dy[t + 1 :]).sum()
        if name == "LRU":
            C = torch.complex(*layer.weight_ho_l0.split(5, dim=1))
            total = total + ((torch.complex(*parts[0][0].split(5, dim=1)) @ C.T).real * dy[t])[alive].sum()
        else:
            total = total + (parts[0][0] * dy[t])[alive].sum()
        (gradient,) = torch.autograd.grad(total, parts[:1])
        assert_close(trace.grad_norm[t, 0], gradient[:, alive].norm(), **EXACT)


def test_the_trace_holds_the_gates():
    x = torch.randn(9, 3, 4).double()
    for name, letters in (("MinGRU", "nz"), ("MinLSTM", "fgi"), ("RGLRU", "iru"), ("LRU", ""), ("SLSTM", "fgio")):
        layer = make(name, 4, 5)
        y, _, trace = layer(x, lengths=[9, 0, 5], trace=True)
        seen = trace.layers[0]
        assert "".join(sorted(seen.gates)) == "".join(sorted(seen.bars)) == letters
        assert all(t.shape == (9, 3, 5) and (t[:, 1] == 0).all() for t in (*seen.gates.values(), *seen.bars.values()))
    seen, h = trace.layers[0], torch.zeros(3, 5).double()
    assert_close(seen.gates["o"] * (seen.bars["o"] != 0), torch.sigmoid(seen.bars["o"]) * (seen.bars["o"] != 0))
    layer = make("MinGRU", 4, 5)
    y, _, trace = layer(x, trace=True)
    z, n = trace.layers[0].gates["z"], trace.layers[0].gates["n"]
    for t in range(9):
        h = (1 - z[t]) * h + z[t] * n[t]
        assert_close(h, y[t], **EXACT)
    assert_close(z, torch.sigmoid(trace.layers[0].bars["z"]), **EXACT)


def test_rglru_forgets_as_slowly_as_its_paper_says():
    torch.manual_seed(0)
    a = torch.exp(-8 * softplus(layers.RGLRU(4, 10_000).Lambda_l0))
    assert a.min() > 0.8999 and a.max() < 0.9991
    assert a.mean().item() == pytest.approx(0.9495, abs=0.001)  # uniform: a standard error of 0.0003


def test_lru_starts_in_its_ring_and_keeps_the_size_of_white_noise():
    torch.manual_seed(0)
    layer = layers.LRU(16, 4_000, r_min=0.9, r_max=0.999, max_phase=math.pi / 10)
    size = torch.exp(-torch.exp(layer.nu_log_l0))
    angle = torch.exp(layer.theta_log_l0)
    assert size.min() > 0.8999 and size.max() < 0.9991 and angle.min() > 0 and angle.max() < math.pi / 10 + 1e-6
    # Uniform on the ring's area: half of it lies outside the radius whose square is in the middle.
    assert (size**2 > (0.9**2 + 0.999**2) / 2).float().mean().item() == pytest.approx(0.5, abs=0.04)
    layer = layers.LRU(16, 200, r_min=0.9, r_max=0.99)
    _, h = layer(torch.randn(500, 200, 16))
    # Of each complex unit, E|h|^2 = gamma^2 E|Bx|^2 / (1 - |lambda|^2) = E|Bx|^2 = 1.
    assert h.square().sum().item() / (200 * 200) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("name", "options", "row", "value"),
    [("MinGRU", {"forget_bias": 3.0}, 0, -3.0), ("MinLSTM", {"forget_bias": 2.0}, 1, 2.0)],
)
def test_forget_bias(name, options, row, value):
    layer = getattr(layers, name)(4, 5, num_layers=2, bidirectional=True, **options)
    for parameter in (layer.bias_ih_l0, layer.bias_ih_l1_reverse):
        assert (parameter.view(-1, 5)[row] == value).all()
        assert (parameter.view(-1, 5)[1 - row] != value).all()


def test_lru_state_is_real_and_half_real_half_imaginary():
    layer = make("LRU", 4, 5)
    x = torch.randn(1, 3, 4).double()
    _, h = layer(x)
    B = torch.complex(*layer.weight_ih_l0.split(5))
    expected = torch.exp(layer.gamma_log_l0) * (x[0].to(B.dtype) @ B.T)
    assert_close(h[0], torch.cat([expected.real, expected.imag], dim=1), **EXACT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.MinGRU(3, 4, nonlinearity="tanh"), "MinGRU: expected nonlinearity 'linear' or 'positive'"),
        (lambda: layers.MinLSTM(3, 4, bias=False, forget_bias=1.0), "MinLSTM: forget_bias=1.0 needs biases"),
        (lambda: layers.LRU(3, 4, r_min=0.9, r_max=0.9), "0 <= r_min < r_max <= 1, found r_min=0.9 and r_max=0.9"),
        (lambda: layers.LRU(3, 4, max_phase=0.0), "max_phase above 0, found 0.0"),
        (lambda: layers.SLSTM(3, 4, num_heads=3), "num_heads to divide hidden_size=4, found 3"),
        (lambda: layers.SLSTM(3, 4)(torch.zeros(2, 1, 3), torch.zeros(1, 1, 4)), "as 4 tensors (h, c, n, m), found 1"),
        (lambda: layers.LRU(3, 4)(torch.zeros(2, 1, 3), torch.zeros(1, 1, 4)), "state's h of shape (1, 1, 8)"),
    ],
)
def test_an_error_says_what_was_expected_and_found(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_settings_show_in_the_repr():
    assert repr(layers.MinGRU(3, 4)) == "MinGRU(3, 4)"
    assert repr(layers.MinLSTM(3, 4, 2, forget_bias=1.0)) == "MinLSTM(3, 4, num_layers=2, forget_bias=1.0)"
    assert repr(layers.SLSTM(3, 4, num_heads=2)) == "SLSTM(3, 4, num_heads=2)"
    assert repr(layers.LRU(3, 4, r_min=0.5)) == "LRU(3, 4, r_min=0.5)"
