"""Losses against cases worked by hand, against scikit-learn, and against what is missing."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_pinball_loss, mean_squared_error
from sklearn.utils.class_weight import compute_class_weight

from elman.training.losses import class_weights, cross_entropy, mse, pinball

NAN = float("nan")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_by_hand():
    y = torch.tensor([1.0, 2.0, NAN, 4.0])
    forecast = torch.tensor([0.0, 4.0, 9.0, 4.0])
    assert mse(forecast, y).item() == pytest.approx((1 + 4 + 0) / 3)
    # Quantile 0.9: one too low costs 0.9 each unit, one too high 0.1.
    assert pinball(forecast[:, None], y, [0.9]).item() == pytest.approx((0.9 * 1 + 0.1 * 2 + 0) / 3)


def test_as_scikit_learn():
    y, forecast = draw(7, 3), draw(7, 3, 4, seed=1)
    quantiles = [0.05, 0.3, 0.5, 0.95]
    assert mse(forecast[..., 0], y).item() == pytest.approx(mean_squared_error(y, forecast[..., 0]))
    theirs = [mean_pinball_loss(y.ravel(), forecast[..., k].ravel(), alpha=q) for k, q in enumerate(quantiles)]
    assert pinball(forecast, y, quantiles).item() == pytest.approx(np.mean(theirs))


@pytest.mark.parametrize("loss", [mse, lambda f, y: pinball(torch.stack([f, 2 * f], -1), y, [0.2, 0.7])])
def test_law_what_was_not_observed_counts_for_nothing(loss):
    y, forecast = draw(6), draw(6, seed=1).requires_grad_()
    y[[1, 4]] = NAN
    seen = ~torch.isnan(y)
    value = loss(forecast, y)
    assert value.item() == pytest.approx(loss(forecast[seen], y[seen]).item())
    value.backward()
    assert (forecast.grad[~seen] == 0).all()
    assert (forecast.grad[seen] != 0).all()


def test_nothing_observed_costs_nothing_and_teaches_nothing():
    forecast, y = draw(3, 2).requires_grad_(), torch.full((3,), NAN, dtype=torch.float64)
    value = mse(forecast[:, 0], y) + pinball(forecast, y, [0.1, 0.9])
    value.backward()
    assert value.item() == 0
    assert (forecast.grad == 0).all()


def test_the_pinball_loss_is_least_at_the_quantile():
    y = draw(999)
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    costs = [pinball(at.expand(999, 1), y, [0.8]).item() for at in grid]
    assert grid[int(np.argmin(costs))].item() == pytest.approx(y.quantile(0.8).item(), abs=0.011)


def test_cross_entropy_is_scikit_learns_log_loss_with_and_without_class_weights():
    logits, labels = draw(50, 4), torch.randint(0, 4, (50,), generator=torch.Generator().manual_seed(2))
    p = logits.softmax(-1).numpy()
    assert cross_entropy(logits, labels).item() == pytest.approx(log_loss(labels, p, labels=range(4)))
    weights = class_weights(labels, 4)
    assert weights.numpy() == pytest.approx(compute_class_weight("balanced", classes=np.arange(4), y=labels.numpy()))
    theirs = log_loss(labels, p, labels=range(4), sample_weight=weights.numpy()[labels])
    assert cross_entropy(logits, labels, weights=weights.double()).item() == pytest.approx(theirs)


def test_smoothing_spreads_a_share_of_each_label():
    logits, labels = draw(9, 5), torch.arange(9) % 5
    spread = torch.full((9, 5), 0.2 / 5, dtype=torch.float64)
    spread[torch.arange(9), labels] += 0.8
    expected = -(spread * logits.log_softmax(-1)).sum(-1).mean().item()
    assert cross_entropy(logits, labels, smoothing=0.2).item() == pytest.approx(expected)


def test_labels_below_zero_count_for_nothing():
    logits, labels = draw(2, 6, 3).requires_grad_(), torch.tensor([[0, 1, 2, 0, -1, -1], [2, -7, -1, -1, -1, -1]])
    seen = labels >= 0
    value = cross_entropy(logits, labels)
    assert value.item() == pytest.approx(cross_entropy(logits[seen], labels[seen]).item())
    value.backward()
    assert (logits.grad[~seen] == 0).all()
    nothing = cross_entropy(logits, torch.full((2, 6), -1))
    nothing.backward()
    assert nothing.item() == 0


def test_a_class_that_does_not_occur_weighs_nothing():
    assert class_weights(torch.tensor([0, 0, -1, 2]), 3).tolist() == pytest.approx([0.5, 0, 1])
