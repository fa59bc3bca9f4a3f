"""From a vector for each step to one for the sequence; steps behind its end count for nothing."""

from typing import Literal

import torch
from torch import Tensor, nn

from elman.layers import HopfieldPooling
from elman.models.masking import counted

Pooling = Literal["last", "mean", "max", "summary", "attention", "hopfield"]


class Pool(nn.Module):
    """The last step of each sequence, or the mean, the maximum or a learned weighted mean over its steps; or, as
    "summary", the first three side by side. "hopfield": what a learned state reads of the steps as stored patterns.

    bidirectional: the second half of `size` was made backwards in time, and its last step is the sequence's first.

    >>> h = torch.tensor([[[1.0], [3.0], [9.0]], [[5.0], [7.0], [0.0]]])
    >>> for kind in ("last", "mean", "max"):
    ...     print(Pool(kind, 1)(h, torch.tensor([3, 2])).flatten().tolist())
    [9.0, 7.0]
    [4.333333492279053, 6.0]
    [9.0, 7.0]
    """

    def __init__(self, kind: Pooling, size: int, *, bidirectional: bool = False):
        super().__init__()
        self.kind, self.bidirectional = kind, bidirectional
        self.output_size = 3 * size if kind == "summary" else size
        self.weigh = nn.Linear(size, 1) if kind == "attention" else None
        self.read = HopfieldPooling(size) if kind == "hopfield" else None

    def forward(self, h: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`(B, T, size)` to `(B, output_size)`; lengths `(B)`, from 1 on, where the sequences differ in theirs."""
        within = counted(h, lengths)
        if self.kind == "last":
            return last_step(h, lengths, self.bidirectional)
        if self.kind == "mean":
            return mean(h, within)
        if self.kind == "max":
            return maximum(h, within)
        if self.read is not None:
            return self.read(h, lengths=lengths)
        if self.weigh is None:
            return torch.cat([last_step(h, lengths, self.bidirectional), mean(h, within), maximum(h, within)], dim=-1)
        score = self.weigh(torch.tanh(h))
        score = score if within is None else score.masked_fill(~within[..., None], -torch.inf)
        return (h * score.softmax(dim=1)).sum(dim=1)

    def so_far(self, h: Tensor) -> Tensor:
        """`(B, T, size)` to `(B, T, output_size)`: the same after each step, of the steps up to it.

        Not of a bidirectional h, whose first steps know of the last.
        """
        count = torch.arange(1, h.shape[1] + 1, device=h.device)[:, None]
        if self.read is not None:
            B, T, _ = h.shape
            return self.read(h.repeat_interleave(T, dim=0), lengths=count[:, 0].repeat(B)).unflatten(0, (B, T))
        if self.weigh is not None:
            score = self.weigh(torch.tanh(h))
            weight = (score - score.amax(dim=1, keepdim=True)).exp()
            return (h * weight).cumsum(dim=1) / weight.cumsum(dim=1)
        means, most = h.cumsum(dim=1) / count, h.cummax(dim=1).values
        found = {"last": h, "mean": means, "max": most}
        return torch.cat([h, means, most], dim=-1) if self.kind == "summary" else found[self.kind]


def mean(h: Tensor, within: Tensor | None) -> Tensor:
    """Over the steps that `within (B, T)` counts."""
    if within is None:
        return h.mean(dim=1)
    weight = within[..., None].to(h.dtype)
    return (h * weight).sum(dim=1) / weight.sum(dim=1)


def maximum(h: Tensor, within: Tensor | None) -> Tensor:
    return (h if within is None else h.masked_fill(~within[..., None], -torch.inf)).amax(dim=1)


def last_step(h: Tensor, lengths: Tensor | None = None, bidirectional: bool = False) -> Tensor:
    """`(B, T, size)` to `(B, size)`, each direction after all that it has read."""
    if lengths is None:
        last = h[:, -1]
    else:
        last = h[torch.arange(len(h), device=h.device), lengths.to(h.device) - 1]
    if not bidirectional:
        return last
    half = h.shape[-1] // 2
    return torch.cat([last[:, :half], h[:, 0, half:]], dim=-1)
