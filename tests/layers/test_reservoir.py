"""Laws of reservoirs: they are fixed, scaled as asked, the same by every way to run them, and forget their start."""

import copy

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from torch.testing import assert_close

from elman.errors import InputError
from elman.layers import Reservoir
from elman.layers import topology as topologies
from elman.layers.topology import TOPOLOGIES, places, spectral_radius
from elman.models.sequence import recurrent

EXACT = {"rtol": 1e-11, "atol": 1e-11}  # float64, sums in another order
KINDS = [
    {},
    {"leak": 0.3},
    {"groups": 3, "leak": (0.1, 0.5, 1.0)},
    {"topology": "ring"},
    {"topology": "small-world"},
    {"topology": "block"},
    {"variant": "es2n", "leak": 0.4},
    {"variant": "es2n", "groups": 2, "leak": (0.4, 0.7)},
    {"bias": False, "num_layers": 3, "leak": 0.5},
    {"num_layers": 2, "bidirectional": True},
]
EVERY = pytest.mark.parametrize("options", KINDS, ids=str)


def make(options, N=23, **more):
    return Reservoir(3, N, seed=1, dtype=torch.float64, **options, **more)


def some_x(T=9, B=4):
    return torch.randn(T, B, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@EVERY
def test_it_has_no_parameters_and_one_seed_gives_one_reservoir(options):
    layer = make(options)
    assert not list(layer.parameters())
    same, other = make(options), Reservoir(3, 23, seed=2, dtype=torch.float64, **options)
    for name, buffer in layer.named_buffers():
        assert_close(buffer, same.get_buffer(name), rtol=0, atol=0)
    assert not torch.equal(layer.weight_ih_l0, other.weight_ih_l0)


@EVERY
def test_the_spectral_radius_is_as_asked(options):
    layer = make(options, N=60, spectral_radius=0.7)
    for layer_index, (got, sizes) in enumerate(zip(layer.spectral_radii(), [60] * 10, strict=False)):
        W = layer.matrix(layer_index).toarray()
        assert W.shape == (sizes, sizes)
        assert got == pytest.approx(np.abs(np.linalg.eigvals(W)).max(), rel=1e-8)
        assert got == pytest.approx(0.7, rel=1e-8)


@pytest.mark.parametrize("N", [199, 320])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_sparse_solver_finds_the_largest_eigenvalue(N, topology):
    W = Reservoir(1, N, topology=topology, seed=3, dtype=torch.float64).matrix()
    assert spectral_radius(W) == pytest.approx(np.abs(np.linalg.eigvals(W.toarray())).max(), rel=1e-7)


def test_where_the_sparse_solver_finds_nothing_the_growth_tells(monkeypatch):
    def none(*_, **__):
        raise topologies.ArpackNoConvergence("none", np.empty(0), np.empty((0, 0)))

    W = Reservoir(1, 300, seed=3, dtype=torch.float64).matrix()
    monkeypatch.setattr(topologies, "eigs", none)
    assert spectral_radius(W) == pytest.approx(0.9, rel=1e-7)
    monkeypatch.setattr(topologies, "ALL", 100)
    assert spectral_radius(W) == pytest.approx(0.9, rel=0.01)
    assert spectral_radius(sparse.csr_array(np.triu(np.ones((300, 300)), 1))) == 0


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize(("N", "entries"), [(1, 1), (7, 42), (30, 75), (64, 640)])
def test_connections_are_as_many_as_asked_and_none_is_twice(topology, N, entries):
    rows, columns = places(topology, N, entries, np.random.default_rng(0))
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
    assert len(rows) == (N if topology == "ring" else entries)
    assert rows.max() < N
    assert columns.max() < N
    counts = np.bincount(rows, minlength=N)
    assert counts.max() - counts.min() <= 1


def test_small_worlds_and_blocks_are_local():
    apart = {}
    for topology in ("random", "small-world", "block"):
        rows, columns = places(topology, 400, 4000, np.random.default_rng(0))
        steps = np.abs(rows - columns)
        apart[topology] = np.minimum(steps, 400 - steps)
    assert (apart["small-world"] <= 5).mean() == pytest.approx(0.9, abs=0.02)
    assert (apart["block"] < 20).mean() > 0.85
    assert (apart["random"] < 20).mean() < 0.15


@EVERY
def test_native_is_the_reference(options, monkeypatch):
    layer, x = make(options), some_x()
    lengths, reset = torch.tensor([9, 1, 0, 5]), torch.rand(9, 4, generator=torch.Generator().manual_seed(1)) < 0.2
    y, h = layer(x, lengths=lengths, reset=reset)
    monkeypatch.setenv("ELMAN_KERNEL", "reference")
    assert_close(layer(x, lengths=lengths, reset=reset), (y, h), **EXACT)


@EVERY
def test_steps_pieces_and_other_layouts_give_the_whole(options):
    layer, x = make(options), some_x()
    y, h = layer(x)
    assert y.shape == (9, 4, layer.output_size)
    first = make(options, batch_first=True)
    assert_close(first(x.transpose(0, 1))[0], y.transpose(0, 1), **EXACT)
    if layer.bidirectional:
        return
    one, state = layer(x[:4])
    two, state = layer(x[4:], state)
    assert_close((torch.cat([one, two]), state), (y, h), **EXACT)
    state = None
    for t in range(9):
        y_t, state = layer.step(x[t], state)
        assert_close(y_t, y[t], **EXACT)
    assert_close(state, h, **EXACT)
    traced = layer(x, trace=True)[2]
    assert_close(torch.cat([record.h for record in traced.layers], dim=-1), y, **EXACT)


def test_es2n_is_its_equation():
    layer, x = make({"variant": "es2n", "leak": 0.4}, N=6), some_x(T=3, B=1)
    O = layer.turn_l0
    assert_close(O @ O.T, torch.eye(6, dtype=torch.float64), **EXACT)
    h, W = torch.zeros(6, dtype=torch.float64), torch.from_numpy(layer.matrix().toarray())
    for t in range(3):
        h = 0.6 * (O @ h) + 0.4 * torch.tanh(layer.weight_ih_l0 @ x[t, 0] + W @ h + layer.bias_l0)
    assert_close(layer(x)[1][0, 0], h, **EXACT)


def test_groups_know_nothing_of_each_other():
    layer = make({"groups": 3, "leak": (0.1, 0.5, 1.0)}, N=24)
    W = layer.matrix().toarray()
    W[:8, :8] = W[8:16, 8:16] = W[16:, 16:] = 0
    assert not W.any()


@EVERY
def test_a_reservoir_whose_norm_is_below_one_forgets_its_start(options):
    """|h_t - h'_t| shrinks at least by (1 - leak) + leak * |W|: tanh never stretches, nor does a turn."""
    layer, x = make(options), some_x(T=400, B=2)
    if layer.bidirectional:
        return
    for weights in layer._all_weights():
        weights["values"] *= 0.9 / np.linalg.norm(layer.matrix().toarray(), 2)
    starts = torch.randn(2, layer.num_layers, 2, 23, dtype=torch.float64)
    ends = [layer(x, start)[1] for start in starts]
    assert_close(ends[0], ends[1], rtol=0, atol=1e-6)


def test_changed_weights_are_seen_and_copies_stand_alone():
    layer, x = make({}), some_x()
    y = layer(x)[0]
    twin = copy.deepcopy(layer)
    layer.values_l0.mul_(0.5)
    assert not torch.allclose(layer(x)[0], y)
    assert_close(twin(x)[0], y, rtol=0, atol=0)
    assert_close(twin.float()(x.float())[0].double(), y, rtol=1e-4, atol=1e-5)
    twin = make({})
    twin.load_state_dict(layer.state_dict())
    assert_close(twin(x)[0], layer(x)[0], rtol=0, atol=0)


def test_it_can_be_made_without_numbers():
    with torch.device("meta"):
        empty = Reservoir(3, 5000, num_layers=2)
    full = Reservoir(3, 20, seed=1, num_layers=2)
    assert {n for n, _ in empty.named_buffers()} == {n for n, _ in full.named_buffers()}
    with torch.device("meta"):
        empty = Reservoir(3, 20, num_layers=2)
    assert {n: b.shape for n, b in empty.named_buffers()} == {n: b.shape for n, b in full.named_buffers()}
    empty.load_state_dict(full.state_dict(), assign=True)
    assert_close(empty(torch.ones(4, 2, 3)), full(torch.ones(4, 2, 3)), rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "leak": 0.5}, {"variant": "es2n", "leak": 0.5}])
def test_plasticity_makes_the_units_as_wide_as_asked(options):
    layer = make({**options, "input_scaling": 3.0, "bias_scaling": 1.0}, N=40)
    x = some_x(T=3000, B=1)
    with pytest.raises(InputError, match=r"smaller than 0\.1"):
        copy.deepcopy(layer).adapt(x, rate=0.1)

    def spreads():
        return layer(x)[0][100:].std(0)

    if layer.leaks == [1.0]:
        before = (spreads() - 0.2).abs().mean()
        layer.adapt(x, epochs=8, spread=0.2)
        y = layer(x)[0][100:]
        assert (spreads() - 0.2).abs().mean() < 0.1 * before
        assert y.mean().abs() < 0.02
    else:
        radii = layer.spectral_radii()
        layer.adapt(x[:500], rate=1e-4)
        assert all(abs(a - b) > 1e-3 for a, b in zip(radii, layer.spectral_radii(), strict=True))


def test_a_gradient_goes_through_the_reference():
    layer, x = make({"leak": 0.5}), some_x().requires_grad_()
    layer(x)[0].sum().backward()
    assert x.grad.abs().sum() > 0


def test_models_know_it_as_esn():
    layer = recurrent("esn", 3, 8, 2, 0.0, leak=0.5)
    assert layer(torch.ones(2, 5, 3))[0].shape == (2, 5, 16)
    assert repr(layer) == "Reservoir(3, 8, num_layers=2, batch_first=True, leak=0.5)"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spectral_radius": 0}, "spectral_radius=0"),
        ({"spectral_radius": float("nan")}, "spectral_radius=nan"),
        ({"density": 0.001}, "the reservoir is empty"),
        ({"density": 0}, "density=0"),
        ({"density": 0.006}, "no loop"),
        ({"density": 0.5, "connections": 3}, "say the same"),
        ({"connections": 0}, "connections=0"),
        ({"leak": 0}, "leak=0"),
        ({"leak": (0.1, 0.2)}, "for each of 1 groups"),
        ({"groups": 21}, "groups=21"),
        ({"topology": "star"}, "random, ring, small-world, block"),
        ({"variant": "liquid"}, "leaky, es2n"),
        ({"input_scaling": (1.0, 2.0)}, "each of 3 inputs"),
    ],
)
def test_bad_settings_are_told(options, said):
    with pytest.raises(InputError, match=said):
        Reservoir(3, 20, seed=0, **options)
