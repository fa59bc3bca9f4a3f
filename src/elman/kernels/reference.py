"""The recurrences as obvious PyTorch: the specification, the oracle of the tests, and the fallback.

Each cell is a step, which is its equation, and a sequence, which repeats the step. Every faster implementation is
held to these functions, gradients included; where they disagree, these are right.

Dimensions: `T` time, `B` batch, `I` input, `H` hidden, `R` size of h (`H`, or the projection's where there is one).
Weights lie as in `torch.nn`: `W_ih (gates * H, I)`, `W_hh (gates * H, R)`, `b_ih (gates * H)`, `b_hh (gates * H)`, the
gates stacked in the order that each cell names. Biases come both or not at all (None).

Every sequence function takes `x (T, B, I)`, a state before the first step (None: zeros) and `lengths (B)`, whole
numbers from 0 to T (None: all T), and returns `(y, state)`: `y (T, B, R)` holds h of every step, and zero past a
sequence's length; the state is that of each sequence's last step. What lies in x past a length is never looked at.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

HC = tuple[Tensor, Tensor]


def rnn_step(
    x: Tensor,
    h: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
) -> Tensor:
    r"""One step of the simple recurrent network (Elman 1990, "Finding structure in time"), phi being tanh or relu:

    .. math::
        \bar h_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        h_t &= \phi(\bar h_t)

    `x (..., I)` and `h (..., H)` give the next `h (..., H)`.
    """
    phi = {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]
    h_bar = linear(x, W_ih, b_ih) + linear(h, W_hh, b_hh)
    return phi(h_bar)


def lstm_step(
    x: Tensor,
    state: HC,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    W_hr: Tensor | None = None,
) -> HC:
    r"""One step of the long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
    2000 and, where `W_hr (R, H)` is given, the projection of Sak et al. 2014, arXiv 1402.1128). Gates in the order
    i f g o:

    .. math::
        (\bar i, \bar f, \bar g, \bar o)_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        c_t &= \sigma(\bar f_t) \odot c_{t-1} + \sigma(\bar i_t) \odot \tanh(\bar g_t) \\
        h_t &= W_{hr} (\sigma(\bar o_t) \odot \tanh(c_t))

    `x (..., I)` and the state `(h (..., R), c (..., H))` give the next state.
    """
    h, c = state
    i_bar, f_bar, g_bar, o_bar = (linear(x, W_ih, b_ih) + linear(h, W_hh, b_hh)).chunk(4, dim=-1)
    c = torch.sigmoid(f_bar) * c + torch.sigmoid(i_bar) * torch.tanh(g_bar)
    h = torch.sigmoid(o_bar) * torch.tanh(c)
    return (h if W_hr is None else linear(h, W_hr)), c


def gru_step(
    x: Tensor,
    h: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    r"""One step of the gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) in the variant of cuDNN and torch, where
    the reset gate acts after the matrix product. Gates in the order r z n:

    .. math::
        (a^r, a^z, a^n)_t &= W_{ih} x_t + b_{ih} \qquad (u^r, u^z, u^n)_t = W_{hh} h_{t-1} + b_{hh} \\
        r_t &= \sigma(a^r_t + u^r_t) \qquad z_t = \sigma(a^z_t + u^z_t) \\
        n_t &= \tanh(a^n_t + r_t \odot u^n_t) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    `x (..., I)` and `h (..., H)` give the next `h (..., H)`.
    """
    a_r, a_z, a_n = linear(x, W_ih, b_ih).chunk(3, dim=-1)
    u_r, u_z, u_n = linear(h, W_hh, b_hh).chunk(3, dim=-1)
    r = torch.sigmoid(a_r + u_r)
    z = torch.sigmoid(a_z + u_z)
    n = torch.tanh(a_n + r * u_n)
    return (1 - z) * n + z * h


def rnn(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`rnn_step` over a sequence; the state is `h (B, H)`."""

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (rnn_step(x_t, state[0], W_ih, W_hh, b_ih, b_hh, nonlinearity=nonlinearity),)

    h = _zeros(x, W_hh.shape[1]) if state is None else state
    y, (h,) = _unroll(step, x, (h,), lengths)
    return y, h


def lstm(
    x: Tensor,
    state: HC | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    W_hr: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, HC]:
    """`lstm_step` over a sequence; the state is `(h (B, R), c (B, H))`."""

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return lstm_step(x_t, (state[0], state[1]), W_ih, W_hh, b_ih, b_hh, W_hr)

    hc = (_zeros(x, W_hh.shape[1]), _zeros(x, W_hh.shape[0] // 4)) if state is None else state
    y, (h, c) = _unroll(step, x, hc, lengths)
    return y, (h, c)


def gru(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`gru_step` over a sequence; the state is `h (B, H)`."""

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (gru_step(x_t, state[0], W_ih, W_hh, b_ih, b_hh),)

    h = _zeros(x, W_hh.shape[1]) if state is None else state
    y, (h,) = _unroll(step, x, (h,), lengths)
    return y, h


def _zeros(x: Tensor, size: int) -> Tensor:
    return x.new_zeros(x.shape[1], size)


def _unroll(
    step: Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]],
    x: Tensor,
    state: tuple[Tensor, ...],
    lengths: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Repeats the step; h is the first part of the state. Padding is solved here, once for all cells."""
    if lengths is None:
        ys = []
        for x_t in x.unbind(0):
            state = step(x_t, state)
            ys.append(state[0])
        return torch.stack(ys), state

    valid = torch.arange(x.shape[0], device=x.device)[:, None, None] < lengths.to(x.device)[:, None]
    # Zeroed, so that a NaN in the padding can't reach a gradient as 0 * NaN.
    x = x.masked_fill(~valid, 0)
    ys = []
    for x_t, valid_t in zip(x.unbind(0), valid.unbind(0), strict=True):
        after = step(x_t, state)
        state = tuple(torch.where(valid_t, new, old) for new, old in zip(after, state, strict=True))
        ys.append(after[0].masked_fill(~valid_t, 0))
    return torch.stack(ys), state
