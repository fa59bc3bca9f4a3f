"""One answer for each step of a sequence."""

from torch import Tensor, nn

from elman.models.crf import ChainCRF
from elman.models.text import TokenEmbedding, thinned


class Tagger(nn.Module):
    """An embedding, an encoder, dropout, and for each step how much speaks for each of K labels.

    embedding: of tokens; None: numbers are read as they are.
    chain: with a `ChainCRF` upon these scores, `crf`, which knows the labels that follow one another.

    >>> from elman.models.encoders import encoder
    >>> model = Tagger(None, encoder("gru", 4, 8), 3)
    >>> model(torch.randn(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        embedding: TokenEmbedding | None,
        encoder: nn.Module,
        labels: int,
        *,
        chain: bool = False,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.rates = dropout, word_dropout
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.output_size), labels)  # type: ignore[arg-type]
        self.crf = ChainCRF(labels) if chain else None

    def embed(self, x: Tensor, places: Tensor | None = None, bags: Tensor | None = None) -> Tensor:
        """What the encoder reads, `(B, T, E)`."""
        if self.embedding is None:
            return x
        found = self.embedding(x, places, bags)
        return thinned(found, *self.rates) if self.training else found

    def run(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`x (B, T, E)`, as `embed` gives it, to scores `(B, T, K)`."""
        return self.head(self.dropout(self.encoder(x, lengths)))

    def forward(self, x: Tensor, lengths: Tensor | None = None, *pieces: Tensor) -> Tensor:
        return self.run(self.embed(x, *pieces), lengths)

    def best(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """`(B, T)`: the labels that `scores (B, T, K)` speak for; behind the end they mean nothing."""
        return scores.argmax(-1) if self.crf is None else self.crf.best(scores, lengths)

    def chances(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """`(B, T, K)`: how likely each label is at each step."""
        return scores.softmax(-1) if self.crf is None else self.crf.marginals(scores, lengths)
