"""Where recurrent weights start from: initialisers of `W_hh (G * H, R)`, one block of H rows for each gate.

Each works in place and takes the blocks one by one, for what makes one gate's map keep lengths says nothing of G maps
on top of each other.
"""

from collections.abc import Callable

from torch import Tensor, nn


def uniform(W_hh: Tensor, gates: int) -> None:
    """Leaves torch's: U(-1/sqrt(H), 1/sqrt(H))."""


def orthogonal(W_hh: Tensor, gates: int) -> None:
    """Each block a random orthogonal matrix, which keeps the length of h: Saxe et al. 2014, arXiv 1312.6120.

    Where h is projected, its R < H columns are orthonormal.

    >>> import torch
    >>> W_hh = torch.empty(3 * 4, 4)
    >>> orthogonal(W_hh, gates=3)
    >>> torch.allclose(W_hh[4:8] @ W_hh[4:8].T, torch.eye(4), atol=1e-6)
    True
    """
    for block in W_hh.detach().chunk(gates):
        nn.init.orthogonal_(block)


def identity(W_hh: Tensor, gates: int) -> None:
    """Each block the identity: Le et al. 2015, arXiv 1504.00941, who start a relu network (the IRNN) so.

    As there, the layers also set the biases to zero: each unit adds its input to what it was. It is meant for `RNN`
    with relu; for gated cells it is a choice like any other.

    >>> import torch
    >>> W_hh = torch.empty(2 * 3, 3)
    >>> identity(W_hh, gates=2)
    >>> bool((W_hh == torch.eye(3).repeat(2, 1)).all())
    True
    """
    for block in W_hh.detach().chunk(gates):
        nn.init.eye_(block)


RECURRENT: dict[str, Callable[[Tensor, int], None]] = {
    "uniform": uniform,
    "orthogonal": orthogonal,
    "identity": identity,
}


def forget_bias(b_ih: Tensor, b_hh: Tensor, value: float) -> None:
    """The bias of an lstm's forget gate: Jozefowicz et al. 2015, "An empirical exploration of recurrent network
    architectures", who start it from 1, so that c is kept until the network learns to forget.

    Only the sum of torch's two biases acts: `b_ih`'s block f becomes `value` and `b_hh`'s becomes 0.

    >>> import torch
    >>> b_ih, b_hh = torch.rand(8), torch.rand(8)  # i i f f g g o o
    >>> forget_bias(b_ih, b_hh, 1.0)
    >>> (b_ih + b_hh)[2:4]
    tensor([1., 1.])
    """
    nn.init.constant_(b_ih.detach().chunk(4)[1], value)
    nn.init.zeros_(b_hh.detach().chunk(4)[1])
