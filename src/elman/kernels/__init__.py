"""Whole-sequence recurrences on tensors: `rnn`, `lstm` and `gru`, each `(x, state, weights...) -> (y, state)`.

This is the one door. Behind it stand three implementations of the same contract, written down in `reference.py`:

- `native`: elman's own C++ kernels, on the CPU;
- `torch`: torch's own fused functions, on any device;
- `reference`: plain PyTorch loops, for everything else (transforms such as vmap and jvp, other element types, ...).

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
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import (
    arguments,
    fused,
    gated_native,
    gated_reference,
    ops,
    reference,
    reservoir_native,
    reservoir_reference,
    scan_native,
    scan_reference,
)
from .arguments import HC, Arguments
from .native import NativeStatus, native_status
from .reference import gru_step, lstm_step, rnn_step
from .reservoir_weights import ReservoirWeights
from .scan_reference import scan_step
from .trace import Trace

__all__ = [
    "NativeStatus",
    "ReservoirWeights",
    "Trace",
    "explain",
    "gated_scan",
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

OWN = {
    "scan": scan_native,
    "gated_scan": gated_native,
    "reservoir": reservoir_native,
}  # what torch has no implementation of
PHRASES = {"native": "the native kernels", "torch": "torch's own implementation", "reference": "the reference"}


def rnn(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    trace: Trace | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The simple recurrent network over a sequence; shapes, equations and options in `reference.py`.

    Options: `nonlinearity, norm_ih, norm_hh, mask, keep_h, zoneout_h, lengths, reset`.
    """
    y, (h,) = _run(arguments.rnn(x, state, W_ih, W_hh, b_ih, b_hh, **options), trace)
    return y, h


def lstm(
    x: Tensor,
    state: HC | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    W_hr: Tensor | None = None,
    *,
    trace: Trace | None = None,
    **options: Any,
) -> tuple[Tensor, HC]:
    """The long short-term memory over a sequence; shapes, equations and options in `reference.py`.

    Options: `peephole, norm_ih, norm_hh, norm_c, bias_c, mask, keep_h, keep_c, zoneout_h, zoneout_c, lengths, reset`.
    """
    y, (h, c) = _run(arguments.lstm(x, state, W_ih, W_hh, b_ih, b_hh, W_hr, **options), trace)
    return y, (h, c)


def gru(
    x: Tensor,
    state: Tensor | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    trace: Trace | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The gated recurrent unit over a sequence; shapes, equations and options in `reference.py`.

    Options: `norm_ih, norm_hh, mask, keep_h, zoneout_h, lengths, reset`.
    """
    y, (h,) = _run(arguments.gru(x, state, W_ih, W_hh, b_ih, b_hh, **options), trace)
    return y, h


def _run(a: Arguments, trace: Trace | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    if trace is not None and torch.compiler.is_compiling():
        raise RuntimeError(
            f"{a.name}: a trace can't be taken inside torch.compile or torch.export; call the layer eagerly"
        )
    if any(t.device != a.x.device for t in a.numbers):  # torch itself gives garbage for some weights on meta
        raise ValueError(f"{a.name}: expected all on one device, found {', '.join(str(t.device) for t in a.numbers)}")
    a = _without_full_lengths(a)
    name, _ = _choose(a.numbers, partial(_obstacle, a=a, traced=trace is not None))
    if name == "torch":
        return fused.run(a)
    return (ops if name == "native" else reference).run(a, trace)


def _obstacle(name: str, a: Arguments, traced: bool) -> str | None:
    if name == "native":
        return ops.obstacle(a)
    return fused.obstacle(a) or ("torch's implementation has no trace" if traced else None)


def _without_full_lengths(a: Arguments) -> Arguments:
    """Lengths that say nothing are dropped, where they can be looked at: full sequences have faster ways."""
    if a.lengths is None or torch.compiler.is_compiling() or _transformed((a.x, a.lengths)):
        return a
    return a if (a.lengths != a.x.shape[0]).any() else a._replace(lengths=None)


def scan(
    a: Tensor,
    b: Tensor,
    h_0: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    trace: Trace | None = None,
) -> tuple[Tensor, Tensor]:
    """The diagonal linear recurrence `h_t = a_t h_{t-1} + b_t` over a sequence; shapes in `scan_reference.py`.

    >>> import torch
    >>> h, h_n = scan(torch.tensor([0.5]), torch.ones(3, 1, 1))
    >>> h.flatten(), h_n
    (tensor([1.0000, 1.5000, 1.7500]), tensor([[1.7500]]))
    """
    scan_native.check(a, b, h_0, lengths, reset)
    tensors = [a, b] if h_0 is None else [a, b, h_0]
    name, _ = _choose(tensors, partial(_obstacle_of_own, cell="scan", tensors=tensors))
    if trace is not None and b.requires_grad:
        b = b.view_as(b)
        b.register_hook(partial(gated_native.note_gradient, trace))  # dL/db_t is dL/dh_t
    scan = scan_native.scan if name == "native" else scan_reference.scan
    return scan(a, b, h_0, lengths=lengths, reset=reset)


def gated_scan(
    cell: str,
    p: Tensor,
    decay: Tensor | None = None,
    h_0: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    trace: Trace | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence of a cell whose gates look at the input alone; equations in `gated_reference.py`.

    `cell` is mingru, mingru_positive, minlstm, minlstm_positive or rglru, and `p (T, B, G * H)` holds the sums of its
    G gates; `decay (H)` is there for rglru alone. The rest is as in `scan`.

    >>> import torch
    >>> h, h_n = gated_scan("mingru", torch.tensor([0.0, 1.0]).expand(3, 1, 2))  # z is a half, and n is 1
    >>> h.flatten()
    tensor([0.5000, 0.7500, 0.8750])
    """
    gated_native.check(cell, p, decay, h_0, lengths, reset)
    tensors = [t for t in (p, decay, h_0) if t is not None]
    if torch.compiler.is_compiling():  # the op of scan compiles, and the compiler makes one loop of the gates
        name = "reference"
    else:
        name, _ = _choose(tensors, partial(_obstacle_of_own, cell="gated_scan", tensors=tensors))
    if name == "native":
        h, h_n = gated_native.gated_scan(cell, p, decay, h_0, lengths, reset, trace)
        if trace is not None:
            with torch.no_grad():
                gates = gated_reference.coefficients(cell, p, decay)[2]
    else:
        a, b, gates = gated_reference.coefficients(cell, p, decay)
        h, h_n = scan(a, b, h_0, lengths=lengths, reset=reset, trace=trace)
    if trace is not None:
        gated_native.note_gates(trace, cell, p, gates, lengths)
    return h, h_n


def reservoir(
    x: Tensor,
    state: Tensor | None,
    weights: ReservoirWeights,
    *,
    leak: float,
    feedback: Tensor | None = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    turn: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The leaky reservoir over a sequence; shapes and equation in `reservoir_reference.py`.

    With `turn` it runs on the reference.

    >>> import torch
    >>> weights = ReservoirWeights(torch.ones(3, 1), torch.eye(3).to_sparse())
    >>> y, h = reservoir(torch.ones(5, 2, 1), None, weights, leak=0.5)
    >>> y.shape, h.shape
    (torch.Size([5, 2, 3]), torch.Size([2, 3]))
    """
    reservoir_native.check(x, state, feedback, lengths, reset, leak, weights.W_in)
    tensors = [t for t in (x, state, feedback, *weights.tensors) if t is not None]
    options: dict[str, Any] = {"leak": leak, "feedback": feedback, "lengths": lengths, "reset": reset}
    if turn is None:
        name, _ = _choose(tensors, partial(_obstacle_of_own, cell="reservoir", tensors=tensors))
        if name == "native":
            return reservoir_native.reservoir(x, state, weights, **options)
    elif turn.shape != (weights.W_in.shape[0],) * 2 or turn.dtype != x.dtype:
        raise ValueError(f"reservoir: expected turn (N, N) of x's dtype, found {tuple(turn.shape)} {turn.dtype}")
    return reservoir_reference.reservoir(x, state, weights.W_in, weights.W, weights.b, turn=turn, **options)


def reservoir_step(
    x: Tensor, h: Tensor, weights: ReservoirWeights, *, leak: float, feedback: Tensor | None = None
) -> Tensor:
    """One step of it: `x (B, I)`, `h (B, N)` and `feedback (B, N)` (None: zeros) give the next `h (B, N)`."""
    return reservoir(x[None], h, weights, leak=leak, feedback=None if feedback is None else feedback[None])[1]


def explain(cell: str, *given: Any, **options: Any) -> str:
    """Says in one sentence which implementation `cell` would run for these arguments, and why.

    `cell` is the name of one of the functions above, the arguments are that function's. Raises as the function would
    where a forced choice can't run.
    """
    if cell in OWN:
        tensors = [t for g in given for t in (g.tensors if isinstance(g, ReservoirWeights) else (g,))]
        tensors = [t for t in tensors if isinstance(t, Tensor)]
        name, reason = _choose(tensors, partial(_obstacle_of_own, cell=cell, tensors=tensors))
    else:
        if cell not in arguments.MAKERS:
            raise ValueError(f"explain: expected a cell of {', '.join([*arguments.MAKERS, *OWN])}; found {cell!r}")
        traced = options.pop("trace", None) is not None
        a = _without_full_lengths(arguments.MAKERS[cell](*given, **options))
        name, reason = _choose(a.numbers, partial(_obstacle, a=a, traced=traced))
    return f"{cell} runs on {PHRASES[name]}: {reason}."


def _obstacle_of_own(name: str, cell: str, tensors: list[Tensor]) -> str | None:
    return OWN[cell].obstacle(*tensors) if name == "native" else f"torch has no {cell} of its own"


def _choose(tensors: list[Tensor], obstacle: Callable[[str], str | None]) -> tuple[str, str]:
    """The name of the implementation to run, and why it and none before it."""
    forced = _forced()
    if forced not in ("", *PHRASES):
        raise ValueError(f"ELMAN_KERNEL: expected one of {', '.join(PHRASES)}; found {forced!r}")
    tracing = "torch.compile or torch.export is tracing" if torch.compiler.is_compiling() else None
    transformed = None if tracing else _transformed(tensors)  # while tracing, the ops' own rules know of transforms
    reasons: list[str] = []
    for name in [forced] if forced else PHRASES:
        if name == "reference":
            return name, "; ".join(reasons) or "ELMAN_KERNEL forces it"
        problem = transformed or (tracing if name == "torch" else None) or obstacle(name)
        if problem is None:
            return name, "; ".join(reasons) or ("ELMAN_KERNEL forces it" if forced else ops.covers())
        if problem not in reasons:
            reasons.append(problem)
    raise RuntimeError(
        f"ELMAN_KERNEL={forced}, but {reasons[0]}. Unset ELMAN_KERNEL, and elman picks an implementation that can run."
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _forced() -> str:
    return os.environ.get("ELMAN_KERNEL", "")


def _transformed(tensors: Iterable[Tensor]) -> str | None:
    """What keeps this call to plain PyTorch operations, or None if a kernel may run.

    Kernels know memory and first derivatives of autograd; a transform that they don't know would silently be lost.
    """
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
