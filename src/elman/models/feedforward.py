"""A feed-forward network for tables with one row a case: numbers, and categories by a learned vector each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FeedForward(nn.Module):
    """Layers of linear units, GELU and dropout over the numbers of a row and the vectors of its categories.

    categories: of each column of codes, how many codes there are; 0 stands for what is missing or was never seen, and
    its vector is zeros. The head, a linear map, reads the input beside the last layer: what is linear need not be
    learned by the layers (the "wide and deep" network of Cheng et al. 2016, arXiv 1606.07792).

    >>> net = FeedForward(3, [5, 2], 4, hidden_size=16)
    >>> net(torch.randn(2, 3), torch.tensor([[0, 1], [4, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        numbers: int,
        categories: Sequence[int],
        output_size: int,
        *,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        sizes = [min(16, (count + 1) // 2) for count in categories]
        self.vectors = nn.ModuleList(
            nn.Embedding(count, size, padding_idx=0) for count, size in zip(categories, sizes, strict=True)
        )
        width = numbers + sum(sizes)
        layers: list[nn.Module] = []
        for k in range(num_layers):
            layers += [nn.Linear(hidden_size if k else width, hidden_size), nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(hidden_size + width, output_size)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`(B, numbers)` and whole numbers `(B, categories)` to `(B, output_size)`."""
        columns = [vector(codes[:, k]) for k, vector in enumerate(self.vectors)]
        x = torch.cat([numbers, *columns], dim=1)
        return self.head(torch.cat([self.layers(x), x], dim=1))
