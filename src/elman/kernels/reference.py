"""The recurrences as obvious PyTorch: the specification, the oracle of the tests, and the fallback.

Each cell is a step, which is its equation, and a sequence, which repeats the step. Every faster implementation is
held to these functions, gradients included; where they disagree, these are right.

Dimensions: `T` time, `B` batch, `I` input, `H` hidden, `R` size of h (`H`, or the projection's where there is one).
Weights lie as in `torch.nn`: `W_ih (gates * H, I)`, `W_hh (gates * H, R)`, `b_ih (gates * H)`, `b_hh (gates * H)`, the
gates stacked in the order that each cell names. Biases come both or not at all (None).

Every sequence function takes `x (T, B, I)`, a state before the first step (None: zeros) and `lengths (B)`, whole
numbers from 0 to T (None: all T), and returns `(y, state)`: `y (T, B, R)` holds h of every step, and zero past a
sequence's length; the state is that of each sequence's last step. What lies in x past a length is never looked at.
`reset (T, B)` is true where the state is zero before that step (None: nowhere).

What may be added to a cell, None where it is not:

- `norm_ih, norm_hh (gates * H)`: layer normalisation (Ba et al. 2016, arXiv 1607.06450). `W_ih x` and `W_hh h` are each
  normalised over all their numbers, multiplied by these gains, and shifted by their biases. An lstm also has
  `norm_c (H)` and `bias_c (H)`, for c on its way to h.
- `mask (B, R)`: h is multiplied with it on its way to `W_hh`, at every step alike: variational recurrent dropout (Gal
  and Ghahramani 2016, arXiv 1512.05287).
- `keep_h (T, B, R)`, `keep_c (T, B, H)`: true where h or c keeps its former value: zoneout (Krueger et al. 2017, arXiv
  1606.01305). Where there is none, the shares `zoneout_h` and `zoneout_c` of the former value are kept, which is what
  zoneout does on average.
- `peephole (3, H)`: c has a say in i, f and o (Gers and Schmidhuber 2000).
- `W_hr (R, H)`: h is projected (Sak et al. 2014, arXiv 1402.1128).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from .arguments import HC, LETTERS, Arguments, Maybe, cells
from .trace import Trace

Seen = dict[str, Tensor]
EPSILON = 1e-5
"""Added to the variance where sums are normalised."""


def rnn_step(
    x: Tensor,
    h: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    *,
    nonlinearity: str = "tanh",
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    mask: Maybe = None,
    seen: Seen | None = None,
) -> Tensor:
    r"""One step of the simple recurrent network (Elman 1990, "Finding structure in time"), phi being tanh or relu:

    .. math::
        \bar h_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        h_t &= \phi(\bar h_t)

    `x (..., I)` and `h (..., H)` give the next `h (..., H)`.
    """
    phi = {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]
    h_bar = _sums(x, W_ih, b_ih, norm_ih) + _sums(_masked(h, mask), W_hh, b_hh, norm_hh)
    h = phi(h_bar)
    _note(seen, h_bar=h_bar, h=h)
    return h


def lstm_step(
    x: Tensor,
    state: HC,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    W_hr: Maybe = None,
    *,
    peephole: Maybe = None,
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    norm_c: Maybe = None,
    bias_c: Maybe = None,
    mask: Maybe = None,
    seen: Seen | None = None,
) -> HC:
    r"""One step of the long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
    2000). Gates in the order i f g o:

    .. math::
        (\bar i, \bar f, \bar g, \bar o)_t &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        c_t &= \sigma(\bar f_t) \odot c_{t-1} + \sigma(\bar i_t) \odot \tanh(\bar g_t) \\
        h_t &= W_{hr} (\sigma(\bar o_t) \odot \tanh(c_t))

    Peepholes add :math:`p_i \odot c_{t-1}`, :math:`p_f \odot c_{t-1}` and :math:`p_o \odot c_t` to their gates' sums.
    `x (..., I)` and the state `(h (..., R), c (..., H))` give the next state.
    """
    h, c = state
    p_i, p_f, p_o = (None, None, None) if peephole is None else peephole.unbind()
    bars = _sums(x, W_ih, b_ih, norm_ih) + _sums(_masked(h, mask), W_hh, b_hh, norm_hh)
    i_bar, f_bar, g_bar, o_bar = bars.chunk(4, dim=-1)
    i_bar, f_bar = _peep(i_bar, p_i, c), _peep(f_bar, p_f, c)
    i, f, g = torch.sigmoid(i_bar), torch.sigmoid(f_bar), torch.tanh(g_bar)
    c = f * c + i * g
    o_bar = _peep(o_bar, p_o, c)
    o = torch.sigmoid(o_bar)
    h = o * torch.tanh(c if norm_c is None else layer_norm(c, c.shape[-1:], norm_c, bias_c, EPSILON))
    _note(seen, i_bar=i_bar, f_bar=f_bar, g_bar=g_bar, o_bar=o_bar, i=i, f=f, g=g, o=o, c=c)
    return (h if W_hr is None else linear(h, W_hr)), c


def gru_step(
    x: Tensor,
    h: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    *,
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    mask: Maybe = None,
    seen: Seen | None = None,
) -> Tensor:
    r"""One step of the gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) in the variant of cuDNN and torch, where
    the reset gate acts after the matrix product. Gates in the order r z n:

    .. math::
        (a^r, a^z, a^n)_t &= W_{ih} x_t + b_{ih} \qquad (u^r, u^z, u^n)_t = W_{hh} h_{t-1} + b_{hh} \\
        r_t &= \sigma(a^r_t + u^r_t) \qquad z_t = \sigma(a^z_t + u^z_t) \\
        n_t &= \tanh(a^n_t + r_t \odot u^n_t) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    `x (..., I)` and `h (..., H)` give the next `h (..., H)`.
    """
    a_r, a_z, a_n = _sums(x, W_ih, b_ih, norm_ih).chunk(3, dim=-1)
    u_r, u_z, u_n = _sums(_masked(h, mask), W_hh, b_hh, norm_hh).chunk(3, dim=-1)
    r_bar, z_bar = a_r + u_r, a_z + u_z
    r, z = torch.sigmoid(r_bar), torch.sigmoid(z_bar)
    n_bar = a_n + r * u_n
    n = torch.tanh(n_bar)
    _note(seen, r_bar=r_bar, z_bar=z_bar, n_bar=n_bar, r=r, z=z, n=n)
    return (1 - z) * n + z * h


def _sums(x: Tensor, W: Tensor, b: Maybe, gain: Maybe) -> Tensor:
    """`W x + b`; where there is a gain, the product is normalised first."""
    if gain is None:
        return linear(x, W, b)
    return layer_norm(linear(x, W), W.shape[:1], gain, b, EPSILON)


def _masked(h: Tensor, mask: Maybe) -> Tensor:
    return h if mask is None else h * mask


def _peep(bar: Tensor, p: Maybe, c: Tensor) -> Tensor:
    return bar if p is None else bar + p * c


def _note(seen: Seen | None, **numbers: Tensor) -> None:
    if seen is not None:
        seen.update(numbers)


def run(a: Arguments, trace: Trace | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The whole sequence: `y (T, B, R)` and the state's parts, h first."""
    weights: dict[str, Any] = {"W_ih": a.W_ih, "W_hh": a.W_hh, "b_ih": a.b_ih, "b_hh": a.b_hh}
    weights |= {"norm_ih": a.norm_ih, "norm_hh": a.norm_hh, "mask": a.mask}

    def step(x: Tensor, state: tuple[Tensor, ...], seen: Seen | None) -> tuple[Tensor, ...]:
        if a.cell == "gru":
            return (gru_step(x, *state, **weights, seen=seen),)
        if a.cell != "lstm":
            return (rnn_step(x, *state, **weights, nonlinearity=a.cell[4:], seen=seen),)
        more: dict[str, Any] = {"W_hr": a.W_hr, "peephole": a.peephole, "norm_c": a.norm_c, "bias_c": a.bias_c}
        return lstm_step(x, (state[0], state[1]), **weights, **more, seen=seen)

    sizes = [a.W_hh.shape[1], a.W_ih.shape[0] // 4] if a.cell == "lstm" else [a.W_hh.shape[1]]
    state = a.state or tuple(a.x.new_zeros(a.x.shape[1], size) for size in sizes)
    return _unroll(step, a, state, trace)


def _unroll(
    step: Callable[[Tensor, tuple[Tensor, ...], Seen | None], tuple[Tensor, ...]],
    a: Arguments,
    state: tuple[Tensor, ...],
    trace: Trace | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Repeats the step. Padding, resets and zoneout are solved here, once for all cells."""
    x, valid = a.x, None
    if a.lengths is not None:
        valid = torch.arange(x.shape[0], device=x.device)[:, None, None] < a.lengths.to(x.device)[:, None]
        # Zeroed, so that a NaN in the padding can't reach a gradient as 0 * NaN.
        x = x.masked_fill(~valid, 0)
    seen: list[Seen] | None = None if trace is None else []
    ys = []
    for t, x_t in enumerate(x.unbind(0)):
        before = state if a.reset is None else tuple(part.masked_fill(a.reset[t, :, None], 0) for part in state)
        if seen is not None:
            seen.append({})
        after = step(x_t, before, None if seen is None else seen[-1])
        after = tuple(
            _zoned(new, old, share, None if keep is None else keep[t])
            for new, old, share, keep in zip(
                after, before, (a.zoneout_h, a.zoneout_c), (a.keep_h, a.keep_c), strict=False
            )
        )
        if seen is not None:
            seen[-1]["y"], seen[-1]["state"] = after[0], after[-1]
        state = after if valid is None else tuple(map(torch.where, (valid[t],) * len(after), after, state))
        ys.append(after[0] if valid is None else after[0].masked_fill(~valid[t], 0))
    if trace is not None and seen is not None:
        _fill(trace, a.cell, seen, valid)
    return torch.stack(ys), state


def _zoned(new: Tensor, old: Tensor, share: float, keep: Maybe) -> Tensor:
    if keep is not None:
        return torch.where(keep, old, new)
    return new + share * (old - new) if share else new


def _fill(trace: Trace, cell: str, seen: list[Seen], valid: Maybe) -> None:
    def whole(name: str) -> Tensor:
        t = torch.stack([step[name].detach() for step in seen])
        return t if valid is None else t.masked_fill(~valid, 0)

    trace.gates = {letter: whole(letter) for letter in LETTERS[cell]}
    trace.bars = {letter: whole(f"{letter}_bar") for letter in LETTERS[cell]}
    trace.c = whole("state") if cell == "lstm" else None
    first = seen[0]["y"]
    squares = torch.zeros(len(seen), len(first), 2, dtype=first.dtype, device=first.device)

    def hook(t: int, part: int) -> Callable[[Tensor], None]:
        def note(gradient: Tensor) -> None:
            trace.squares = squares
            squares[t, :, part] = gradient.detach().square().sum(-1)

        return note

    for t, step in enumerate(seen):
        for part, name in enumerate(("y", "c") if cell == "lstm" else ("y",)):
            if step[name].requires_grad:
                step[name].register_hook(hook(t, part))


rnn, lstm, gru = cells(run)
