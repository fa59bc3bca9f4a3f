"""Losses over targets of which some were not observed (NaN): those count for nothing."""

from collections.abc import Sequence

import torch
from torch import Tensor


def observed(y: Tensor) -> tuple[Tensor, Tensor]:
    """`y` with NaN as 0, and the weight of each element: 1 / (number observed), 0 where NaN."""
    seen = ~torch.isnan(y)
    return torch.where(seen, y, 0.0), seen / seen.sum().clamp(min=1)


def mse(forecast: Tensor, y: Tensor) -> Tensor:
    """Mean squared error over what was observed; both of one shape."""
    y, weight = observed(y)
    return (weight * (forecast - y) ** 2).sum()


def pinball(forecast: Tensor, y: Tensor, quantiles: Sequence[float]) -> Tensor:
    r"""Mean quantile loss $\max(\tau e, (\tau - 1) e)$, $e = y - \hat y$ (Koenker and Bassett 1978).

    forecast: (..., Q), one for each of `quantiles`; y: (...).
    """
    y, weight = observed(y)
    tau = forecast.new_tensor(quantiles)
    error = y[..., None] - forecast
    return (weight[..., None] * torch.maximum(tau * error, (tau - 1) * error)).sum() / len(quantiles)
