import runpy
from pathlib import Path

import pytest
import torch

from elman.training.record import Run

SCRIPT = Path(__file__).with_name("noisy_run.py")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks run faster on one thread, and repeat bit for bit wherever the tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def script():
    return SCRIPT


@pytest.fixture(scope="session")
def noisy_run():
    return runpy.run_path(str(SCRIPT))["noisy_run"]


@pytest.fixture(scope="session")
def outcome():
    """All that a run leaves behind and that must not depend on when it was made: weights and events."""

    def of(net, folder):
        events = [{k: v for k, v in e.items() if k != "seconds"} for e in Run(folder).events()]
        return [p.tolist() for p in net.parameters()], events

    return of


@pytest.fixture(scope="session")
def unbroken(noisy_run, outcome, tmp_path_factory):
    """The outcome of the noisy run with each optimiser when nothing happens to it."""
    folders = {name: tmp_path_factory.mktemp("unbroken") / name for name in ("adam", "sgd", "everything")}
    return {name: outcome(noisy_run(folder, name), folder) for name, folder in folders.items()}
