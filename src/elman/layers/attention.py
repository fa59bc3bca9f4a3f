"""Attention of a decoder to what an encoder has read."""

from typing import Literal

import torch
from torch import Tensor, nn

from elman.errors import InputError

Kind = Literal["additive", "multiplicative"]


class Attention(nn.Module):
    r"""How much each step of a memory counts for a query, and the mean of the memory by these weights.

    "additive" (Bahdanau et al. 2015, arXiv 1409.0473): :math:`e_t = v^T \tanh(W q + U m_t)`. "multiplicative" (Luong et
    al. 2015, arXiv 1508.04025, "general"): :math:`e_t = q^T W m_t / \sqrt{d}`. The weights are the softmax of e over
    the steps that count.

    Args:
        query_size, memory_size: numbers of a query and of a step of the memory.
        hidden_size: d, numbers in which both are compared (default: query_size).
        coverage: e also depends on how much each step was attended to before (See et al. 2017, arXiv 1704.04368).

    >>> attention = Attention("additive", 8, 6)
    >>> context, weights = attention(torch.randn(2, 3, 8), torch.randn(2, 5, 6))
    >>> context.shape, weights.shape
    (torch.Size([2, 3, 6]), torch.Size([2, 3, 5]))
    """

    def __init__(
        self, kind: Kind, query_size: int, memory_size: int, hidden_size: int | None = None, *, coverage: bool = False
    ):
        super().__init__()
        if kind not in ("additive", "multiplicative"):
            raise InputError(f"attention={kind!r}: one of additive, multiplicative was expected")
        size = hidden_size or query_size
        self.kind, self.size = kind, size
        self.of_query = nn.Linear(query_size, size) if kind == "additive" else None
        self.of_memory = nn.Linear(memory_size, size if kind == "additive" else query_size, bias=False)
        self.score = nn.Linear(size, 1, bias=False) if kind == "additive" else None
        self.of_coverage = nn.Linear(1, size if kind == "additive" else 1, bias=False) if coverage else None

    def keys(self, memory: Tensor) -> Tensor:
        """What the queries are compared with, `(B, T, d)`: made once for all queries."""
        return self.of_memory(memory)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        within: Tensor | None = None,
        *,
        keys: Tensor | None = None,
        covered: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`query (B, S, Q)` and `memory (B, T, M)` to the context `(B, S, M)` and the weights `(B, S, T)`.

        within: `(B, T)`, the steps of the memory that count, one at least of each (None: all); keys: what `keys` gave;
        covered: `(B, S, T)`, for attention with coverage, the sum of the weights before.
        """
        keys = self.keys(memory) if keys is None else keys
        seen = None
        if self.of_coverage is not None:
            past = keys.new_zeros(len(query), query.shape[1], keys.shape[1]) if covered is None else covered
            seen = self.of_coverage(past[..., None])
        if self.of_query is not None and self.score is not None:
            mixed = self.of_query(query)[:, :, None] + keys[:, None]
            scores = self.score(torch.tanh(mixed if seen is None else mixed + seen))[..., 0]
        else:
            scores = query @ keys.transpose(1, 2) / query.shape[-1] ** 0.5
            scores = scores if seen is None else scores + seen[..., 0]
        if within is not None:
            scores = scores.masked_fill(~within[:, None], -torch.inf)
        weights = scores.softmax(-1)
        return weights @ memory, weights
