"""Sequences of unequal length in one time-major tensor: lengths, resets, packing, and turning time around."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

Lengths = Tensor | Sequence[int]


def check_lengths(lengths: Lengths, T: int, B: int, owner: str) -> Tensor:
    """`lengths` as a tensor (B) of whole numbers from 0 to T; `owner` names the layer in the errors."""
    lengths = torch.as_tensor(lengths)
    if lengths.dtype == torch.bool or lengths.is_floating_point() or lengths.is_complex():
        raise TypeError(f"{owner}: expected lengths as whole numbers, found {lengths.dtype}")
    if lengths.shape != (B,):
        raise ValueError(
            f"{owner}: expected one length for each of the {B} sequences, shape ({B},), found {tuple(lengths.shape)}"
        )
    # Reading values would break a graph that torch.compile or torch.func is tracing.
    if not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
        bad = ((lengths < 0) | (lengths > T)).nonzero()
        if len(bad):
            b = int(bad[0])
            raise ValueError(
                f"{owner}: expected lengths from 0 to {T}, the number of steps in x, found {int(lengths[b])} for "
                f"sequence {b}"
            )
    return lengths.long()


def check_reset(reset: Tensor, x: Tensor, owner: str) -> Tensor:
    """`reset` on the device of x, one bool for each step in its layout; `owner` names the layer in the errors."""
    reset = torch.as_tensor(reset, device=x.device)
    if reset.dtype != torch.bool:
        raise TypeError(f"{owner}: expected reset of torch.bool, found {reset.dtype}")
    if reset.shape != x.shape[:-1]:
        raise ValueError(
            f"{owner}: expected reset in the layout of x {tuple(x.shape)}, so of shape {tuple(x.shape[:-1])}, found "
            f"{tuple(reset.shape)}"
        )
    return reset


def reverse_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`x (T, B, ...)` with the steps of each sequence in reverse order; padding stays behind the sequence.

    >>> x = torch.tensor([[1, 4], [2, 5], [3, 0]])
    >>> reverse_time(x, torch.tensor([3, 2])).T
    tensor([[3, 2, 1],
            [5, 4, 0]])
    """
    if lengths is None:
        return x.flip(0)
    lengths = lengths.to(x.device)
    t = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(t < lengths, lengths - 1 - t, t)
    return x[source, torch.arange(x.shape[1], device=x.device)]


def reverse_reset(reset: Tensor, lengths: Tensor | None) -> Tensor:
    """`reset (T, B)` for the sequences that `reverse_time` gives: true where what was one step later began anew.

    >>> reset = torch.tensor([[False], [True], [False], [False]])  # steps 0 | 1 2 3
    >>> reverse_reset(reset, None).T  # steps 3 2 1 | 0
    tensor([[False, False, False,  True]])
    """
    backward = reverse_time(reset, lengths)
    return torch.cat([torch.zeros_like(backward[:1]), backward[:-1]])


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """The padded `x (T, B, ...)` and the lengths, both in the order that the caller had before packing."""
    x, lengths = pad_packed_sequence(packed)
    return x, lengths


def repack(y: Tensor, lengths: Tensor, like: PackedSequence) -> PackedSequence:
    """`y (T, B, ...)` packed exactly as `like`, from which `unpack` gave the lengths."""
    if like.sorted_indices is not None:
        y = y.index_select(1, like.sorted_indices)
        lengths = lengths[like.sorted_indices.cpu()]
    data = pack_padded_sequence(y, lengths).data
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)


def valid_steps(T: int, lengths: Tensor, device: torch.device) -> Tensor:
    """`(T, B, 1)`: which steps lie within their sequence."""
    return torch.arange(T, device=device)[:, None, None] < lengths.to(device)[:, None]


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`x (T, B, ...)`, zero past each length, so that a NaN there can't reach a gradient as 0 * NaN.

    >>> without_padding(torch.tensor([[[1.0], [2.0]], [[3.0], [torch.nan]]]), torch.tensor([2, 1])).squeeze(2)
    tensor([[1., 2.],
            [3., 0.]])
    """
    return x if lengths is None else x.masked_fill(~valid_steps(x.shape[0], lengths, x.device), 0)
