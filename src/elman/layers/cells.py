"""One step of each cell as a module, with the constructor, parameters and results of `torch.nn`'s cells.

The equations themselves stand in `elman.kernels.reference`, once for the step, the sequence and the tests.
"""

import math

import torch
from torch import Tensor, nn

from elman import kernels

from .checks import check_sizes

HC = tuple[Tensor, Tensor]


class _Cell(nn.Module):
    """The parameters that the cells share; `gates` blocks of H rows lie in each."""

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size, device=device, dtype=dtype))
        self.bias_ih = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/sqrt(H), 1/sqrt(H)) in torch's order: a seed gives the same numbers there."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    def _weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _zeros(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], self.hidden_size)

    def _check(self, x: Tensor, **state: Tensor | None) -> None:
        name, dtype = type(self).__name__, self.weight_ih.dtype
        for letter, part in {"x": x, **state}.items():
            if part is not None and not isinstance(part, Tensor):
                raise TypeError(f"{name}: expected {letter} as a tensor, found {type(part).__name__}")
            if part is not None and part.dtype != dtype and not torch.is_autocast_enabled(part.device.type):
                raise ValueError(f"{name}: expected {letter} as {dtype}, like the weights, found {part.dtype}")
        if x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected x of shape (B, {self.input_size}) or ({self.input_size},), found {tuple(x.shape)}"
            )
        for letter, part in state.items():
            expected = (*x.shape[:-1], self.hidden_size)
            if part is not None and part.shape != expected:
                raise ValueError(f"{name}: expected {letter} of shape {expected}, found {tuple(part.shape)}")


class RNNCell(_Cell):
    """One step of the simple recurrent network: `kernels.rnn_step` with its weights.

    `x (B, I)` or `(I,)` and `h (B, H)` or `(H,)` (None: zeros) give the next h.

    >>> cell = RNNCell(3, 4)
    >>> h = None
    >>> for x in torch.randn(10, 2, 3):
    ...     h = cell(x, h)
    >>> h.shape
    torch.Size([2, 4])
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: expected nonlinearity 'tanh' or 'relu', found {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        self._check(x, h=state)
        h = self._zeros(x) if state is None else state
        return kernels.rnn_step(x, h, *self._weights(), nonlinearity=self.nonlinearity)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of the long short-term memory: `kernels.lstm_step` with its weights; gates in the order i f g o.

    `x (B, I)` or `(I,)` and `(h, c)`, both `(B, H)` or `(H,)` (None: zeros), give the next `(h, c)`.

    >>> h, c = LSTMCell(3, 4)(torch.randn(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    gates = 4

    def forward(self, x: Tensor, state: HC | None = None) -> HC:
        if state is not None and not (isinstance(state, tuple | list) and len(state) == 2):
            raise TypeError(f"LSTMCell: expected the state as the pair (h, c), found {type(state).__name__}")
        h, c = (None, None) if state is None else state
        self._check(x, h=h, c=c)
        return kernels.lstm_step(x, state or (self._zeros(x), self._zeros(x)), *self._weights())


class GRUCell(_Cell):
    """One step of the gated recurrent unit: `kernels.gru_step` with its weights; gates in the order r z n.

    `x (B, I)` or `(I,)` and `h (B, H)` or `(H,)` (None: zeros) give the next h.

    >>> GRUCell(3, 4)(torch.randn(2, 3)).shape
    torch.Size([2, 4])
    """

    gates = 3

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        self._check(x, h=state)
        h = self._zeros(x) if state is None else state
        return kernels.gru_step(x, h, *self._weights())
