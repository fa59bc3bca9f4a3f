"""One sequence in, another out: an encoder reads, a decoder speaks, and attention tells it where to look meanwhile."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.layers.attention import Attention
from elman.layers.recurrent import Recurrent
from elman.models.crossing import CrossingDecoder
from elman.models.encoders import encoder
from elman.models.masking import counted
from elman.models.pooling import last_step
from elman.models.sequence import RECURRENT, recurrent
from elman.models.spoken import Memory, Spoken

AttentionKind = Literal["additive", "multiplicative", "none"]
SMALLEST = 1e-9  # a probability that a logarithm is taken of


class Decoder(Protocol):
    """What speaks; recurrent or not."""

    def begin(self, memory: Memory, last: Tensor) -> Spoken:
        """The state before the first symbol; last `(B, M)`: the encoder's end."""

    def __call__(self, x: Tensor, memory: Memory, state: Spoken) -> tuple[Tensor, Tensor | None, Tensor, Spoken]:
        """`x (B, S, E)` to `h (B, S, H)`, weights `(B, S, T)`, contexts `(B, S, M)` and the state after."""


class RecurrentDecoder(nn.Module):
    """Recurrent layers, with attention upon the first.

    What the first layer says at a step asks the memory (Luong et al. 2015, arXiv 1508.04025); the layers above read
    the answer with it (as in Wu et al. 2016, arXiv 1609.08144), and so does what comes last. A layer thus runs over
    all symbols that are given at once. `feeding`: the first layer reads the mixture of the step before too ("input
    feeding"), and `coverage`: attention knows what it has looked at; with either, the decoder goes step by step.
    """

    def __init__(
        self,
        architecture: str,
        embedding_size: int,
        memory_size: int,
        hidden_size: int,
        *,
        num_layers: int,
        attention: AttentionKind,
        feeding: bool,
        coverage: bool,
        dropout: float,
    ):
        super().__init__()
        if attention == "none" and (feeding or coverage):
            raise InputError("input feeding and coverage need attention; choose additive or multiplicative")
        self.memory_size, self.hidden_size, self.feeding, self.coverage = memory_size, hidden_size, feeding, coverage
        context = 0 if attention == "none" else memory_size
        fed = hidden_size if feeding else 0
        self.layers = nn.ModuleList(
            recurrent(architecture, embedding_size + fed if k == 0 else hidden_size + context, hidden_size, 1, 0.0)
            for k in range(num_layers)
        )
        self.attention = (
            None if attention == "none" else Attention(attention, hidden_size, memory_size, coverage=coverage)
        )
        self.dropout = nn.Dropout(dropout)
        self.mix = nn.Linear(hidden_size + context, hidden_size)
        first = self.layers[0]
        assert isinstance(first, Recurrent)
        if first.state_sizes != (hidden_size,) * len(first.state_sizes):
            raise InputError(f"architecture={architecture!r} has a state that no bridge leads to; choose another")
        self.parts = len(first.state_sizes)
        self.bridge = nn.Linear(memory_size, num_layers * self.parts * hidden_size)

    def begin(self, memory: Memory, last: Tensor) -> Spoken:
        states = torch.tanh(self.bridge(last)).view(len(last), -1, self.hidden_size).unbind(1)
        parts, axes = [s[None] for s in states], [1] * len(states)
        if self.feeding:
            parts, axes = [*parts, last.new_zeros(len(last), 1, self.hidden_size)], [*axes, 0]
        if self.coverage:
            parts, axes = [*parts, last.new_zeros(len(last), 1, memory.steps.shape[1])], [*axes, 0]
        return Spoken(tuple(parts), tuple(axes))

    def forward(self, x: Tensor, memory: Memory, state: Spoken) -> tuple[Tensor, Tensor | None, Tensor, Spoken]:
        if not (self.feeding or self.coverage):
            return self._run(x, memory, state)
        said = []
        for x_t in x.split(1, dim=1):
            *found, state = self._run(x_t, memory, state)
            said.append(found)
        h, weights, contexts = (torch.cat(part, dim=1) for part in zip(*said, strict=True))
        return h, weights, contexts, state

    def _run(self, x: Tensor, memory: Memory, state: Spoken) -> tuple[Tensor, Tensor | None, Tensor, Spoken]:
        """Over all steps of x; over one where the next depends on what comes out."""
        count = self.parts * len(self.layers)
        before, more = state.parts[:count], list(state.parts[count:])
        if self.feeding:
            x = torch.cat([x, more[0]], dim=-1)
        h, contexts, weights = x, x.new_zeros(*x.shape[:2], 0), None
        after: list[Tensor] = []
        for k, layer in enumerate(self.layers):
            mine = before[k * self.parts : (k + 1) * self.parts]
            h, ended = layer(h, mine if self.parts > 1 else mine[0])
            after += ended if isinstance(ended, tuple) else (ended,)
            if k == 0 and self.attention is not None:
                covered = more[-1] if self.coverage else None
                contexts, weights = self.attention(h, memory.steps, memory.within, keys=memory.keys, covered=covered)
            h = self.dropout(h)
            if k + 1 < len(self.layers):
                h = torch.cat([h, contexts], dim=-1)
        h = torch.tanh(self.mix(torch.cat([h, contexts], dim=-1)))
        if self.feeding:
            more[0] = h
        if self.coverage and weights is not None:
            more[-1] = more[-1] + weights
        return h, weights, contexts, replace(state, parts=(*after, *more))


class Seq2Seq(nn.Module):
    """Reads `(B, T)` source symbols, says target symbols one after another.

    Args:
        source_size, target_size: how many symbols each side has; among the target ones are those that begin and end.
        architecture: recurrent, for both sides, or "transformer".
        hidden_size, embedding_size, num_layers: of both sides.
        attention: how the decoder looks at what was read; "none" leaves it the encoder's last state alone (Sutskever
            et al. 2014, arXiv 1409.3215). A transformer has its own.
        bidirectional: the encoder reads from both ends.
        feeding, coverage: see `RecurrentDecoder`.
        copying: a source symbol may be said as it stands (See et al. 2017, arXiv 1704.04368).
        shared: both sides have the same symbols, and one table of embeddings.

    The embeddings of the target are the weights of the output too (Press and Wolf 2017, arXiv 1608.05859).

    >>> model = Seq2Seq(20, 30, "gru", hidden_size=16)
    >>> memory = model.read(torch.randint(20, (2, 9)), torch.tensor([9, 4]))
    >>> logits, weights, state = model.say(torch.randint(30, (2, 5)), memory)
    >>> logits.shape, weights.shape
    (torch.Size([2, 5, 30]), torch.Size([2, 5, 9]))
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        architecture: str = "gru",
        *,
        hidden_size: int,
        embedding_size: int | None = None,
        num_layers: int = 1,
        attention: AttentionKind = "multiplicative",
        bidirectional: bool = True,
        feeding: bool = False,
        coverage: bool = False,
        copying: bool = False,
        shared: bool = False,
        heads: int = 4,
        dropout: float = 0.0,
    ):
        super().__init__()
        size = embedding_size or hidden_size
        if shared and source_size != target_size:
            raise InputError(f"shared symbols are as many on both sides, found {source_size} and {target_size}")
        self.target_size = target_size
        self.source = nn.Embedding(source_size, size)
        self.target = self.source if shared else nn.Embedding(target_size, size)
        for table in {self.source, self.target}:
            nn.init.normal_(table.weight, std=size**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.decoder: Decoder
        recurrently = architecture in RECURRENT
        own = {"bidirectional": bidirectional} if recurrently else {"heads": heads}
        self.encoder = encoder(architecture, size, hidden_size, num_layers=num_layers, dropout=dropout, **own)
        self.both = recurrently and bidirectional
        memory_size = int(self.encoder.output_size)  # type: ignore[arg-type]
        if recurrently:
            self.decoder = RecurrentDecoder(
                architecture, size, memory_size, hidden_size, num_layers=num_layers, attention=attention,
                feeding=feeding, coverage=coverage, dropout=dropout,
            )  # fmt: skip
        else:
            if attention == "none" or feeding or coverage:
                raise InputError("a transformer attends in its own way: attention, feeding and coverage are not for it")
            self.decoder = CrossingDecoder(size, hidden_size, num_layers=num_layers, heads=heads, dropout=dropout)
        self.narrow = nn.Identity() if size == hidden_size else nn.Linear(hidden_size, size)
        self.bias = nn.Parameter(torch.zeros(target_size))
        self.gate = nn.Linear(hidden_size + memory_size, 1) if copying else None
        if copying and attention == "none":
            raise InputError("copying goes where attention looks; choose additive or multiplicative")

    def read(self, source: Tensor, lengths: Tensor | None = None, copies: Tensor | None = None) -> Memory:
        """`source (B, T)` and the number of symbols of each `(B)`, at least one; for copying also `copies (B, T)`."""
        return self.remember(self.dropout(self.source(source)), lengths, copies)

    def remember(self, x: Tensor, lengths: Tensor | None = None, copies: Tensor | None = None) -> Memory:
        """As `read`, of embeddings `(B, T, E)`, for whoever wants a gradient with respect to what was read."""
        steps = self.encoder(x, lengths)
        attention = getattr(self.decoder, "attention", None)
        return Memory(steps, counted(x, lengths), None if attention is None else attention.keys(steps), copies)

    def begin(self, memory: Memory) -> Spoken:
        """The state before the first symbol is said."""
        lengths = None if memory.within is None else memory.within.sum(1)
        return self.decoder.begin(memory, last_step(memory.steps, lengths, self.both))

    def say(self, said: Tensor, memory: Memory, state: Spoken | None = None) -> tuple[Tensor, Tensor | None, Spoken]:
        """After each of the symbols `said (B, S)`, how likely each is next: logits `(B, S, V)`, where each step looked
        `(B, S, T)` (None without attention), and the state after the last."""
        state = self.begin(memory) if state is None else state
        h, weights, contexts, state = self.decoder(self.dropout(self.target(said)), memory, state)
        logits = nn.functional.linear(self.narrow(self.dropout(h)), self.target.weight, self.bias)
        if self.gate is None or weights is None:
            return logits, weights, state
        if memory.copies is None:
            raise InputError("copying needs to know what each source symbol would be as a copy")
        own = torch.sigmoid(self.gate(torch.cat([h, contexts], dim=-1)))
        there = memory.copies >= 0
        where = memory.copies.clamp(min=0)[:, None].expand_as(weights)
        copied = torch.zeros_like(logits).scatter_add(-1, where, weights * there[:, None])
        chances = own * logits.softmax(-1) + (1 - own) * copied
        return chances.clamp(min=SMALLEST).log(), weights, state


def padded(sequences: Sequence[Sequence[int]], fill: int = 0) -> tuple[Tensor, Tensor]:
    """Sequences of whole numbers side by side `(B, T)`, and the length of each.

    >>> padded([[1, 2, 3], [4]])
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))
    """
    lengths = torch.tensor([len(s) for s in sequences])
    rows = torch.full((len(sequences), max(1, int(lengths.max()))), fill)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = torch.as_tensor(list(sequence), dtype=torch.long)
    return rows, lengths
