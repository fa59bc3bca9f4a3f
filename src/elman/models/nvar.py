"""Nonlinear vector autoregression, the next generation of reservoir computing: delays and products, no reservoir."""

from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn

from elman.errors import InputError

MOST = 50_000  # features


class NVAR(nn.Module):
    """What a readout is given in a reservoir's place: the last inputs, and the products of all pairs of these.

    It has the manners of a batch-first recurrent layer. The state is what was read before, `(B, (delays - 1) * stride,
    I)`; before the first step all inputs count as zero. Source: Gauthier et al. 2021, doi:10.1038/s41467-021-25801-2,
    equations 5 to 9; the constant is the readout's intercept.

    Args:
        input_size: I.
        delays: how many inputs are seen at a step, the newest included.
        stride: how many steps these are apart.
        order: products of up to so many of the numbers seen; 1 for none.

    >>> nvar = NVAR(3, delays=2, order=2)
    >>> y, state = nvar(torch.randn(1, 10, 3))
    >>> y.shape, state.shape  # 6 numbers and their 21 products
    (torch.Size([1, 10, 27]), torch.Size([1, 1, 3]))
    """

    def __init__(self, input_size: int, *, delays: int = 2, stride: int = 1, order: int = 2):
        super().__init__()
        self.input_size, self.delays, self.stride, self.order = input_size, delays, stride, order
        seen = delays * input_size
        self.products = [
            torch.tensor(list(combinations_with_replacement(range(seen), degree)), device="cpu")
            for degree in range(2, order + 1)
            if self._affordable(seen, degree)
        ]
        self.output_size = seen + sum(map(len, self.products))

    def _affordable(self, seen: int, degree: int) -> bool:
        many = 1
        for k in range(degree):
            many = many * (seen + k) // (k + 1)
        if many > MOST:
            raise InputError(
                f"{seen} numbers (delays={self.delays} of {self.input_size} inputs) have {many} products of {degree}; "
                f"at most {MOST} can be read. Choose fewer delays or a smaller order"
            )
        return True

    @property
    def memory(self) -> int:
        """How many steps before the newest are seen."""
        return (self.delays - 1) * self.stride

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`x (B, T, I)` and what was read before to `(B, T, F)` and what will have been read."""
        B, T, I = x.shape
        past = x.new_zeros(B, self.memory, I) if state is None else state
        whole = torch.cat([past, x], dim=1)
        seen = torch.cat([whole[:, self.memory - k * self.stride :][:, :T] for k in range(self.delays)], dim=-1)
        products = [seen[..., of].prod(dim=-1) for of in self.products]
        return torch.cat([seen, *products], dim=-1), whole[:, T:]
