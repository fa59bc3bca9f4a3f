"""The native scan as the torch.library ops `elman::scan` and `elman::scan_backward`; `scan_reference.py` is their twin.

First derivatives are native too, and vmap, which only makes the batch larger. Forward mode and higher derivatives go
through the reference: the rules below see to it at the level of the ops, so that no way of calling them loses a
derivative without a word.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from elman import compiled

from . import scan_reference as reference
from .arguments import expect_tensors
from .buffers import empty
from .native import address, plain, threads_for

Maybe = Tensor | None

REAL = {  # a complex number is two of these
    torch.float32: (0, False),
    torch.float64: (1, False),
    torch.complex64: (0, True),
    torch.complex128: (1, True),
}
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
WORK = 8  # a step of one unit takes as long as so many multiplications: it waits for memory
SHAPES = "a (T, B, H) or (H), b (T, B, H), h_0 (B, H), lengths (B), reset (T, B)"


def check(a: Tensor, b: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe) -> None:
    """Raises a ValueError that names every shape and type unless all of them fit together."""
    given = {"a": a, "b": b, "h_0": h_0, "lengths": lengths, "reset": reset}
    expect_tensors("scan", given.items(), must=("a", "b"))
    found = {name: t for name, t in given.items() if t is not None}
    T, B, H = b.shape if b.dim() == 3 else (0, 0, 0)
    wanted = {"a": ((T, B, H), (H,)), "b": ((T, B, H),), "h_0": ((B, H),), "lengths": ((B,),), "reset": ((T, B),)}
    numbers = {t.dtype for name, t in found.items() if name in ("a", "b", "h_0")}
    fits = (
        T > 0
        # Of one length first: torch.export would learn of (H,) in ((T, B, H), (H,)) that T is not H.
        and all(any(tuple(t.shape) == w for w in wanted[name] if len(w) == t.dim()) for name, t in found.items())
        and len(numbers) == 1
        and (lengths is None or lengths.dtype in WHOLE)
        and (reset is None or reset.dtype == torch.bool)
    )
    if not fits:
        listed = ", ".join(f"{name} {tuple(t.shape)} {str(t.dtype)[6:]}" for name, t in found.items())
        raise ValueError(
            f"scan: these arguments do not fit together: {listed}; expected {SHAPES} with at least one step, "
            "a, b and h_0 of one dtype, lengths of whole numbers, reset of bool"
        )


def obstacle(a: Tensor, b: Tensor, h_0: Maybe = None) -> str | None:
    """Why the native scan can't run on these tensors, or None if it can."""
    return _unfit(a, b, h_0) or ("autocast is active" if torch.is_autocast_enabled("cpu") else None)


def _unfit(a: Tensor, b: Tensor, h_0: Maybe) -> str | None:
    """The same, autocast apart: what began without it can go back under it."""
    if compiled.WHY_NOT:
        return compiled.WHY_NOT
    tensors = [t for t in (a, b, h_0) if t is not None]
    if any(t.device.type != "cpu" for t in tensors):
        return "the native kernels work on the CPU only"
    if a.dtype not in REAL or any(t.dtype != a.dtype for t in tensors):
        return "the native scan takes float32, float64, complex64 or complex128, all alike"
    if any(t.layout != torch.strided for t in tensors):
        return "an argument is sparse"
    if 0 in b.shape:
        return "the batch is empty"
    if not torch.compiler.is_compiling():
        compiled.chosen_isa()  # a wrong ELMAN_ISA raises here
    return None


def scan(
    a: Tensor, b: Tensor, h_0: Maybe = None, *, lengths: Maybe = None, reset: Maybe = None
) -> tuple[Tensor, Tensor]:
    """As in `scan_reference.py`, for calls without a transform; past the dispatcher, which costs 7 us a call."""
    if torch.compiler.is_compiling():
        return torch.ops.elman.scan.default(a, b, h_0, lengths, reset)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (a, b, h_0)):
        return _Scan.apply(None, a, b, h_0, lengths, reset)
    return _forward(a, b, h_0, lengths, reset)


def _geometry(a: Tensor, b: Tensor, lengths: Maybe, reset: Maybe) -> tuple[Tensor, tuple[int, ...]]:
    """`a` as the kernels can read it, and T, B, H, a_step, a_row of csrc/kernels.h."""
    T, B, H = b.shape
    a = a.resolve_conj().resolve_neg()
    if a.stride(-1) != 1 and H > 1:
        a = a.contiguous()
    if a.dim() == 1:
        return a, (T, B, H, 0, 0)
    if (a.stride(0) == 0 or T == 1) and (a.stride(1) == 0 or B == 1):
        a = a.contiguous()  # steps of 0 would ask for the sum over all steps and sequences
    step, row = a.stride()[:2]
    if lengths is None and reset is None and (row == H or B == 1) and step != 0:
        return a, (T, 1, B * H, step, 0)  # one long row: fewer ends of rows
    return a, (T, B, H, step, row)


def _lengths(lengths: Maybe) -> Maybe:
    return None if lengths is None else lengths.to("cpu", torch.int64).contiguous()


def _forward(a: Tensor, b: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe) -> tuple[Tensor, Tensor]:
    check(a, b, h_0, lengths, reset)
    if why_not := obstacle(a, b, h_0):
        raise RuntimeError(f"scan: {why_not}")
    h, h_n = empty(b, *b.shape), b.new_empty(b.shape[1:])
    a, geometry = _geometry(a, b, lengths, reset)
    arrays = (a, plain(b), plain(h_0), _lengths(lengths), plain(reset))  # holds the memory until the kernel is done
    how: list[Any] = [compiled.isa_index(None), *REAL[b.dtype], threads_for(WORK * b.numel()), *geometry]
    compiled._native.scan_forward(*how, *map(address, (*arrays, h, h_n)))
    return h, h_n


def _backward(
    a: Tensor, h: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe, dh: Maybe, dh_n: Maybe, da_wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/da has no elements where it is not wanted."""
    check(a, h, h_0, lengths, reset)
    for name, t, like in (("dh", dh, h), ("dh_n", dh_n, h[0])):
        if t is not None and (t.shape != like.shape or t.dtype != h.dtype):
            raise ValueError(
                f"scan: expected {name} {tuple(like.shape)} of {h.dtype}, found {tuple(t.shape)} of {t.dtype}"
            )
    if why_not := _unfit(a, h, h_0):
        raise RuntimeError(f"scan: {why_not}")
    a, geometry = _geometry(a, h, lengths, reset)
    db, dh_0 = empty(h, *h.shape), h.new_empty(h.shape[1:])
    da = empty(h, *a.shape) if da_wanted else h.new_empty(0)
    arrays = (a, plain(h), plain(h_0), _lengths(lengths), plain(reset), plain(dh), plain(dh_n))
    how: list[Any] = [compiled.isa_index(None), *REAL[h.dtype], threads_for(2 * WORK * h.numel()), *geometry]
    compiled._native.scan_backward(*how, *map(address, (*arrays, da, db, dh_0)))
    return da, db, dh_0


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keys: Any, a: Tensor, b: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe) -> Any:
        if keys is None:
            h, h_n = _forward(a, b, h_0, lengths, reset)
        else:
            with torch._C._AutoDispatchBelowAutograd():
                h, h_n = torch.ops.elman.scan.default.redispatch(keys, a, b, h_0, lengths, reset)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(a, h, h_0, lengths, reset)
        return h, h_n

    @staticmethod
    def backward(ctx: Any, dh: Maybe, dh_n: Maybe) -> Any:
        _, needs_a, needs_b, needs_h, *_ = ctx.needs_input_grad
        if dh is None and dh_n is None:
            return (None,) * 6
        # Always through the dispatcher: dh may belong to a vmap (is_grads_batched) that began after forward.
        da, db, dh_0 = torch.ops.elman.scan_backward.default(*ctx.saved_tensors, dh, dh_n, needs_a)
        return None, da if needs_a else None, db if needs_b else None, dh_0 if needs_h else None, None, None


def _scan_autograd(keys: Any, *args: Any) -> Any:
    a, b, h_0, lengths, reset = args
    needs_graph = torch.is_grad_enabled() and torch._C._any_requires_grad(a, b, h_0)
    # A Function can't be applied where one transform of torch.func is inside another.
    if forward_ad._current_level >= 0 or (needs_graph and torch._C._are_functorch_transforms_active()):
        return reference.scan(a, b, h_0, lengths=lengths, reset=reset)
    keys = keys & torch._C._after_autograd_keyset
    if needs_graph:
        return _Scan.apply(keys, *args)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.elman.scan.default.redispatch(keys, *args)


def _scan_backward_autograd(keys: Any, *args: Any) -> Any:
    *tensors, da_wanted = args
    needs_graph = torch.is_grad_enabled() and torch._C._any_requires_grad(*tensors)
    if needs_graph or forward_ad._current_level >= 0:
        da, db, dh_0 = reference.scan_backward(*tensors)
        return da if da_wanted else da.new_empty(0), db, dh_0
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.elman.scan_backward.default.redispatch(keys & torch._C._after_autograd_keyset, *args)


def _fold(t: Tensor, dim: int | None, V: int, axis: int) -> Tensor:
    """Makes the vmapped dimension a part of the batch, which is dimension `axis` of what each sample sees."""
    t = t.unsqueeze(axis).expand(*t.shape[:axis], V, *t.shape[axis:]) if dim is None else t.movedim(dim, axis)
    return t.flatten(axis, axis + 1)


def _fold_all(ts: Any, dims: Any, V: int, axes: tuple[int, ...]) -> list[Maybe]:
    return [None if t is None else _fold(t, d, V, axis) for t, d, axis in zip(ts, dims, axes, strict=True)]


def _fold_a(a: Tensor, dim: int | None, V: int, T: int, B: int) -> Tensor:
    """`a` of each sequence of the folded batch, which may differ now where it was shared before."""
    if a.dim() - (dim is not None) == 3:
        return _fold(a, dim, V, 1)
    a = a.expand(V, -1) if dim is None else a.movedim(dim, 0)
    return a[:, None].expand(T, V, B, -1).flatten(1, 2)


def _scan_vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
    V, (a, b, *_) = info.batch_size, args
    T, B = [n for d, n in enumerate(b.shape) if d != in_dims[1]][:2]
    a = a if a.dim() == 1 else _fold_a(a, in_dims[0], V, T, B)
    h, h_n = torch.ops.elman.scan.default(a, *_fold_all(args[1:], in_dims[1:], V, (1, 0, 0, 1)))
    return (h.unflatten(1, (V, B)), h_n.unflatten(0, (V, B))), (1, 0)


def _scan_backward_vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
    V, (a, h, *_, da_wanted) = info.batch_size, args
    T, B = [n for d, n in enumerate(h.shape) if d != in_dims[1]][:2]
    shared = a.dim() - (in_dims[0] is not None) == 1
    others = _fold_all(args[1:-1], in_dims[1:-1], V, (1, 0, 0, 1, 1, 0))
    a = _fold_a(a, in_dims[0], V, T, B)
    da, db, dh_0 = torch.ops.elman.scan_backward.default(a, *others, da_wanted)
    if da_wanted:
        da = da.unflatten(1, (V, B))
        da = da.sum((0, 2)) if shared else da.movedim(1, 0)
    else:
        da = da.new_empty(V, 0)
    return (da, db.unflatten(1, (V, B)), dh_0.unflatten(0, (V, B))), (0, 1, 0)


def _scan_fake(a: Tensor, b: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe) -> Any:
    return torch.empty_like(b, memory_format=torch.contiguous_format), b.new_empty(b.shape[1:])


def _scan_backward_fake(
    a: Tensor, h: Tensor, h_0: Maybe, lengths: Maybe, reset: Maybe, dh: Maybe, dh_n: Maybe, da_wanted: bool
) -> Any:
    return h.new_empty(a.shape if da_wanted else 0), torch.empty_like(h), h.new_empty(h.shape[1:])


_library = torch.library.Library("elman", "FRAGMENT")
_library.define("scan(Tensor a, Tensor b, Tensor? h_0, Tensor? lengths, Tensor? reset) -> (Tensor, Tensor)")
_library.define(
    "scan_backward(Tensor a, Tensor h, Tensor? h_0, Tensor? lengths, Tensor? reset, Tensor? dh, Tensor? dh_n, "
    "bool da_wanted) -> (Tensor, Tensor, Tensor)"
)
for _name, _native_rule, _autograd, _vmap, _fake in (
    ("scan", _forward, _scan_autograd, _scan_vmap, _scan_fake),
    ("scan_backward", _backward, _scan_backward_autograd, _scan_backward_vmap, _scan_backward_fake),
):
    _library.impl(_name, _native_rule, "CPU")
    _library.impl(_name, _autograd, "Autograd", with_keyset=True)
    torch.library.register_vmap(f"elman::{_name}", _vmap, lib=_library)
    torch.library.register_fake(f"elman::{_name}", _fake, lib=_library)
