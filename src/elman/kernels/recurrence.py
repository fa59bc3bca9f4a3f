"""The native recurrences with their first derivatives, on arguments that have been checked: see `ops.py`."""

from torch import Tensor

from elman import compiled

from .arguments import FIRST, GATES, LAST, Arguments, Maybe
from .buffers import empty
from .native import DTYPES, address, own_copy, plain, threads_for

SAVED = {"rnn_tanh": 0, "rnn_relu": 0, "lstm": 4, "gru": 4}  # saved_blocks of csrc/kernels.h

NAMES = ("x", "h_0", "c_0", "W_ih", "W_hh", "reset")

CACHED = 1 << 20  # bytes


def kept_sizes(a: Arguments, keep: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of what forward keeps for backward: `saved` and `c` of csrc/kernels.h."""
    (T, B, _), H = a.x.shape, a.hidden_size
    saved = (T, B, SAVED[a.cell] * H) if keep and SAVED[a.cell] else (0,)
    return saved, (T, B, H) if keep and a.cell == "lstm" else (0,)


def forward(a: Arguments, keep: bool, isa: str | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`y, h_n, c_n, saved, c`; what the cell does not have, or `keep` does not ask for, has no elements."""
    x = a.x
    (T, B, I), H = x.shape, a.hidden_size
    index, number, dtype = compiled.isa_index(isa), compiled.CELLS.index(a.cell), DTYPES.index(x.dtype)
    given = a.addressable((*NAMES, "b_ih", "b_hh"))  # holds the memory meanwhile
    y, h_n = x.new_empty(T, B, H), x.new_empty(B, H)
    c_n = x.new_empty(B, H) if a.cell == "lstm" else x.new_empty(0)
    saved, c = (empty(x, *size) for size in kept_sizes(a, keep))
    parts, members = _shares(a, back=False)
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
    a: Arguments,
    y: Tensor,
    saved: Tensor,
    c: Tensor,
    dy: Maybe,
    dh_n: Maybe,
    dc_n: Maybe,
    need_dx: bool,
    isa: str | None = None,
) -> tuple[Tensor, ...]:
    """The gradients of `a.differentiable`; what is not there or not needed has no elements."""
    x, cell = a.x, a.cell
    (T, B, I), H, G = x.shape, a.hidden_size, GATES[cell]
    index, number, dtype = compiled.isa_index(isa), compiled.CELLS.index(cell), DTYPES.index(x.dtype)
    parts, members = _shares(a, back=True)
    given = a.addressable(NAMES)
    given |= {"y": plain(y), "dy": plain(dy), "saved": plain(saved), "c": plain(c)}
    dx = x.new_empty(x.shape if need_dx else (0,))
    dh = own_copy(dh_n, x, B, H)
    dc = own_copy(dc_n, x, B, H) if cell == "lstm" else x.new_empty(0)
    dW_ih, dW_hh = empty(x, parts, I + 1, G * H), empty(x, parts, H + 1, G * H)
    sizes = {"T": T, "B": B, "I": I, "H": H, "parts": parts, "members": members}
    packed = empty(x, compiled._native.backward_workspace(index, number, dtype, **sizes))
    made = {"dx": dx, "dh": dh, "dc": dc, "dW_ih": dW_ih, "dW_hh": dW_hh, "packed": packed}
    weights = x.new_empty(G * H, I), x.new_empty(G * H, H)
    biases = [x.new_empty(0 if a.b_ih is None else G * H) for _ in range(2)]
    made |= zip(("of_W_ih", "of_W_hh", "of_b_ih", "of_b_hh"), (*weights, *biases), strict=True)
    compiled._native.backward(
        isa=index,
        cell=number,
        dtype=dtype,
        **sizes,
        **{name: address(t) for name, t in (given | made).items()},
        packed_size=packed.numel(),
    )
    rest = [x.new_empty(0) for _ in range(LAST - FIRST - 7)]
    return dx, dh, dc, *weights, *biases, *rest


def _shares(a: Arguments, back: bool) -> tuple[int, int]:
    """Into how many parts threads cut the batch, and how many do a part together.

    Weights that fill a core's cache are better read by one thread only. Backward, the threads of a team also have to
    read each other's gradients, which is worth it for few sequences only.
    """
    (T, B, I), H, gates = a.x.shape, a.hidden_size, GATES[a.cell]
    threads = threads_for((3 if back else 1) * T * B * H * (I + H) * gates)
    few = not back or threads >= B // 4
    if few and gates * H * (I + H) * a.x.element_size() > CACHED:
        return 1, threads
    return min(B, threads), 1
