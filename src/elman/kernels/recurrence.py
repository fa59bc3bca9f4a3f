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
CHUNK = 1 << 21  # bytes of the gates' gradients that are computed at a time: the products find them in the cache

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
    # The blocks of `grads` lie as a^n r z u for a gru: x reaches the first three, h the last three.
    x_columns, h_columns = slice(0, len(W_ih)), slice((G * H) - len(W_hh), None)
    W = _gates_turned(W_ih, 2 * H) if cell == "gru" and need_dx else W_ih
    dW_ih, dW_hh = x.new_zeros(I, len(W_ih)), x.new_zeros(H, len(W_hh))  # transposed: twice as fast a product
    db = x.new_zeros(G * H if biased else 0)
    packed = empty(x, compiled._native.backward_workspace(index, number, dtype, H))
    part = max(1, min(T, CHUNK // (B * G * H * x.element_size())))
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
        flat = grads.view(-1, G * H)
        dW_ih.addmm_(x[steps].view(-1, I).t(), flat[:, x_columns])
        before = _before(y, h_0, reset, begin, end)
        if before is not None:
            dW_hh.addmm_(before.t(), flat[-len(before) :, h_columns])
        if need_dx:
            torch.mm(flat[:, x_columns], W, out=dx[steps].view(-1, I))
        if biased:
            db += flat.sum(0)
    dW_ih, dW_hh = dW_ih.t().contiguous(), dW_hh.t().contiguous()
    if cell == "gru":
        dW_ih = _gates_turned(dW_ih, H)
        return dx, dh, dc, dW_ih, dW_hh, _gates_turned(db[: 3 * H], H), db[H:]
    return dx, dh, dc, dW_ih, dW_hh, db, db.clone()


def _gates_turned(rows: Tensor, first: int) -> Tensor:
    """The same rows, beginning with number `first`: r z n becomes n r z with 2 H, and n r z becomes r z n with H."""
    return torch.cat([rows[first:], rows[:first]])


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
