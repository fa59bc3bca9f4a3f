"""Networks that were built to have an illness, trained and diagnosed; and healthy ones, of which nothing is said."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from elman import layers
from elman.data.synthetic import adding
from elman.errors import TrainingError
from elman.training.diagnosis import History, diagnose
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.optimizers import optimizer

T = 60


class Net(nn.Module):
    def __init__(self, layer, outputs=1):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.output_size, outputs)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])[:, 0]


def net(cls, hidden_size=16, **options):
    torch.manual_seed(0)
    return Net(cls(2, hidden_size, batch_first=True, **options))


def data(n=256, steps=T, seed=0):
    """The mean of the last ten numbers: easy, and nothing far back matters."""
    x, _ = adding(n, steps, torch.Generator().manual_seed(seed))
    return x, x[:, -10:, 0].mean(1)


def hard(n=256, seed=0):
    """The adding problem: what matters may be far back."""
    return adding(n, T, torch.Generator().manual_seed(seed))


def mse(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def run(model, x, y, *, epochs=6, rate=3e-3, name="adam", seen=None, held=None, every=5, **options):
    """The findings after training on (x, y), validated on `held`."""
    events = []
    constant = {"constant": y.var().item()}
    events.append({"event": "fact", **constant, **(seen or {})})
    held = data(64, x.shape[1], seed=9) if held is None else held
    probe = Probe(lambda m: m(x[:8]).sum(), every=every, share=1.0)
    with suppress(TrainingError):
        train(
            model,
            lambda epoch: zip(x.split(32), y.split(32), strict=True),
            mse,
            optimizer=optimizer(name, model.parameters(), rate),
            epochs=epochs,
            validate=lambda m: mse(m, held).item(),
            probe=probe,
            on_event=events.append,
            **options,
        )
    return diagnose(events)


def names(findings):
    return [finding.illness for finding in findings]


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU])
def test_of_a_healthy_network_nothing_is_said(cls):
    assert run(net(cls), *data(), epochs=60, rate=1e-2, clip=1.0, every=40) == []


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU])
def test_a_gate_that_keeps_the_state_may_be_open(cls):
    model = net(cls, recurrent_init="orthogonal")
    with torch.no_grad():
        model.layer.bias_ih_l0[16:32] = 5  # f, and z
    x, y = hard()
    assert "saturated gate" not in names(run(model, x, y, clip=1.0))


def test_a_minimal_gru_keeps_its_state_by_a_gate_that_is_shut():
    model = net(layers.MinGRU)
    with torch.no_grad():
        model.layer.bias_ih_l0[:16] = -6
    assert "saturated gate" not in names(run(model, *hard()))
    with torch.no_grad():
        model.layer.bias_ih_l0[:16] = 6  # it takes every candidate
    assert "saturated gate" in names(run(model, *hard()))


def test_vanishing():
    model = net(layers.RNN)
    with torch.no_grad():
        model.layer.weight_hh_l0.copy_(0.3 * torch.eye(16))
    (finding,) = [f for f in run(model, *hard()) if f.illness == "vanishing gradient"]
    assert finding.evidence["steps"] == T
    assert 3 <= finding.evidence["horizon"] < 15  # 0.3^6 is below a thousandth
    assert f"reaches {finding.evidence['horizon']} of {T} steps back" in finding.sentence
    assert "LSTM or GRU" in finding.cures[0]


def test_a_gated_cell_is_not_told_to_become_one():
    model = net(layers.LSTM)
    with torch.no_grad():
        model.layer.bias_ih_l0[16:32] = -4  # it forgets at once
    (finding,) = [f for f in run(model, *hard()) if f.illness == "vanishing gradient"]
    assert "forget-gate bias" in finding.cures[0]
    assert not any("LSTM" in cure for cure in finding.cures)


def test_exploding():
    torch.manual_seed(0)
    model = Net(layers.RNN(2, 16, nonlinearity="relu", batch_first=True))
    with torch.no_grad():
        model.layer.weight_hh_l0.copy_(1.3 * torch.eye(16))
        model.layer.bias_ih_l0.fill_(0.1)
    findings = run(model, *data(), epochs=1, rate=1e-20, name="sgd")
    assert names(findings)[0] == "exploding gradient"
    assert findings[0].evidence["factor"] > 1e3
    assert findings[0].evidence["lag"] == T - 1
    assert "clip" in findings[0].cures[0]


def test_a_gradient_that_is_wild_at_times_is_exploding():
    steps = [{"event": "step", "step": k, "loss": 1.0, "grad_norm": 1.0} for k in range(50)]
    steps[30]["grad_norm"] = 5000.0
    (finding,) = diagnose(steps)
    assert finding.illness == "exploding gradient"
    assert finding.evidence == {"step": 30, "norm": 5000.0, "median": 1.0, "steps": 1}


def test_saturated():
    model = net(layers.LSTM)
    with torch.no_grad():
        model.layer.bias_ih_l0[48:] = 12  # o is open for good
    (finding,) = [f for f in run(model, *data()) if f.illness == "saturated gate"]
    assert finding.evidence["gate"] == "o"
    assert finding.evidence["share"] > 0.95
    units = net(layers.RNN)
    with torch.no_grad():
        units.layer.bias_ih_l0[:10] = 20
    assert "saturated units" in names(run(units, *data()))


def test_dead():
    torch.manual_seed(0)
    model = Net(layers.RNN(2, 16, nonlinearity="relu", batch_first=True))
    with torch.no_grad():
        model.layer.weight_hh_l0.copy_(torch.eye(16))
        model.layer.bias_ih_l0.fill_(0.1)
        model.layer.bias_ih_l0[:10] = -100
    (finding,) = [f for f in run(model, *data(), clip=1.0, rate=1e-3) if f.illness == "dead units"]
    assert finding.evidence["share"] == pytest.approx(10 / 16, abs=0.1)


def test_underfitting():
    x, _ = data()
    y = torch.randn(len(x), generator=torch.Generator().manual_seed(3))  # has nothing to do with x
    model = net(layers.GRU, hidden_size=2)
    assert "underfitting" in names(run(model, x, y, epochs=8, rate=1e-3))


def test_overfitting():
    x, y = data(32)
    noise = torch.randn(32, generator=torch.Generator().manual_seed(3))
    held = data(64, seed=9)
    model = net(layers.GRU, hidden_size=64)
    findings = run(model, x[:, -15:], y + noise, held=(held[0][:, -15:], held[1]), epochs=150, rate=1e-2)
    (finding,) = [f for f in findings if f.illness == "overfitting"]
    assert finding.evidence["last"] > 1.2 * finding.evidence["best"]
    assert "underfitting" not in names(findings)


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_a_learning_rate_too_high(rate):
    findings = run(net(layers.LSTM), *data(), rate=rate)
    assert "learning rate too high" in names(findings)
    assert "learning rate too low" not in names(findings)


@pytest.mark.parametrize(("name", "rate"), [("sgd", 1e-6), ("adam", 1e-8)])
def test_a_learning_rate_too_low(name, rate):
    findings = run(net(layers.LSTM), *data(), rate=rate, name=name)
    assert "learning rate too low" in names(findings)
    assert not {"learning rate too high", "underfitting"} & set(names(findings))


def test_a_leak_in_the_split():
    x, y = data()
    findings = run(net(layers.LSTM), x, y, seen={"shared": 12, "validated": 64})
    assert findings[0].illness == "leak in the split"
    assert "12 of 64" in findings[0].sentence
    assert "leak in the split" not in names(run(net(layers.LSTM), x, y, seen={"shared": 0, "validated": 64}))


def test_a_run_that_broke_off_says_why():
    x, y = data()
    findings = run(net(layers.RNN), x, y * float("inf"))
    assert findings[0].illness == "values that are not finite"
    assert "broke off at step 0" in findings[0].sentence
    later = [{"event": "step", "step": k, "loss": 1.0, "grad_norm": 1.0} for k in range(30)]
    (finding,) = diagnose([*later, {"event": "error", "step": 30, "message": "the loss is nan"}])
    assert finding.illness == "exploding gradient"


def test_of_no_events_nothing_is_said():
    assert diagnose([]) == []
    history = History.of([{"event": "end"}, {"event": "step", "loss": 1.0}])
    assert len(history.steps) == 1
    assert history.layers == []
