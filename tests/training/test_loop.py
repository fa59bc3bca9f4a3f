"""The loop with a two-parameter model and a list: it learns, keeps the best, guards itself, and can be broken off."""

import math
import os
import random
import signal
import subprocess
import sys

import pytest
import torch
from torch import nn

from elman.errors import TrainingError
from elman.training.checkpoint import load_checkpoint
from elman.training.loop import cosine, train
from elman.training.record import Run

X = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
LINE = [(X[:2], 2 * X[:2] - 1), (X[2:], 2 * X[2:] - 1)]  # y = 2x - 1, in two batches


def mse(model, batch):
    return ((model(batch[0]) - batch[1]) ** 2).mean()


def line():
    torch.manual_seed(1)
    return nn.Linear(1, 1)


def fit(net, loss=mse, **options):
    options = {"optimizer": torch.optim.SGD(net.parameters(), lr=0.05), "epochs": 3} | options
    return train(net, lambda epoch: LINE, loss, **options)


def spoiled(step, loss):
    """`mse` until `step` steps are done, then `loss`."""
    calls = 0

    def of(model, batch):
        nonlocal calls
        calls += 1
        return mse(model, batch) if calls <= step else loss(model, batch)

    return of


def test_it_learns_a_line():
    net, events = line(), []
    done = fit(net, epochs=200, on_event=events.append)
    assert net.weight.item() == pytest.approx(2, abs=0.01)
    assert net.bias.item() == pytest.approx(-1, abs=0.01)
    assert done.step == 400
    assert [e["step"] for e in events if e["event"] == "step"] == list(range(1, 401))
    epochs = [e for e in events if e["event"] == "epoch"]
    assert epochs[-1]["train_loss"] < 1e-3 * epochs[0]["train_loss"]
    assert events[-1]["reason"] == "all epochs"
    assert not net.training


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_batches():
    events = []
    fit(line(), epochs=2, on_event=events.append)
    losses = [e["loss"] for e in events if e["event"] == "step"]
    assert [e["train_loss"] for e in events if e["event"] == "epoch"] == [
        pytest.approx(sum(losses[:2]) / 2),
        pytest.approx(sum(losses[2:]) / 2),
    ]


def test_it_stops_early_and_gives_back_the_weights_of_the_best_epoch():
    net, events, seen = line(), [], []
    scores = iter([3.0, 2.0, 2.5, 2.0, 9.0, 1.0])

    def validate(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append([p.clone() for p in model.parameters()])
        return next(scores)

    done = fit(net, epochs=6, validate=validate, patience=2, on_event=events.append)
    assert len(seen) == 4  # the best, and two that were not better: a tie is not better
    assert (done.best, done.best_epoch) == (2.0, 1)
    assert [e["best"] for e in events if e["event"] == "epoch"] == [True, True, False, False]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), seen[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(net.parameters(), seen[3], strict=True))
    assert events[-1]["reason"] == "early stopping"


def test_each_epoch_trains_with_dropout_on_and_validates_with_it_off():
    net, modes = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)), []

    def loss(model, batch):
        modes.append(model.training)
        return mse(model, batch)

    fit(net, loss, validate=lambda model: modes.append(model.training) or 1.0, epochs=2)
    assert modes == [True, True, False, True, True, False]


def test_clip_bounds_the_step_and_the_record_keeps_the_norm_before_it():
    net, events = line(), []
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    train(
        net, lambda epoch: [(X, 100 * X)], mse, optimizer=torch.optim.SGD(net.parameters(), lr=0.1), epochs=1,
        clip=0.5, on_event=events.append,
    )  # fmt: skip
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.1 * 0.5, rel=1e-4)
    assert events[0]["grad_norm"] > 100


def test_a_schedule_scales_each_rate_of_each_group():
    net, events = line(), []
    groups = [{"params": [net.weight], "lr": 0.04}, {"params": [net.bias], "lr": 0.02}]
    optimizer = torch.optim.SGD(groups)
    fit(net, optimizer=optimizer, schedule=lambda step: 1 / (step + 1), on_event=events.append)
    assert [e["lr"] for e in events if e["event"] == "step"] == pytest.approx([0.04 / k for k in range(1, 7)])
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.04 / 6, 0.02 / 6])


def test_cosine_climbs_a_line_and_goes_down_half_a_cosine():
    factor = cosine(10, warmup=2)
    assert [factor(k) for k in (0, 1, 2, 6, 10, 12)] == pytest.approx([0.5, 1, 1, 0.5, 0, 0])
    assert factor(4) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert cosine(4)(0) == 1


def test_frozen_parameters_stay():
    net = line()
    net.bias.requires_grad_(False)
    before = net.bias.clone()
    fit(net, optimizer=torch.optim.SGD([net.weight], lr=0.05), clip=1.0)
    assert torch.equal(net.bias, before)


BAD = {
    "the loss is nan": lambda model, batch: mse(model, batch) * math.nan,
    "the loss is inf": lambda model, batch: mse(model, batch) * math.inf,
    "the loss has exploded to": lambda model, batch: mse(model, batch) + 1e6,
    "the norm of the gradient is nan": lambda model, batch: mse(model, batch) + (model.weight * 0).abs().sqrt().sum(),
}


@pytest.mark.parametrize("what", BAD)
def test_a_loss_gone_bad_stops_the_run_with_advice_and_keeps_the_last_checkpoint(what, tmp_path):
    net, run = line(), Run(tmp_path / "run")
    run.start({})
    with pytest.raises(TrainingError, match=rf"step 11 \(epoch 5\): {what}.*learning rate.*checkpoint is kept in"):
        fit(net, spoiled(11, BAD[what]), run=run, epochs=9)
    assert load_checkpoint(run.checkpoint_path, line(), torch.optim.SGD(net.parameters(), lr=0.05))[0].step == 10
    assert all(torch.isfinite(p).all() for p in net.parameters())
    events = run.events()
    assert events[-1]["event"] == "error"
    assert what in events[-1]["message"]

    again = line()  # resumed with a loss that behaves, the run ends as if it had never gone bad
    fit(again, run=Run(run.path), resume=True, epochs=9)
    unspoiled = line()
    fit(unspoiled, epochs=9)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), unspoiled.parameters(), strict=True))
    assert not [e for e in run.events() if e["event"] == "error"]


def test_a_validation_gone_bad_stops_the_run():
    scores = iter([1.0, math.nan])
    with pytest.raises(TrainingError, match=r"step 4 \(epoch 1\): the validation loss is nan"):
        fit(line(), validate=lambda model: next(scores))


def test_advice_names_no_checkpoint_where_none_was_made(tmp_path):
    run = Run(tmp_path / "run")
    run.start({})
    with pytest.raises(TrainingError) as caught:
        fit(line(), BAD["the loss is nan"], run=run)
    assert "checkpoint" not in str(caught.value)


def test_a_loss_may_be_negative_or_begin_at_nothing():
    """A log density is as often below 0 as above; what counts as an explosion is measured by magnitude."""
    negative = fit(line(), lambda model, batch: mse(model, batch) - 50, epochs=20)
    assert negative.step == 40
    calls = []

    def loss(model, batch):
        calls.append(None)
        return mse(model, batch) * (len(calls) > 10)

    assert fit(line(), loss, epochs=10).step == 20


def test_without_validation_the_last_weights_stay():
    net, last = line(), []
    fit(net, on_event=lambda e: last.append(net.weight.item()))
    assert net.weight.item() == last[-1]


# -- broken off and resumed --------------------------------------------------------------------------------------


class Crash(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_run_below_is_worth_breaking_off(unbroken, optimizer):
    """It has a best epoch that is not the last, gradients that are clipped, and a rate that changes."""
    _, events = unbroken[optimizer]
    best = max(e["epoch"] for e in events if e["event"] == "epoch" and e["best"])
    steps = [e for e in events if e["event"] == "step"]
    assert 0 <= best < 4
    assert max(e["grad_norm"] for e in steps) > 0.5 > min(e["grad_norm"] for e in steps)
    assert len({e["lr"] for e in steps}) > 10


@pytest.mark.parametrize("step", range(15))
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_law_a_crash_at_any_step_and_a_resume_change_nothing(noisy_run, unbroken, outcome, tmp_path, optimizer, step):
    calls = []

    def crash():
        calls.append(None)
        if len(calls) == step + 1:
            raise Crash

    with pytest.raises(Crash):
        noisy_run(tmp_path / "run", optimizer, spoil=crash)
    torch.manual_seed(99)  # another process would not know the random state of this one
    net = noisy_run(tmp_path / "run", optimizer, resume=True)
    assert outcome(net, tmp_path / "run") == unbroken[optimizer]


@pytest.mark.parametrize("step", range(1, 16))
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_law_ctrl_c_at_any_step_and_a_resume_change_nothing(noisy_run, unbroken, outcome, tmp_path, optimizer, step):
    def press(event):
        if event["event"] == "step" and event["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        noisy_run(tmp_path / "run", optimizer, on_event=press)
    before = Run(tmp_path / "run").events()
    assert [e["step"] for e in before if e["event"] == "step"] == list(range(1, step + 1))  # saved at that very step
    torch.manual_seed(99)
    net = noisy_run(tmp_path / "run", optimizer, resume=True)
    assert outcome(net, tmp_path / "run") == unbroken[optimizer]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("epoch", range(5))
def test_law_a_signal_while_an_epoch_ends_changes_nothing(noisy_run, unbroken, outcome, tmp_path, epoch, number):
    def press(event):
        if event["event"] == "epoch" and event["epoch"] == epoch:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        noisy_run(tmp_path / "run", on_event=press)
    net = noisy_run(tmp_path / "run", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["adam"]


def test_law_a_run_broken_off_at_every_step_in_turn_is_the_same_run(noisy_run, unbroken, outcome, tmp_path):
    def press(event):
        if event["event"] == "step":
            os.kill(os.getpid(), signal.SIGINT)

    for step in range(15):
        with pytest.raises(KeyboardInterrupt):
            noisy_run(tmp_path / "run", resume=step > 0, on_event=press)
    net = noisy_run(tmp_path / "run", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["adam"]


def test_a_second_ctrl_c_acts_at_once_and_loses_no_more_than_the_last_steps(noisy_run, unbroken, outcome, tmp_path):
    calls, after = [], []

    def press_twice():
        calls.append(None)
        if len(calls) == 8:
            os.kill(os.getpid(), signal.SIGINT)
            after.append("first")
            os.kill(os.getpid(), signal.SIGINT)
            after.append("second")

    with pytest.raises(KeyboardInterrupt):
        noisy_run(tmp_path / "run", spoil=press_twice)
    assert after == ["first"]
    net = noisy_run(tmp_path / "run", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["adam"]


def test_law_a_process_killed_at_any_moment_and_resumed_ends_the_same(script, unbroken, outcome, noisy_run, tmp_path):
    """SIGKILL can't be held: whatever was being written then, steps, events or a checkpoint, is done again or whole."""
    moments = random.Random(4)
    for _ in range(3):
        with subprocess.Popen([sys.executable, script, tmp_path / "run", "adam"], stdout=subprocess.PIPE) as process:
            for _ in range(moments.randint(1, 7)):
                process.stdout.readline()
            process.kill()
    net = noisy_run(tmp_path / "run", "adam", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["adam"]


@pytest.mark.parametrize("where", ["before the checkpoint", "before the events", "between the two"])
@pytest.mark.parametrize("checkpoint", range(1, 6))
def test_law_a_kill_around_a_checkpoint_changes_nothing(
    noisy_run, unbroken, outcome, tmp_path, monkeypatch, checkpoint, where
):
    """The moments at which a kill would do most harm, each hit on purpose."""
    from elman.training import loop

    count = 0

    def dying(act, before):
        def call(*args):
            nonlocal count
            count += before
            if before and count == checkpoint:
                raise Crash
            act(*args)
            if not before:
                count += 1
                if count == checkpoint:
                    raise Crash

        return call

    if where == "before the checkpoint":
        monkeypatch.setattr(loop, "save_checkpoint", dying(loop.save_checkpoint, True))
    elif where == "before the events":
        monkeypatch.setattr(Run, "flush", dying(Run.flush, True))
    else:
        monkeypatch.setattr(loop, "save_checkpoint", dying(loop.save_checkpoint, False))
    with pytest.raises(Crash):
        noisy_run(tmp_path / "run")
    monkeypatch.undo()
    net = noisy_run(tmp_path / "run", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["adam"]


def test_a_finished_run_resumed_only_ends_again(noisy_run, unbroken, outcome, tmp_path):
    noisy_run(tmp_path / "run")
    events = []
    net = noisy_run(tmp_path / "run", resume=True, on_event=events.append)
    assert [e["event"] for e in events] == ["end"]
    assert outcome(net, tmp_path / "run") == unbroken["adam"]
