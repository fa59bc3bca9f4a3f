"""From sequences to batches: by similar length, in stretches of time, or as parallel streams of one long text."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from elman.errors import InputError


def buckets(lengths: Sequence[int] | Tensor, tokens: int, generator: torch.Generator) -> list[Tensor]:
    """Batches of indices of sequences that are about as long, in random order.

    tokens: how many steps a batch may have, padding included; it has at least one sequence.

    >>> parts = buckets([9, 2, 2, 8, 3], tokens=18, generator=torch.Generator().manual_seed(0))
    >>> sorted(sorted(part.tolist()) for part in parts)
    [[0, 3], [1, 2, 4]]
    """
    sizes = torch.as_tensor(lengths)
    if tokens < 1 or (len(sizes) and int(sizes.min()) < 0):
        raise InputError(f"expected a budget of at least one token and lengths from 0 on, found {tokens} and {lengths}")
    shuffled = torch.randperm(len(sizes), generator=generator)
    order = shuffled[torch.sort(sizes[shuffled], stable=True).indices]  # by length, in random order among equals
    batches: list[Tensor] = []
    begin = 0
    for end, length in enumerate(sizes[order].tolist()):
        if end > begin and (end + 1 - begin) * length > tokens:
            batches.append(order[begin:end])
            begin = end
    if begin < len(order):
        batches.append(order[begin:])
    return [batches[k] for k in torch.randperm(len(batches), generator=generator)]


def stretches(steps: int, *sequences: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The sequences `(B, T, ...)` cut along time into pieces of `steps` steps, the last as long as is left.

    >>> [piece.tolist() for (piece,) in stretches(2, torch.arange(5)[None])]
    [[[0, 1]], [[2, 3]], [[4]]]
    """
    if steps < 1:
        raise InputError(f"expected stretches of at least one step, found {steps}")
    yield from zip(*(sequence.split(steps, dim=1) for sequence in sequences), strict=True)


def streams(series: Tensor, batch_size: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One long series `(N, ...)` as `batch_size` parallel streams, read side by side: x and the step after each, y.

    Row b of a batch goes on where row b of the batch before it ended, so a state may be carried. Both are
    `(batch_size, steps, ...)`, the last batch as long as is left; at most `batch_size` last steps are left out.

    >>> for x, y in streams(torch.arange(9), batch_size=2, steps=3):
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [4, 5, 6]] [[1, 2, 3], [5, 6, 7]]
    [[3], [7]] [[4], [8]]
    """
    if steps < 1:
        raise InputError(f"expected stretches of at least one step, found {steps}")
    length = (len(series) - 1) // batch_size if batch_size > 0 else 0
    if length < 1:
        raise InputError(
            f"{len(series)} steps are too few for {batch_size} streams; each needs one, and one that follows"
        )
    x, y = (series[k : k + batch_size * length].unflatten(0, (batch_size, length)) for k in (0, 1))
    yield from zip(x.split(steps, dim=1), y.split(steps, dim=1), strict=True)
