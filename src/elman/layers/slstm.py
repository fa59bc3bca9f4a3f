"""The scalar LSTM of xLSTM: exponential gates, a normaliser and heads."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from elman import kernels

from .padding import valid_steps, without_padding
from .recurrent import Parts, Recurrent, Weights

Maybe = Tensor | None
HCNM = tuple[Tensor, Tensor, Tensor, Tensor]
Seen = tuple[Tensor, Tensor, Parts, Parts]
"""Of one step: h, c, the gates before they were squashed, and after."""


def slstm_step(bars: Tensor, c: Tensor, n: Tensor, m: Tensor) -> tuple[HCNM, Parts]:
    r"""One step of the scalar LSTM (Beck et al. 2024, "xLSTM", arXiv 2405.04517, equations 8 to 17).

    .. math::
        (\bar i, \bar f, \bar g, \bar o)_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} \\
        m_t &= \max(\log\sigma(\bar f_t) + m_{t-1}, \bar i_t) \\
        i_t &= \exp(\bar i_t - m_t) \qquad f_t = \exp(\log\sigma(\bar f_t) + m_{t-1} - m_t) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot \tanh(\bar g_t) \\
        n_t &= f_t \odot n_{t-1} + i_t \\
        h_t &= \sigma(\bar o_t) \odot c_t / n_t

    The paper calls the cell input z, which here is g as in an LSTM, and leaves the forget gate's squashing open: here,
    as in the authors' code, it is the sigmoid. m keeps the exponentials in range and cancels in h. Where there is no
    past, m is minus infinity: the first n_t is 1, and no later one is less.

    `bars (..., 4 * H)` and the state `(..., H)` each give the next `h, c, n, m`, and the gates i f g o.
    """
    i_bar, f_bar, g_bar, o_bar = bars.chunk(4, dim=-1)
    past = logsigmoid(f_bar) + m
    m = torch.maximum(past, i_bar)
    i, f, g, o = torch.exp(i_bar - m), torch.exp(past - m), torch.tanh(g_bar), torch.sigmoid(o_bar)
    c = f * c + i * g
    n = f * n + i
    return (o * (c / n), c, n, m), (i, f, g, o)


def slstm(
    x: Tensor,
    state: HCNM | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    *,
    lengths: Maybe = None,
    reset: Maybe = None,
    trace: kernels.Trace | None = None,
) -> tuple[Tensor, HCNM]:
    """The whole sequence: `x (T, B, I)` and a state `h, c, n, m`, `(B, H)` each, give `y (T, B, H)` and the state.

    `W_ih (4 * H, I)` and `b_ih (4 * H)` hold i f g o. In `W_hh (4 * H, H / K)` each unit has a row for each gate that
    reads the h of its own head alone, K heads of H / K units side by side: the paper's block-diagonal matrices. A
    state whose n is zero is one without a past.
    """
    T, B, H, d = x.shape[0], x.shape[1], W_ih.shape[0] // 4, W_hh.shape[1]
    K = H // d
    # Head by head from here on: (K, B, d) of each step, and gates within a head.
    W_ih = W_ih.view(4, K, d, -1).transpose(0, 1).reshape(4 * H, -1)
    b_ih = None if b_ih is None else b_ih.view(4, K, d).transpose(0, 1).reshape(4 * H)
    W_hh = W_hh.view(4, K, d, d).permute(1, 3, 0, 2).reshape(K, d, 4 * d)
    sums = linear(without_padding(x, lengths), W_ih, b_ih).view(T, B, K, 4 * d).transpose(1, 2)
    given = (x.new_zeros(B, H),) * 4 if state is None else state
    h, c, n, m_0 = (part.view(B, K, d).transpose(0, 1) for part in given)
    m = m_0.masked_fill(n == 0, -math.inf)
    valid = None if lengths is None else valid_steps(T, lengths, x.device)
    if reset is not None and valid is not None:
        reset = reset & valid[..., 0]  # the state stays as it is past a sequence's end
    seen: list[Seen] = []
    hs = []
    for t, sums_t in enumerate(sums.unbind(0)):
        if reset is not None:
            new = reset[t, :, None]
            h, c, n, m = (
                h.masked_fill(new, 0),
                c.masked_fill(new, 0),
                n.masked_fill(new, 0),
                m.masked_fill(new, -math.inf),
            )
        bars = torch.baddbmm(sums_t, h, W_hh)
        before, (after, gates) = (h, c, n, m), slstm_step(bars, c, n, m)
        if trace is not None:
            seen.append((after[0], after[1], bars.chunk(4, dim=-1), gates))
        h, c, n, m = after if valid is None else map(torch.where, (valid[t],) * 4, after, before)
        hs.append(h if valid is None else h.masked_fill(~valid[t], 0))
    if trace is not None:
        _fill(trace, seen, lengths)
    m = torch.where(n == 0, m_0, m)  # of a sequence without a step
    h, c, n, m = (part.transpose(0, 1).reshape(B, H) for part in (h, c, n, m))
    return torch.stack(hs).transpose(1, 2).reshape(T, B, H), (h, c, n, m)


def _fill(trace: kernels.Trace, seen: list[Seen], lengths: Maybe) -> None:
    def whole(steps: list[Tensor]) -> Tensor:
        return without_padding(torch.stack(steps).detach().transpose(1, 2).flatten(2), lengths)

    for k, letter in enumerate("ifgo"):
        trace.bars[letter] = whole([bars[k] for _, _, bars, _ in seen])
        trace.gates[letter] = whole([gates[k] for _, _, _, gates in seen])
    trace.c = whole([c for _, c, _, _ in seen])
    squares = trace.c.new_zeros(*trace.c.shape[:2], 2)

    def hook(t: int, part: int) -> Callable[[Tensor], None]:
        def keep(gradient: Tensor) -> None:
            trace.squares = squares
            squares[t, :, part] = gradient.detach().square().sum((0, 2))

        return keep

    for t, (h, c, _, _) in enumerate(seen):
        for part, h_or_c in enumerate((h, c)):
            if h_or_c.requires_grad:
                h_or_c.register_hook(hook(t, part))


class SLSTM(Recurrent):
    """The scalar LSTM of xLSTM; equations and the variant in `slstm_step`.

    Args:
        input_size ... bidirectional: see `Recurrent`.
        num_heads: K heads of H / K units, each of which sees the h of its own head alone. The paper uses 4.

    Forward takes and gives what `LSTM` does, but for the state: `(h, c, n, m)`, `(L * D, B, H)` each: normaliser n and
    stabiliser m besides h and c. A state of zeros is one without a past. Parameters: `weight_ih_l0 (4 * H, I)`,
    `weight_hh_l0 (4 * H, H / K)` and one bias `bias_ih_l0 (4 * H)`; gates in the order i f g o.

    >>> y, (h, c, n, m) = SLSTM(3, 4, num_heads=2)(torch.randn(7, 2, 3))
    >>> y.shape, n.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    letters = "hcnm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        num_heads: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not isinstance(num_heads, int) or num_heads < 1 or hidden_size % num_heads:
            raise ValueError(f"SLSTM: expected num_heads to divide hidden_size={hidden_size}, found {num_heads!r}")
        self.num_heads = num_heads
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )

    def reset_parameters(self) -> None:
        """Weights as an LSTM's; biases zero but the forget gate's, spread from 1 to 5 within each head, so that its
        units remember from some to some hundred steps."""
        super().reset_parameters()
        H, d = self.hidden_size, self.hidden_size // self.num_heads
        for weights in self._all_weights() if self.bias else ():
            nn.init.zeros_(weights["bias_ih"])
            with torch.no_grad():
                weights["bias_ih"][H : 2 * H] = torch.linspace(1, 5, d).repeat(self.num_heads)

    def _settings(self) -> dict[str, object]:
        settings = super()._settings() | {"num_heads": 1}
        del settings["learned_state"]
        return settings

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        H = self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (4 * H, columns), "weight_hh": (4 * H, H // self.num_heads)}
        return shapes | ({"bias_ih": (4 * H,)} if self.bias else {})

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        hcnm = None if state is None else (state[0], state[1], state[2], state[3])
        return slstm(x, hcnm, *weights.values(), **more)
