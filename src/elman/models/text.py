"""Networks that read words: an embedding that also knows the pieces of a word, and a reader upon it."""

import torch
from torch import Tensor, nn

from elman.models.feedforward import FeedForward
from elman.models.many_to_one import SequenceModel
from elman.models.masking import counted
from elman.models.pooling import mean


class TokenEmbedding(nn.Module):
    """A vector for each token: a row of a table, the mean of the vectors of its pieces, or the sum of both.

    Args:
        size: E, numbers of a vector.
        vocabulary: V, rows of the table; None: no table.
        buckets: of the pieces (`elman.data.subwords`); None: no pieces.

    >>> embedding = TokenEmbedding(8, vocabulary=5, buckets=100)
    >>> embedding(torch.tensor([[1, 0]]), torch.tensor([[0, 1]]), torch.tensor([[7, 9], [3, 0]])).shape
    torch.Size([1, 2, 8])
    """

    def __init__(self, size: int, *, vocabulary: int | None = None, buckets: int | None = None):
        super().__init__()
        self.size = size
        self.table = None if vocabulary is None else nn.Embedding(vocabulary, size)
        self.pieces = None if buckets is None else nn.EmbeddingBag(1 + buckets, size, mode="mean", padding_idx=0)
        for part in (self.table, self.pieces):
            if part is not None:
                nn.init.normal_(part.weight, std=0.1)
        if self.pieces is not None:
            with torch.no_grad():
                self.pieces.weight[0].zero_()

    def forward(self, tokens: Tensor, places: Tensor | None = None, bags: Tensor | None = None) -> Tensor:
        """`tokens (B, T)`, and where there are pieces `places (B, T)`, rows of `bags (U, G)`, to `(B, T, E)`."""
        said = None if self.table is None else self.table(tokens)
        if self.pieces is None or places is None or bags is None:
            assert said is not None
            return said
        found = self.pieces(bags)[places]
        return found if said is None else said + found


class TextModel(nn.Module):
    """Tokens to one answer `(B, O)`: embedding, a reader, an answer.

    reader: a `SequenceModel`; None: the mean of all vectors goes through a feed-forward network.
    While training, `dropout` takes away numbers of all vectors of a text alike, and `word_dropout` whole tokens.

    >>> from elman.models.encoders import encoder
    >>> reader = SequenceModel(encoder("gru", 8, 16), 3)
    >>> model = TextModel(TokenEmbedding(8, vocabulary=20), reader)
    >>> model(torch.randint(20, (2, 5)), torch.tensor([5, 2])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self, embedding: TokenEmbedding, reader: SequenceModel | FeedForward, *, dropout: float = 0.0,
        word_dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        self.embedding, self.reader = embedding, reader
        self.dropout, self.word_dropout = dropout, word_dropout

    def embed(self, tokens: Tensor, places: Tensor | None = None, bags: Tensor | None = None) -> Tensor:
        """What the reader reads, `(B, T, E)`."""
        x = self.embedding(tokens, places, bags)
        return thinned(x, self.dropout, self.word_dropout) if self.training else x

    def run(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`x (B, T, E)`, as `embed` gives it, to `(B, O)`; for whoever wants the gradient with respect to it."""
        if isinstance(self.reader, FeedForward):
            return self.reader(mean(x, counted(x, lengths)), torch.zeros(len(x), 0, dtype=torch.long))
        return self.reader(x, lengths)

    def forward(
        self, tokens: Tensor, lengths: Tensor, places: Tensor | None = None, bags: Tensor | None = None
    ) -> Tensor:
        return self.run(self.embed(tokens, places, bags), lengths)

    def at_the_end(self, steps: int, tokens: Tensor, lengths: Tensor, *pieces: Tensor) -> Tensor:
        """What is made of the last of so many steps, as if it were the only one: a look inside asks for that."""
        places = [pieces[0][:, :steps], pieces[1]] if pieces else []
        x = self.embed(tokens[:, :steps], *places)
        return self.run(x) if isinstance(self.reader, FeedForward) else self.reader.at_the_end(steps, x)


def thinned(x: Tensor, numbers: float, tokens: float) -> Tensor:
    """`x (B, T, E)` with a share of its `numbers` taken away, from all steps of a sequence alike, and of its `tokens`.

    Source: Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural networks",
    arXiv 1512.05287.
    """
    B, T, E = x.shape
    x = nn.functional.dropout(x.new_ones(B, 1, E), numbers) * x
    return x * (torch.rand(B, T, 1) >= tokens)
