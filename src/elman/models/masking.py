"""Which steps of a padded batch count, batch first."""

import torch
from torch import Tensor


def counted(x: Tensor, lengths: Tensor | None) -> Tensor | None:
    """`(B, T)`: which steps of `x (B, T, ...)` lie within their sequence; None where all do.

    >>> counted(torch.zeros(2, 3, 1), torch.tensor([3, 1]))
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    if lengths is None:
        return None
    return torch.arange(x.shape[1], device=x.device) < lengths.to(x.device)[:, None]


def without_padding(x: Tensor, within: Tensor | None) -> Tensor:
    """`x (B, T, D)`, zero outside of what `counted` gave: a NaN there reaches neither a result nor a gradient."""
    return x if within is None else x.masked_fill(~within[..., None], 0)
