"""Each search lowers what has no gradient, keeps to bound and budget, can be broken off, and leaves the world alone."""

import math
import os
import signal
import threading
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from elman.errors import InputError
from elman.training import gradient_free
from elman.training.checkpoint import save_checkpoint
from elman.training.gradient_free import SEARCHES, search
from elman.training.record import Run

EVERY = pytest.mark.parametrize("optimizer", SEARCHES)
BUDGET, POPULATION = 95, 10  # the last generation is not a whole one

X = torch.cartesian_prod(torch.linspace(-1, 1, 6), torch.linspace(-1, 1, 6))
Y = X[:, 0] * X[:, 1] > 0


def network(seed=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def far():
    """A network from which every search gets on."""
    net = network()
    nn.utils.vector_to_parameters(torch.full((13,), 2.9), net.parameters())
    return net


def weights(net):
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def wrong(model):
    """The share of wrong answers: flat nearly everywhere, and its slope tells nothing."""
    return ((model(X)[:, 0] > 0) != Y).float().mean()


def bowl(model):
    """A value that differs with every weight, so that every step of a search tells."""
    return (weights(model) - torch.linspace(-1, 1, 13)).square().sum().item()


def fickle(model):
    """Now up, now down, while a search goes on."""
    return math.cos(bowl(model))


def find(net, value=bowl, optimizer="de", **options):
    return search(net, value, **{"optimizer": optimizer, "budget": BUDGET, "population": POPULATION} | options)


@EVERY
def test_it_lowers_what_has_no_gradient(optimizer):
    net = network()
    before = wrong(net).item()
    assert find(net, wrong, optimizer, budget=600, population=20).step == 600
    assert wrong(net).item() <= before - 0.08
    assert not net.training


@EVERY
def test_law_the_result_is_the_best_of_all_and_never_worse_than_the_start(optimizer):
    for budget in (1, 2, 23):
        net, seen = network(), []
        before = weights(net)
        find(net, lambda model, seen=seen: seen.append(bowl(model)) or seen[-1], optimizer, budget=budget)
        assert len(seen) == budget
        assert seen[0] == bowl(network())
        assert bowl(net) == min(seen)
    good = network()
    nn.utils.vector_to_parameters(torch.linspace(-1, 1, 13), good.parameters())
    find(good, optimizer=optimizer)
    assert bowl(good) == 0
    assert not torch.equal(weights(good), before)


@EVERY
@pytest.mark.parametrize("bound", [0.1, 7.0])
def test_law_no_weight_leaves_the_bound(optimizer, bound):
    net, seen = network(), []
    nn.utils.vector_to_parameters(torch.linspace(-9, 9, 13), net.parameters())  # it has to come back first

    def outward(model):
        seen.append(weights(model))
        return -seen[-1].square().sum().item()

    find(net, outward, optimizer, bound=bound)
    assert torch.equal(seen[0], torch.linspace(-9, 9, 13).clamp(-bound, bound))
    assert torch.stack(seen).abs().max() <= torch.tensor(bound)
    assert len({tuple(w.tolist()) for w in seen}) > BUDGET / 2


@EVERY
def test_the_budget_is_used_up_where_a_search_converges_at_once(optimizer):
    calls, events = count(1), []
    done = find(network(), lambda model: next(calls) * 0.0, optimizer, budget=303, on_event=events.append)
    assert next(calls) == 304
    assert done.step == 303
    epochs = [e for e in events if e["event"] == "epoch"]
    assert [e["step"] for e in epochs] == [*range(10, 301, 10), 303]
    assert [e["epoch"] for e in epochs] == list(range(31))
    assert events[-1]["event"] == "end"


@EVERY
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308])
def test_what_is_not_finite_or_immense_counts_as_the_worst(optimizer, bad):
    net, calls, good = network(), count(1), []

    def value(model):
        if next(calls) % 3:
            return torch.tensor(bad, dtype=torch.float64)
        good.append(bowl(model))
        return good[-1]

    find(net, value, optimizer)
    assert bowl(net) == min(good)
    find(network(), lambda model: bad, optimizer)  # and a search that sees nothing else ends all the same


@EVERY
def test_a_seed_gives_its_weights_and_another_seed_others(optimizer):
    ends, ways = [], []
    for seed in (4, 4, 5):
        net, way = network(), []
        find(net, lambda model, way=way: way.append(bowl(model)) or way[-1], optimizer, seed=seed)
        ends.append(weights(net).tolist())
        ways.append(way)
    assert (ends[0], ways[0]) == (ends[1], ways[1])
    assert len(set(ways[0]) & set(ways[2])) == 1  # the start


@EVERY
def test_validation_keeps_the_weights_that_it_likes_best(optimizer):
    net, seen, events = far(), [], []

    def validate(model):
        assert not torch.is_grad_enabled()
        seen.append((fickle(model), weights(model)))
        return seen[-1][0]

    done = find(net, optimizer=optimizer, validate=validate, on_event=events.append)
    losses = [loss for loss, _ in seen]
    assert len(set(losses)) > 2 or optimizer == "annealing"  # whose jumps are too long for so few evaluations
    assert len(seen) == 10
    assert done.val_losses == losses
    assert (done.best, done.best_epoch) == (min(losses), losses.index(min(losses)))
    assert torch.equal(weights(net), seen[done.best_epoch][1])
    bests = [e["best"] for e in events if e["event"] == "epoch"]
    assert bests == [loss < min(losses[:k], default=math.inf) for k, loss in enumerate(losses)]


@EVERY
def test_an_epoch_tells_of_its_generation(optimizer):
    values, events = [], []
    find(far(), lambda model: values.append(bowl(model)) or values[-1], optimizer, on_event=events.append)
    for k, event in enumerate(e for e in events if e["event"] == "epoch"):
        generation = values[k * POPULATION : (k + 1) * POPULATION]
        assert event["train_loss"] == min(values[: (k + 1) * POPULATION])
        assert (event["median"], event["worst"]) == (np.median(generation), max(generation))


@EVERY
def test_frozen_weights_stay(optimizer):
    net = network()
    net[0].weight.requires_grad_(False)
    before = net[0].weight.clone()
    find(net, lambda model: model[2].weight.square().sum(), optimizer)
    assert torch.equal(net[0].weight, before)


@EVERY
def test_random_numbers_of_others_are_left_alone_all_the_while(optimizer):
    np.random.seed(12)
    ours, torchs = np.random.get_state(), torch.get_rng_state()

    def value(model):
        now = np.random.get_state()
        assert now[2] == ours[2] and np.array_equal(now[1], ours[1])  # another thread may draw meanwhile
        assert torch.equal(torch.get_rng_state(), torchs)
        return bowl(model)

    net = network()
    torchs = torch.get_rng_state()
    find(net, value, optimizer)
    now = np.random.get_state()
    assert now[2] == ours[2] and np.array_equal(now[1], ours[1])


@EVERY
def test_in_another_thread_it_finds_the_same(optimizer):
    here, there = network(), network()
    find(here, optimizer=optimizer)
    thread = threading.Thread(target=lambda: find(there, optimizer=optimizer))
    thread.start()
    thread.join()
    assert torch.equal(weights(here), weights(there))


@EVERY
@pytest.mark.parametrize("error", [ValueError, RuntimeError, InputError])
@pytest.mark.parametrize("threaded", [False, True])
def test_an_error_in_the_value_comes_out_as_it_is(optimizer, error, threaded):
    calls, caught = count(1), []

    def value(model):
        if next(calls) in (1 + POPULATION // 2, 60):
            raise error("of the value")
        return bowl(model)

    def go():
        try:
            find(network(), value, optimizer)
        except Exception as found:
            caught.append(found)

    thread = threading.Thread(target=go)
    if threaded:
        thread.start()
        thread.join()
    else:
        go()
    assert [type(found) for found in caught] == [error]
    assert str(caught[0]) == "of the value"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer='adam' is not known; without a gradient it is one of annealing, pso, "),
        ({"budget": 0}, "a budget of at least 1.*found 0, 10 and 3"),
        ({"population": 4}, "a population of at least 5.*found 95, 4 and 3"),
        ({"bound": 0.0}, "a finite bound above 0; found 95, 10 and 0"),
        ({"bound": math.nan}, "a finite bound above 0; found 95, 10 and nan"),
        ({"bound": math.inf}, "a finite bound above 0; found 95, 10 and inf"),
    ],
)
def test_what_can_not_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        find(network(), **options)


def test_a_network_without_weights_or_with_too_many_is_refused():
    with pytest.raises(InputError, match=r"has 2550 weights, and 'de' searches at most 2000.*fewer units.*adam"):
        find(nn.Linear(50, 50))
    with pytest.raises(InputError, match="has no weights"):
        find(network().requires_grad_(False))


@EVERY
def test_a_single_weight_and_the_smallest_population_are_enough(optimizer):
    net = nn.Linear(1, 1, bias=False)
    find(net, lambda model: (model.weight - 1).abs(), optimizer, population=5)
    assert net.weight.item() == pytest.approx(1, abs=0.2)


# Broken off and gone on with


class Crash(Exception):
    pass


def broken_off(optimizer, folder, *, at=None, how=None, value=bowl, **options):
    """The network, and the events of a run whose `at`th evaluation is spoiled by `how`."""
    net, run, calls = far(), Run(folder), count(1)

    def spoiled(model):
        if next(calls) == at:
            how()
        return value(model)

    resume = options.pop("resume", False)
    if not resume:
        run.start({})
    find(
        net, spoiled, optimizer, run=run, resume=resume,
        validate=fickle, **options,
    )  # fmt: skip
    return net


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def crash():
    raise Crash


@EVERY
@pytest.mark.parametrize("at", [1, 10, 57, 91, 95])
def test_law_ctrl_c_and_resume_end_as_if_nothing_had_happened(optimizer, at, outcome, tmp_path):
    unbroken = outcome(broken_off(optimizer, tmp_path / "unbroken"), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        broken_off(optimizer, tmp_path / "broken", at=at, how=ctrl_c)
    resumed = broken_off(optimizer, tmp_path / "broken", resume=True)
    assert outcome(resumed, tmp_path / "broken") == unbroken
    assert [e["epoch"] for e in unbroken[1] if e["event"] == "epoch"] == list(range(10))


@EVERY
@pytest.mark.parametrize("at", [1, 11, 58, 95])
def test_law_a_crash_and_resume_end_as_if_nothing_had_happened(optimizer, at, outcome, tmp_path, monkeypatch):
    unbroken = outcome(broken_off(optimizer, tmp_path / "unbroken"), tmp_path / "unbroken")
    monkeypatch.setattr(gradient_free, "SAVED_EVERY", 0.0)
    with pytest.raises(Crash):
        broken_off(optimizer, tmp_path / "broken", at=at, how=crash)
    calls = count()
    resumed = broken_off(
        optimizer, tmp_path / "broken", resume=True, value=lambda model: next(calls) * 0.0 + bowl(model)
    )
    assert outcome(resumed, tmp_path / "broken") == unbroken
    assert next(calls) == BUDGET - (at - 1)  # what was known was not computed again


@EVERY
def test_law_it_goes_on_past_a_search_that_had_converged(optimizer, outcome, tmp_path):
    def flat(model):
        return float(weights(model)[0] > -9)

    unbroken = outcome(broken_off(optimizer, tmp_path / "unbroken", value=flat), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        broken_off(optimizer, tmp_path / "broken", at=80, how=ctrl_c, value=flat)
    resumed = broken_off(optimizer, tmp_path / "broken", resume=True, value=flat)
    assert outcome(resumed, tmp_path / "broken") == unbroken


@EVERY
def test_a_run_that_has_ended_ends_again_and_goes_further_with_a_larger_budget(optimizer, outcome, tmp_path):
    once = outcome(broken_off(optimizer, tmp_path / "run"), tmp_path / "run")
    again = broken_off(optimizer, tmp_path / "run", at=1, how=crash, resume=True)  # no evaluation is left
    assert outcome(again, tmp_path / "run") == once

    longer = outcome(broken_off(optimizer, tmp_path / "longer", budget=150), tmp_path / "longer")
    further = broken_off(optimizer, tmp_path / "run", resume=True, budget=150)
    assert outcome(further, tmp_path / "run") == longer


def test_the_seconds_before_a_pause_count(tmp_path, monkeypatch):
    clock = count()
    monkeypatch.setattr(gradient_free.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(gradient_free, "SAVED_EVERY", math.inf)
    with pytest.raises(KeyboardInterrupt):
        broken_off("de", tmp_path / "run", at=80, how=ctrl_c)
    broken_off("de", tmp_path / "run", resume=True)
    seconds = [e["seconds"] for e in Run(tmp_path / "run").events() if e["event"] == "epoch"]
    assert seconds == sorted(seconds)
    assert seconds[-1] > BUDGET


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        broken_off("de", tmp_path / "run", at=20, how=ctrl_c)
    with pytest.raises(InputError, match=r"does not belong to this run.*'pso'"):
        broken_off("pso", tmp_path / "run", resume=True)
    net, run = network(), Run(tmp_path / "descent")
    run.start({})
    save_checkpoint(run.checkpoint_path, find(net), net, torch.optim.SGD(net.parameters()), {})
    with pytest.raises(InputError, match=r"does not belong to this run.*'de'"):
        broken_off("de", run.path, resume=True)
