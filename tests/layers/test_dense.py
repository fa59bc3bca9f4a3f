"""The modern network as a memory by itself."""

import numpy as np
import pytest
import torch

from elman.layers import Hopfield
from elman.layers.dense import DenseMemory


def patterns_of(P: int, N: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(P, N))


def test_it_takes_the_steps_of_the_layer_on_patterns_of_one_length():
    x, cue = patterns_of(6, 20), patterns_of(7, 20)[6:]
    memory = DenseMemory.storing(x)
    way = memory.settle(cue, beta=2.0, steps=3, record=True)
    stored, xi = (torch.from_numpy(memory.compared(v))[None] for v in (x, cue))
    np.testing.assert_allclose(np.linalg.norm(memory.compared(x), axis=1), 1)
    np.testing.assert_allclose(memory.compared(x[:1]), (x[:1] - x.mean(0)) / np.linalg.norm(x[0] - x.mean(0)))
    layer = Hopfield(20, projections=False)
    for k in range(3):
        shares = layer.association(xi, stored, beta=2.0)
        np.testing.assert_allclose(way.shares[k], shares[0])
        np.testing.assert_allclose(way.energies[k], layer.energy(xi, stored, beta=2.0)[0])
        np.testing.assert_allclose(way.states[k + 1], shares[0].numpy() @ x)
        xi = layer.retrieve(xi, stored, beta=2.0, steps=1)
    assert way.steps.tolist() == [3] and len(way.states) == 4


def test_each_cue_takes_its_own_steps_and_none_depends_on_the_others():
    x = patterns_of(5, 30)
    memory = DenseMemory.storing(x)
    cues = np.vstack([x[0], x[1] + 0.9 * x[2]])
    beta = memory.usual_beta()
    together = memory.settle(cues, beta=beta, steps=200)
    assert together.steps[0] < together.steps[1] and (together.cycle == 1).all()
    for b in range(2):
        alone = memory.settle(cues[b : b + 1], beta=beta, steps=200)
        np.testing.assert_allclose(alone.final[0], together.final[b])
        assert alone.steps[0] == together.steps[b]
    np.testing.assert_allclose(together.final[0], x[0], atol=0.01)


def test_time_that_is_up_is_told():
    memory = DenseMemory.storing(patterns_of(5, 30))
    assert memory.settle(patterns_of(6, 30)[5:], beta=3.0, steps=1).cycle.tolist() == [0]


@pytest.mark.parametrize("normalise", [True, False])
def test_a_single_pattern_is_recalled_from_anything(normalise):
    x = patterns_of(1, 4)
    memory = DenseMemory.storing(x, normalise=normalise)
    assert memory.usual_beta() == 1.0 and np.isinf(memory.separation()).all()
    np.testing.assert_allclose(memory.settle(patterns_of(3, 4), beta=1.0).final, np.repeat(x, 3, 0))


def test_a_cue_without_a_direction_is_the_mean_of_all():
    x = patterns_of(4, 6)
    memory = DenseMemory.storing(x)
    cue = x.mean(0, keepdims=True)
    assert not memory.compared(cue).round(12).any()
    np.testing.assert_allclose(memory.settle(cue, beta=0.1, steps=1).final, cue, atol=1e-9)


def test_a_long_pattern_draws_all_cues_to_itself_unless_lengths_are_alike():
    x = np.array([[1.0, 0.0, 0.2], [0.0, 30.0, 0.1], [0.3, 0.1, 1.0]])
    cue = np.array([[0.9, 0.1, 0.2]])
    plain, alike = DenseMemory.storing(x, normalise=False), DenseMemory.storing(x)
    assert plain.settle(cue, beta=2.0).final.argmax() == 1
    np.testing.assert_allclose(alike.settle(cue, beta=alike.usual_beta()).final, x[:1], atol=0.05)


def test_the_usual_beta_gives_each_pattern_nearly_all_of_the_attention():
    memory = DenseMemory.storing(patterns_of(20, 10))
    x = memory.patterns.numpy()
    least = [memory.settle(x, beta=f * memory.usual_beta(), record=True).shares[0].diagonal().min() for f in (1, 0.5)]
    assert least[0] >= 0.999 > least[1]
