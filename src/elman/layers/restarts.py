"""Sequences cut where they restart, so that each stretch is a sequence of its own, with a first state of its own.

The kernels restart from zeros, which costs nothing. Where a layer has learned the state that it starts from, a restart
is a start like any other: the stretches run side by side as a larger batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Stretches(NamedTuple):
    """Where the steps of `(T, B)` are among S stretches: step t of sequence b is step `position` of stretch `row`.

    >>> reset = torch.tensor([[True, False], [False, False], [True, False]])  # 0 1 | 2 and 0 1 2
    >>> stretches = cut(reset, None)
    >>> stretches.row.T, stretches.lengths
    (tensor([[0, 0, 1],
            [2, 2, 2]]), tensor([2, 1, 3]))
    >>> x = torch.tensor([[1, 4], [2, 5], [3, 6]])
    >>> stretches.apart(x).T
    tensor([[1, 2, 0],
            [3, 0, 0],
            [4, 5, 6]])
    >>> torch.equal(stretches.together(stretches.apart(x)), x)
    True
    """

    row: Tensor
    """(T, B)"""
    position: Tensor
    """(T, B)"""
    lengths: Tensor
    """(S)"""
    anew: Tensor
    """(B): whether the first stretch begins with a restart."""

    def apart(self, x: Tensor) -> Tensor:
        """`x (T, B, ...)` as `(T', S, ...)`, zero past the end of each stretch."""
        steps, rows = int(self.position.max()) + 1, len(self.lengths)
        return x.new_zeros(steps, rows, *x.shape[2:]).index_put((self.position, self.row), x)

    def together(self, y: Tensor) -> Tensor:
        """`y (T', S, ...)` as `(T, B, ...)`."""
        return y[self.position, self.row]

    def enter(self, learned: Tensor, given: Tensor, backward: bool) -> Tensor:
        """The state `(S, size)` before each stretch: `given (B, size)` where a sequence is entered, else `learned`."""
        if not backward:
            given = torch.where(self.anew[:, None], learned, given)
        return learned.expand(len(self.lengths), -1).index_put((self.row[-1 if backward else 0],), given)

    def leave(self, after: Tensor, backward: bool) -> Tensor:
        """The state `(B, size)` after the stretch in which each sequence is left, of `after (S, size)`."""
        return after[self.row[0 if backward else -1]]


def cut(reset: Tensor, lengths: Tensor | None) -> Stretches:
    """The stretches of `reset (T, B)`; those of a sequence follow each other, those of the next come after them."""
    t = torch.arange(len(reset), device=reset.device)[:, None]
    valid = torch.ones_like(reset) if lengths is None else t < lengths.to(reset.device)
    begins = (reset & valid) | (t == 0)
    row = begins.t().flatten().cumsum(0).reshape(reset.shape[::-1]).t() - 1
    position = t - torch.where(begins, t, 0).cummax(0).values
    rows = int(begins.sum())
    return Stretches(row, position, torch.bincount(row[valid], minlength=rows), (reset & valid)[0])
