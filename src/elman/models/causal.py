"""A transformer that reads from left to right, with the manners of a recurrent layer: y and a state that goes on."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from elman.errors import InputError

BASE = 10_000.0  # of the wave lengths by which places are told
MOST_HEADS = 4

State = tuple[Tensor, ...]


class CausalTransformer(nn.Module):
    """Layers of self-attention over the last `context` steps, normed first (Vaswani et al. 2017, Radford et al. 2019).

    Places are told by turning queries and keys (rotary positions, Su et al. 2021, arXiv 2104.09864), so only how far
    apart two steps are counts. The state holds the keys and values of the last steps, so that one more step costs one
    step: the place of the next step, then for each layer keys and values, both `(B, heads, <= context, d)`.

    Args:
        input_size, hidden_size: I and H; heads of H / heads numbers each, which must be even.
        context: how many steps back, itself included, a step sees.

    >>> layer = CausalTransformer(5, 16, num_layers=2, context=8)
    >>> y, state = layer(torch.randn(3, 20, 5))
    >>> y, state = layer(torch.randn(3, 1, 5), state)
    >>> y.shape, state[1].shape
    (torch.Size([3, 1, 16]), torch.Size([3, 4, 8, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 4,
        *,
        heads: int | None = None,
        context: int = 256,
        dropout: float = 0.0,
    ):
        super().__init__()
        heads = heads or next((n for n in range(MOST_HEADS, 0, -1) if hidden_size % (2 * n) == 0), 0)
        if not heads or hidden_size % (2 * heads):
            raise InputError(
                f"hidden_size={hidden_size} can't be shared by {heads or 'any'} heads of an even number each"
            )
        if context < 1:
            raise InputError(f"context must be at least 1 step, found {context}")
        self.input_size, self.hidden_size, self.heads, self.context = input_size, hidden_size, heads, context
        self.enter = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList(_Block(hidden_size, heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """`x (B, T, I)` and the state before (None: nothing was read) to `y (B, T, H)` and the state after."""
        steps = x.shape[1]
        begin = 0 if state is None else int(state[0])
        before = 0 if state is None else state[1].shape[2]
        places = torch.arange(begin - before, begin + steps, device=x.device)
        apart = places[before:, None] - places
        seen = (apart >= 0) & (apart < self.context)
        turn = _turns(places[before:], self.hidden_size // self.heads)
        h = self.enter(x)
        after = [torch.tensor(begin + steps)]
        for k, block in enumerate(self.blocks):
            past = None if state is None else state[1 + 2 * k : 3 + 2 * k]
            h, keys, values = block(h, past, seen, turn)
            after += [keys[:, :, -self.context :], values[:, :, -self.context :]]
        return self.norm(h), tuple(after)


class _Block(nn.Module):
    def __init__(self, hidden_size: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.before, self.between = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.ask = nn.Linear(hidden_size, 3 * hidden_size)
        self.answer = nn.Linear(hidden_size, hidden_size)
        self.wide, self.narrow = nn.Linear(hidden_size, 4 * hidden_size), nn.Linear(4 * hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, h: Tensor, past: tuple[Tensor, ...] | None, seen: Tensor, turn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.ask(self.before(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = _turned(parts[0], turn), _turned(parts[1], turn), parts[2]
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        rate = self.rate if self.training else 0.0
        mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=seen, dropout_p=rate)
        h = h + self.dropout(self.answer(mixed.transpose(1, 2).flatten(2)))
        return h + self.dropout(self.narrow(gelu(self.wide(self.between(h))))), keys, values


def _turns(places: Tensor, size: int) -> Tensor:
    """The angles (T, size / 2) by which the pairs of numbers at each place are turned."""
    speeds = BASE ** (-torch.arange(0, size, 2, device=places.device) / size)
    return places[:, None] * speeds


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """`x (B, heads, T, d)`, each pair of numbers k and k + d / 2 turned by its angle."""
    a, b = x.chunk(2, -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
