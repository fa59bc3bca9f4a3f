"""Delays and products: the features are those of the equations, however a series is cut."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from elman.errors import InputError
from elman.models.nvar import NVAR


def test_the_features_are_delays_and_their_products():
    nvar = NVAR(2, delays=2, stride=3, order=3)
    x = torch.randn(1, 9, 2, dtype=torch.float64)
    y, _ = nvar(x)
    seen = np.concatenate([x[0, 8], x[0, 5]])
    pairs = [seen[i] * seen[j] for i in range(4) for j in range(i, 4)]
    triples = [seen[i] * seen[j] * seen[k] for i in range(4) for j in range(i, 4) for k in range(j, 4)]
    np.testing.assert_allclose(y[0, 8], [*seen, *pairs, *triples])
    assert nvar.output_size == y.shape[2] == 4 + 10 + 20


@pytest.mark.parametrize("delays", [1, 2, 5])
def test_pieces_give_the_whole(delays):
    nvar, x = NVAR(2, delays=delays, stride=2), torch.randn(3, 12, 2)
    whole, end = nvar(x)
    state, parts = None, []
    for piece in x.split([1, 4, 7], dim=1):
        y, state = nvar(piece, state)
        parts.append(y)
    assert_close(torch.cat(parts, 1), whole)
    assert_close(state, end)


def test_too_many_products_are_refused():
    with pytest.raises(InputError, match="400 numbers"):
        NVAR(4, delays=100, order=2)
