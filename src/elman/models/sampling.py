"""From logits to the token that is said next."""

import torch
from torch import Tensor

from elman.errors import InputError


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """InputError unless the three can be sampled with."""
    if not 0 <= temperature < float("inf"):
        raise InputError(f"temperature must be a number from 0 (always the likeliest) on, found {temperature}")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k must be at least 1, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"top_p must be above 0 and at most 1, found {top_p}")


def probabilities(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """How likely each token is drawn: `(..., V)` logits to `(..., V)`, each row adding up to 1.

    temperature: divides the logits; below 1 the likely become likelier, 0 leaves the likeliest alone.
    top_k: only so many of the likeliest stay.
    top_p: only the likeliest stay whose probabilities add up to at least that (the nucleus of Holtzman et al. 2020,
    arXiv 1904.09751). It looks at what temperature and top_k have left.

    >>> probabilities(torch.tensor([2.0, 1.0, 0.0]), top_k=2).tolist()[2]
    0.0
    >>> probabilities(torch.tensor([2.0, 1.0, 0.0]), temperature=0).tolist()
    [1.0, 0.0, 0.0]
    """
    check_sampling(temperature, top_k, top_p)
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    kept = logits.double() / temperature
    if top_k is not None and top_k < kept.shape[-1]:
        places = kept.topk(top_k).indices  # not all that equal the last of them, which might be more
        kept = torch.full_like(kept, -torch.inf).scatter(-1, places, kept.gather(-1, places))
    chances = kept.softmax(-1)
    if top_p is not None:
        ordered, places = chances.sort(descending=True, stable=True)
        before = ordered.cumsum(-1) - ordered  # what is likelier than each
        chances = torch.zeros_like(chances).scatter(-1, places, ordered.where(before < top_p, 0.0))
        chances = chances / chances.sum(-1, keepdim=True)
    return chances
