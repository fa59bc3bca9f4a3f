"""torch's own whole-sequence implementations, behind the contract of `reference.py`.

They serve what no native kernel does, and other devices, where they are the fast path.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .arguments import Arguments, cells


def obstacle(a: Arguments) -> str | None:
    """Why torch's implementation can't run, or None if it can."""
    if missing := [extra for extra in a.extras if extra != "projection"]:
        return f"torch's implementation has no {missing[0]}"
    if a.reset is not None:
        return "torch's implementation can't reset the state inside a sequence"
    if a.x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is active, for which many processors lack torch's primitives"
    if a.x.shape[1] == 0:
        return "torch's implementation refuses an empty batch"
    if a.lengths is not None and int(a.lengths.min()) < 1:
        return "torch's implementation refuses a sequence of length 0"
    return None


def run(a: Arguments) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As in `reference.py`."""
    if problem := obstacle(a):
        raise RuntimeError(problem)
    x, weights = a.x, [w for w in (a.W_ih, a.W_hh, a.b_ih, a.b_hh, a.W_hr) if w is not None]
    function = {"rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu, "lstm": torch.lstm, "gru": torch.gru}[a.cell]
    sizes = [a.W_hh.shape[1], a.W_ih.shape[0] // 4] if a.cell == "lstm" else [a.W_hh.shape[1]]
    state = a.state or tuple(x.new_zeros(x.shape[1], size) for size in sizes)
    # "train" makes oneDNN and cuDNN keep what backward needs; dropout is 0, so it changes nothing else.
    train = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights))
    options = (weights, a.b_ih is not None, 1, 0.0, train, False)  # one layer, no dropout, one direction
    # The stubs of torch.lstm and its kin are too loose to name a type.
    if a.lengths is None:
        y, *after = function(x, _hidden(t[None] for t in state), *options, False)  # type: ignore[operator]
        return y, tuple(t[0] for t in after)
    packed = pack_padded_sequence(x, a.lengths.cpu(), enforce_sorted=False)
    hidden = _hidden(t[None, packed.sorted_indices] for t in state)
    y, *after = function(packed.data, packed.batch_sizes, hidden, *options)  # type: ignore[operator]
    y, _ = pad_packed_sequence(PackedSequence(y, *packed[1:]), total_length=x.shape[0])
    return y, tuple(t[0, packed.unsorted_indices] for t in after)


def _hidden(parts: Iterable[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """The state as torch's functions want it: one tensor alone, several in a tuple."""
    first, *rest = parts
    return (first, *rest) if rest else first


rnn, lstm, gru = cells(run)
