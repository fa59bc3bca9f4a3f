"""The native recurrences with their first derivatives, on tensors that have been checked: see `ops.py`."""

from torch import Tensor

from elman import compiled

from .buffers import empty
from .native import DTYPES, address, threads_for

SAVED = {"rnn_tanh": 0, "rnn_relu": 0, "lstm": 4, "gru": 4}
GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}

CACHED = 1 << 20  # bytes

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
    index, number, dtype = compiled.isa_index(isa), compiled.CELLS.index(cell), DTYPES.index(x.dtype)
    given = {"x": x, "h_0": h_0, "c_0": c_0, "W_ih": W_ih, "W_hh": W_hh, "b_ih": b_ih, "b_hh": b_hh}
    given |= {"lengths": lengths, "reset": reset}
    given = {name: None if t is None else t.contiguous() for name, t in given.items()}  # holds the memory meanwhile
    none = x.new_empty(0)
    y, h_n = x.new_empty(T, B, H), x.new_empty(B, H)
    c_n = x.new_empty(B, H) if cell == "lstm" else none
    saved = empty(x, T, B, SAVED[cell] * H) if keep and SAVED[cell] else none
    c = empty(x, T, B, H) if keep and cell == "lstm" else none
    parts, members = _shares(cell, x, W_hh, back=False)
    sizes = {"T": T, "B": B, "I": I, "H": H, "parts": parts}
    packed = empty(x, compiled._native.forward_workspace(index, number, dtype, **sizes))
    made = {"y": y, "h_n": h_n, "c_n": c_n, "saved": saved, "c": c, "packed": packed}
    compiled._native.forward(
        isa=index,
        cell=number,
        dtype=dtype,
        members=members,
        **sizes,
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
    H, G = W_hh.shape[1], GATES[cell]
    index, number, dtype = compiled.isa_index(isa), compiled.CELLS.index(cell), DTYPES.index(x.dtype)
    parts, members = _shares(cell, x, W_hh, back=True)
    none = x.new_empty(0)
    given = {"x": x, "h_0": h_0, "c_0": c_0, "W_ih": W_ih, "W_hh": W_hh, "lengths": lengths, "reset": reset}
    given |= {"y": y, "saved": saved, "c": c, "dy": dy}
    given = {name: None if t is None else t.contiguous() for name, t in given.items()}  # holds the memory meanwhile
    dx = x.new_empty(T, B, I) if need_dx else none
    dh, dc = _copy(dh_n, x, B, H), _copy(dc_n, x, B, H) if cell == "lstm" else none
    dW_ih, dW_hh = empty(x, parts, I + 1, G * H), empty(x, parts, H + 1, G * H)
    sizes = {"T": T, "B": B, "I": I, "H": H, "parts": parts, "members": members}
    packed = empty(x, compiled._native.backward_workspace(index, number, dtype, **sizes))
    made = {"dx": dx, "dh": dh, "dc": dc, "dW_ih": dW_ih, "dW_hh": dW_hh, "packed": packed}
    weights = x.new_empty(G * H, I), x.new_empty(G * H, H)
    biases = (x.new_empty(G * H), x.new_empty(G * H)) if biased else (none, none)
    made |= zip(("of_W_ih", "of_W_hh", "of_b_ih", "of_b_hh"), (*weights, *biases), strict=True)
    compiled._native.backward(
        isa=index,
        cell=number,
        dtype=dtype,
        **sizes,
        **{name: address(t) for name, t in (given | made).items()},
        packed_size=packed.numel(),
    )
    return dx, dh, dc, *weights, *biases


def _shares(cell: str, x: Tensor, W_hh: Tensor, back: bool) -> tuple[int, int]:
    """Into how many parts threads cut the batch, and how many do a part together.

    Weights that fill a core's cache are better read by one thread only. Backward, the threads of a team also have to
    read each other's gradients, which is worth it for few sequences only.
    """
    T, B, I = x.shape
    H, gates = W_hh.shape[1], GATES[cell]
    threads = threads_for((3 if back else 1) * T * B * H * (I + H) * gates)
    few = not back or threads >= B // 4
    if few and gates * H * (I + H) * x.element_size() > CACHED:
        return 1, threads
    return min(B, threads), 1


def _copy(t: Maybe, like: Tensor, *shape: int) -> Tensor:
    """`t` in memory of its own; zeros for None."""
    return like.new_zeros(shape) if t is None else like.new_empty(shape).copy_(t)
