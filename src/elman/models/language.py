"""A network that writes: it reads symbols one after another and says at each step how likely each is to come next."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

from elman.errors import InputError
from elman.models.causal import CausalTransformer
from elman.models.sequence import recurrent

State = Any  # what the recurrent layer takes and gives: a tensor, or a tuple of tensors


class TiedHead(nn.Module):
    """Logits as products with the embeddings, `(V, H)`, which stay the embeddings' own; a bias is all it has itself."""

    def __init__(self, vocabulary_size: int, hidden_size: int):
        super().__init__()
        self.vocabulary_size, self.hidden_size = vocabulary_size, hidden_size
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, h: Tensor, embeddings: Tensor) -> Tensor:
        """`h (..., H)` to logits `(..., V)`."""
        return linear(h, embeddings, self.bias)


class LanguageModel(nn.Module):
    """Symbols in, for each step the logits of the symbol that follows: a recurrent layer between two tables.

    Args:
        vocabulary_size: V, how many symbols there are.
        architecture: of the recurrent layer, see `elman.models.sequence.RECURRENT`; or "transformer", to compare with.
        hidden_size, num_layers: its units, and how many layers lie on one another.
        embedding_size: E numbers are learned for each symbol; None: a symbol is one-hot, as V numbers.
        tied: the logits are products of the state with the embeddings (Press and Wolf 2017, arXiv 1608.05859), so that
            each symbol has one vector and not two. E is then what the layer gives, H.
        dropout: probability of zeroing an element between layers and before the logits, while training.

    The state is an argument and a result: a text may be read in pieces, and one symbol costs one step.

    Raises InputError where the sizes do not go together.

    >>> model = LanguageModel(50, "gru", hidden_size=16, embedding_size=16, tied=True)
    >>> logits, state = model(torch.randint(50, (2, 30)))
    >>> logits, state = model(torch.randint(50, (2, 1)), state)
    >>> logits.shape
    torch.Size([2, 1, 50])
    """

    def __init__(
        self,
        vocabulary_size: int,
        architecture: str = "lstm",
        *,
        hidden_size: int,
        num_layers: int = 1,
        embedding_size: int | None = None,
        tied: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        if vocabulary_size < 1:
            raise InputError(f"vocabulary_size must be at least 1, found {vocabulary_size}")
        self.vocabulary_size, self.architecture, self.embedding_size = vocabulary_size, architecture, embedding_size
        self.hidden_size, self.num_layers, self.tied, self.probability = hidden_size, num_layers, tied, dropout
        self.embedding = None if embedding_size is None else nn.Embedding(vocabulary_size, embedding_size)
        columns = embedding_size or vocabulary_size
        self.layer: nn.Module = (
            CausalTransformer(columns, hidden_size, num_layers, dropout=dropout)
            if architecture == "transformer"
            else recurrent(architecture, columns, hidden_size, num_layers, dropout)
        )
        outputs = getattr(self.layer, "output_size", hidden_size)  # of a deep reservoir that of all its layers
        if tied and embedding_size != outputs:
            raise InputError(
                f"tied=True uses the embeddings as weights of the logits, so embedding_size must be the layer's "
                f"output size, {outputs}; found {embedding_size}"
            )
        self.dropout = nn.Dropout(dropout)
        self.head = TiedHead(vocabulary_size, outputs) if tied else nn.Linear(outputs, vocabulary_size)
        if tied and self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=hidden_size**-0.5)  # else the first logits would be large

    def settings(self) -> dict[str, Any]:
        """The arguments that make this network again, as JSON takes them: `LanguageModel(**settings)`."""
        return {
            "vocabulary_size": self.vocabulary_size,
            "architecture": self.architecture,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "embedding_size": self.embedding_size,
            "tied": self.tied,
            "dropout": self.probability,
        }

    def embed(self, tokens: Tensor) -> Tensor:
        """`tokens (B, T)`, whole numbers below V, as what the layer reads: `(B, T, E)`, or one-hot `(B, T, V)`."""
        if self.embedding is None:
            return one_hot(tokens, self.vocabulary_size).to(next(self.parameters()).dtype)
        return self.embedding(tokens)

    def run(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """`x (B, T, E)`, as `embed` gives it, and the state before (None: zeros) to logits `(B, T, V)` and the state.

        Apart from `forward` for whoever wants the gradient with respect to what was read.
        """
        h, state = self.layer(x, state)
        h = self.dropout(h)
        return (self.head(h, self.embedding.weight) if self.tied and self.embedding else self.head(h)), state

    def forward(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """`tokens (B, T)` and the state before (None: zeros) to the logits `(B, T, V)` and the state after."""
        return self.run(self.embed(tokens), state)
