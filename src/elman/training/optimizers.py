"""The optimisers by name: torch's own."""

from collections.abc import Iterable

import torch
from torch import nn

from elman.errors import InputError

NAMES = ("adam", "adamw", "sgd")


def optimizer(
    name: str, parameters: Iterable[nn.Parameter], rate: float, *, weight_decay: float = 0.0, momentum: float = 0.0
) -> torch.optim.Optimizer:
    """SGD with momentum, Adam (weight decay as a part of the gradient) or AdamW (decoupled from it).

    >>> type(optimizer("sgd", nn.Linear(1, 1).parameters(), 0.1, momentum=0.9)).__name__
    'SGD'
    """
    if name == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=momentum, weight_decay=weight_decay)
    if name == "adam":
        return torch.optim.Adam(parameters, rate, weight_decay=weight_decay)
    if name == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=weight_decay)
    raise InputError(f"optimizer={name!r} is not known; it is one of {', '.join(NAMES)}")
