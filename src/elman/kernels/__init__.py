"""Whole-sequence recurrences on tensors: `rnn`, `lstm` and `gru`, each `(x, state, weights...) -> (y, state)`.

This is the one door. Behind it stand three implementations of the same contract, written down in `reference.py`:

- `native`: elman's own C++ kernels, on the CPU;
- `torch`: torch's own fused functions, on any device;
- `reference`: plain PyTorch loops, for everything else (transforms such as vmap and jvp, torch.compile, ...).

The first that can run the arguments at hand is taken, and `explain` says which and why. The environment variable
`ELMAN_KERNEL=native|torch|reference` forces one; where that one can't run, the call raises.

>>> import torch
>>> x, W_ih, W_hh = torch.randn(100, 8, 5), torch.randn(4 * 32, 5), torch.randn(4 * 32, 32)
>>> y, (h, c) = lstm(x, None, W_ih, W_hh)
>>> y.shape, h.shape, c.shape
(torch.Size([100, 8, 32]), torch.Size([8, 32]), torch.Size([8, 32]))
>>> print(explain("lstm", x, None, W_ih, W_hh))  # doctest: +ELLIPSIS
lstm runs on ...
"""

import os
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import fused, ops, reference, reservoir_native, reservoir_reference, scan_native, scan_reference
from .checks import check_shapes
from .native import NativeStatus, native_status
from .reference import gru_step, lstm_step, rnn_step
from .reservoir_weights import ReservoirWeights
from .scan_reference import scan_step

__all__ = [
    "NativeStatus",
    "ReservoirWeights",
    "explain",
    "gru",
    "gru_step",
    "lstm",
    "lstm_step",
    "native_status",
    "reservoir",
    "reservoir_step",
    "rnn",
    "rnn_step",
    "scan",
    "scan_step",
]

HC = tuple[Tensor, Tensor]

IMPLEMENTATIONS = {"native": ops, "torch": fused, "reference": reference}
OWN = {"scan": scan_native, "reservoir": reservoir_native}  # what torch has no implementation of
PHRASES = {"native": "the native kernels", "torch": "torch's own implementation", "reference": "the reference"}


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
    """The simple recurrent network over a sequence; shapes and equations in `reference.py`."""
    weights = (W_ih, W_hh, b_ih, b_hh, None)
    lengths = _prepare("rnn", x, None if state is None else (state,), weights, lengths)
    name, _ = _choose("rnn", x, (state,), weights, lengths)
    return IMPLEMENTATIONS[name].rnn(x, state, W_ih, W_hh, b_ih, b_hh, nonlinearity=nonlinearity, lengths=lengths)


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
    """The long short-term memory over a sequence; shapes and equations in `reference.py`."""
    weights = (W_ih, W_hh, b_ih, b_hh, W_hr)
    lengths = _prepare("lstm", x, state, weights, lengths)
    name, _ = _choose("lstm", x, state or (), weights, lengths)
    return IMPLEMENTATIONS[name].lstm(x, state, *weights, lengths=lengths)


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
    """The gated recurrent unit over a sequence; shapes and equations in `reference.py`."""
    weights = (W_ih, W_hh, b_ih, b_hh, None)
    lengths = _prepare("gru", x, None if state is None else (state,), weights, lengths)
    name, _ = _choose("gru", x, (state,), weights, lengths)
    return IMPLEMENTATIONS[name].gru(x, state, W_ih, W_hh, b_ih, b_hh, lengths=lengths)


def scan(
    a: Tensor, b: Tensor, h_0: Tensor | None = None, *, lengths: Tensor | None = None, reset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The diagonal linear recurrence `h_t = a_t h_{t-1} + b_t` over a sequence; shapes in `scan_reference.py`.

    >>> import torch
    >>> h, h_n = scan(torch.tensor([0.5]), torch.ones(3, 1, 1))
    >>> h.flatten(), h_n
    (tensor([1.0000, 1.5000, 1.7500]), tensor([[1.7500]]))
    """
    scan_native.check(a, b, h_0, lengths, reset)
    name, _ = _choose("scan", a, (b, h_0), (), lengths)
    scan = scan_native.scan if name == "native" else scan_reference.scan
    return scan(a, b, h_0, lengths=lengths, reset=reset)


def reservoir(
    x: Tensor,
    state: Tensor | None,
    weights: ReservoirWeights,
    *,
    leak: float,
    feedback: Tensor | None = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The leaky reservoir over a sequence; shapes and equation in `reservoir_reference.py`.

    >>> import torch
    >>> weights = ReservoirWeights(torch.ones(3, 1), torch.eye(3).to_sparse())
    >>> y, h = reservoir(torch.ones(5, 2, 1), None, weights, leak=0.5)
    >>> y.shape, h.shape
    (torch.Size([5, 2, 3]), torch.Size([2, 3]))
    """
    reservoir_native.check(x, state, feedback, lengths, reset, leak, weights.W_in)
    name, _ = _choose("reservoir", x, (state, feedback), weights.tensors, lengths)
    options: dict[str, Any] = {"leak": leak, "feedback": feedback, "lengths": lengths, "reset": reset}
    if name == "native":
        return reservoir_native.reservoir(x, state, weights, **options)
    return reservoir_reference.reservoir(x, state, weights.W_in, weights.W, weights.b, **options)


def reservoir_step(
    x: Tensor, h: Tensor, weights: ReservoirWeights, *, leak: float, feedback: Tensor | None = None
) -> Tensor:
    """One step of it: `x (B, I)`, `h (B, N)` and `feedback (B, N)` (None: zeros) give the next `h (B, N)`."""
    return reservoir(x[None], h, weights, leak=leak, feedback=None if feedback is None else feedback[None])[1]


def explain(
    cell: str,
    x: Tensor,
    state: Any = None,
    *weights: Tensor | ReservoirWeights | None,
    lengths: Tensor | None = None,
) -> str:
    """Says in one sentence which implementation `cell` would run for these arguments, and why.

    `cell` is the name of one of the functions above, the arguments are that function's. Raises as the function would
    where a forced choice can't run.
    """
    states = (state,) if state is None or isinstance(state, Tensor) else tuple(state)
    given = [t for w in weights for t in (w.tensors if isinstance(w, ReservoirWeights) else (w,))]
    name, reason = _choose(cell, x, states, tuple(given), lengths)
    return f"{cell} runs on {PHRASES[name]}: {reason}."


def _prepare(
    cell: str,
    x: Tensor,
    state: tuple[Tensor, ...] | None,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None],
    lengths: Tensor | None,
) -> Tensor | None:
    """Checks the shapes, and drops lengths that say nothing: full sequences have faster ways."""
    check_shapes(cell, x, state, *weights, lengths)
    if lengths is None or _transformed((x, lengths)) or (lengths < x.shape[0]).any():
        return lengths
    return None


def _choose(
    cell: str,
    x: Tensor,
    state: tuple[Tensor | None, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
) -> tuple[str, str]:
    """The name of the implementation to run, and why it and none before it."""
    tensors = [t for t in (x, *state, *weights) if t is not None]
    transformed = _transformed(tensors)
    reasons: list[str] = []
    forced = os.environ.get("ELMAN_KERNEL", "")
    if forced not in ("", *IMPLEMENTATIONS):
        raise ValueError(f"ELMAN_KERNEL: expected one of {', '.join(IMPLEMENTATIONS)}; found {forced!r}")

    for name in [forced] if forced else IMPLEMENTATIONS:
        if name == "reference":
            return name, "; ".join(reasons) or "ELMAN_KERNEL forces it"
        obstacle = transformed
        if name == "native":
            obstacle = obstacle or (
                OWN[cell].obstacle(*tensors)
                if cell in OWN
                else ops.obstacle(tensors, projected=len(weights) > 4 and weights[4] is not None)
            )
        elif cell in OWN:
            obstacle = obstacle or f"torch has no {cell} of its own"
        else:
            obstacle = obstacle or fused.obstacle(x.shape[1], lengths)
        if obstacle is None:
            return name, "; ".join(reasons) or ("ELMAN_KERNEL forces it" if forced else ops.covers())
        if obstacle not in reasons:
            reasons.append(obstacle)
    raise RuntimeError(
        f"ELMAN_KERNEL={forced}, but {reasons[0]}. Unset ELMAN_KERNEL, and elman picks an implementation that can run."
    )


def _transformed(tensors: Any) -> str | None:
    """What keeps this call to plain PyTorch operations, or None if a kernel may run.

    Kernels know memory and first derivatives of autograd; a transform that they don't know would silently be lost.
    """
    if torch.compiler.is_compiling():
        return "torch.compile or torch.export is tracing"
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        return "torch.jit is tracing"
    if torch._C._are_functorch_transforms_active():
        return "a torch.func transform (vmap, grad, jvp, ...) is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    for t in tensors:
        if type(t) not in (Tensor, torch.nn.Parameter):
            return f"an argument is a {type(t).__name__}, not a plain tensor"
    return None
