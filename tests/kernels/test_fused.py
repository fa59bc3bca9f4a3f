"""torch's own implementations, held to the reference."""

import pytest
import torch
from torch.testing import assert_close

from elman.kernels import fused, reference
from elman.kernels.arguments import gru

EXACT = {"rtol": 1e-11, "atol": 1e-11}  # float64; sums in another order over up to 63 steps and 500 units


def leaves(result):
    y, state = result
    return (y, *state) if isinstance(state, tuple) else (y, state)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 2, 5), (63, 1, 3, 17), (63, 3, 1, 5), (5, 3, 4, 500)])
@pytest.mark.parametrize(("cell", "projected", "options"), [
    ("rnn", False, {}), ("rnn", False, {"nonlinearity": "relu"}), ("lstm", False, {}), ("lstm", True, {}),
    ("gru", False, {}),
])  # fmt: skip
@pytest.mark.parametrize("bias", [True, False])
def test_forward_and_gradients_match_the_reference(arguments, cell, projected, options, shape, lengths, bias):
    T, B, _, H = shape
    R = (H + 1) // 2 if projected and H > 1 else None
    given = arguments(cell, *shape, R, bias=bias, requires_grad=True, seed=T + H)
    lengths = torch.randint(1, T + 1, (B,), generator=torch.Generator().manual_seed(H)) if lengths else None
    found = leaves(getattr(fused, cell)(*given, lengths=lengths, **options))
    expected = leaves(getattr(reference, cell)(*given, lengths=lengths, **options))
    assert_close(found, expected, **EXACT)

    wanted = [given[0], *(given[1] if cell == "lstm" else [given[1]]), *(w for w in given[2:] if w is not None)]
    directions = [torch.rand_like(t, requires_grad=False) for t in expected]
    assert_close(
        torch.autograd.grad(found, wanted, directions), torch.autograd.grad(expected, wanted, directions), **EXACT
    )


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_no_state_means_zeros(arguments, cell):
    given = arguments(cell, 5, 3, 2, 4, state=False)
    lengths = torch.tensor([5, 1, 3])
    assert_close(getattr(fused, cell)(*given), getattr(reference, cell)(*given), **EXACT)
    assert_close(
        getattr(fused, cell)(*given, lengths=lengths), getattr(reference, cell)(*given, lengths=lengths), **EXACT
    )


def test_it_says_what_it_can_not_do(arguments):
    def obstacle(B, **options):
        return fused.obstacle(gru(*arguments("gru", 4, B, 2, 3), **options))

    assert obstacle(3) is None
    assert obstacle(3, lengths=torch.tensor([1, 2, 3])) is None
    assert "length 0" in obstacle(3, lengths=torch.tensor([1, 0, 3]))
    assert "empty batch" in obstacle(0)
    assert "no zoneout" in obstacle(3, zoneout_h=0.1)
    assert "no recurrent dropout" in obstacle(3, mask=torch.ones(3, 3))
    assert "can't reset" in obstacle(3, reset=torch.zeros(4, 3, dtype=torch.bool))
