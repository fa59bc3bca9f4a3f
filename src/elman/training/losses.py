"""Losses over targets of which some were not observed (NaN, or a label below 0): those count for nothing."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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


def cross_entropy(logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the labels that are known; those below 0 are not.

    logits: (..., V); labels: (...) whole numbers from 0 to V - 1. weights: (V), how much each class counts; the mean is
    weighed too. smoothing: the share of each label that is spread over all classes (arXiv 1512.00567, section 7).

    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 9.0]])
    >>> round(cross_entropy(logits, torch.tensor([0, -1])).item(), 4)
    0.1269
    """
    flat, known = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    if not (known >= 0).any():
        return flat.sum() * 0  # and not the NaN of a mean over nothing
    known = known.clamp(min=-1)
    return F.cross_entropy(flat, known, weight=weights, ignore_index=-1, label_smoothing=smoothing)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """(V): what makes all classes count alike in sum, n / (V * n of the class); 0 for one that does not occur.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    counts = torch.bincount(labels[labels >= 0].flatten(), minlength=classes).float()
    return torch.where(counts > 0, counts.sum() / (classes * counts.clamp(min=1)), 0.0)
