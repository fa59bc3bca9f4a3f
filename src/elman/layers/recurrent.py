"""Recurrent layers with the constructor, results, initialisation and parameters of `torch.nn.RNN`, `LSTM` and `GRU`.

Stacking, directions, dropout, lengths, packing and layout are solved here once. A cell adds its number of gates, its
state's parts and the kernel that it calls.
"""

import math
import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import kernels

from .padding import Lengths, check_lengths, repack, reverse_time, unpack

State = Tensor | tuple[Tensor, ...]
Weights = dict[str, Any]


class Recurrent(nn.Module):
    """What all recurrent layers share; see `LSTM` for the arguments and shapes."""

    gates: ClassVar[int]
    """Blocks of H rows in each weight."""
    letters: ClassVar[str]
    """The state's parts: "h", or "hc"."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for argument, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{name}: expected {argument} as a whole number of at least 1, found {size!r}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: expected proj_size from 0 to below hidden_size={hidden_size}, found {proj_size}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: expected dropout as a probability from 0 to 1, found {dropout!r}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} acts between layers, so with num_layers=1 it does nothing", stacklevel=3
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size

        rows, R = self.gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else R * self._directions
            shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, R), "bias_ih": (rows,), "bias_hh": (rows,)}
            if not bias:
                del shapes["bias_ih"], shapes["bias_hh"]
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for direction in range(self._directions):
                for kind, shape in shapes.items():
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(_parameter_name(kind, layer, direction), parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/sqrt(H), 1/sqrt(H)) in torch's order: a seed gives the same numbers there."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing; code written for `torch.nn` calls it."""

    def extra_repr(self) -> str:
        words = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        for argument, default in (defaults | {"proj_size": 0}).items():
            if getattr(self, argument) != default:
                words.append(f"{argument}={getattr(self, argument)}")
        return ", ".join(words)

    def forward(
        self, x: Tensor | PackedSequence, state: State | None = None, *, lengths: Lengths | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise ValueError(
                    f"{type(self).__name__}: a PackedSequence carries its own lengths; give it without lengths="
                )
            padded, packed_lengths = unpack(x)
            y, after = self._run(padded, self._parts(padded, state, batched=True), packed_lengths)
            return repack(y, packed_lengths, x), self._as_given(after)

        self._check_input(x)
        batched = x.dim() == 3
        if not batched and lengths is not None:
            raise ValueError(
                f"{type(self).__name__}: lengths= needs a batch, found one sequence {tuple(x.shape)}; cut it instead"
            )
        # Time-major from here on: (T, B, I).
        x = (x.transpose(0, 1) if self.batch_first else x) if batched else x.unsqueeze(1)
        parts = self._parts(x, state, batched)
        checked = None if lengths is None else check_lengths(lengths, x.shape[0], x.shape[1], type(self).__name__)
        y, after = self._run(x, parts, checked)
        if not batched:
            return y.squeeze(1), self._as_given([part.squeeze(1) for part in after])
        return (y.transpose(0, 1) if self.batch_first else y), self._as_given(after)

    def _sequence(
        self, x: Tensor, state: tuple[Tensor, ...] | None, weights: Weights, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction: `x (T, B, I)` and the state's parts `(B, ...)` to `y (T, B, R)` and the parts."""
        raise NotImplementedError

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _run(self, x: Tensor, parts: list[Tensor] | None, lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """All layers and directions over `x (T, B, I)`; each part of the state is `(L * directions, B, ...)`."""
        after: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                x = nn.functional.dropout(x, self.dropout, self.training)
            ys = []
            for direction in range(self._directions):
                index = layer * self._directions + direction
                state = None if parts is None else tuple(part[index] for part in parts)
                weights = self._weights(layer, direction)
                y, last = self._sequence(reverse_time(x, lengths) if direction else x, state, weights, lengths)
                ys.append(reverse_time(y, lengths) if direction else y)
                after.append(last)
            x = torch.cat(ys, dim=-1) if self.bidirectional else ys[0]
        return x, [torch.stack(part) for part in zip(*after, strict=True)]

    def _weights(self, layer: int, direction: int) -> Weights:
        """The parameters of one layer and direction under the names that the kernels give them."""
        letters = {"weight_ih": "W_ih", "weight_hh": "W_hh", "bias_ih": "b_ih", "bias_hh": "b_hh", "weight_hr": "W_hr"}
        names = {letter: _parameter_name(kind, layer, direction) for kind, letter in letters.items()}
        return {letter: getattr(self, name) for letter, name in names.items() if hasattr(self, name)}

    def _check_input(self, x: Tensor) -> None:
        name = type(self).__name__
        layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected x as a tensor {layout} or a PackedSequence, found {type(x).__name__}")
        if x.dim() not in (2, 3):
            raise ValueError(f"{name}: expected x of shape {layout}, or (T, I) unbatched, found {tuple(x.shape)}")
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected {self.input_size} input features in the last dimension of x, found {tuple(x.shape)}"
            )
        if x.shape[1 if x.dim() == 3 and self.batch_first else 0] == 0:
            raise ValueError(f"{name}: expected at least one step in x, found {tuple(x.shape)}")

    def _parts(self, x: Tensor, state: State | None, batched: bool) -> list[Tensor] | None:
        """The given state as its parts, each `(L * directions, B, ...)`, checked against the time-major x."""
        name = type(self).__name__
        expected = self.weight_ih_l0.dtype
        if x.dtype != expected and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(
                f"{name}: expected x as {expected}, like the weights, found {x.dtype}; use x.to({expected})"
            )
        if state is None:
            return None
        given = (state,) if isinstance(state, Tensor) else tuple(state)
        if len(given) != len(self.letters):
            wanted = "the pair (h, c)" if self.letters == "hc" else "one tensor h"
            raise ValueError(f"{name}: expected the state as {wanted}, found {len(given)} tensor(s)")
        batch = (x.shape[1],) if batched else ()
        for letter, part in zip(self.letters, given, strict=True):
            size = self.proj_size or self.hidden_size if letter == "h" else self.hidden_size
            shape = (self.num_layers * self._directions, *batch, size)
            if part.shape != shape:
                raise ValueError(
                    f"{name}: expected the state's {letter} of shape {shape} (layers * directions, "
                    f"{'batch, ' if batched else ''}size), found {tuple(part.shape)}"
                )
        return [part if batched else part.unsqueeze(1) for part in given]

    def _as_given(self, parts: list[Tensor]) -> State:
        return parts[0] if len(parts) == 1 else tuple(parts)


def _parameter_name(kind: str, layer: int, direction: int) -> str:
    return f"{kind}_l{layer}" + ("_reverse" if direction else "")


class RNN(Recurrent):
    """The simple recurrent network of Elman (1990), with tanh or relu; equations in `kernels.reference.rnn_step`.

    Arguments and shapes are those of `LSTM`, without `proj_size`; the state is one tensor h.

    >>> rnn = RNN(3, 4, nonlinearity="relu")
    >>> y, h = rnn(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 1
    letters = "h"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: expected nonlinearity 'tanh' or 'relu', found {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")

    def _sequence(
        self, x: Tensor, state: tuple[Tensor, ...] | None, weights: Weights, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        h = None if state is None else state[0]
        y, h = kernels.rnn(x, h, **weights, nonlinearity=self.nonlinearity, lengths=lengths)
        return y, (h,)


class LSTM(Recurrent):
    r"""The long short-term memory, a drop-in for `torch.nn.LSTM`; equations in `kernels.reference.lstm_step`.

    Args:
        input_size, hidden_size: I and H.
        num_layers: L layers, each reading the one below.
        bias: whether there are biases `b_ih` and `b_hh`.
        batch_first: x and y are `(B, T, ...)` rather than `(T, B, ...)`. The state stays `(L * D, B, ...)`.
        dropout: probability of zeroing an element between layers, while training.
        bidirectional: D = 2 directions; y holds the forward and the backward h side by side.
        proj_size: if not 0, h is projected to R = proj_size numbers; otherwise R = H.

    Forward takes `x (T, B, I)`, `(T, I)` unbatched, or a `PackedSequence`; the state, `h (L * D, B, R)` and
    `c (L * D, B, H)`, where None means zeros; and `lengths (B)`, whole numbers from 0 to T, for sequences that are
    padded at their end. It returns `(y, (h, c))`: `y (T, B, D * R)`, zero past each length, and the state after each
    sequence's last step. What stands in the padding never changes a result.

    Parameters are torch's: `weight_ih_l0 (4 * H, I)`, `weight_hh_l0 (4 * H, R)`, `bias_ih_l0`, `bias_hh_l0 (4 * H)`,
    `weight_hr_l0 (R, H)`, `_reverse` for the second direction; gates in the order i f g o.

    >>> lstm = LSTM(3, 4, num_layers=2, batch_first=True)
    >>> y, (h, c) = lstm(torch.randn(2, 7, 3), lengths=[7, 5])
    >>> y.shape, h.shape, c.shape
    (torch.Size([2, 7, 4]), torch.Size([2, 2, 4]), torch.Size([2, 2, 4]))
    """

    gates = 4
    letters = "hc"

    def _sequence(
        self, x: Tensor, state: tuple[Tensor, ...] | None, weights: Weights, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        hc = None if state is None else (state[0], state[1])
        return kernels.lstm(x, hc, **weights, lengths=lengths)


class GRU(Recurrent):
    """The gated recurrent unit, a drop-in for `torch.nn.GRU`; equations in `kernels.reference.gru_step`.

    Arguments and shapes are those of `LSTM`, without `proj_size`; the state is one tensor h; gates in the order r z n.

    >>> y, h = GRU(3, 4, bidirectional=True)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 8]), torch.Size([2, 2, 4]))
    """

    gates = 3
    letters = "h"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )

    def _sequence(
        self, x: Tensor, state: tuple[Tensor, ...] | None, weights: Weights, lengths: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        h = None if state is None else state[0]
        y, h = kernels.gru(x, h, **weights, lengths=lengths)
        return y, (h,)
