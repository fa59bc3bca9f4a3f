"""Look inside a network while it trains: how far the gradient reaches back, and what its gates and units do.

What is measured goes to the run's record as numbers; `elman.training.diagnosis` turns the record into words.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from elman.layers.classic import RNN
from elman.layers.jacobian import inner_steps, step_jacobians
from elman.layers.recurrent import Recurrent, State
from elman.layers.trace import LayerTrace, Trace
from elman.training.record import Arrays
from elman.training.snapshots import HIGH, LARGEST, SATURATED, arrays_of, at_ends, hidden_weights

HORIZON = 1e-3  # a gradient this small beside that of lag 0 is taken for gone
DEAD = 1e-4  # a unit whose spread over steps and sequences is smaller carries nothing
LAGS = 64  # of a longer sequence, so many are kept, further and further apart
TINY = 1e-30  # a gradient below has lost its digits


class Probe:
    """A fixed batch through which a network is looked at, every `every` steps and in at most `share` of the time.

    `loss(model)` is a scalar on that batch that depends on the last step alone, else the gradient by lag is a
    mixture of many; sequences of one length, else the last steps are not one step.

    `samples(model)`: what the network says now on a few fixed cases, as arrays that a snapshot keeps; see
    `elman.training.snapshots`. `says(model)`: what it says in words, which every look keeps.

    >>> from elman.layers import LSTM
    >>> x = torch.randn(30, 4, 2)
    >>> model = LSTM(2, 8)
    >>> probe = Probe(lambda model: model(x)[0][-1].square().mean())
    >>> seen = probe.look(model)
    >>> layer = seen["layers"][0]
    >>> layer["name"], layer["steps"], len(layer["grad_norm"]), sorted(layer["gates"])
    ('l0', 30, 30, ['f', 'g', 'i', 'o'])
    """

    def __init__(
        self,
        loss: Callable[[nn.Module], Tensor],
        *,
        every: int = 50,
        share: float = 0.03,
        samples: Callable[[nn.Module], Arrays] | None = None,
        says: Callable[[nn.Module], str] | None = None,
    ):
        self.loss, self.every, self.share, self.samples, self.says = loss, every, share, samples, says
        self.seconds = self.latest = 0.0  # that looks and snapshots have taken, and the latest look
        self.snapshot_latest: float | None = None  # what the latest snapshot took beyond its look

    def due(self, step: int, elapsed: float) -> bool:
        """Whether to look after the step that follows `step` steps; the first is always looked at.

        There has to be time for this look and for the one at the end, which is taken in any case, and for its snapshot.
        """
        if step % self.every:
            return False
        return step == 0 or self.seconds + 2 * self.latest + (self.snapshot_latest or 0) <= self.share * elapsed

    def affords_snapshot(self, elapsed: float, *, last: bool = False) -> bool:
        """Whether a look is to keep a snapshot: the first and the last are, others where there is time for it, too."""
        if last or self.snapshot_latest is None:
            return True
        return self.seconds + 2 * (self.latest + self.snapshot_latest) <= self.share * elapsed

    def took_to_write(self, seconds: float) -> None:
        """Counts what it took to write a snapshot away among what it costs."""
        self.seconds += seconds
        self.snapshot_latest = (self.snapshot_latest or 0) + seconds

    def look(
        self, model: nn.Module, before: list[Tensor] | None = None, *, snapshot: Arrays | None = None
    ) -> dict[str, Any]:
        """What was seen, as JSON takes it. `before`: the trained parameters before the last step.

        snapshot: a dictionary that is filled with the arrays of a snapshot.
        The model, its gradients and all random numbers to come are left as they were.
        """
        began = time.perf_counter()
        parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        modes = {m: m.training for m in model.modules()}
        model.eval()
        try:
            with torch.random.fork_rng(devices=[]), torch.enable_grad(), can_trace(), traced(model) as calls:
                value = self.loss(model)
                torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
                if snapshot is not None:
                    snapshot |= arrays_of([call for call in calls if call.has_gradient])
                    if self.samples:
                        snapshot |= {f"samples/{name}": array for name, array in self.samples(model).items()}
            said = self.says(model) if self.says else None
        finally:
            for module, mode in modes.items():
                module.training = mode
        with torch.no_grad():
            seen: dict[str, Any] = {"loss": value.item(), "layers": [m for call in calls for m in call.measure()]}
            if said is not None:
                seen["said"] = said
            if before:
                seen["updates"] = {
                    n: _short((p - old).norm() / p.norm().clamp(min=1e-12))
                    for (n, p), old in zip(parameters.items(), before, strict=True)
                }
        taken = seen["seconds"] = time.perf_counter() - began
        if snapshot is None:
            self.latest = taken
        else:
            self.snapshot_latest = max(0.0, taken - self.latest)
        self.seconds += taken
        return seen


@contextmanager
def traced(model: nn.Module) -> Iterator[list["Call"]]:
    """Inside, every call of a recurrent layer in `model` is traced, and noted in the list that this yields."""
    calls: list[Call] = []

    def ask(layer: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "trace": True}

    def note(layer: nn.Module, args: Any, kwargs: dict[str, Any], result: Any) -> Any:
        *rest, trace = result
        assert isinstance(layer, Recurrent)
        x = args[0] if args else kwargs["x"]
        state = args[1] if len(args) > 1 else kwargs.get("state")
        calls.append(Call(names[layer], layer, x, state, trace))
        return tuple(rest)

    names = {m: n for n, m in model.named_modules() if isinstance(m, Recurrent)}
    hooks = [layer.register_forward_pre_hook(ask, with_kwargs=True) for layer in names]
    hooks += [layer.register_forward_hook(note, with_kwargs=True) for layer in names]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def can_trace() -> Iterator[None]:
    """Lets a look inside run where ELMAN_KERNEL forces torch's layers, which have no trace, upon the training."""
    forced = os.environ.get("ELMAN_KERNEL")
    if forced == "torch":
        del os.environ["ELMAN_KERNEL"]
    try:
        yield
    finally:
        if forced == "torch":
            os.environ["ELMAN_KERNEL"] = forced


@dataclass
class Call:
    """One call of a recurrent layer, and what it recorded."""

    name: str
    layer: Recurrent
    x: Tensor
    state: State | None  # before its first step, as the layer was given it
    trace: Trace
    known: dict[tuple[int, int], tuple[list[int], Tensor, Tensor] | None] = field(default_factory=dict)

    @property
    def has_gradient(self) -> bool:
        """Whether the loss depends on this call."""
        try:
            return self.trace.grad_norm is not None
        except RuntimeError:
            return False

    def jacobians(self, index: int, count: int) -> tuple[list[int], Tensor, Tensor] | None:
        """At `count` steps of one layer and direction: the steps, the Jacobians (K, S, S), their eigenvalues (K, S).

        None where there are none, or one is not finite. They are taken once: eigenvalues are the dearest of a look.
        """
        if (index, count) not in self.known:
            steps = inner_steps(self.trace.layers[index].h.shape[0], count)
            found = step_jacobians(self.layer, self.trace, self.x, index, steps) if steps else None
            self.known[index, count] = None
            if found is not None and torch.isfinite(found).all():
                self.known[index, count] = steps, found.double(), torch.linalg.eigvals(found.double())
        return self.known[index, count]

    def layer_name(self, index: int) -> str:
        """Of one layer and direction of the stack, as its parameters have it: `encoder.l0`, `encoder.l0_reverse`."""
        depth, backward = divmod(index, 2) if self.layer.bidirectional else (index, 0)
        name = f"l{depth}" + ("_reverse" if backward else "")
        return f"{self.name}.{name}" if self.name else name

    def measure(self) -> list[dict[str, Any]]:
        """One dictionary for each layer and direction of the stack."""
        directions = 2 if self.layer.bidirectional else 1
        if not self.has_gradient:
            return []
        norms, seen = self.trace.grad_norm, []
        for index, trace in enumerate(self.trace.layers):
            backward = index % directions == 1
            by_lag = norms[:, index] if backward else norms[:, index].flip(0)
            measured: dict[str, Any] = {
                "name": self.layer_name(index),
                "cell": type(self.layer).__name__,
                "steps": len(by_lag),
                "horizon": horizon(by_lag),
                "lyapunov": lyapunov(by_lag),
                "lags": (lags := kept_lags(len(by_lag))),
                "grad_norm": [_short(v) for v in by_lag[lags]],
                # A simple network's h is among them, and is no gate.
                "gates": {k: saturation(gate, k) for k, gate in trace.gates.items() if k != "h"},
                **units(trace),
            }
            if trace.c is not None:
                c = self.trace.grad_norm_c[:, index]
                measured["grad_norm_c"] = [_short(v) for v in (c if backward else c.flip(0))[lags]]
            measured |= self._stability(index)
            seen.append(measured)
        return seen

    def _stability(self, index: int) -> dict[str, Any]:
        """The spectral radius of W_hh, for a simple network, and what the Jacobians of several steps do.

        Of their spectral radii and norms (the largest singular values) the means and the 5th and 95th percentiles.
        """
        found: dict[str, Any] = {}
        if isinstance(self.layer, RNN) and self.layer.hidden_size <= LARGEST:
            found["radius"] = radius(hidden_weights(self.layer, index))
        size = sum(self.layer.state_sizes)
        if size <= LARGEST:
            taken = self.jacobians(index, jacobians_for(size))
            if taken:
                _, jacobians, eigenvalues = taken
                radii = eigenvalues.abs().amax(-1)
                for name, values in (("radius", radii), ("norm", torch.linalg.matrix_norm(jacobians, 2))):
                    found[f"jacobian_{name}"] = _short(values.mean())
                    ends = torch.quantile(values, values.new_tensor([0.05, 0.95]))
                    found[f"jacobian_{name}_band"] = [_short(end) for end in ends]
        return found


def jacobians_for(size: int) -> int:
    """At how many steps the Jacobian of a state of so many numbers is taken: eigenvalues cost its third power."""
    return 8 if size <= 64 else 3 if size <= 256 else 1


def lyapunov(by_lag: Tensor) -> float | None:
    """The mean growth of the gradient's logarithm a step back: below 0 it fades, above 0 it grows.

    Over the steps back to the sequence's second, or to where single precision ends: a finite-time estimate of the
    largest Lyapunov exponent, as the transposed Jacobians have the same one.

    >>> lyapunov(torch.tensor([1.0, 0.5, 0.25, 0.125, 0.0]))
    -0.6931
    """
    by_lag = by_lag[_first(by_lag) :]
    good = (by_lag[:-1] > TINY) & torch.isfinite(by_lag[:-1])
    reach = int(good.long().cumprod(0).sum()) - 1
    return _short((by_lag[reach] / by_lag[0]).log() / reach) if reach >= 1 else None


def horizon(by_lag: Tensor) -> int:
    """The first lag at which the gradient has fallen below a thousandth of that at lag 0; all of them if it never does.

    Where the loss does not depend on the last steps, the first lag with a gradient stands for lag 0.

    >>> horizon(torch.tensor([1.0, 0.1, 1e-2, 1e-4, 1e-5])), horizon(torch.tensor([1.0, 2.0]))
    (3, 2)
    >>> horizon(torch.tensor([0.0, 1.0, 0.1, 1e-4]))
    3
    """
    begin = _first(by_lag)
    small = (by_lag[begin:] < HORIZON * by_lag[begin]).nonzero()
    return begin + int(small[0]) if len(small) else len(by_lag)


def _first(by_lag: Tensor) -> int:
    """The first lag with a gradient; 0 where there is none."""
    return int((by_lag != 0).long().argmax())


def kept_lags(steps: int) -> list[int]:
    """All lags of a short sequence; of a longer one so many, ever further apart.

    >>> kept_lags(3), len(kept_lags(1000)) <= LAGS, kept_lags(1000)[-1]
    ([0, 1, 2], True, 999)
    """
    if steps <= LAGS:
        return list(range(steps))
    return sorted({round(steps ** (k / (LAGS - 1))) - 1 for k in range(LAGS)})


def saturation(gate: Tensor, letter: str) -> list[float]:
    """The shares of a gate's values, over steps, sequences and units, that lie at its two ends."""
    return [round(int(end.count_nonzero()) / end.numel(), 4) for end in at_ends(gate, letter)]


def units(trace: LayerTrace) -> dict[str, Any]:
    """What h tells of the units: the shares that are dead and stuck, how many directions they span, how large they are.

    A dead unit hardly moves. A stuck one is at an end of its tanh nearly always.
    """
    h = trace.h.flatten(0, 1)
    if h.is_complex():
        h = torch.view_as_real(h).flatten(1)
    stuck = (h.abs() > SATURATED).double().mean(0) > HIGH
    spread = h.std(0, unbiased=False)
    return {
        "dead": round((spread < DEAD).double().mean().item(), 4),
        "stuck": round(stuck.double().mean().item(), 4),
        "rank": effective_rank(h),
        "size": _short(h.double().square().mean().sqrt()),
        "units": h.shape[1],
    }


def effective_rank(h: Tensor) -> float:
    """The exponential of the entropy of the singular values (Roy and Vetterli 2007) of h `(N, H)`, centred.

    >>> effective_rank(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
    1.0
    """
    centred = h.double() - h.double().mean(0)
    largest = centred.abs().max()
    if not torch.isfinite(largest) or largest == 0:
        return 0.0
    squares = torch.linalg.eigvalsh(centred.T @ centred / largest**2).clamp(min=0)
    shares = squares.sqrt() / squares.sqrt().sum()
    return round(torch.special.entr(shares).sum().exp().item(), 2)


def radius(matrix: Tensor) -> float:
    """The largest magnitude of an eigenvalue.

    >>> radius(torch.tensor([[0.0, 2.0], [-2.0, 0.0]]))
    2.0
    """
    if not torch.isfinite(matrix).all():
        return inf
    return _short(torch.linalg.eigvals(matrix.double()).abs().max())


def _short(value: Tensor) -> float:
    """Four digits are enough to look at."""
    return float(f"{value.item():.4g}")
