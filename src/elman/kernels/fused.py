"""torch's own whole-sequence implementations, behind the contract of `reference.py`.

On a CPU they serve until a native kernel does, forward and backward; on other devices they are the fast path.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

HC = tuple[Tensor, Tensor]


def obstacle(B: int, lengths: Tensor | None) -> str | None:
    """Why torch's implementation can't run, or None if it can."""
    if B == 0:
        return "torch's implementation refuses an empty batch"
    if lengths is not None and int(lengths.min()) < 1:
        return "torch's implementation refuses a sequence of length 0"
    return None


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
    h = _zeros(x, W_hh.shape[1]) if state is None else state
    function = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[nonlinearity]
    y, (h,) = _run(function, x, (h,), [W_ih, W_hh, b_ih, b_hh], lengths)
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
    lengths: Tensor | None = None,
) -> tuple[Tensor, HC]:
    hc = (_zeros(x, W_hh.shape[1]), _zeros(x, W_hh.shape[0] // 4)) if state is None else state
    y, (h, c) = _run(torch.lstm, x, hc, [W_ih, W_hh, b_ih, b_hh, W_hr], lengths)
    return y, (h, c)


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
    h = _zeros(x, W_hh.shape[1]) if state is None else state
    y, (h,) = _run(torch.gru, x, (h,), [W_ih, W_hh, b_ih, b_hh], lengths)
    return y, h


def _zeros(x: Tensor, size: int) -> Tensor:
    return x.new_zeros(x.shape[1], size)


def _run(  # type: ignore[no-untyped-def]  # the stubs of torch.lstm and its kin are too loose to name a type
    function, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor | None], lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    given = [weight for weight in weights if weight is not None]
    biased = weights[2] is not None
    # "train" makes oneDNN and cuDNN keep what backward needs; dropout is 0, so it changes nothing else.
    train = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *given))
    options = (given, biased, 1, 0.0, train, False)  # one layer, no dropout, one direction
    if lengths is None:
        y, *after = function(x, _hidden(t[None] for t in state), *options, False)
        return y, tuple(t[0] for t in after)
    packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    hidden = _hidden(t[None, packed.sorted_indices] for t in state)
    y, *after = function(packed.data, packed.batch_sizes, hidden, *options)
    y, _ = pad_packed_sequence(PackedSequence(y, *packed[1:]), total_length=x.shape[0])
    return y, tuple(t[0, packed.unsorted_indices] for t in after)


def _hidden(parts: Iterable[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """The state as torch's functions want it: one tensor alone, several in a tuple."""
    first, *rest = parts
    return (first, *rest) if rest else first
