"""A transformer that reads sequences, from torch's own parts."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.models.masking import counted, without_padding

Positions = Literal["sinusoidal", "learned"]


class TransformerEncoder(nn.Module):
    """`torch.nn.TransformerEncoder` over the steps, normalised first, with the place of each step added to it.

    heads: of the attention; hidden_size is a multiple of it. max_steps: of the longest sequence, needed for learned
    positions only. Source: Vaswani et al. (2017), arXiv 1706.03762.

    >>> net = TransformerEncoder(3, 8, heads=2)
    >>> net(torch.randn(2, 30, 3), torch.tensor([30, 7])).shape
    torch.Size([2, 30, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        heads: int = 4,
        positions: Positions = "sinusoidal",
        max_steps: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if hidden_size % heads:
            raise InputError(f"hidden_size={hidden_size} must be a multiple of heads={heads}, the parts it is cut into")
        self.output_size = hidden_size
        self.embedding = nn.Linear(input_size, hidden_size)
        self.places = None
        if positions == "learned":
            if max_steps is None:
                raise InputError("positions='learned' needs max_steps, the length of the longest sequence")
            self.places = nn.Parameter(0.02 * torch.randn(max_steps, hidden_size))
        layer = nn.TransformerEncoderLayer(
            hidden_size, heads, 4 * hidden_size, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, num_layers, norm=nn.LayerNorm(hidden_size), enable_nested_tensor=False
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, T, I)`, with the number of steps of each sequence `(B)` where they differ, to `(B, T, hidden_size)`."""
        within = counted(x, lengths)
        h = self.embedding(without_padding(x, within)) + self._places(x)
        h = self.layers(h, src_key_padding_mask=None if within is None else ~within)
        return without_padding(h, within)

    def _places(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        if self.places is None:
            return sinusoids(T, self.output_size).to(x)
        if len(self.places) < T:
            raise InputError(
                f"a sequence has {T} steps, and places were learned for {len(self.places)}; with "
                "positions='sinusoidal' it could be longer"
            )
        return self.places[:T]


def sinusoids(steps: int, size: int) -> Tensor:
    """`(steps, size)`: sines and cosines of wavelengths from 2 pi to 10,000 times that, side by side.

    >>> sinusoids(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    rate = torch.exp(-math.log(10_000) / size * torch.arange(0, size, 2))
    angle = torch.arange(steps)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :size]
