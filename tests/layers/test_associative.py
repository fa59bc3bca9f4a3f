"""Associative memories: what their energies never do, where they come to rest, and how they get there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.layers.associative import AssociativeMemory
from elman.layers.storage import rank

STORAGES = ["hebbian", "storkey", "pseudo-inverse"]


def memory_of(N: int, seed: int, *, diagonal: bool = False, thresholds: bool = True) -> AssociativeMemory:
    """Symmetric weights that no rule made, so that states go far before they rest."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(N, N))
    W = W + W.T
    np.fill_diagonal(W, np.abs(np.diag(W)) if diagonal else 0)
    memory = AssociativeMemory(N, 0)
    memory.weight.numpy()[:] = W
    if thresholds:
        memory.thresholds.numpy()[:] = rng.normal(size=N)
    return memory


def states_of(B: int, N: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1).choice([-1.0, 1.0], (B, N))


def one_by_one(memory: AssociativeMemory, state: np.ndarray, sweeps: int) -> tuple[np.ndarray, list[float]]:
    """The obvious twin: each unit in turn, its field and the energy computed anew from the equations."""
    W, theta, s = memory.W, memory.thresholds.numpy(), state.copy()
    energies = []
    for _ in range(sweeps):
        for i in range(len(s)):
            h = W[i] @ s - theta[i]
            if h * s[i] < -memory.tie():
                s[i] = -s[i]
                energies.append(-0.5 * s @ W @ s + theta @ s)
    return s, energies


@settings(max_examples=40)
@given(
    N=st.integers(2, 150),
    seed=st.integers(0, 10**6),
    diagonal=st.booleans(),
    order=st.sampled_from(["random", "sequential"]),
)
def test_energy_never_rises_when_units_turn_one_by_one(N, seed, diagonal, order):
    memory = memory_of(N, seed, diagonal=diagonal)
    path = memory.settle(states_of(3, N, seed), order=order, seed=seed, steps=200, record=True)
    assert (path.cycle == 1).all() and memory.stable(path.final).all()
    assert all((fall < 0).all() for _, _, fall in path.falls)
    energies = np.array([memory.energy(s) for s in path.states])
    assert (np.diff(energies, axis=0) <= 1e-9 * N).all()
    for b in range(3):
        fallen = sum(fall[which == b].sum() for _, which, fall in path.falls)
        assert fallen == pytest.approx(energies[-1, b] - energies[0, b], abs=1e-8 * N)


@settings(max_examples=40)
@given(N=st.integers(2, 120), seed=st.integers(0, 10**6))
def test_units_that_turn_at_once_rest_or_go_to_and_fro(N, seed):
    memory = memory_of(N, seed)
    path = memory.settle(states_of(5, N, seed), update="synchronous", steps=1000, record=True)
    assert set(path.cycle) <= {1, 2}
    h = memory.fields(path.final)
    after = np.where(h * path.final < 0, -path.final, path.final)
    h = memory.fields(after)
    back = np.where(h * after < 0, -after, after)
    np.testing.assert_array_equal(back, path.final)
    np.testing.assert_array_equal((after == path.final).all(axis=1), path.cycle == 1)


def test_two_units_that_want_to_differ_go_to_and_fro():
    memory = AssociativeMemory(2, 0)
    memory.weight.numpy()[:] = [[0, -1], [-1, 0]]
    path = memory.settle(np.array([[1.0, 1.0], [1.0, -1.0]]), update="synchronous")
    assert path.cycle.tolist() == [2, 1] and path.steps.tolist() == [1, 0]
    assert memory.settle(np.array([[1.0, 1.0]])).cycle.tolist() == [1]


@pytest.mark.parametrize("N", [1, 5, 64, 65, 130])
@pytest.mark.parametrize("diagonal", [False, True])
def test_blocks_of_units_are_units_one_by_one(N, diagonal):
    memory = memory_of(N, 7, diagonal=diagonal)
    states = states_of(4, N, 7)
    path = memory.settle(states, steps=3, record=True)
    for b, state in enumerate(states):
        final, energies = one_by_one(memory, state, 3)
        np.testing.assert_array_equal(path.final[b], final)
        falls = np.concatenate([fall[which == b] for _, which, fall in path.falls] or [[]])
        np.testing.assert_allclose(memory.energy(state[None]) + np.cumsum(falls), energies, atol=1e-9 * N)


@pytest.mark.parametrize("update", ["asynchronous", "synchronous"])
@pytest.mark.parametrize("order", ["random", "sequential"])
def test_no_state_depends_on_its_batch(update, order):
    memory, states = memory_of(70, 3), states_of(9, 70, 3)
    together = memory.settle(states, update=update, order=order, seed=5)
    for b in range(9):
        alone = memory.settle(states[b : b + 1], update=update, order=order, seed=5)
        np.testing.assert_array_equal(alone.final[0], together.final[b])
        assert (alone.steps[0], alone.cycle[0]) == (together.steps[b], together.cycle[b])


@settings(max_examples=30)
@given(N=st.integers(2, 60), share=st.floats(0.05, 0.95), seed=st.integers(0, 10**6), diagonal=st.booleans())
def test_patterns_stored_by_the_projection_are_fixed_points(N, share, seed, diagonal):
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (max(1, int(share * N)), N))
    memory = AssociativeMemory.storing(x, "pseudo-inverse", self_coupling=diagonal)
    if rank(x) < N:
        assert memory.stable(x).all()
        for update in ("asynchronous", "synchronous"):
            np.testing.assert_array_equal(memory.settle(x, update=update).final, x)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_damaged_pattern_is_recalled(storage):
    x = states_of(8, 200, 0)
    memory = AssociativeMemory.storing(x, storage)
    damaged = np.where(np.random.default_rng(2).random(x.shape) < 0.2, -x, x)
    np.testing.assert_array_equal(memory.settle(damaged, order="random").final, x)


@settings(max_examples=25)
@given(N=st.integers(2, 60), seed=st.integers(0, 10**6), beta=st.floats(0.1, 30), diagonal=st.booleans())
def test_energy_of_graded_units_never_rises(N, seed, beta, diagonal):
    memory = memory_of(N, seed, diagonal=diagonal)
    start = np.random.default_rng(seed).normal(size=(3, N))
    path = memory.settle_graded(start, beta=beta, steps=60, record=True)
    energies = np.array([memory.graded_energy(V, beta) for V in path.states])
    assert np.isfinite(energies).all()
    assert (np.diff(energies, axis=0) <= 1e-9 * (1 + np.abs(energies[:-1]))).all()


def test_a_longer_step_than_the_largest_can_raise_the_energy():
    memory = AssociativeMemory(2, 0)
    memory.weight.numpy()[:] = [[0, -1], [-1, 0]]
    assert memory.largest_step(4.0) == pytest.approx(1 / 5)
    long = memory.settle_graded(np.full((1, 2), 0.1), beta=4.0, time_step=1.0, steps=20, record=True)
    energies = np.array([memory.graded_energy(V, 4.0)[0] for V in long.states])
    assert np.diff(energies).max() > 0.01
    assert long.cycle.tolist() == [0]


def test_the_graded_energy_is_that_of_its_integral():
    memory, V, beta = memory_of(4, 1), np.array([[0.3, -0.7, 0.99, 0.0]]), 2.5
    grid = [np.linspace(0, v, 200_001) for v in V[0]]
    integral = sum(np.trapezoid(np.arctanh(g) / beta, g) for g in grid)
    W, theta = memory.W, memory.thresholds.numpy()
    expected = -0.5 * V[0] @ W @ V[0] + theta @ V[0] + integral
    assert memory.graded_energy(V, beta)[0] == pytest.approx(expected, rel=1e-6)


def test_graded_units_of_high_gain_rest_where_binary_ones_do():
    x = states_of(5, 100, 4)
    memory = AssociativeMemory.storing(x, "pseudo-inverse")
    damaged = np.where(np.random.default_rng(0).random(x.shape) < 0.15, -x, x)
    path = memory.settle_graded(damaged, beta=20.0, steps=2000)
    assert (path.cycle == 1).all()
    np.testing.assert_array_equal(np.sign(path.final), x)


def test_large_networks_find_their_step_without_all_eigenvalues():
    memory = AssociativeMemory.storing(states_of(40, 450, 0), "hebbian")
    least = np.linalg.eigvalsh(memory.W)[0]
    assert memory.largest_step(3.0) == pytest.approx(1 / (1 - 3 * least), rel=2e-3)
    assert memory.largest_step(3.0) <= 1 / (1 - 3 * least) + 1e-12
