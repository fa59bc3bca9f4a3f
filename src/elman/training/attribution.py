"""Which inputs an output depends on: by the gradient, along a path from a baseline, and by taking inputs away.

`Forward` is a network as a function of numbers: `x (B, T, E)` gives outputs `(B, T', K)`, those of the last T' steps of
x. No row of a batch may depend on another, so that many questions about one sequence are one batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Forward = Callable[[Tensor], Tensor]

AT_ONCE = 64  # copies of a sequence that are run together
POINTS = 32  # of the path from the baseline to the input


@dataclass(frozen=True)
class Saliency:
    """What each step of one sequence, `(T)`, did for one output; sums over the step's numbers.

    `gradient` is gradient x input. `integrated` are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365)
    from a baseline of zeros; they sum up to `value - baseline` but for `delta`, the error of the numerical integral.
    `occlusion` is how much the output falls when the step's numbers are set to zero.
    """

    value: float
    baseline: float
    gradient: Tensor
    integrated: Tensor
    occlusion: Tensor

    @property
    def delta(self) -> float:
        return self.integrated.sum().item() - (self.value - self.baseline)


def connectivity(forward: Forward, x: Tensor, outputs: Sequence[int], *, at_once: int = AT_ONCE) -> Tensor:
    """How strongly each output depends on each step: norms of d outputs[t] / d x_s, `(T', T)`.

    `x (T, E)` is one sequence, and `outputs` names for each of the T' steps the output that is asked about, as in
    Madsen, "Visualizing memorization in RNNs", Distill 2019. So many copies of x are run `at_once`.

    >>> from elman.layers import GRU
    >>> gru = GRU(2, 4, batch_first=True)
    >>> found = connectivity(lambda x: gru(x)[0], torch.randn(9, 2), [0] * 9)
    >>> found.triu(1).any()  # nothing depends on what comes later
    tensor(False)
    """
    norms = []
    for rows in torch.arange(len(outputs)).split(at_once):
        many = x.expand(len(rows), *x.shape).clone().requires_grad_()
        found = forward(many)
        chosen = found[torch.arange(len(rows)), rows, torch.as_tensor(outputs)[rows]]
        (gradient,) = torch.autograd.grad(chosen.sum(), many)
        norms.append(gradient.norm(dim=-1))
    return torch.cat(norms)


def saliency(
    forward: Forward, x: Tensor, targets: Sequence[tuple[int, int]], *, first: int = 0, at_once: int = AT_ONCE
) -> list[Saliency]:
    """What each step of `x (T, E)` did for `forward(x)[step, output]`, for each pair in `targets`.

    Steps before `first` are left out of the occlusion, which takes a run for each; they are NaN there.

    >>> from elman.layers import LSTM
    >>> lstm = LSTM(2, 4, batch_first=True)
    >>> (seen,) = saliency(lambda x: lstm(x)[0], torch.randn(9, 2), [(-1, 0)])
    >>> abs(seen.delta) < 1e-4
    True
    """
    steps, outputs = (list(part) for part in zip(*targets, strict=True))
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)  # on -1 to 1
    shares = torch.as_tensor((nodes + 1) / 2, dtype=x.dtype)
    # The path, and the input itself as its last point.
    path = (torch.cat([shares, shares.new_ones(1)])[:, None, None] * x).requires_grad_()
    along = forward(path)[:, steps, outputs]
    gradients = [torch.autograd.grad(one.sum(), path, retain_graph=True)[0] for one in along.unbind(1)]
    values = along[-1].detach()
    with torch.no_grad():
        kept = (1 - torch.eye(len(x), dtype=x.dtype))[first:]
        without = torch.cat([forward(row.unsqueeze(-1) * x)[:, steps, outputs] for row in kept.split(at_once)])
        lost = torch.cat([values.new_full((first, len(values)), torch.nan), values - without])
        baseline = forward(torch.zeros_like(x)[None])[0, steps, outputs]
    found = []
    for k, gradient in enumerate(gradients):
        mean = torch.einsum("p,pte->te", torch.as_tensor(weights / 2, dtype=x.dtype), gradient[:-1])
        of = (gradient[-1] * x).sum(-1), (mean * x).sum(-1), lost[:, k]
        found.append(Saliency(values[k].item(), baseline[k].item(), *of))
    return found
