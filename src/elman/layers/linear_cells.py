"""Cells whose next state is linear in the state before: `MinGRU`, `MinLSTM` and `RGLRU`.

Their gates look at the input alone. So all of a sequence's gates are one matrix product and element-wise operations,
and the recurrence is `kernels.gated_scan`, where the equations stand.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from elman import kernels

from .padding import without_padding
from .recurrent import Parts, Recurrent, Weights

C = 8.0
"""How sharply the recurrence gate of `RGLRU` acts, as in its paper."""


class Gated(Recurrent):
    """What `MinGRU`, `MinLSTM` and `RGLRU` share: their parameters are those of a product with the input."""

    gates: ClassVar[int]
    """Blocks of H rows in the weight."""

    cell: ClassVar[str]
    """What `kernels.gated_scan` calls it, up to its nonlinearity."""

    @property
    def _cell(self) -> str:
        return self.cell

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

    def _sequence(
        self,
        x: Tensor,
        state: Parts | None,
        weights: Weights,
        *,
        lengths: Tensor | None,
        reset: Tensor | None,
        trace: kernels.Trace | None,
    ) -> tuple[Tensor, Parts]:
        p = linear(without_padding(x, lengths), weights["weight_ih"], weights.get("bias_ih"))
        decay = -C * softplus(weights["Lambda"]) if "Lambda" in weights else None
        h_0 = None if state is None else state[0]
        y, h = kernels.gated_scan(self._cell, p, decay, h_0, lengths=lengths, reset=reset, trace=trace)
        return y, (h,)

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
        if nonlinearity not in ("linear", "positive"):
            raise ValueError(f"{name}: expected nonlinearity 'linear' or 'positive', found {nonlinearity!r}")
        if forget_bias is not None and not bias:
            raise ValueError(f"{name}: forget_bias={forget_bias} needs biases, found bias=False")
        self.nonlinearity = nonlinearity
        self.forget_bias = forget_bias
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            learned_state=learned_state, device=device, dtype=dtype,
        )  # fmt: skip

    @property
    def _cell(self) -> str:
        return f"{self.cell}_positive" if self.nonlinearity == "positive" else self.cell

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"nonlinearity": "linear", "forget_bias": None}


class MinGRU(_Minimal):
    """The minimal gated recurrent unit; equations in `kernels.gated_reference.mingru`.

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
    cell = "mingru"

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            for weights in self._all_weights():
                nn.init.constant_(weights["bias_ih"][: self.hidden_size], -self.forget_bias)


class MinLSTM(_Minimal):
    """The minimal long short-term memory; equations in `kernels.gated_reference.minlstm`.

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
    cell = "minlstm"

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            for weights in self._all_weights():
                nn.init.constant_(weights["bias_ih"][self.hidden_size : 2 * self.hidden_size], self.forget_bias)


class RGLRU(Gated):
    """The real-gated linear recurrent unit of Griffin; equations in `kernels.gated_reference.rglru`.

    Arguments are those of `Recurrent`. Forward takes and gives what `GRU` does. Parameters: `weight_ih_l0 (3 * H, I)`
    and `bias_ih_l0 (3 * H)` of r i u, and `Lambda_l0 (H)`.

    >>> y, h = RGLRU(3, 4)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 3
    cell = "rglru"

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
