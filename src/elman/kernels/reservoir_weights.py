"""The fixed weights of a reservoir, and how they are packed for the kernel."""

from functools import cached_property

import torch
from torch import Tensor

from .arguments import expect_tensors

LINE = 64  # bytes of the rows that lie side by side: `lanes` of csrc/kernels.h


class ReservoirWeights:
    """`W_in (N, I)`, `W (N, N)`, sparse in any of torch's layouts or dense, and `b (N)` or None.

    They are copied, so that a later change of the arguments changes nothing here, and packed for the kernel once.

    >>> weights = ReservoirWeights(torch.ones(3, 1), torch.eye(3).to_sparse())
    >>> weights.values.shape, weights.W.shape
    (torch.Size([3]), torch.Size([3, 3]))
    """

    def __init__(self, W_in: Tensor, W: Tensor, b: Tensor | None = None) -> None:
        expect_tensors("reservoir", {"W_in": W_in, "W": W, "b": b}.items(), must=("W_in", "W"))
        N = W.shape[0] if W.dim() else 0
        fits = N > 0 and W.shape == (N, N) and W_in.dim() == 2 and W_in.shape[0] == N and W_in.shape[1] > 0
        given = [t for t in (W_in, b) if t is not None]
        if not fits or (b is not None and b.shape != (N,)):
            raise ValueError(
                "reservoir: expected W (N, N), W_in (N, I) and b (N) or None, N and I at least 1; "
                f"found {describe(W=W, W_in=W_in, b=b)}"
            )
        if any(t.dtype != W.dtype or t.device != W.device or t.layout != torch.strided for t in given):
            raise ValueError(
                "reservoir: expected W_in and b dense, and of W's dtype and device; "
                f"found {describe(W=W, W_in=W_in, b=b)}"
            )
        if W.layout == torch.strided:
            self.rows, self.columns = W.detach().nonzero(as_tuple=True)
            self.values = W[self.rows, self.columns]
        else:
            entries = W.to_sparse_coo().coalesce()
            self.rows, self.columns = entries.indices().clone().unbind(0)
            self.values = entries.values().clone()
        self.W_in, self.b = W_in.clone(), None if b is None else b.clone()

    @cached_property
    def W(self) -> Tensor:
        """W as a dense matrix."""
        return dense(self.rows, self.columns, self.values, self.W_in.shape[0])

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All numbers that a result depends on."""
        return (self.W_in, self.values) if self.b is None else (self.W_in, self.values, self.b)

    @cached_property
    def packed(self) -> list[Tensor]:
        return pack(self.W_in, self.rows, self.columns, self.values, self.b)


def dense(rows: Tensor, columns: Tensor, values: Tensor, N: int) -> Tensor:
    """The matrix (N, N) of these values; those in one place are added."""
    return values.new_zeros(N * N).index_add(0, rows * N + columns, values).view(N, N)


@torch.no_grad()
def pack(W_in: Tensor, rows: Tensor, columns: Tensor, values: Tensor, b: Tensor | None) -> list[Tensor]:
    """starts, values, columns, units, places, W_in and b as csrc/kernels.h wants them."""
    N, I = W_in.shape
    lanes = LINE // W_in.element_size()
    chunks = -(-N // lanes)
    counts, units = torch.bincount(rows, minlength=N).sort(descending=True, stable=True)
    places = units.argsort()
    starts = torch.cat([counts.new_zeros(1), counts[::lanes].cumsum(0)])

    order = places[rows].argsort(stable=True)
    place = places[rows][order]
    number = torch.arange(len(place)) - (counts.cumsum(0) - counts)[place]  # which of its row's numbers it is
    slot = (starts[place // lanes] + number) * lanes + place % lanes
    packed_values = values.new_zeros(int(starts[-1]) * lanes)
    packed_values[slot] = values[order]
    packed_columns = torch.full((len(packed_values),), chunks * lanes, dtype=torch.int32)
    packed_columns[slot] = places[columns][order].to(torch.int32)

    def by_place(t: Tensor) -> Tensor:
        return torch.cat([t[units], t.new_zeros(chunks * lanes - N, *t.shape[1:])])

    return [
        starts,
        packed_values,
        packed_columns,
        by_place(torch.arange(N)).to(torch.int32),
        places.to(torch.int32),
        by_place(W_in).view(chunks, lanes, I).transpose(1, 2).contiguous(),
        by_place(W_in.new_zeros(N) if b is None else b),
    ]


def describe(**tensors: Tensor | None) -> str:
    return ", ".join(f"{name} {tuple(t.shape)} {str(t.dtype)[6:]}" for name, t in tensors.items() if t is not None)
