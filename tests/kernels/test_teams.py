"""Threads that share the hidden units of a step, whatever their number, give what one thread gives, to the bit."""

import subprocess
import sys

import pytest
import torch

from elman import compiled
from elman.kernels import ReservoirWeights, arguments, native, recurrence, reservoir_native
from elman.kernels.arguments import GATES, Arguments
from elman.kernels.native import native_status

STATUS = native_status()
pytestmark = pytest.mark.skipif(not STATUS.built, reason="no native kernels here")


@pytest.fixture
def shares(monkeypatch):
    """Sets how the work is shared: `(parts, members)`."""
    assert native.threads_for(1) == 1  # hands torch's threads over, which `_shares` would do
    return lambda parts, members: monkeypatch.setattr(recurrence, "_shares", lambda *_, **__: (parts, members))


def run(cell, isa, T, B, I, H, masked, dtype=torch.float32):
    generator = torch.Generator().manual_seed(T * B + H)
    random = lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype) / 3  # noqa: E731
    G = GATES[cell]
    x, h_0, c_0, dy = random(T, B, I), random(B, H), random(B, H) if cell == "lstm" else None, random(T, B, H)
    W_ih, W_hh, b_ih, b_hh = random(G * H, I), random(G * H, H) / H**0.5, random(G * H), random(G * H)
    lengths = torch.randint(0, T + 1, (B,), generator=generator) if masked else None
    reset = torch.rand(T, B, generator=generator) < 0.2 if masked else None
    numbers = (x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, *[None] * 9)
    a = Arguments(cell, 0.0, 0.0, *numbers, lengths, reset)
    y, h_n, c_n, saved, c = recurrence.forward(a, keep=True, isa=isa)
    gradients = recurrence.backward(a, y, saved, c, dy, h_n, c_n, need_dx=True, isa=isa)
    return y, h_n, c_n, *gradients


@pytest.mark.parametrize("isa", STATUS.supported)
@pytest.mark.parametrize("cell", compiled.CELLS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sizes", [(9, 23, 9, 150), (30, 1, 5, 70), (1, 7, 3, 33), (200, 5, 90, 17)])
def test_a_team_gives_what_one_thread_gives(shares, cell, isa, masked, sizes):
    shares(1, 1)
    expected = run(cell, isa, *sizes, masked)
    for members in (2, 3, 2):
        shares(1, members)
        for found, wanted in zip(run(cell, isa, *sizes, masked), expected, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("isa", STATUS.supported)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("T", "B", "N"), [(40, 1, 300), (9, 3, 37), (5, 2, 1)])
def test_a_team_runs_a_reservoir_as_one_thread_does(monkeypatch, isa, dtype, T, B, N):
    assert native.threads_for(1) == 1
    monkeypatch.setattr(compiled, "chosen_isa", lambda: isa)
    generator = torch.Generator().manual_seed(N)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    # Rows of very different lengths, so that the parts of the team are not of one size.
    W = random(N, N) * (torch.rand(N, N, generator=generator) < torch.linspace(0, 0.5, N)[:, None]) / N**0.5
    weights = ReservoirWeights(random(N, 2), W, random(N))
    x, h, feedback = random(T, B, 2), random(B, N), random(T, B, N)
    options = {
        "leak": 0.4, "feedback": feedback, "lengths": torch.randint(0, T + 1, (B,), generator=generator),
        "reset": torch.rand(T, B, generator=generator) < 0.2,
    }  # fmt: skip

    def run(members):
        monkeypatch.setattr(reservoir_native, "_shares", lambda *_: (1, members))
        return reservoir_native.reservoir(x, h, weights, **options)

    expected = run(1)
    for members in (2, 3, 2):
        assert all(torch.equal(a, b) for a, b in zip(run(members), expected, strict=True))


def test_one_large_reservoir_is_shared_and_many_sequences_are_not(monkeypatch):
    monkeypatch.setattr(reservoir_native, "threads_for", lambda multiplications: 2)
    assert reservoir_native._shares(100, 1, 3, 5000, 50_000) == (1, 2)
    assert reservoir_native._shares(100, 1, 3, 500, 5_000) == (1, 1)
    assert reservoir_native._shares(100, 8, 3, 5000, 50_000) == (2, 1)


def test_large_weights_are_shared_and_small_ones_are_not(monkeypatch):
    monkeypatch.setattr(recurrence, "threads_for", lambda multiplications: 4)

    def share(cell, B, H, back):
        G = GATES[cell]
        x, W_ih, W_hh = torch.zeros(10, B, 50), torch.zeros(G * H, 50), torch.zeros(G * H, H)
        return recurrence._shares(getattr(arguments, cell)(x, None, W_ih, W_hh), back)

    assert share("lstm", 64, 512, back=False) == (1, 4)
    assert share("lstm", 64, 512, back=True) == (4, 1)
    assert share("lstm", 2, 512, back=True) == (1, 4)
    assert share("lstm", 64, 64, back=False) == (4, 1)
    assert share("lstm", 2, 64, back=False) == (2, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="torch's threads are shared on Linux alone")
def test_another_openmp_beside_that_of_torch_does_no_harm():
    code = (
        "import sklearn.ensemble, elman.kernels; from elman.kernels.native import native_status; "
        "print(native_status().shares_threads)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert said.stdout == "True\n"
