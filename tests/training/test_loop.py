"""The loop with a two-parameter model and a list: it learns, keeps the best, guards itself, and can be broken off."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from itertools import count

import pytest
import torch
from torch import nn

from elman.data.batching import streams
from elman.errors import InputError, TrainingError
from elman.training.checkpoint import load_checkpoint
from elman.training.loop import train
from elman.training.record import Run

X = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
LINE = [(X[:2], 2 * X[:2] - 1), (X[2:], 2 * X[2:] - 1)]  # y = 2x - 1, in two batches


def mse(model, batch):
    return ((model(batch[0]) - batch[1]) ** 2).mean()


def line():
    torch.manual_seed(1)
    return nn.Linear(1, 1)


def fit(net, loss=mse, batches=LINE, **options):
    options = {"optimizer": torch.optim.SGD(net.parameters(), lr=0.05), "epochs": 3} | options
    return train(net, lambda epoch: batches, loss, **options)


def press_at(step):
    """Ctrl-C once that step is recorded."""

    def press(event):
        if event["event"] == "step" and event["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    return press


class Crash(Exception):
    pass


def crash_at(call):
    """Raises Crash when it is called that often."""
    calls = count(1)

    def crash():
        if next(calls) == call:
            raise Crash

    return crash


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
    fit(net, optimizer=optimizer, schedule=lambda step, losses: 1 / (step + 1), on_event=events.append)
    assert [e["lr"] for e in events if e["event"] == "step"] == pytest.approx([0.04 / k for k in range(1, 7)])
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.04 / 6, 0.02 / 6])


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


# -- several batches to a step, states that are carried, averaged weights --------------------------------------------


def test_law_accumulated_batches_make_the_step_of_one_large_batch():
    """Also where they are not of one size: each counts for what is in it."""
    whole, parts = line(), line()
    halves = [(X[:1], 2 * X[:1] - 1), (X[1:], 2 * X[1:] - 1)]
    options = {"epochs": 4, "clip": 0.5}
    fit(whole, **options, batches=[(X, 2 * X - 1)])
    done = fit(parts, **options, batches=halves, accumulate=2, weigh=lambda batch: len(batch[0]))
    assert done.step == 4
    assert torch.allclose(whole.weight, parts.weight, rtol=1e-6)
    assert torch.allclose(whole.bias, parts.bias, rtol=1e-6)
    unweighted = line()
    fit(unweighted, **options, batches=halves, accumulate=2)
    assert not torch.allclose(whole.weight, unweighted.weight, rtol=1e-3)


def test_a_last_group_with_fewer_batches_is_a_mean_all_the_same():
    net, other, events = line(), line(), []
    fit(net, batches=LINE[:1], epochs=3, accumulate=4, on_event=events.append)
    fit(other, batches=LINE[:1], epochs=3)
    assert torch.equal(net.weight, other.weight)
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 3]


def test_clip_value_bounds_each_number_of_the_gradient():
    net = line()
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    fit(net, batches=[(X, 100 * X)], epochs=1, clip_value=0.5, optimizer=torch.optim.SGD(net.parameters(), lr=0.1))
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (after - before).tolist() == pytest.approx([0.05, 0.05], rel=1e-5)


def test_an_epoch_without_a_batch_is_refused():
    once = iter(LINE)
    with pytest.raises(InputError, match="epoch 1 has no batch"):
        train(line(), lambda epoch: once, mse, optimizer=torch.optim.SGD(line().parameters(), lr=0.1), epochs=2)


@pytest.mark.parametrize("step", range(1, 7))
def test_law_batches_that_draw_random_numbers_of_their_own_go_on_as_they_were(tmp_path, step):
    """As torch's DataLoader does whenever it is begun."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(X, 2 * X), batch_size=2)

    def run(folder, *, resume=False, press=lambda event: None):
        torch.manual_seed(3)
        net, record = nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.5), nn.Linear(4, 1)), Run(folder)
        if not resume:
            record.start({})
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        train(net, lambda _: loader, mse, optimizer=optimizer, epochs=3, run=record, resume=resume, on_event=press)
        return [p.tolist() for p in net.parameters()]

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", press=press_at(step))
    assert run(tmp_path / "a", resume=True) == run(tmp_path / "b")


class Counter(nn.Module):
    """h_t = a h_(t-1) + x_t, and the loss is the mean of h: its gradient tells how far back it went."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x, h=None):
        h = torch.zeros(()) if h is None else h
        for step in x:
            h = self.a * h + step
        return h


def test_truncated_bptt_carries_the_state_and_ends_the_gradient():
    net, states, norms = Counter(), [], []

    def loss(model, batch, state):
        states.append(None if state is None else state[0].item())
        h = model(batch, None if state is None else state[0])
        return h, (h,)

    pieces = [torch.ones(2), torch.ones(2), torch.ones(1)]
    train(
        net, lambda epoch: pieces, loss, optimizer=torch.optim.SGD(net.parameters(), lr=0.0), epochs=2, carry=True,
        on_event=lambda e: norms.append(e.get("grad_norm")),
    )  # fmt: skip
    assert states == [None, 2.0, 4.0] * 2  # an epoch begins with no state
    # dh/da within each piece alone: 1; 2 steps on a state of 2: (2 + (2 + 1)); 1 step on a state of 4: 4.
    assert norms[:3] == [1.0, 5.0, 4.0]


@pytest.mark.parametrize("step", range(1, 8))
def test_law_a_carried_state_survives_a_pause(tmp_path, step):
    from elman.layers import LSTM

    series = torch.sin(torch.arange(60) / 3)

    def run(folder, *, resume=False, press=lambda event: None):
        torch.manual_seed(3)
        lstm, head = LSTM(1, 4, batch_first=True), nn.Linear(4, 1)
        net = nn.ModuleDict({"lstm": lstm, "head": head})

        def loss(model, batch, state):
            y, state = model["lstm"](batch[0][..., None], state)
            return (model["head"](y)[..., 0] - batch[1]).square().mean(), state

        record = Run(folder)
        if not resume:
            record.start({})
        train(
            net, lambda epoch: streams(series, 2, 8), loss, optimizer=torch.optim.Adam(net.parameters(), 0.01),
            epochs=2, carry=True, run=record, resume=resume, on_event=press,
        )  # fmt: skip
        return [p.tolist() for p in net.parameters()]

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", press=press_at(step))
    assert run(tmp_path / "a", resume=True) == run(tmp_path / "b")


def test_averaged_weights_are_validated_and_kept():
    net, seen, tracks = line(), [], []
    fit(
        net, epochs=3, average=0.5, validate=lambda model: seen.append(model.weight.item()) or 1.0 / len(seen),
        on_event=lambda e: tracks.append(net.weight.item()) if e["event"] == "step" else None,
    )  # fmt: skip
    torch.manual_seed(1)
    expected, average = [], nn.Linear(1, 1).weight.item()
    for step, weight in enumerate(tracks, 1):
        d = min(0.5, (1 + step) / (10 + step))
        average = d * average + (1 - d) * weight
        expected.append(average)
    assert seen == pytest.approx(expected[1::2])
    assert net.weight.item() == pytest.approx(expected[-1])


def test_bfloat16_rounds_what_is_computed_and_not_the_weights():
    dtypes = []

    def loss(model, batch):
        y = model(batch[0])
        dtypes.append(y.dtype)
        return (y.float() - batch[1]).square().mean()

    net = line()
    fit(net, loss, precision="bfloat16", epochs=100)
    assert set(dtypes) == {torch.bfloat16}
    assert net.weight.dtype == torch.float32
    assert net.weight.item() == pytest.approx(2, abs=0.1)


# -- broken off and resumed --------------------------------------------------------------------------------------


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
    with pytest.raises(Crash):
        noisy_run(tmp_path / "run", optimizer, spoil=crash_at(step + 1))
    torch.manual_seed(99)  # another process would not know the random state of this one
    net = noisy_run(tmp_path / "run", optimizer, resume=True)
    assert outcome(net, tmp_path / "run") == unbroken[optimizer]


@pytest.mark.parametrize("every", [60.0, 0.0])
@pytest.mark.parametrize("batch", range(15))
def test_law_a_crash_in_a_run_that_has_everything_changes_nothing(
    noisy_run, unbroken, outcome, tmp_path, monkeypatch, batch, every
):
    """Several batches a step, averaged weights, a rate that follows the validation; checkpoints at ends or always."""
    monkeypatch.setattr("elman.training.loop.SAVED_EVERY", every)
    with pytest.raises(Crash):
        noisy_run(tmp_path / "run", "everything", spoil=crash_at(batch + 1))
    torch.manual_seed(99)
    net = noisy_run(tmp_path / "run", "everything", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["everything"]


@pytest.mark.parametrize("step", range(1, 11))
def test_law_ctrl_c_in_a_run_that_has_everything_changes_nothing(noisy_run, unbroken, outcome, tmp_path, step):
    with pytest.raises(KeyboardInterrupt):
        noisy_run(tmp_path / "run", "everything", on_event=press_at(step))
    torch.manual_seed(99)
    net = noisy_run(tmp_path / "run", "everything", resume=True)
    assert outcome(net, tmp_path / "run") == unbroken["everything"]


@pytest.mark.parametrize("step", range(1, 16))
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_law_ctrl_c_at_any_step_and_a_resume_change_nothing(noisy_run, unbroken, outcome, tmp_path, optimizer, step):
    with pytest.raises(KeyboardInterrupt):
        noisy_run(tmp_path / "run", optimizer, on_event=press_at(step))
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
    for step in range(15):
        with pytest.raises(KeyboardInterrupt):
            noisy_run(tmp_path / "run", resume=step > 0, on_event=press_at(step + 1))
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


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("optimizer", ["adam", "everything"])
def test_law_a_process_killed_at_any_moment_and_resumed_ends_the_same(
    script, unbroken, outcome, noisy_run, tmp_path, optimizer, kills
):
    """SIGKILL can't be held: whatever was being written then, steps, events or a checkpoint, is done again or whole."""
    moments = random.Random(4)
    for _ in range(kills):
        with subprocess.Popen([sys.executable, script, tmp_path / "run", optimizer], stdout=subprocess.PIPE) as process:
            for _ in range(moments.randint(1, 4)):
                process.stdout.readline()
            time.sleep(moments.uniform(0, 0.03))
            process.kill()
    net = noisy_run(tmp_path / "run", optimizer, resume=True)
    assert outcome(net, tmp_path / "run") == unbroken[optimizer]


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
