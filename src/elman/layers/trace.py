"""What a stack of recurrent layers did, step by step, and how the gradient went back through it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elman import kernels

from .padding import reverse_time


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one direction, in the time order of x: shapes `(T, B, size)`, zero past a sequence's length.

    `h` is what the layer gave; `c` the lstm's cell state after each step, None for others. `gates` holds what each gate
    let through, by its letter in the cell's equations, and `bars` the same before it was squashed; both are what the
    step computed before any zoneout.
    """

    h: Tensor
    c: Tensor | None
    gates: dict[str, Tensor]
    bars: dict[str, Tensor]


class Trace:
    """What `layer(x, trace=True)` returns as its third result.

    `layers` has one `LayerTrace` for each layer and direction, L * D in the order of the state: layer 0 forward,
    layer 0 backward, layer 1 forward and so on. All are time-major, also with batch_first; an unbatched sequence is a
    batch of one. They are detached.

    After a backward through y or the state, `grad_norm` and for an lstm `grad_norm_c` tell how large the gradient was
    at each step.

    >>> from elman.layers import LSTM
    >>> lstm = LSTM(3, 4, num_layers=2)
    >>> y, state, trace = lstm(torch.randn(7, 2, 3), trace=True)
    >>> sorted(trace.layers[0].gates), trace.layers[0].gates["f"].shape
    (['f', 'g', 'i', 'o'], torch.Size([7, 2, 4]))
    >>> y[-1].sum().backward()
    >>> trace.grad_norm.shape
    torch.Size([7, 2])
    """

    def __init__(self) -> None:
        self.layers: list[LayerTrace] = []
        self.order: Callable[[Tensor], Tensor] = lambda t: t
        """From the steps and sequences that the layers ran over, `(T', S, ...)`, to those of x."""
        self._records: list[tuple[kernels.Trace, Tensor | None, bool]] = []

    def add(self, record: kernels.Trace, y: Tensor, lengths: Tensor | None, backward: bool) -> None:
        """Adds one layer and direction: what its kernel recorded and gave, in the time order in which it ran."""

        def ordered(t: Tensor) -> Tensor:
            return self.order(reverse_time(t, lengths) if backward else t)

        def all_ordered(group: dict[str, Tensor]) -> dict[str, Tensor]:
            return {letter: ordered(t) for letter, t in group.items()}

        c = None if record.c is None else ordered(record.c)
        self.layers.append(LayerTrace(ordered(y.detach()), c, all_ordered(record.gates), all_ordered(record.bars)))
        self._records.append((record, lengths, backward))

    @property
    def grad_norm(self) -> Tensor:
        """The norm of dL/dh_t over all units and sequences: `(T, L * D)`, a column for each of `layers`.

        L is what was differentiated; dL/dh_t includes what comes back from later steps. A column is NaN where no
        gradient went through the layer. Raises RuntimeError before any backward.
        """
        return self._norms(0)

    @property
    def grad_norm_c(self) -> Tensor:
        """The same for the lstm's c_t as the step computed it, before any zoneout."""
        if any(layer.c is None for layer in self.layers):
            raise AttributeError("trace: this cell has no c, so there is no grad_norm_c")
        return self._norms(1)

    def _norms(self, part: int) -> Tensor:
        if all(record.squares is None for record, _, _ in self._records):
            raise RuntimeError("trace: no gradient went back through this call yet; call backward() first")
        columns = []
        for layer, (record, lengths, backward) in zip(self.layers, self._records, strict=True):
            if record.squares is None:
                columns.append(layer.h.new_full(layer.h.shape[:1], torch.nan))
                continue
            squares = record.squares[..., part]
            columns.append(self.order(reverse_time(squares, lengths) if backward else squares).sum(1).sqrt())
        return torch.stack(columns, dim=1)
