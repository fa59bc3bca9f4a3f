"""An echo state network: a fixed reservoir, or delays and products, and a linear readout of it."""

import numpy as np
import torch
from torch import Tensor, nn

from elman.layers import Reservoir
from elman.models.nvar import NVAR
from elman.models.readout import Linear


class EchoState(nn.Module):
    """A reservoir and a readout, which reads its states, and its inputs where `skip`.

    Nothing in it has a gradient. `last_state`, `last_features` and `last_output` (what was true there) tell where the
    series ended that it was fitted to, so that it can go on from there.

    >>> net = EchoState(Reservoir(1, 20, batch_first=True), 2)
    >>> y, state = net(torch.randn(3, 7, 1))
    >>> y.shape, net.features(torch.randn(3, 7, 1))[0].shape
    (torch.Size([3, 7, 2]), torch.Size([3, 7, 21]))
    """

    def __init__(
        self, reservoir: Reservoir | NVAR, outputs: int, *, skip: bool = True, dtype: torch.dtype | None = None
    ):
        super().__init__()
        self.reservoir = reservoir
        self.skip = skip and isinstance(reservoir, Reservoir)  # an NVAR has its inputs among its features
        self.feature_size = reservoir.output_size + (reservoir.input_size if self.skip else 0)
        self.readout = nn.Linear(self.feature_size, outputs, dtype=dtype).requires_grad_(False)
        layers, units = (
            (1, (reservoir.memory, reservoir.input_size))
            if isinstance(reservoir, NVAR)
            else (reservoir.num_layers, (1, reservoir.hidden_size))
        )
        self.register_buffer("last_state", torch.zeros(layers, *units, dtype=dtype))
        self.register_buffer("last_features", torch.zeros(self.feature_size, dtype=dtype))
        self.register_buffer("last_output", torch.zeros(outputs, dtype=dtype))
        self.last_state: Tensor
        self.last_features: Tensor
        self.last_output: Tensor

    @torch.no_grad()
    def features(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`x (B, T, I)` to what the readout reads, `(B, T, F)`, and the state after it."""
        y, state = _run(self.reservoir, x, state)
        return (torch.cat([y, x], dim=-1) if self.skip else y), state

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`(B, T, I)` to `(B, T, O)` and the state after it."""
        features, state = self.features(x, state)
        return self.readout(features), state

    @torch.no_grad()
    def set_readout(self, linear: Linear) -> None:
        self.readout.weight.copy_(torch.from_numpy(linear.slope.T))
        self.readout.bias.copy_(torch.from_numpy(np.asarray(linear.intercept)))


def _run(reservoir: Reservoir | NVAR, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    y, state = reservoir(x, state)
    return y, state
