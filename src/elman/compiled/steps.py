"""One step of a recurrent cell for streams: numpy arrays in and out, microseconds a step, and torch is never loaded.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> W_ih, W_hh = rng.uniform(-0.5, 0.5, (4 * 32, 5)), rng.uniform(-0.5, 0.5, (4 * 32, 32))
>>> step = Step("lstm", W_ih, W_hh)
>>> state = step.zeros()
>>> for x in rng.normal(size=(100, 5)):
...     step(x, state)
>>> h, c = state
>>> h.shape
(1, 32)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman import compiled

if compiled.WHY_NOT:
    raise ImportError(f"elman.compiled.steps can't be used: {compiled.WHY_NOT}")

__all__ = ["Step"]

Array = NDArray[Any]


class Step(compiled._native.Step):
    """A cell with its weights, which moves states on by one step: `step(x, state)`.

    `cell` is "rnn" (with a `nonlinearity`, "tanh" or "relu"), "lstm" or "gru"; the equations stand in
    `elman.kernels.reference`. Weights lie as in torch.nn: `W_ih (gates * H, I)`, `W_hh (gates * H, H)`, and both biases
    `(gates * H)` or neither, all of float32 or all of float64. They are copied: later changes to them do nothing.
    `isa` names an instruction set; None: the one in use.

    `step(x, state)` takes `x (B, I)`, or `(I,)` where B is 1, and changes `state` in place, `(1, B, H)` for rnn and
    gru, `(2, B, H)` for lstm: `state[0]` is h, `state[1]` is c. Both are C-contiguous arrays of the weights' type that
    share no memory. It runs on the calling thread and allocates nothing, save where B is larger than ever before. It
    holds the GIL, so threads may share a step, but not a state.

    Raises TypeError where numbers are of another type, ValueError where sizes or memory are not as they must be.

    >>> step = Step("rnn", np.ones((1, 1)), np.ones((1, 1)), nonlinearity="relu")
    >>> state = step.zeros(B=2)
    >>> step(np.array([[1.0], [2.0]]), state)
    >>> step(np.array([[3.0], [4.0]]), state)
    >>> state[0]
    array([[4.],
           [6.]])
    """

    def __init__(
        self,
        cell: str,
        W_ih: Array,
        W_hh: Array,
        b_ih: Array | None = None,
        b_hh: Array | None = None,
        *,
        nonlinearity: str = "tanh",
        isa: str | None = None,
    ) -> None:
        name = f"rnn_{nonlinearity}" if cell == "rnn" else cell
        if name not in compiled.CELLS:
            raise ValueError(
                'expected cell "lstm", "gru", or "rnn" with nonlinearity "tanh" or "relu"; '
                f"found cell={cell!r}, nonlinearity={nonlinearity!r}"
            )
        W_ih, W_hh = np.ascontiguousarray(W_ih), np.ascontiguousarray(W_hh)
        b_ih, b_hh = (None if b is None else np.ascontiguousarray(b) for b in (b_ih, b_hh))
        super().__init__(compiled.isa_index(isa), compiled.CELLS.index(name), W_ih, W_hh, b_ih, b_hh)
        self._blocks, self._H, self._dtype = 2 if cell == "lstm" else 1, W_hh.shape[1], W_hh.dtype

    def zeros(self, B: int = 1) -> Array:
        """A state of zeros for `B` streams that move together."""
        return np.zeros((self._blocks, B, self._H), self._dtype)
