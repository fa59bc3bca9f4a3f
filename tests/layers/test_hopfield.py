"""The modern Hopfield network: its equations, its energy, and that it is attention."""

from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from elman.layers import Hopfield, HopfieldLayer, HopfieldPooling


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_one_step_is_attention():
    state, stored = normal(3, 4, 16), normal(3, 50, 16)
    memory = Hopfield(16, projections=False).double()
    expected = scaled_dot_product_attention(state, stored, stored)
    by_hand = (state @ stored.mT / sqrt(16)).softmax(-1) @ stored
    for said in (memory.retrieve(state, stored), memory(state, stored), memory.association(state, stored) @ stored):
        torch.testing.assert_close(said, expected)
        torch.testing.assert_close(said, by_hand)


def test_with_projections_it_is_torchs_multi_head_attention():
    memory = Hopfield(12, 7, num_heads=3).double()
    peer = nn.MultiheadAttention(12, 3, kdim=7, vdim=7, batch_first=True, dtype=torch.float64)
    parts = (memory.project_state, memory.project_stored, memory.project_value)
    with torch.no_grad():
        for weight, part in zip((peer.q_proj_weight, peer.k_proj_weight, peer.v_proj_weight), parts, strict=True):
            weight.copy_(part.weight)
        peer.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        peer.out_proj.load_state_dict(memory.project_output.state_dict())
    state, stored, lengths = normal(2, 5, 12), normal(2, 9, 7), torch.tensor([9, 4])
    padding = torch.arange(9) >= lengths[:, None]
    expected, _ = peer(state, stored, stored, key_padding_mask=padding, need_weights=False)
    torch.testing.assert_close(memory(state, stored, lengths=lengths), expected)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    N=st.integers(1, 20),
    D=st.integers(1, 12),
    beta=st.floats(0.05, 20),
    masked=st.booleans(),
)
def test_no_step_raises_the_energy(seed, N, D, beta, masked):
    torch.manual_seed(seed)
    memory, state, stored = Hopfield(D, projections=False), 2 * normal(2, 3, D), normal(2, N, D)
    lengths = torch.randint(1, N + 1, (2,)) if masked else None
    before = memory.energy(state, stored, beta=beta, lengths=lengths)
    for _ in range(6):
        assert (before >= -1e-9).all()
        state = memory.retrieve(state, stored, beta=beta, steps=1, lengths=lengths)
        after = memory.energy(state, stored, beta=beta, lengths=lengths)
        assert (after <= before + 1e-9 * (1 + before)).all()
        before = after


def test_the_energys_gradient_is_the_step():
    """dE/dxi = xi - X^T softmax(beta X xi): what retrieval goes along."""
    memory, stored = Hopfield(6, projections=False), normal(2, 9, 6)
    state = normal(2, 3, 6).requires_grad_()
    (slope,) = torch.autograd.grad(memory.energy(state, stored, beta=1.7).sum(), state)
    torch.testing.assert_close(slope, state - memory.retrieve(state, stored, beta=1.7, steps=1))


def test_several_steps_are_one_after_the_other():
    memory, state, stored = Hopfield(6, projections=False, steps=3), normal(2, 3, 6), normal(2, 9, 6)
    by_one = state
    for _ in range(3):
        by_one = memory.retrieve(by_one, stored, steps=1)
    torch.testing.assert_close(memory.retrieve(state, stored), by_one)
    torch.testing.assert_close(memory(state, stored), by_one)


@pytest.mark.parametrize("lengths", [None, [5, 2]])
def test_gradients(lengths):
    memory = Hopfield(4, 3, num_heads=2, steps=2, output_size=5).double()
    inputs = (normal(2, 3, 4).requires_grad_(), normal(2, 5, 3).requires_grad_(), *memory.parameters())
    assert torch.autograd.gradcheck(lambda state, stored, *_: memory(state, stored, lengths=lengths), inputs)
    free = Hopfield(3, projections=False)
    states = (normal(2, 2, 3).requires_grad_(), inputs[1])
    assert torch.autograd.gradcheck(lambda x, y: free.retrieve(x, y, steps=2, beta=1.3, lengths=lengths), states)
    assert torch.autograd.gradcheck(lambda x, y: free.energy(x, y, beta=1.3, lengths=lengths), states)


def test_what_does_not_count_reaches_neither_result_nor_gradient():
    memory, state, stored = Hopfield(4).double(), normal(2, 3, 4), normal(2, 6, 4)
    spoiled = stored.clone()
    spoiled[0, 4:] = torch.nan
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[0, 4:] = False
    expected = memory(state[:1], stored[:1, :4])
    for how in ({"lengths": [4, 6]}, {"mask": mask}):
        spoiled = spoiled.detach().requires_grad_()
        said = memory(state, spoiled, **how)
        torch.testing.assert_close(said[:1], expected)
        torch.testing.assert_close(said[1:], memory(state[1:], stored[1:]))
        said.sum().backward()
        assert torch.isfinite(spoiled.grad).all() and (spoiled.grad[0, 4:] == 0).all()
        torch.testing.assert_close(memory.energy(state, spoiled, **how)[:1], memory.energy(state[:1], stored[:1, :4]))
        assert (memory.association(state, spoiled, **how)[0, :, 4:] == 0).all()


def test_random_patterns_are_held_far_beyond_their_length():
    """2^14 patterns in 32 dimensions: 0.138 N would be four, and N itself 32."""
    stored = normalize(normal(1, 2**14, 32), dim=-1) * sqrt(32)
    memory = Hopfield(32, projections=False)
    damaged = stored[:, :500] + 0.25 * normal(1, 500, 32)
    recalled = memory.retrieve(damaged, stored, beta=2.0, steps=3)
    right = (torch.cdist(recalled, stored).argmin(-1) == torch.arange(500)).double().mean()
    error = (recalled - stored[:, :500]).norm(dim=-1) / sqrt(32)
    assert right > 0.99 and error.median() < 1e-3


def test_a_long_memory_needs_no_table_of_all_pairs():
    stored = torch.randn(1, 200_000, 8)
    state = stored[:, ::20_000]
    recalled = Hopfield(8, projections=False).retrieve(state, stored, beta=30.0)
    assert recalled.shape == (1, 10, 8) and torch.isfinite(recalled).all()


def test_a_layer_learns_what_it_stores():
    layer = HopfieldLayer(4, 6, output_size=3)
    x = torch.randn(2, 5, 4)
    y = layer(x)
    assert y.shape == (2, 5, 3)
    torch.testing.assert_close(y, Hopfield.forward(layer, x, layer.stored.expand(2, -1, -1)))
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters()) and layer.stored.grad.abs().sum() > 0


def test_pooling_reads_a_set_whatever_its_order_and_padding():
    pooling = HopfieldPooling(4, queries=2, num_heads=2).double()
    x = normal(3, 7, 4)
    y = pooling(x, lengths=[7, 3, 5])
    assert y.shape == (3, 8)
    torch.testing.assert_close(y[1:2], pooling(x[1:2, [2, 0, 1]]))
    torch.testing.assert_close(pooling(x[:, torch.randperm(7)]), pooling(x))


def test_dropout_is_for_training_only():
    memory, state, stored = Hopfield(4, dropout=0.5), torch.randn(1, 3, 4), torch.randn(1, 20, 4)
    assert not torch.equal(memory(state, stored), memory(state, stored))
    memory.eval()
    torch.testing.assert_close(memory(state, stored), memory(state, stored))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_heads": 3}, "multiple of num_heads=3, found 4"),
        ({"num_heads": 0}, "num_heads as a whole number of at least 1, found 0"),
        ({"steps": 0}, "steps as a whole number of at least 1"),
        ({"beta": 0.0}, "beta as a positive number, found 0.0"),
        ({"beta": float("nan")}, "beta as a positive number, found nan"),
        ({"dropout": 2}, "dropout as a probability"),
        ({"projections": False, "stored_size": 3}, "without projections"),
        ({"projections": False, "output_size": 3}, "output_size is 4, found 3"),
    ],
)
def test_settings_that_do_not_fit(settings, said):
    with pytest.raises(ValueError, match=said):
        Hopfield(4, **settings)


@pytest.mark.parametrize(
    ("state", "stored", "more", "said"),
    [
        ((2, 3), (2, 5, 4), {}, r"states of shape \(B, S, 4\), found \(2, 3\)"),
        ((2, 3, 5), (2, 5, 4), {}, r"states of shape \(B, S, 4\)"),
        ((2, 3, 4), (2, 5, 3), {}, r"stored patterns of shape \(2, N, 4\)"),
        ((2, 3, 4), (1, 5, 4), {}, r"stored patterns of shape \(2, N, 4\)"),
        ((2, 3, 4), (2, 0, 4), {}, "one at least in each row"),
        ((2, 3, 4), (2, 5, 4), {"lengths": [5, 0]}, "that counts in each row, found none in row 1"),
        ((2, 3, 4), (2, 5, 4), {"lengths": [5, 6]}, "lengths from 0 to 5"),
        ((2, 3, 4), (2, 5, 4), {"mask": torch.ones(2, 5)}, "mask of torch.bool"),
        ((2, 3, 4), (2, 5, 4), {"mask": torch.ones(2, 4, dtype=torch.bool)}, r"shape \(2, 5\)"),
        ((2, 3, 4), (2, 5, 4), {"mask": torch.ones(2, 5, dtype=torch.bool), "lengths": [1, 2]}, "found both"),
    ],
)
def test_arguments_that_do_not_fit(state, stored, more, said):
    memory = Hopfield(4)
    with pytest.raises(ValueError, match=said):
        memory(torch.zeros(state), torch.zeros(stored), **more)


def test_it_compiles_and_loads_what_it_saved():
    memory, state, stored = Hopfield(4, num_heads=2), torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    other = Hopfield(4, num_heads=2)
    other.load_state_dict(memory.state_dict())
    torch.testing.assert_close(other(state, stored), memory(state, stored))
    compiled = torch.compile(memory, backend="eager", fullgraph=True)
    torch.testing.assert_close(
        compiled(state, stored, lengths=torch.tensor([5, 2])), memory(state, stored, lengths=[5, 2])
    )
