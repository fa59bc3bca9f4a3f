"""The native recurrences as the torch.library ops `elman::recurrence` and `elman::recurrence_backward`.

What computes them is in `recurrence.py`; `reference.py` is their twin. First derivatives are native. Forward mode,
higher derivatives and vmap go through the reference: the rules below see to it at the level of the ops, so that no way
of calling them loses a derivative without a word.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from elman import compiled

from . import recurrence, reference, variants
from .arguments import FIRST, LAST, Arguments, Maybe, cells, checked, expect_tensors
from .native import DTYPES
from .trace import Trace


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def covers() -> str:
    return f"they cover this call ({compiled.chosen_isa()})"


def obstacle(a: Arguments) -> str | None:
    """Why the native kernels can't run on these tensors, or None if they can."""
    if compiled.WHY_NOT:
        return compiled.WHY_NOT
    numbers = a.numbers
    x, *others = numbers
    flags = [t for t in (a.keep_h, a.keep_c, a.reset) if t is not None]
    if x.device.type != "cpu" or any(t.device != x.device for t in (*others, *flags)):
        return "the native kernels work on the CPU only"
    if x.dtype not in DTYPES or any(t.dtype != x.dtype for t in others):
        return "the native kernels take float32 or float64, all alike"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is active"
    if any(t.layout != torch.strided for t in numbers):
        return "an argument is sparse"
    if x.shape[1] == 0:
        return "the batch is empty"
    if a.mask is not None and a.mask.requires_grad:
        return "a gradient of the dropout mask is wanted"
    if not torch.compiler.is_compiling():
        compiled.chosen_isa()  # a wrong ELMAN_ISA raises here
    return None


def run(a: Arguments, trace: Trace | None = None, isa: str | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As in `reference.py`. Memory safety rests here and on the shapes in `arguments.py`: nothing else gets past."""
    if problem := obstacle(a):
        raise RuntimeError(problem)
    needs_graph = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in a.differentiable)
    if torch.compiler.is_compiling():
        y, h_n, c_n, *_ = torch.ops.elman.recurrence.default(*a[:FIRST], needs_graph, *a[FIRST:])
    elif needs_graph:  # past the dispatcher, which costs some microseconds a call
        y, h_n, c_n, *_ = _Recurrence.apply(None, trace, isa, *a)
    else:
        y, h_n, c_n, *_ = _native_forward(a, False, isa, trace)
    return y, (h_n, c_n) if a.cell == "lstm" else (h_n,)


def _native_forward(a: Arguments, keep: bool, isa: str | None = None, trace: Trace | None = None) -> tuple[Tensor, ...]:
    if a.plain and trace is None:
        return recurrence.forward(a, keep, isa)
    return variants.forward(a, keep, isa, trace)


def _native_backward(
    a: Arguments,
    y: Tensor,
    saved: Tensor,
    c: Tensor,
    dy: Maybe,
    dh_n: Maybe,
    dc_n: Maybe,
    need_dx: bool,
    isa: str | None = None,
    trace: Trace | None = None,
) -> tuple[Tensor, ...]:
    given = (a, y, saved, c, dy, dh_n, dc_n, need_dx, isa)
    if trace is None and a.plain and tuple(saved.shape) == recurrence.kept_sizes(a, True)[0]:
        return recurrence.backward(*given)
    return variants.backward(*given, trace)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keys: Any, trace: Trace | None, isa: str | None, *given: Any) -> Any:
        if keys is None:
            results = _native_forward(Arguments(*given), True, isa, trace)
        else:
            with torch._C._AutoDispatchBelowAutograd():
                results = torch.ops.elman.recurrence.default.redispatch(keys, *given[:FIRST], True, *given[FIRST:])
        ctx.set_materialize_grads(False)
        ctx.settings, ctx.trace, ctx.isa, ctx.eager = given[:FIRST], trace, isa, keys is None
        ctx.mark_non_differentiable(*(results[3:] if given[0] == "lstm" else results[2:]))
        y, _, _, *kept = results
        ctx.save_for_backward(*given[FIRST:], y, *kept)
        return results

    @staticmethod
    def backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe, *_: Any) -> Any:
        needs = ctx.needs_input_grad[3 + FIRST : 3 + LAST]
        nothing = [None] * (len(Arguments._fields) - LAST)
        if dy is None and dh_n is None and dc_n is None:
            return (None,) * (3 + FIRST + len(needs)) + tuple(nothing)
        saved = ctx.saved_tensors
        count = len(Arguments._fields) - FIRST
        a, kept = Arguments(*ctx.settings, *saved[:count]), saved[count:]
        # In a graph that will be differentiated again, or in a vmap over dy (is_grads_batched), the op's rules know.
        if not ctx.eager or torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            grads = torch.ops.elman.recurrence_backward.default(*a[:FIRST], needs[0], *a[FIRST:], *kept, dy, dh_n, dc_n)
        else:
            y, gates, c = kept
            grads = _native_backward(a, y, gates, c, dy, dh_n, dc_n, needs[0], ctx.isa, ctx.trace)
        return (
            *[None] * (3 + FIRST),
            *(g if wanted else None for g, wanted in zip(grads, needs, strict=True)),
            *nothing,
        )


def _arguments(given: Sequence[Any]) -> Arguments:
    """Of an op's, which have one flag between the settings and the tensors."""
    return Arguments(*given[:FIRST], *given[FIRST + 1 :][: len(Arguments._fields) - FIRST])


def _forward(*given: Any) -> tuple[Tensor, ...]:
    a = checked(_arguments(given))
    if problem := obstacle(a):
        raise RuntimeError(f"{a.name}: {problem}")
    y, h_n, c_n, saved, c = _native_forward(a, given[FIRST])
    if a.lengths is not None and given[FIRST]:  # undefined there, which an op's results must not be
        padding = torch.arange(a.x.shape[0])[:, None, None] >= a.lengths.to("cpu")[:, None]
        for t in (saved, c):
            if t.numel():
                t.masked_fill_(padding, 0)
    return y, h_n, c_n, saved, c


def _backward(*given: Any) -> tuple[Tensor, ...]:
    a, (y, saved, c, dy, dh_n, dc_n) = checked(_arguments(given)), given[-6:]
    kept = {"y": y, "saved": saved, "c": c}
    expect_tensors(a.name, kept.items(), must=tuple(kept))
    (T, B, _), R, H = a.x.shape, a.W_hh.shape[1], a.hidden_size
    wanted: dict[str, Any] = {
        "y": (y, [(T, B, R)]),
        "dy": (dy, [(T, B, R)]),
        "dh_n": (dh_n, [(B, R)]),
        "dc_n": (dc_n, [(B, H)]),
    }
    for index, name in enumerate(("saved", "c")):
        modules = (recurrence, variants) if a.plain else (variants,)
        wanted[name] = (given[-5 + index], [module.kept_sizes(a, True)[index] for module in modules])
    for name, (t, shapes) in wanted.items():
        like = a.x if t is None else t
        if (t is not None and tuple(t.shape) not in shapes) or (like.dtype, like.device) != (a.x.dtype, a.x.device):
            raise ValueError(
                f"{a.name}: expected {name} {shapes[0]} of {a.x.dtype} on {a.x.device}, "
                f"found {tuple(like.shape)} of {like.dtype} on {like.device}"
            )
    if problem := obstacle(a):
        raise RuntimeError(f"{a.name}: {problem}")
    return _native_backward(a, y, saved, c, dy, dh_n, dc_n, given[FIRST])


def _forward_autograd(keys: Any, *given: Any) -> Any:
    a = _arguments(given)
    needs_graph = torch.is_grad_enabled() and torch._C._any_requires_grad(*a.differentiable)
    # A Function can't be applied where one transform of torch.func is inside another.
    if forward_ad._current_level >= 0 or (needs_graph and torch._C._are_functorch_transforms_active()):
        return _by_reference(a)
    keys = keys & torch._C._after_autograd_keyset
    if needs_graph:
        return _Recurrence.apply(keys, None, None, *a)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.elman.recurrence.default.redispatch(keys, *given)


def _by_reference(a: Arguments) -> tuple[Tensor, ...]:
    y, state = reference.run(a)
    nothing = [y.new_empty(0) for _ in range(4 - len(state))]
    return y, *state, *nothing


def _backward_autograd(keys: Any, *given: Any) -> Any:
    needs_graph = torch.is_grad_enabled() and torch._C._any_requires_grad(*given[FIRST + 1 :])
    if needs_graph or forward_ad._current_level >= 0:
        return _backward_by_reference(*given)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.elman.recurrence_backward.default.redispatch(keys & torch._C._after_autograd_keyset, *given)


def _backward_by_reference(*given: Any) -> tuple[Tensor, ...]:
    """The gradients by operations that can be differentiated and batched in turn."""
    a, dys = _arguments(given), given[-3:]
    there = [t is not None for t in a.differentiable]

    def outputs(*tensors: Tensor) -> tuple[Tensor, ...]:
        left = iter(tensors)
        full = [next(left) if is_there else None for is_there in there]
        y, state = reference.run(Arguments(*cast(Any, (*a[:FIRST], *full, *a[LAST:]))))
        return tuple(out for out, dy in zip((y, *state), dys, strict=False) if dy is not None)

    pull = torch.func.vjp(outputs, *(t for t in a.differentiable if t is not None))[1]
    grads = iter(pull(tuple(dy for dy in dys if dy is not None)))
    return tuple(next(grads) if is_there else a.x.new_empty(0) for is_there in there)


def _vmap(op: Any) -> Any:
    """One sample after the other: each may have weights of its own."""

    def rule(info: Any, in_dims: Sequence[int | None], *given: Any) -> Any:
        def sample(k: int) -> list[Any]:
            return [t if d is None else t.select(d, k) for t, d in zip(given, in_dims, strict=True)]

        results = [op(*sample(k)) for k in range(info.batch_size)]
        stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return stacked, (0,) * len(stacked)

    return rule


def _forward_fake(*given: Any) -> tuple[Tensor, ...]:
    a, keep = _arguments(given), given[FIRST]
    T, B, _ = a.x.shape
    R, H = a.W_hh.shape[1], a.hidden_size
    sizes = [
        (T, B, R),
        (B, R),
        (B, H) if a.cell == "lstm" else (0,),
        *(recurrence if a.plain else variants).kept_sizes(a, keep),
    ]
    return tuple(a.x.new_empty(size) for size in sizes)


def _backward_fake(*given: Any) -> tuple[Tensor, ...]:
    a, need_dx = _arguments(given), given[FIRST]
    B, R, H = a.x.shape[1], a.W_hh.shape[1], a.hidden_size
    shapes: list[Any] = [a.x.shape if need_dx else (0,), (B, R), (B, H) if a.cell == "lstm" else (0,)]
    shapes += [(0,) if t is None else t.shape for t in a.differentiable[3:]]
    return tuple(a.x.new_empty(shape) for shape in shapes)


def _schema(flag: str, more: Iterable[str], results: Iterable[str]) -> str:
    must = ("x", "W_ih", "W_hh")
    tensors = [f"Tensor{'' if name in must else '?'} {name}" for name in Arguments._fields[FIRST:]]
    inputs = ["str cell", "float zoneout_h", "float zoneout_c", f"bool {flag}", *tensors, *more]
    return f"({', '.join(inputs)}) -> ({', '.join(f'Tensor {name}' for name in results)})"


_library = torch.library.Library("elman", "FRAGMENT")
_library.define("recurrence" + _schema("keep", (), ("y", "h_n", "c_n", "saved", "c")))
_library.define(
    "recurrence_backward"
    + _schema(
        "need_dx",
        ("Tensor y", "Tensor saved", "Tensor c", "Tensor? dy", "Tensor? dh_n", "Tensor? dc_n"),
        (f"d_{name}" for name in Arguments._fields[FIRST:LAST]),
    )
)
for _name, _native_rule, _autograd, _fake in (
    ("recurrence", _forward, _forward_autograd, _forward_fake),
    ("recurrence_backward", _backward, _backward_autograd, _backward_fake),
):
    _library.impl(_name, _native_rule, "CPU")
    _library.impl(_name, _autograd, "Autograd", with_keyset=True)
    torch.library.register_vmap(f"elman::{_name}", _vmap(getattr(torch.ops.elman, _name).default), lib=_library)
    torch.library.register_fake(f"elman::{_name}", _fake, lib=_library)

rnn, lstm, gru = cells(run)
