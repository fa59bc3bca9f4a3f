"""The rules that store patterns, each against the sums of its paper."""

import numpy as np
import pytest

from elman.layers.storage import RULES, hebbian, pseudo_inverse, rank, storkey


def random_patterns(P: int, N: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], (P, N))


def storkey_by_sums(patterns: np.ndarray) -> np.ndarray:
    """Storkey 1997: h_ij is the field of i without i and j."""
    N = patterns.shape[1]
    W = np.zeros((N, N))
    for x in patterns:
        h = np.array([[sum(W[i, k] * x[k] for k in range(N) if k not in (i, j)) for j in range(N)] for i in range(N)])
        step = [[x[i] * x[j] - x[i] * h[j, i] - h[i, j] * x[j] if i != j else 0 for j in range(N)] for i in range(N)]
        W = W + np.array(step) / N
    return W


@pytest.mark.parametrize(("P", "N"), [(1, 2), (3, 7), (5, 5)])
def test_each_rule_is_that_of_its_paper(P, N):
    x = random_patterns(P, N)
    np.testing.assert_allclose(hebbian(x), sum(np.outer(p, p) for p in x) / N)
    np.testing.assert_allclose(storkey(x), storkey_by_sums(x), atol=1e-12)
    np.testing.assert_allclose(pseudo_inverse(x), np.linalg.pinv(x) @ x, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_weights_are_symmetric(rule):
    W = RULES[rule](random_patterns(20, 50))
    np.testing.assert_allclose(W, W.T, atol=1e-12)


def test_dependent_patterns_are_stored_by_the_projection():
    x = random_patterns(4, 30)
    x = np.vstack([x, x[0], -x[1]])
    assert rank(x) == 4
    np.testing.assert_allclose(x @ pseudo_inverse(x), x, atol=1e-12)
