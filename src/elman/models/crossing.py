"""The decoder of a transformer: self-attention over what was said, and attention over what was read, cached."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from elman.models.spoken import Memory, Spoken
from elman.models.transformer import sinusoids


class CrossingDecoder(nn.Module):
    """Layers of `torch.nn.MultiheadAttention`, normed first (Vaswani et al. 2017, arXiv 1706.03762).

    The state holds what each layer read at the steps so far, `(B, S, H)`, so that one more step costs one step.
    """

    def __init__(self, input_size: int, hidden_size: int, *, num_layers: int, heads: int, dropout: float):
        super().__init__()
        self.hidden_size = hidden_size
        self.enter = nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList(Block(hidden_size, heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)

    def begin(self, memory: Memory, last: Tensor) -> Spoken:
        nothing = last.new_zeros(len(last), 0, self.hidden_size)
        return Spoken((nothing,) * len(self.blocks), (0,) * len(self.blocks))

    def forward(self, x: Tensor, memory: Memory, state: Spoken) -> tuple[Tensor, Tensor | None, Tensor, Spoken]:
        before, steps = state.parts[0].shape[1], x.shape[1]
        h = self.enter(x) + sinusoids(before + steps, self.hidden_size)[before:].to(x)
        later = torch.ones(steps, before + steps, dtype=torch.bool, device=x.device).triu(before + 1)
        after, weights = [], None
        for block, past in zip(self.blocks, state.parts, strict=True):
            h, whole, weights, contexts = block(h, past, memory, later)
            after.append(whole)
        return self.norm(h), weights, contexts, replace(state, parts=tuple(after))


class Block(nn.Module):
    def __init__(self, hidden_size: int, heads: int, dropout: float):
        super().__init__()
        self.own = nn.MultiheadAttention(hidden_size, heads, dropout, batch_first=True)
        self.cross = nn.MultiheadAttention(hidden_size, heads, dropout, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(3))
        self.wide, self.thin = nn.Linear(hidden_size, 4 * hidden_size), nn.Linear(4 * hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, past: Tensor, memory: Memory, later: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What it says of the steps of h, what it has read so far with them, where it looked and what it saw there."""
        normed = self.norms[0](h)
        whole = torch.cat([past, normed], dim=1)
        mixed, _ = self.own(normed, whole, whole, attn_mask=later, need_weights=False)
        h = h + self.dropout(mixed)
        padding = None if memory.within is None else ~memory.within
        contexts, weights = self.cross(
            self.norms[1](h), memory.steps, memory.steps, key_padding_mask=padding, need_weights=True
        )
        h = h + self.dropout(contexts)
        h = h + self.dropout(self.thin(self.dropout(nn.functional.gelu(self.wide(self.norms[2](h))))))
        return h, whole, weights, contexts
