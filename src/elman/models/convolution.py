"""Convolutional networks: over time for sequences, over both sides for images."""

import torch.nn.functional as F
from torch import Tensor, nn

from elman.models.masking import counted, without_padding


class ConvolutionEncoder(nn.Module):
    """Residual blocks of one-dimensional convolutions; block k reads steps 2^k apart, so that few blocks see far.

    A causal block reads the step and what came before it, otherwise as much on both sides; step t of the result then
    depends on steps up to t alone. Each step is normalised on its own, so that padding and the rest of the batch never
    change a result. Source: the temporal convolutional network of Bai, Kolter and Koltun (2018), arXiv 1803.01271.

    >>> import torch
    >>> net = ConvolutionEncoder(3, 8, num_layers=2, kernel_size=5)
    >>> net(torch.randn(2, 30, 3), torch.tensor([30, 7])).shape
    torch.Size([2, 30, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        kernel_size: int = 5,
        causal: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.output_size = hidden_size
        self.blocks = nn.ModuleList(
            _Block(hidden_size if k else input_size, hidden_size, kernel_size, 2**k, causal, dropout)
            for k in range(num_layers)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, T, I)`, with the number of steps of each sequence `(B)` where they differ, to `(B, T, hidden_size)`."""
        within = counted(x, lengths)
        x = without_padding(x, within)
        for block in self.blocks:
            x = without_padding(block(x), within)  # else the next block would read what a bias left in the padding
        return x


class _Block(nn.Module):
    """Two convolutions, each followed by layer normalisation, GELU and dropout, beside a shortcut."""

    def __init__(self, size: int, hidden_size: int, kernel_size: int, dilation: int, causal: bool, dropout: float):
        super().__init__()
        reach = (kernel_size - 1) * dilation  # steps from the first that is read to the last
        self.padding = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        self.convolution = nn.Conv1d(size, hidden_size, kernel_size, dilation=dilation)
        self.norm = nn.LayerNorm(hidden_size)
        self.activation = nn.GELU()
        self.mix = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Identity() if size == hidden_size else nn.Linear(size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convolution(F.pad(x.mT, self.padding)).mT
        return self.shortcut(x) + self.mix(self.dropout(self.activation(self.norm(h))))


class ImageEncoder(nn.Module):
    """Blocks of 3 x 3 convolutions, each of which halves the image while it can; then the mean over what is left.

    >>> import torch
    >>> ImageEncoder(3, 8, num_layers=2)(torch.randn(2, 3, 28, 28)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, channels: int, hidden_size: int, *, num_layers: int = 2, kernel_size: int = 3, dropout: float = 0.0
    ):
        super().__init__()
        self.output_size = hidden_size
        sizes = [max(1, hidden_size // 2 ** (num_layers - 1 - k)) for k in range(num_layers)]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel_size, padding="same"), nn.GroupNorm(1, after), nn.GELU(),
                nn.Conv2d(after, after, kernel_size, padding="same"), nn.GroupNorm(1, after), nn.GELU(),
            )
            for before, after in zip([channels, *sizes], sizes, strict=False)
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, hidden_size)`."""
        for block in self.blocks:
            x = self.dropout(block(x))
            if min(x.shape[-2:]) > 1:
                x = self.pool(x)
        return x.mean(dim=(-2, -1))
