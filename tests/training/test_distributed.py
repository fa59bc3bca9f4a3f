"""Several processes train as one does."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from elman.training.distributed import World, joined
from elman.training.record import Run

SCRIPT = Path(__file__).with_name("many.py")


def many(processes, folder, *options):
    """Run `many.py` in so many processes, as a user would."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *launch, SCRIPT, folder, *options],
        capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def alone(folder, *options):
    return subprocess.run([sys.executable, SCRIPT, folder, *options], capture_output=True, text=True, timeout=240)


def ended(done):
    assert done.returncode == 0, done.stderr
    return done


def result(folder, rank=0, size=1):
    return torch.load(folder / f"{rank}-of-{size}.pt")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "run"
    ended(alone(folder))
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "run"
    ended(many(2, folder))
    return folder


def test_law_two_processes_give_the_weights_of_one(one, two):
    expected = result(one)["weights"]
    for rank in (0, 1):
        # float32 sums in another order, over 12 steps of Adam
        assert_close(result(two, rank, 2)["weights"], expected, rtol=1e-4, atol=1e-5)


def test_each_sequence_is_in_one_share(two):
    shares = [result(two, rank, 2)["used"] for rank in (0, 1)]
    for a, b in zip(*shares, strict=True):
        assert not set(a) & set(b)
    assert sorted(i for s in shares for part in s[:4] for i in part) == list(range(13))
    assert [] in shares[1]


def test_the_record_is_that_of_one_process(one, two):
    def losses(folder):
        events = Run(folder).events()
        return [e.get("loss", e.get("train_loss")) for e in events], [e["event"] for e in events]

    assert losses(one)[1] == losses(two)[1]
    assert_close(
        torch.tensor([v for v in losses(two)[0] if v]),
        torch.tensor([v for v in losses(one)[0] if v]),
        rtol=1e-4,
        atol=0,
    )


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2), (2, 2)])
def test_law_another_number_of_processes_goes_on_to_the_same_weights(one, tmp_path, first, then):
    """The last process dies in the second epoch; the checkpoint of the first epoch is kept."""
    folder = tmp_path / "run"

    def run(processes, *options):
        return alone(folder, *options) if processes == 1 else many(processes, folder, *options)

    died = run(first, "--die", "6")
    assert died.returncode != 0
    if first > 1:
        # The other one ends by itself, or torchrun is faster and ends it.
        assert "has lost another one" in died.stderr or "SIGTERM" in died.stderr
    ended(run(then, "--resume"))
    assert_close(result(folder, 0, then)["weights"], result(one)["weights"], rtol=1e-4, atol=1e-5)


def test_who_has_lost_another_process_says_so_and_ends(tmp_path):
    """Without torchrun, which would end it first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, SCRIPT, tmp_path / "run", "--die", "6"],
            stderr=subprocess.PIPE, text=True, env=os.environ | world | {"RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        said = [process.communicate(timeout=120)[1] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [1, -signal.SIGKILL]
    assert "TrainingError: process 0 of 2 has lost another one" in said[0]
    assert "--resume" in said[0]


def test_alone_nothing_is_waited_for():
    with joined() as world:
        assert world == World(0, 1)
        assert world.first
        assert world.sum(1, 2.5) == [1, 2.5]
        assert world.mean(3.0, 2.0) == 3.0
        assert world.gather(torch.ones(2))[0].tolist() == [1, 1]
        world.wait()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_law_shares_are_everything_once(size):
    items = torch.arange(20)
    shares = [World(rank, size).share(items).tolist() for rank in range(size)]
    assert sorted(i for share in shares for i in share) == items.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
