"""The forecaster's network: shapes, state handed over, and no look at what is further ahead."""

import pytest
import torch
from torch import nn

from elman.errors import InputError
from elman.models.sequence import EncoderForecaster, recurrent

ARCHITECTURES = ["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm"]


def network(architecture, **options):
    torch.manual_seed(0)
    return EncoderForecaster(architecture, 5, 3, hidden_size=7, **options).double().eval()


def windows(B=2, T=12):
    return torch.randn(B, T, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("B", "window", "horizon"), [(1, 1, 1), (3, 9, 4), (2, 1, 30), (2, 30, 1)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_shapes(architecture, B, window, horizon, num_layers):
    net = network(architecture, num_layers=num_layers)
    assert net(windows(B, window + horizon), horizon).shape == (B, horizon, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("step", range(4))
def test_law_an_input_ahead_changes_its_own_step_and_later_ones_only(architecture, step):
    net, x = network(architecture, num_layers=2), windows()
    changed = x.clone()
    changed[:, 8 + step] += 1
    difference = (net(changed, 4) - net(x, 4)).abs().amax(dim=(0, 2))
    assert (difference[:step] == 0).all()
    assert (difference[step:] > 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_past_step_reaches_every_lead(architecture):
    net, x = network(architecture), windows()
    for t in range(8):
        changed = x.clone()
        changed[:, t] += 3
        assert ((net(changed, 4) - net(x, 4)).abs().amax(dim=(0, 2)) > 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_law_windows_of_a_batch_never_mix(architecture):
    net, x = network(architecture), windows(B=3)
    alone = torch.cat([net(x[b : b + 1], 4) for b in range(3)])
    torch.testing.assert_close(net(x, 4), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_weight_learns(architecture):
    net = network(architecture, num_layers=2).train()
    net(windows(), 4).square().sum().backward()
    # Only a state is handed over, so what makes y of the encoder's last state is not used.
    unused = {"encoder.weight_ho_l1", "encoder.weight_io_l1", "encoder.bias_o_l1"} if architecture == "lru" else set()
    learning = {name for name, p in net.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert {name for name, _ in net.named_parameters()} - learning == unused


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_truncation_cuts_the_gradient_and_nothing_else(architecture):
    net, x = network(architecture), windows().requires_grad_()
    whole, cut = net(x, 4), net(x, 4, truncate=3)
    torch.testing.assert_close(cut, whole, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(cut.sum(), x)
    assert (gradient[:, :5] == 0).all()
    assert (gradient[:, 5:] != 0).any(dim=2).all()
    assert torch.equal(net(x, 4, truncate=8), whole)


def test_dropout_acts_while_training_only():
    net, x = network("lstm", num_layers=2, dropout=0.5), windows()
    assert torch.equal(net(x, 4), net(x, 4))
    net.train()
    assert not torch.equal(net(x, 4), net(x, 4))


def test_one_layer_takes_dropout_without_a_warning():
    """torch's layers warn of dropout between layers where there is one only; the head has its own."""
    layer = recurrent("gru", 5, 7, 1, 0.5)
    assert layer.dropout == 0
    assert isinstance(network("gru", dropout=0.5).dropout, nn.Dropout)


def test_an_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="architecture='lstn' is not known; it is one of rnn, lstm, gru"):
        network("lstn")
