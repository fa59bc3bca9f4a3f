"""Gated cells whose next state is linear in the state before: `MinGRU`, `MinLSTM` and `RGLRU`.

Their gates look at the input alone. So all of a sequence's gates are one matrix product and a few element-wise
operations, and what is left of the recurrence is `kernels.scan`: `h_t = a_t h_{t-1} + b_t`. A step, a chunk with a
carried state and the whole sequence are the same function: there is no other way of computing them.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, softplus

from elman import kernels

from .padding import without_padding
from .recurrent import Parts, Recurrent, Weights

Maybe = Tensor | None


def mingru(
    x: Tensor,
    h_0: Maybe,
    W_ih: Tensor,
    b_ih: Maybe = None,
    *,
    nonlinearity: str = "linear",
    lengths: Maybe = None,
    reset: Maybe = None,
    trace: kernels.Trace | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The minimal gated recurrent unit (Feng et al. 2024, "Were RNNs all we needed?", arXiv 2410.01201, section 3.1).

    .. math::
        (\bar z, \bar n)_t &= W_{ih} x_t + b_{ih} \\
        z_t &= \sigma(\bar z_t) \qquad n_t = g(\bar n_t) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    With `nonlinearity="linear"`, g is the identity, as in the paper's section 3. With "positive", g is that of its
    appendix B, which lets logarithms be taken: :math:`g(v) = v + 0.5` for :math:`v \ge 0`, :math:`\sigma(v)` below.
    `W_ih (2 * H, I)` and `b_ih (2 * H)` hold z, then n; `x (T, B, I)` and `h_0 (B, H)` give `h (T, B, H)` and the last.
    """
    z_bar, n_bar = _sums(x, W_ih, b_ih, lengths).chunk(2, dim=-1)
    z, n = torch.sigmoid(z_bar), G[nonlinearity](n_bar)
    a, b = 1 - z, z * n
    note(trace, b, lengths, bars={"z": z_bar, "n": n_bar}, gates={"z": z, "n": n})
    return kernels.scan(a, b, h_0, lengths=lengths, reset=reset)


def minlstm(
    x: Tensor,
    h_0: Maybe,
    W_ih: Tensor,
    b_ih: Maybe = None,
    *,
    nonlinearity: str = "linear",
    lengths: Maybe = None,
    reset: Maybe = None,
    trace: kernels.Trace | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The minimal long short-term memory (Feng et al. 2024, arXiv 2410.01201, section 3.2), gates normalised to one.

    .. math::
        (\bar i, \bar f, \bar g)_t &= W_{ih} x_t + b_{ih} \\
        i_t &= \frac{\sigma(\bar i_t)}{\sigma(\bar i_t) + \sigma(\bar f_t)} \qquad f_t = 1 - i_t \\
        h_t &= f_t \odot h_{t-1} + i_t \odot g(\bar g_t)

    i_t is computed as :math:`\sigma(\log\sigma(\bar i_t) - \log\sigma(\bar f_t))`, the same number without a division
    of zero by zero. `nonlinearity` chooses g as in `mingru`. `W_ih (3 * H, I)` and `b_ih (3 * H)` hold i f g.
    """
    i_bar, f_bar, g_bar = _sums(x, W_ih, b_ih, lengths).chunk(3, dim=-1)
    i, g = torch.sigmoid(logsigmoid(i_bar) - logsigmoid(f_bar)), G[nonlinearity](g_bar)
    f, b = 1 - i, i * g
    note(trace, b, lengths, bars={"i": i_bar, "f": f_bar, "g": g_bar}, gates={"i": i, "f": f, "g": g})
    return kernels.scan(f, b, h_0, lengths=lengths, reset=reset)


def rglru(
    x: Tensor,
    h_0: Maybe,
    W_ih: Tensor,
    b_ih: Maybe,
    Lambda: Tensor,
    *,
    lengths: Maybe = None,
    reset: Maybe = None,
    trace: kernels.Trace | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The real-gated linear recurrent unit of Griffin (De et al. 2024, arXiv 2402.19427, section 2.4), with c = 8.

    .. math::
        (\bar r, \bar i, u)_t &= W_{ih} x_t + b_{ih} \\
        r_t &= \sigma(\bar r_t) \qquad i_t = \sigma(\bar i_t) \\
        a_t &= \exp(-c \operatorname{softplus}(\Lambda) \odot r_t) \\
        h_t &= a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot u_t)

    The paper's unit has as many inputs as units and takes them as they are; where :math:`u_t = x_t` this is it.
    `W_ih (3 * H, I)` and `b_ih (3 * H)` hold r i u; `Lambda (H)`.
    """
    r_bar, i_bar, u = _sums(x, W_ih, b_ih, lengths).chunk(3, dim=-1)
    r, i = torch.sigmoid(r_bar), torch.sigmoid(i_bar)
    log_a = -C * softplus(Lambda) * r
    a = torch.exp(log_a)
    # 1 - a^2 without cancellation; the root's slope must stay finite where r is so small that a is 1.
    b = torch.sqrt(-torch.expm1(2 * log_a).clamp(max=-torch.finfo(a.dtype).tiny)) * (i * u)
    note(trace, b, lengths, bars={"r": r_bar, "i": i_bar, "u": u}, gates={"r": r, "i": i, "u": u})
    return kernels.scan(a, b, h_0, lengths=lengths, reset=reset)


C = 8.0
"""How sharply the recurrence gate of `rglru` acts."""


def _sums(x: Tensor, W: Tensor, b: Maybe, lengths: Maybe) -> Tensor:
    return linear(without_padding(x, lengths), W, b)


def _positive(v: Tensor) -> Tensor:
    return torch.where(v >= 0, v + 0.5, torch.sigmoid(v))


G = {"linear": lambda v: v, "positive": _positive}


def note(
    trace: kernels.Trace | None, b: Tensor, lengths: Maybe, *, bars: dict[str, Tensor], gates: dict[str, Tensor]
) -> None:
    """Fills a trace from a scan's gates and b. dL/dh_t is dL/db_t: a hook on b is all that its norm costs."""
    if trace is None:
        return
    trace.bars = {letter: without_padding(t.detach(), lengths) for letter, t in bars.items()}
    trace.gates = {letter: without_padding(t.detach(), lengths) for letter, t in gates.items()}

    def keep(db: Tensor) -> None:
        squares = db.detach().abs().square().sum(-1)
        trace.squares = torch.stack([squares, torch.zeros_like(squares)], dim=-1)

    if b.requires_grad:
        b.register_hook(keep)


class Gated(Recurrent):
    """What `MinGRU`, `MinLSTM` and `RGLRU` share: their parameters are those of a product with the input."""

    gates: ClassVar[int]
    """Blocks of H rows in the weight."""

    def reset_parameters(self) -> None:
        """Draws weights and biases from U(-1/sqrt(I), 1/sqrt(I)), as `torch.nn.Linear` does.

        A learned state starts from zeros.
        """
        for name, parameter in self.named_parameters():
            if name == "h_0":
                nn.init.zeros_(parameter)
        for weights in self._all_weights():
            bound = 1 / math.sqrt(weights["weight_ih"].shape[1])
            for weight in weights.values():
                nn.init.uniform_(weight, -bound, bound)

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        return {"weight_ih": (rows, columns)} | ({"bias_ih": (rows,)} if self.bias else {})


class _Minimal(Gated):
    """What `MinGRU` and `MinLSTM` share."""

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
        nonlinearity: str = "linear",
        forget_bias: float | None = None,
        learned_state: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        name = type(self).__name__
        if nonlinearity not in G:
            raise ValueError(f"{name}: expected nonlinearity 'linear' or 'positive', found {nonlinearity!r}")
        if forget_bias is not None and not bias:
            raise ValueError(f"{name}: forget_bias={forget_bias} needs biases, found bias=False")
        self.nonlinearity = nonlinearity
        self.forget_bias = forget_bias
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            learned_state=learned_state, device=device, dtype=dtype,
        )  # fmt: skip

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"nonlinearity": "linear", "forget_bias": None}


class MinGRU(_Minimal):
    """The minimal gated recurrent unit; equations and the variant in `mingru`.

    Args:
        input_size ... learned_state: see `Recurrent`.
        nonlinearity: of the candidate, "linear" (the paper's section 3) or "positive" (its appendix B).
        forget_bias: what the share that is kept at a step starts from, before it is squashed: the biases of z become
            its negative. None: random numbers around zero, so that half is kept. 3 keeps 95 % a step.

    Forward takes and gives what `GRU` does. Parameters: `weight_ih_l0 (2 * H, I)` and `bias_ih_l0 (2 * H)`; z, then n.

    >>> y, h = MinGRU(3, 4, num_layers=2)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([2, 2, 4]))
    """

    gates = 2

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            for weights in self._all_weights():
                nn.init.constant_(weights["bias_ih"][: self.hidden_size], -self.forget_bias)

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        h_0, W, b = None if state is None else state[0], weights["weight_ih"], weights.get("bias_ih")
        y, h = mingru(x, h_0, W, b, nonlinearity=self.nonlinearity, **more)
        return y, (h,)


class MinLSTM(_Minimal):
    """The minimal long short-term memory; equations and the variant in `minlstm`.

    Args:
        input_size ... learned_state: see `Recurrent`.
        nonlinearity: of the candidate, "linear" (the paper's section 3) or "positive" (its appendix B).
        forget_bias: what the biases of f start from; None: random numbers around zero.

    Forward takes and gives what `GRU` does: the state is one tensor h. Parameters: `weight_ih_l0 (3 * H, I)` and
    `bias_ih_l0 (3 * H)`; gates in the order i f g.

    >>> y, h = MinLSTM(3, 4, forget_bias=1.0)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 3

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            for weights in self._all_weights():
                nn.init.constant_(weights["bias_ih"][self.hidden_size : 2 * self.hidden_size], self.forget_bias)

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        h_0, W, b = None if state is None else state[0], weights["weight_ih"], weights.get("bias_ih")
        y, h = minlstm(x, h_0, W, b, nonlinearity=self.nonlinearity, **more)
        return y, (h,)


class RGLRU(Gated):
    """The real-gated linear recurrent unit of Griffin; equations in `rglru`.

    Arguments are those of `Recurrent`. Forward takes and gives what `GRU` does. Parameters: `weight_ih_l0 (3 * H, I)`
    and `bias_ih_l0 (3 * H)` of r i u, and `Lambda_l0 (H)`.

    >>> y, h = RGLRU(3, 4)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 3

    def reset_parameters(self) -> None:
        """As in the paper: weights of variance 1 / I, biases of zero, and a_t uniform in 0.9 .. 0.999 where r = 1."""
        super().reset_parameters()
        for weights in self._all_weights():
            nn.init.normal_(weights["weight_ih"], std=1 / math.sqrt(weights["weight_ih"].shape[1]))
            if self.bias:
                nn.init.zeros_(weights["bias_ih"])
            with torch.no_grad():
                power = weights["Lambda"].uniform_(0.9, 0.999)
                weights["Lambda"].copy_(torch.log(torch.expm1(-torch.log(power) / C)))

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        return super()._shapes(columns) | {"Lambda": (self.hidden_size,)}

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        h_0, W, b = None if state is None else state[0], weights["weight_ih"], weights.get("bias_ih")
        y, h = rglru(x, h_0, W, b, weights["Lambda"], **more)
        return y, (h,)
