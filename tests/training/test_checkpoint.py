"""A checkpoint holds all that the next step depends on, and is refused where it does not belong."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from elman.errors import InputError
from elman.training.checkpoint import Progress, load_checkpoint, save_checkpoint

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "AMSGrad": lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1),
}


def network(seed, size=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, size), nn.BatchNorm1d(size), nn.Dropout(0.5), nn.Linear(size, 1))


def steps(net, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad()
        net(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_law_training_goes_on_from_a_checkpoint_as_if_never_stopped(kind, tmp_path):
    net = network(1)
    optimizer = OPTIMIZERS[kind](net.parameters())
    steps(net, optimizer, 3)
    progress = Progress(step=3, epoch=1, batch=2, loss_sum=0.1 + 0.2, ceiling=1 / 3, best=-0.7, best_epoch=0, seconds=9)
    best = {k: v + 1 for k, v in net.state_dict().items()}
    save_checkpoint(tmp_path / "c", progress, net, optimizer, {"best": best, "random": {"0": torch.get_rng_state()}})
    steps(net, optimizer, 3)

    other = network(2)
    fresh = OPTIMIZERS[kind](other.parameters())
    found, groups = load_checkpoint(tmp_path / "c", other, fresh)
    found_best = groups["best"]
    torch.set_rng_state(groups["random"]["0"])
    assert found == progress
    assert found_best.keys() == best.keys()
    assert all(torch.equal(found_best[k], best[k]) for k in best)
    steps(other, fresh, 3)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def test_before_the_first_validation_the_best_is_infinitely_bad(tmp_path):
    net = network(1)
    optimizer = OPTIMIZERS["Adam"](net.parameters())
    save_checkpoint(tmp_path / "c", Progress(step=2), net, optimizer, {})
    found, groups = load_checkpoint(tmp_path / "c", network(2), OPTIMIZERS["Adam"](network(2).parameters()))
    assert found == Progress(step=2, best=float("inf"))
    assert groups == {}


def test_a_checkpoint_of_another_run_is_refused_with_the_reason(tmp_path):
    net = network(1)
    optimizer = OPTIMIZERS["momentum"](net.parameters())
    steps(net, optimizer, 1)
    save_checkpoint(tmp_path / "c", Progress(step=1), net, optimizer, {})
    with pytest.raises(InputError, match="does not belong to this run: it was written with SGD, and this run has Adam"):
        load_checkpoint(tmp_path / "c", net, OPTIMIZERS["Adam"](net.parameters()))
    wider = network(1, size=5)
    with pytest.raises(InputError, match=r"does not belong to this run.*size mismatch"):
        load_checkpoint(tmp_path / "c", wider, OPTIMIZERS["momentum"](wider.parameters()))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    net = network(1)
    optimizer = OPTIMIZERS["Adam"](net.parameters())
    save_checkpoint(tmp_path / "c", Progress(), net, optimizer, {})
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole[:-1])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_checkpoint(tmp_path / "c", net, optimizer)
    for foreign in ({"weight": torch.ones(2)}, {"optimizer.first.exp_avg": torch.ones(2)}, {"random": torch.ones(2)}):
        save_file(foreign, tmp_path / "c")
        with pytest.raises(InputError, match="does not belong to this run"):
            load_checkpoint(tmp_path / "c", net, optimizer)
    save_file(foreign, tmp_path / "c", metadata={"note": '{"optimizer": "Adam", "progress": {"step": 1}}'})
    with pytest.raises(InputError, match="does not belong to this run"):
        load_checkpoint(tmp_path / "c", net, optimizer)
