"""One answer for each sequence, or each image: an encoder, and a head upon what it made of the whole."""

import torch
from torch import Tensor, nn

from elman.models.pooling import Pool, Pooling, last_step


class SequenceModel(nn.Module):
    """An encoder (`elman.models.encoders`), pooling over the steps, dropout and a linear head.

    >>> from elman.models.encoders import encoder
    >>> net = SequenceModel(encoder("lstm", 3, 8), 5, pooling="mean")
    >>> net(torch.randn(2, 30, 3), torch.tensor([30, 7])).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        encoder: nn.Module,
        output_size: int,
        *,
        pooling: Pooling = "last",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        self.bidirectional = bidirectional
        self.pool = Pool(pooling, int(encoder.output_size), bidirectional=bidirectional)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.pool.output_size, output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, T, I)`, with the number of steps of each sequence `(B)` where they differ, to `(B, output_size)`."""
        return self.head(self.dropout(self.pool(self.encoder(x, lengths), lengths)))

    def as_it_reads(self, x: Tensor) -> Tensor:
        """`(B, T, I)` to `(B, T, output_size)`: what it says of the steps so far, of a recurrent encoder.

        A bidirectional one has to read T times.
        """
        if self.bidirectional:
            B, T, _ = x.shape
            return self(x.repeat_interleave(T, dim=0), torch.arange(1, T + 1).repeat(B)).unflatten(0, (B, T))
        return self.head(self.pool.so_far(self.encoder(x)))

    def at_the_end(self, steps: int, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the head makes of the last of so many steps, as if it were the only one, for a look inside.

        No sequence may be shorter than that.
        """
        return self.head(self.pool(last_step(self.encoder(x[:, :steps]), None, self.bidirectional)[:, None]))


class ImageModel(nn.Module):
    """An encoder of whole images, dropout and a linear head: `(B, C, H, W)` to `(B, output_size)`."""

    def __init__(self, encoder: nn.Module, output_size: int, *, dropout: float = 0.0):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.output_size), output_size)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.encoder(x)))
