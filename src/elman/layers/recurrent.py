"""What all recurrent layers share: stacking, directions, dropout, lengths, packing, resets, layout, state and trace.

A cell derives from `Recurrent` and adds what is its own:

- `letters`, the parts of its state, one letter each, and `state_sizes`, how many numbers each part has;
- `_shapes(columns)`, the parameters of one layer and direction that reads `columns` numbers a step;
- `_sequence(...)`, one layer in one direction over a time-major sequence;
- `reset_parameters()` and `_settings()`, where it has more than the defaults.

It stores its own arguments before it calls `super().__init__`, which creates the parameters.
"""

import math
import warnings
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman import kernels

from .checks import check_input, check_probability, check_sizes, check_state
from .padding import Lengths, check_lengths, check_reset, repack, reverse_reset, reverse_time, unpack
from .restarts import cut
from .trace import Trace

State = Tensor | tuple[Tensor, ...]
Parts = tuple[Tensor, ...]
Weights = dict[str, Tensor]


class Recurrent(nn.Module):
    """What all recurrent layers share.

    Args:
        input_size, hidden_size: I and H.
        num_layers: L layers, each reading the one below.
        bias: whether the cell has biases.
        batch_first: x and y are `(B, T, ...)` rather than `(T, B, ...)`. The state stays `(L * D, B, ...)`.
        dropout: probability of zeroing an element between layers, while training.
        bidirectional: D = 2 directions; y holds the forward and the backward h side by side.
        learned_state: the state before the first step, where none is given, is learned: parameters `h_0 (L * D, R)`,
            `c_0 (L * D, H)` and so on, zeros at first.
    """

    letters: ClassVar[str] = "h"
    """The state's parts, a letter each: "h", or "hc"."""

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
        learned_state: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(dropout, "dropout", name)
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
        self.learned_state = learned_state

        for layer in range(num_layers):
            columns = input_size if layer == 0 else self.output_size
            for direction in range(self._directions):
                for kind, shape in self._shapes(columns).items():
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(parameter_name(kind, layer, direction), parameter)
        if learned_state:
            for letter, size in zip(self.letters, self.state_sizes, strict=True):
                parameter = nn.Parameter(torch.empty(num_layers * self._directions, size, device=device, dtype=dtype))
                self.register_parameter(f"{letter}_0", parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/sqrt(H), 1/sqrt(H)) in torch's order: a seed gives the same numbers there.

        A learned state starts from zeros.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        states = {f"{letter}_0" for letter in self.letters}
        for name, parameter in self.named_parameters():
            if name in states:
                nn.init.zeros_(parameter)
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing; code written for `torch.nn` calls it."""

    def extra_repr(self) -> str:
        words = [f"{self.input_size}, {self.hidden_size}"]
        for argument, default in self._settings().items():
            if getattr(self, argument) != default:
                words.append(f"{argument}={getattr(self, argument)}")
        return ", ".join(words)

    @property
    def output_size(self) -> int:
        """How many numbers y has a step: D times the size of h."""
        return self._directions * self.state_sizes[0]

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        reset: Tensor | None = None,
        trace: bool = False,
    ) -> tuple[Tensor | PackedSequence, State] | tuple[Tensor | PackedSequence, State, Trace]:
        """The sequence: `(y, state)`, or `(y, state, trace)` with `trace=True`.

        y is `(T, B, D * R)` in the layout of x, and the state is that after each sequence's last step (in the backward
        direction, after its first). While autocast is active on the CPU, it all runs in the weights' own precision.

        Args:
            x: `(T, B, I)`, with batch_first `(B, T, I)`, unbatched `(T, I)`, or a `PackedSequence`.
            state: before the first step, each part `(L * D, B, size)`, unbatched `(L * D, size)`; None: the learned
                state where there is one, else zeros.
            lengths: `(B)` whole numbers from 0 to T, for sequences that are padded at their end. y is zero past each
                length, and what stands in the padding never changes a result.
            reset: bool in the layout of x, `(T, B)`, with batch_first `(B, T)`, unbatched `(T)`: true at the steps
                that begin something new. No state passes from the step before into such a step, nor, in the backward
                direction, from it into the step before. The state restarts from the learned one where there is one (the
                stretches then run as a larger batch, which can't be compiled), else from zeros.
            trace: whether to record what happens inside; see `Trace`.

        Raises ValueError or TypeError, saying what was expected and found, where these do not fit.
        """
        record = Trace() if trace else None
        y, after = self._forward(x, state, lengths, reset, record)
        return (y, after) if record is None else (y, after, record)

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step of the whole stack: `x (B, I)`, or `(I)`, and the state as forward takes it give y and the next.

        Calls in turn give what forward gives for the sequence. While training, each draws its own dropout.

        Raises ValueError for a bidirectional layer, whose backward direction begins at the end.
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(f"{name}: a bidirectional layer has no step; its backward direction begins at the end")
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected x as a tensor (B, I), or (I) unbatched, found {type(x).__name__}")
        if x.dim() not in (1, 2):
            raise ValueError(f"{name}: expected x of shape (B, I), or (I) unbatched, found {tuple(x.shape)}")
        time = 1 if self.batch_first and x.dim() == 2 else 0
        y, after = self(x.unsqueeze(time), state)
        return y.squeeze(time), after

    def one_step(self, index: int, x: Tensor, parts: Parts) -> Parts:
        """One step of a layer and direction: what it reads, `(B, size)`, and its state's parts give the next parts."""
        weights = self._all_weights()[index]
        return self._sequence(x.unsqueeze(0), parts, weights, lengths=None, reset=None, trace=None)[1]

    def one_layer(self, index: int, x: Tensor, parts: Parts | None = None) -> Tensor:
        """A layer and direction over what it reads, `(T, B, size)`, from its state's parts, `(B, size)`: its y."""
        if parts is None and self.learned_state:
            parts = tuple(getattr(self, f"{letter}_0")[index].expand(x.shape[1], -1) for letter in self.letters)
        backward = index % self._directions == 1
        weights = self._all_weights()[index]
        x = reverse_time(x, None) if backward else x
        y, _ = self._sequence(x, parts, weights, lengths=None, reset=None, trace=None)
        return reverse_time(y, None) if backward else y

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        """Of the parameters of one layer and direction that reads `columns` numbers a step, by kind, in their order.

        The kind `weight_ih` becomes the parameter `weight_ih_l0`, `weight_ih_l0_reverse` and so on.
        """
        raise NotImplementedError

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """How many numbers each part of the state has, h first, which is also what y has a step and direction."""
        return (self.hidden_size,) * len(self.letters)

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
        """One layer in one direction: `x (T, B, I)` and the state's parts `(B, size)` to `y (T, B, R)` and the parts.

        `weights` are the parameters by kind; `lengths (B)` and `reset (T, B)` have been checked; a given `trace` is to
        be filled. No state means zeros.
        """
        raise NotImplementedError

    def _settings(self) -> dict[str, object]:
        """The arguments that the repr names where they differ from these defaults."""
        return {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
            "learned_state": False,
        }  # fmt: skip

    @property
    def _dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _forward(
        self,
        x: Tensor | PackedSequence,
        state: State | None,
        lengths: Lengths | None,
        reset: Tensor | None,
        trace: Trace | None,
    ) -> tuple[Tensor | PackedSequence, State]:
        name = type(self).__name__
        if isinstance(x, PackedSequence):
            for argument, given in (("lengths", lengths), ("reset", reset)):
                if given is not None:
                    raise ValueError(
                        f"{name}: a PackedSequence carries its own lengths and its own order; expected none of "
                        f"{argument}=. Pad it (torch.nn.utils.rnn.pad_packed_sequence) to give {argument}="
                    )
            padded, packed_lengths = unpack(x)
            check_input(padded, self.input_size, False, self._dtype, name)
            y, after = self._compute(padded, self._parts(padded, state, batched=True), packed_lengths, None, trace)
            return repack(y, packed_lengths, x), self._as_given(after)

        check_input(x, self.input_size, self.batch_first, self._dtype, name)
        batched = x.dim() == 3
        if not batched and lengths is not None:
            raise ValueError(f"{name}: lengths= needs a batch, found one sequence {tuple(x.shape)}; cut it instead")
        if reset is not None:
            reset = check_reset(reset, x, name)
        # Time-major from here on: (T, B, I).
        if not batched:
            x, reset = x.unsqueeze(1), None if reset is None else reset.unsqueeze(1)
        elif self.batch_first:
            x, reset = x.transpose(0, 1), None if reset is None else reset.transpose(0, 1)
        parts = self._parts(x, state, batched)
        checked = None if lengths is None else check_lengths(lengths, x.shape[0], x.shape[1], name)
        y, after = self._compute(x, parts, checked, reset, trace)
        if not batched:
            return y.squeeze(1), self._as_given([part.squeeze(1) for part in after])
        return (y.transpose(0, 1) if self.batch_first else y), self._as_given(after)

    def _compute(
        self, x: Tensor, parts: list[Tensor] | None, lengths: Tensor | None, reset: Tensor | None, trace: Trace | None
    ) -> tuple[Tensor, list[Tensor]]:
        """`_run`, or `_run_apart` where that is needed, in the weights' precision."""
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # What a recurrence rounds adds up over the steps, and bfloat16 would not even be faster.
            with torch.autocast("cpu", enabled=False):
                parts = None if parts is None else [p if p.is_complex() else p.to(self._dtype) for p in parts]
                return self._compute(x.to(self._dtype), parts, lengths, reset, trace)
        if parts is not None and reset is not None and self.learned_state:
            return self._run_apart(x, parts, lengths, reset, trace)
        return self._run(x, parts, lengths, reset, trace)

    def _run(
        self, x: Tensor, parts: list[Tensor] | None, lengths: Tensor | None, reset: Tensor | None, trace: Trace | None
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers and directions over `x (T, B, I)`; each part of the state is `(L * D, B, size)`."""
        after: list[Parts] = []
        given: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                x = nn.functional.dropout(x, self.dropout, self.training)
            ys = []
            for direction in range(self._directions):
                index = layer * self._directions + direction
                backward = direction == 1
                record = None if trace is None else kernels.Trace()
                y, last = self._sequence(
                    reverse_time(x, lengths) if backward else x,
                    None if parts is None else tuple(part[index] for part in parts),
                    self._weights(layer, direction),
                    lengths=lengths,
                    reset=reverse_reset(reset, lengths) if backward and reset is not None else reset,
                    trace=record,
                )
                if trace is not None and record is not None:
                    trace.add(record, y, lengths, backward)
                ys.append(reverse_time(y, lengths) if backward else y)
                after.append(last)
            x = torch.cat(ys, dim=-1) if self.bidirectional else ys[0]
            given.append(x)
        return self._said(given), [torch.stack(part) for part in zip(*after, strict=True)]

    def _said(self, given: list[Tensor]) -> Tensor:
        """y, of what each layer gave."""
        return given[-1]

    def _run_apart(
        self, x: Tensor, parts: list[Tensor], lengths: Tensor | None, reset: Tensor, trace: Trace | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The same where each restart is from the learned state, by stretches."""
        stretches = cut(reset, lengths)
        if trace is not None:
            trace.order = stretches.together
        backward = [index % self._directions == 1 for index in range(len(parts[0]))]
        entered = [
            torch.stack(list(map(stretches.enter, getattr(self, f"{letter}_0"), part, backward)))
            for letter, part in zip(self.letters, parts, strict=True)
        ]
        y, after = self._run(stretches.apart(x), entered, stretches.lengths, None, trace)
        return stretches.together(y), [torch.stack(list(map(stretches.leave, part, backward))) for part in after]

    def _weights(self, layer: int, direction: int) -> Weights:
        """The parameters of one layer and direction by kind."""
        return {kind: getattr(self, parameter_name(kind, layer, direction)) for kind in self._shapes(1)}

    def _all_weights(self) -> list[Weights]:
        return [self._weights(layer, d) for layer in range(self.num_layers) for d in range(self._directions)]

    def _parts(self, x: Tensor, state: State | None, batched: bool) -> list[Tensor] | None:
        """The state as its parts, each `(L * D, B, size)`, checked against the time-major x; None: zeros."""
        if state is None:
            if not self.learned_state:
                return None
            return [getattr(self, f"{letter}_0")[:, None].expand(-1, x.shape[1], -1) for letter in self.letters]
        given = tuple(state) if isinstance(state, tuple | list) else (state,)
        batch = (x.shape[1],) if batched else ()
        shapes = [(self.num_layers * self._directions, *batch, size) for size in self.state_sizes]
        check_state(given, self.letters, shapes, self._dtype, type(self).__name__)
        return [part if batched else part.unsqueeze(1) for part in given]

    def _as_given(self, parts: list[Tensor]) -> State:
        return parts[0] if len(parts) == 1 else tuple(parts)


def parameter_name(kind: str, layer: int, direction: int) -> str:
    """Of a kind of weights of one layer and direction, as `torch.nn` has it."""
    return f"{kind}_l{layer}" + ("_reverse" if direction else "")
