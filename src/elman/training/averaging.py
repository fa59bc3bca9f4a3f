"""The mean of a model's weights over its last steps, which is often better than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of the weights (Polyak and Juditsky 1992), for validation and the end.

    After step t each average is d times itself and 1 - d times the weight, with d = min(`decay`, (1 + t) / (10 +
    t)), so that the first weights, which were drawn, are soon forgotten. Whole numbers, such as counters, are
    copied.

    >>> net = nn.Linear(1, 1)
    >>> average = Average(net, decay=0.9)
    >>> average.update(net, step=1)
    >>> with average.in_place(net):
    ...     pass  # net has the averaged weights here, and its own again after
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.weights: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model: nn.Module, step: int) -> None:
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        now = model.state_dict()
        real = [k for k, v in now.items() if v.is_floating_point()]
        torch._foreach_lerp_([self.weights[k] for k in real], [now[k] for k in real], share)
        for k in now.keys() - set(real):
            self.weights[k].copy_(now[k])

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Inside, `model` has the averaged weights."""
        own = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)
