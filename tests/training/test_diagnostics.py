"""What a probe sees, against the same worked out by torch alone; and that it leaves everything as it was."""

import json
import math
import os

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from elman import layers
from elman.files import finite
from elman.training.diagnosis import diagnose
from elman.training.diagnostics import LAGS, Probe, horizon, kept_lags, radius, saturation, traced

T, B = 30, 4


class Reader(nn.Module):
    """A recurrent layer and a head on its last step."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.output_size, 1)

    def forward(self, x):
        y, *_ = self.layer(x)
        return self.head(y[-1])[:, 0]


def reader(cls, **options):
    torch.manual_seed(2)
    return Reader(cls(3, 5, **options))


def look(model, before=None):
    x = torch.randn(T, B, 3, generator=torch.Generator().manual_seed(1))
    return Probe(lambda m: m(x).sum()).look(model, before), x


@pytest.mark.parametrize("cls", [layers.RNN, layers.GRU])
def test_the_gradient_by_lag_is_that_of_a_loop_in_torch(cls):
    model = reader(cls)
    seen, x = look(model)
    h, states = torch.zeros(B, 5), []
    for step in x:
        _, h = model.layer(step[None], h[None])
        h = h[0]
        h.retain_grad()
        states.append(h)
    model.head(h).sum().backward()
    expected = [s.grad.norm().item() for s in reversed(states)]
    (layer,) = seen["layers"]
    assert layer["name"] == "layer.l0"
    assert layer["lags"] == list(range(T))
    assert layer["grad_norm"] == pytest.approx(expected, rel=1e-3)


def test_each_layer_and_direction_is_seen_in_its_own_time():
    torch.manual_seed(0)
    net = layers.LSTM(3, 5, num_layers=2, bidirectional=True)
    x = torch.randn(T, B, 3)
    seen = Probe(lambda m: m(x)[0][-1, :, :5].sum()).look(net)
    names = [layer["name"] for layer in seen["layers"]]
    assert names == ["l0", "l0_reverse", "l1", "l1_reverse"]
    forward = seen["layers"][2]
    assert forward["grad_norm"][0] == pytest.approx(math.sqrt(B * 5), rel=1e-3)  # the last step alone is read
    assert forward["grad_norm"][0] == max(forward["grad_norm"])
    assert len(forward["grad_norm_c"]) == T
    assert seen["layers"][3]["grad_norm"] == [0.0] * T  # y's forward half does not depend on it


def test_it_leaves_the_model_its_gradients_and_all_random_numbers_as_they_were():
    model = reader(layers.LSTM, num_layers=2, dropout=0.5)
    model.train()
    model(torch.randn(T, B, 3)).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    random = torch.get_rng_state()
    look(model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, model.parameters(), strict=True))
    assert model.training
    assert len(model.layer(torch.randn(T, B, 3))) == 2  # no longer traced


def test_it_looks_where_torchs_layers_are_forced_upon_the_training(monkeypatch):
    monkeypatch.setenv("ELMAN_KERNEL", "torch")
    assert len(look(reader(layers.LSTM))[0]["layers"]) == 1
    assert os.environ["ELMAN_KERNEL"] == "torch"


def test_numbers_that_are_not_finite_do_not_end_a_look():
    model = reader(layers.RNN)
    with torch.no_grad():
        model.layer.weight_hh_l0.fill_(math.nan)
    (layer,) = look(model)[0]["layers"]
    assert layer["radius"] == math.inf
    (finding,) = diagnose([{"event": "probe", **json.loads(json.dumps(finite({"layers": [layer]})))}])
    assert finding.illness == "exploding gradient"


def test_frozen_modules_stay_as_they_were():
    model = reader(layers.RNN)
    model.add_module("norm", nn.BatchNorm1d(3).eval())
    look(model)
    assert not model.norm.training
    assert model.head.training


def test_a_failing_loss_leaves_no_hooks_behind():
    model = reader(layers.RNN)

    def fail(m):
        m(torch.randn(T, B, 3))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Probe(fail).look(model)
    assert not model.layer._forward_hooks
    assert not model.layer._forward_pre_hooks


def test_a_layer_that_the_loss_does_not_depend_on_is_left_out():
    model = nn.ModuleDict({"used": layers.RNN(3, 5), "unused": layers.RNN(3, 5)})
    x = torch.randn(T, B, 3)

    def loss(m):
        m["unused"](x)
        return m["used"](x)[0][-1].sum()

    assert [layer["name"] for layer in Probe(loss).look(model)["layers"]] == ["used.l0"]


def test_updates_are_steps_beside_weights():
    model = reader(layers.RNN)
    before = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        model.head.weight *= 1.1
    seen, _ = look(model, before)
    assert seen["updates"]["head.weight"] == pytest.approx(0.1 / 1.1, rel=1e-3)
    assert seen["updates"]["layer.weight_hh_l0"] == 0


def test_saturated_dead_and_stuck_are_counted():
    model = reader(layers.LSTM)
    with torch.no_grad():
        model.layer.bias_ih_l0[5:10] += 50  # f open
        model.layer.bias_ih_l0[15:17] -= 50  # o shut for two units of five
        model.layer.bias_ih_l0[:5] -= 50  # i shut: nothing gets in
    (layer,) = look(model)[0]["layers"]
    assert layer["gates"]["f"] == [0, 1]
    assert layer["gates"]["i"] == [1, 0]
    assert layer["gates"]["o"][0] == pytest.approx(0.4, abs=0.15)
    assert layer["dead"] == 1
    rnn = reader(layers.RNN)
    with torch.no_grad():
        rnn.layer.bias_ih_l0[:2] = 9
    (layer,) = look(rnn)[0]["layers"]
    assert layer["stuck"] == 0.4
    assert layer["gates"] == {}  # what a simple network squashes is its state


def test_radius_and_jacobian():
    rnn = reader(layers.RNN)
    with torch.no_grad():
        rnn.layer.weight_hh_l0.copy_(torch.eye(5) * 0.5)
    (layer,) = look(rnn)[0]["layers"]
    assert layer["radius"] == 0.5
    assert 0 < layer["jacobian_radius"] < 0.5
    assert "radius" not in look(reader(layers.GRU))[0]["layers"][0]


def test_the_rank_counts_directions():
    model = reader(layers.RNN)
    with torch.no_grad():
        for p in model.layer.parameters():
            p.zero_()
        model.layer.weight_ih_l0[:, 0] = torch.tensor([0.01, 0.02, 0.01, 0.03, 0.01])
    assert look(model)[0]["layers"][0]["rank"] == pytest.approx(1, abs=0.1)
    with torch.no_grad():
        model.layer.weight_ih_l0.copy_(0.01 * torch.eye(5, 3))
    assert look(model)[0]["layers"][0]["rank"] == pytest.approx(3, abs=0.2)


def test_horizon_is_the_first_lag_below_a_thousandth():
    assert horizon(torch.tensor([1.0, 1e-2, 9e-4, 1.0])) == 2
    assert horizon(torch.ones(7)) == 7
    assert horizon(torch.zeros(7)) == 7


def test_lags_are_all_or_ever_further_apart():
    assert kept_lags(LAGS) == list(range(LAGS))
    kept = kept_lags(10_000)
    assert (kept[0], kept[-1]) == (0, 9999)
    assert len(kept) <= LAGS
    assert kept == sorted(set(kept))


def test_saturation_of_a_gate_and_of_a_tanh():
    assert saturation(torch.tensor([0.05, 0.5, 0.95, 0.99]), "f") == [0.25, 0.5]
    assert saturation(torch.tensor([-0.99, 0.5, 0.95, 0.99]), "g") == [0.25, 0.25]


def test_radius_of_a_rotation():
    assert_close(radius(torch.tensor([[0.0, -3.0], [3.0, 0.0]])), 3.0)


def test_a_probe_is_due_at_the_first_step_and_then_as_often_as_it_may():
    probe = Probe(lambda m: torch.zeros(()), every=10, share=0.1)
    assert probe.due(0, 0.0)
    assert not probe.due(5, 100.0)
    assert probe.due(10, 100.0)
    probe.seconds = 11.0
    assert not probe.due(20, 100.0)
    assert probe.due(30, 120.0)
    probe.latest = 1.0  # this look and the last one have to fit too
    assert not probe.due(30, 120.0)
    assert probe.due(30, 130.0)


def test_traced_notes_calls_in_their_order():
    model = reader(layers.RNN)
    with traced(model) as calls:
        model(torch.randn(T, B, 3))
        model(torch.randn(T, 1, 3))
    assert [c.trace.layers[0].h.shape[1] for c in calls] == [B, 1]
