"""What a recurrence did, step by step."""

import torch
from torch import Tensor


class Trace:
    """A record that a call fills: pass an empty one as `trace=`.

    `gates` holds what each gate let through, `(T, B, H)` by its letter in the cell's equations; `bars` the same before
    it was squashed. `c` is the lstm's cell state after each step, `(T, B, H)`; None for the others. Gates are what the
    step computed before any zoneout, c what was left after it. Past a sequence's length all are zero.

    Once gradients went back through the call, `squares (T, B, 2)` holds the sum of squares of dL/dh_t and of dL/dc_t,
    where L is what was differentiated, h_t what step t gave, and c_t what it computed before any zoneout.
    """

    def __init__(self) -> None:
        self.gates: dict[str, Tensor] = {}
        self.bars: dict[str, Tensor] = {}
        self.c: Tensor | None = None
        self.squares: Tensor | None = None

    def grad_norm(self) -> Tensor:
        """The norm of dL/dh_t over all units and sequences, for each step: `(T)`. Raises before any backward."""
        if self.squares is None:
            raise RuntimeError("trace: no gradient went back through this call yet; call backward() first")
        return torch.sqrt(self.squares[..., 0].sum(1))
