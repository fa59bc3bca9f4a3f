"""The native recurrences with their first derivatives, on tensors that have been checked: see `ops.py`.

C++ walks through time. What is one large matrix product over all steps (the gradients of the weights and of x) is left
to torch, a few thousand rows at a time, so that the gradients of the gates never lie in memory all at once.
"""

import torch
from torch import Tensor

from elman import compiled

from .buffers import empty
from .native import DTYPES, address, threads_for

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru")  # in the order of csrc/kernels.h
SAVED = {"rnn_tanh": 0, "rnn_relu": 0, "lstm": 4, "gru": 4}
GRADS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 4}
ROWS = 4096  # of the gradients of the gates that are computed at a time

Maybe = Tensor | None


def forward(
    cell: str,
    x: Tensor,
    h_0: Maybe,
    c_0: Maybe,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe,
    b_hh: Maybe,
    lengths: Maybe,
    reset: Maybe,
    keep: bool,
    isa: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`y, h_n, c_n, saved, c`; what the cell does not have, or `keep` does not ask for, has no elements."""
    T, B, I = x.shape
    H = W_hh.shape[1]
    index, number, dtype = compiled.isa_index(isa), CELLS.index(cell), DTYPES.index(x.dtype)
    given = {"x": x, "h_0": h_0, "c_0": c_0, "W_ih": W_ih, "W_hh": W_hh, "b_ih": b_ih, "b_hh": b_hh}
    given |= {"lengths": lengths, "reset": reset}
    given = {name: None if t is None else t.contiguous() for name, t in given.items()}  # holds the memory meanwhile
    none = x.new_empty(0)
    y, h_n = x.new_empty(T, B, H), x.new_empty(B, H)
    c_n = x.new_empty(B, H) if cell == "lstm" else none
    saved = empty(x, T, B, SAVED[cell] * H) if keep and SAVED[cell] else none
    c = empty(x, T, B, H) if keep and cell == "lstm" else none
    packed = empty(x, compiled._native.forward_workspace(index, number, dtype, T, B, I, H))
    made = {"y": y, "h_n": h_n, "c_n": c_n, "saved": saved, "c": c, "packed": packed}
    compiled._native.forward(
        isa=index,
        cell=number,
        dtype=dtype,
        threads=threads_for(T * B * H * (I + H) * max(1, SAVED[cell])),
        T=T,
        B=B,
        I=I,
        H=H,
        **{name: address(t) for name, t in (given | made).items()},
        packed_size=packed.numel(),
    )
    return y, h_n, c_n, saved, c


def backward(
    cell: str,
    x: Tensor,
    h_0: Maybe,
    c_0: Maybe,
    W_ih: Tensor,
    W_hh: Tensor,
    biased: bool,
    lengths: Maybe,
    reset: Maybe,
    y: Tensor,
    saved: Tensor,
    c: Tensor,
    dy: Maybe,
    dh_n: Maybe,
    dc_n: Maybe,
    need_dx: bool,
    isa: str | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`dx, dh_0, dc_0, dW_ih, dW_hh, db_ih, db_hh`; what is not there or not needed has no elements."""
    T, B, I = x.shape
    H, G = W_hh.shape[1], GRADS[cell]
    index, number, dtype = compiled.isa_index(isa), CELLS.index(cell), DTYPES.index(x.dtype)
    x, W_ih, W_hh = x.contiguous(), W_ih.contiguous(), W_hh.contiguous()
    if lengths is not None:  # NaN in the padding must not reach a product, not even times zero
        x = x.masked_fill(torch.arange(T)[:, None, None] >= lengths[:, None], 0)
    h_0, c_0, dy, dh_n, dc_n = (None if t is None else t.contiguous() for t in (h_0, c_0, dy, dh_n, dc_n))
    none = x.new_empty(0)
    dx = torch.empty_like(x) if need_dx else none
    dh, dc = (none if size == 0 else x.new_zeros(B, H) for size in (H, H * (cell == "lstm")))
    if dh_n is not None:
        dh.copy_(dh_n)
    if dc_n is not None:
        dc.copy_(dc_n)
    dW_ih, dW_hh = torch.zeros_like(W_ih), torch.zeros_like(W_hh)
    db = x.new_zeros(G * H if biased else 0)
    packed = empty(x, compiled._native.backward_workspace(index, number, dtype, H))
    part = max(1, min(T, ROWS // B))
    buffer = empty(x, part, B, G * H)
    threads = threads_for(T * B * H * H * G)
    for end in range(T, 0, -part):
        begin = max(0, end - part)
        steps = slice(begin, end)
        grads = buffer[: end - begin]
        h, c_before = (y[begin - 1], c[begin - 1] if cell == "lstm" else none) if begin else (h_0, c_0)
        compiled._native.backward(
            index, number, dtype, threads, end == T, begin, end - begin, B, H, W_hh.data_ptr(), address(h),
            address(c_before), address(lengths), address(None if reset is None else reset[steps]), y[steps].data_ptr(),
            address(saved[steps]), address(c[steps]), address(None if dy is None else dy[steps]), grads.data_ptr(),
            dh.data_ptr(), address(dc), packed.data_ptr(), packed.numel(),
        )  # fmt: skip
        flat, X = grads.view(-1, G * H), x[steps].view(-1, I)
        before = _before(y, h_0, reset, begin, end)
        if cell == "gru":  # n, r, z for x; r, z, u for h
            dW_ih[: 2 * H].addmm_(flat[:, H : 3 * H].t(), X)
            dW_ih[2 * H :].addmm_(flat[:, :H].t(), X)
            if need_dx:
                out = dx[steps].view(-1, I)
                torch.mm(flat[:, H : 3 * H], W_ih[: 2 * H], out=out).addmm_(flat[:, :H], W_ih[2 * H :])
        else:
            dW_ih.addmm_(flat.t(), X)
            if need_dx:
                torch.mm(flat, W_ih, out=dx[steps].view(-1, I))
        to_h = flat[:, H:] if cell == "gru" else flat
        if before is not None:
            dW_hh.addmm_(to_h[-len(before) :].t(), before)
        if biased:
            db += flat.sum(0)
    if cell == "gru" and biased:
        return dx, dh, dc, dW_ih, dW_hh, torch.cat([db[H : 3 * H], db[:H]]), db[H:]
    return dx, dh, dc, dW_ih, dW_hh, db, db.clone()


def _before(y: Tensor, h_0: Maybe, reset: Maybe, begin: int, end: int) -> Maybe:
    """h before each of the steps, (rows, H): the last rows of them where the first are zeros for sure."""
    H = y.shape[2]
    if begin == 0 and h_0 is None:
        h, first = y[: end - 1], 1
    elif h_0 is not None and begin == 0:
        h, first = torch.cat([h_0[None], y[: end - 1]]), 0
    else:
        h, first = y[begin - 1 : end - 1], begin
    if reset is not None:
        h = h.masked_fill(reset[first:end, :, None] != 0, 0)
    return h.reshape(-1, H) if len(h) else None
