"""A conditional random field: which sequence of labels is likeliest as a whole, and not which label at each step."""

import torch
from torch import Tensor, nn

from elman.models.masking import counted


class ChainCRF(nn.Module):
    r"""Scores of sequences of labels: what a network says of each step, and which label follows which.

    .. math:: s(x, y) = a_{y_1} + \sum_t e_t(y_t) + \sum_t W_{y_t, y_{t+1}} + z_{y_T}

    Source: Lafferty, McCallum and Pereira (2001), "Conditional random fields"; upon a network, Huang, Xu and Yu (2015),
    arXiv 1508.01991. Steps behind the end of a sequence count for nothing.

    >>> crf = ChainCRF(3)
    >>> scores, labels, lengths = torch.randn(2, 5, 3), torch.randint(3, (2, 5)), torch.tensor([5, 2])
    >>> crf.log_likelihood(scores, labels, lengths).shape, crf.best(scores, lengths).shape
    (torch.Size([2]), torch.Size([2, 5]))
    """

    def __init__(self, labels: int):
        super().__init__()
        self.begin = nn.Parameter(torch.zeros(labels))
        self.follow = nn.Parameter(torch.zeros(labels, labels))  # from, to
        self.end = nn.Parameter(torch.zeros(labels))

    def log_likelihood(self, scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        """`(B)`: the logarithm of how likely the labels `(B, T)` are, given `scores (B, T, K)`."""
        return self.score(scores, labels, lengths) - self.log_partition(scores, lengths)

    def score(self, scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        within = counted(scores, lengths)
        assert within is not None
        labels = labels.where(within, 0)
        each = scores.gather(2, labels[..., None])[..., 0].where(within, 0).sum(1)
        steps = self.follow[labels[:, :-1], labels[:, 1:]].where(within[:, 1:], 0).sum(1)
        last = labels.gather(1, lengths[:, None] - 1)[:, 0]
        return self.begin[labels[:, 0]] + each + steps + self.end[last]

    def log_partition(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """`(B)`: the logarithm of the sum over all sequences of labels."""
        return (self._forward(scores, lengths)[-1] + self.end).logsumexp(-1)

    def _forward(self, scores: Tensor, lengths: Tensor) -> list[Tensor]:
        """For each step `(B, K)`: the logarithm of the sum over all that may come before; kept behind the end."""
        alphas = [self.begin + scores[:, 0]]
        for t in range(1, scores.shape[1]):
            after = (alphas[-1][:, :, None] + self.follow).logsumexp(1) + scores[:, t]
            alphas.append(torch.where((t < lengths)[:, None], after, alphas[-1]))
        return alphas

    def marginals(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """`(B, T, K)`: how likely each label is at each step, whatever the others are; zeros behind the end."""
        with torch.enable_grad():
            asked = scores.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.log_partition(asked, lengths).sum(), asked)
        return found

    @torch.no_grad()
    def best(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """`(B, T)`: the likeliest labels (Viterbi 1967), -1 behind the end."""
        B, T, _ = scores.shape
        best, came = self.begin + scores[:, 0], []
        for t in range(1, T):
            values, source = (best[:, :, None] + self.follow).max(1)
            best = torch.where((t < lengths)[:, None], values + scores[:, t], best)
            came.append(source)
        label = (best + self.end).argmax(-1)
        labels = scores.new_full((B, T), -1, dtype=torch.long)
        for t in range(T - 1, -1, -1):
            inside = t < lengths
            if t + 1 < T:
                earlier = came[t].gather(1, label[:, None])[:, 0]
                label = torch.where(t + 1 < lengths, earlier, label)
            labels[:, t] = torch.where(inside, label, -1)
        return labels
