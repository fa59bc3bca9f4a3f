r"""The leaky reservoir as obvious PyTorch: what `reservoir_native.py` is held to, and its fallback.

.. math:: h_t = (1 - \alpha) h_{t-1} + \alpha \tanh(W_{in} x_t + W h_{t-1} + b + f_t)

with the leak :math:`\alpha` and, where the output feeds back, :math:`f_t = W_{fb} y_{t-1}` (Jaeger 2001, "The echo
state approach to analysing and training recurrent neural networks"; the leak as in Lukosevicius 2012, "A practical
guide to applying echo state networks", equations 2 and 3). Dimensions: `T` time, `B` batch, `I` input, `N` units;
`W_in (N, I)`, `W (N, N)`, `b (N)` or None.

With a matrix `turn (N, N)` what is left of :math:`h_{t-1}` is turned: :math:`(1 - \alpha) O h_{t-1}`. Where O is
orthogonal, this is the edge-of-stability reservoir (Ceni and Gallicchio 2023, arXiv 2308.02902, equation 4).
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import linear


def reservoir_step(
    x: Tensor,
    h: Tensor,
    W_in: Tensor,
    W: Tensor,
    b: Tensor | None = None,
    *,
    leak: float,
    feedback: Tensor | None = None,
    turn: Tensor | None = None,
) -> Tensor:
    """One step: `x (..., I)`, `h (..., N)` and `feedback (..., N)` (None: zeros) give the next `h (..., N)`."""
    h_bar = linear(x, W_in, b) + linear(h, W)
    if feedback is not None:
        h_bar = h_bar + feedback
    return (1 - leak) * (h if turn is None else linear(h, turn)) + leak * torch.tanh(h_bar)


def reservoir(
    x: Tensor,
    h_0: Tensor | None,
    W_in: Tensor,
    W: Tensor,
    b: Tensor | None = None,
    *,
    leak: float,
    feedback: Tensor | None = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    turn: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`reservoir_step` over `x (T, B, I)`: h of every step `(T, B, N)`, zero past a sequence's end, and the last one.

    `h_0 (B, N)` is the state before the first step (None: zeros); `feedback (T, B, N)`; `lengths (B)` are whole numbers
    from 0 to T (None: all T); `reset (T, B)` is true where the state is zero before that step (None: nowhere).
    """
    h = x.new_zeros(x.shape[1], W.shape[0]) if h_0 is None else h_0
    valid = None
    if lengths is not None:
        valid = torch.arange(x.shape[0], device=x.device)[:, None, None] < lengths.to(x.device)[:, None]
        x = x.masked_fill(~valid, 0)  # so that a NaN in the padding can't reach a gradient as 0 * NaN
        feedback = None if feedback is None else feedback.masked_fill(~valid, 0)
    hs = []
    step = partial(reservoir_step, leak=leak, turn=turn)
    for t, x_t in enumerate(x.unbind(0)):
        before = h if reset is None else h.masked_fill(reset[t, :, None], 0)
        after = step(x_t, before, W_in, W, b, feedback=None if feedback is None else feedback[t])
        h = after if valid is None else torch.where(valid[t], after, h)
        hs.append(after if valid is None else after.masked_fill(~valid[t], 0))
    return torch.stack(hs), h
