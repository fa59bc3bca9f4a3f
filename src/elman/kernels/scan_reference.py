r"""The diagonal linear recurrence as obvious PyTorch: what `scan_native.py` is held to, and its fallback.

.. math:: h_t = a_t \odot h_{t-1} + b_t

over `b (T, B, H)`, with `a (T, B, H)`, or `a (H)` for all steps and sequences, real or complex. `h_0 (B, H)` is the
state before the first step (None: zeros); `lengths (B)` are whole numbers from 0 to T (None: all T); `reset (T, B)` is
true where the state is zero before that step (None: nowhere).
"""

import torch
from torch import Tensor


def scan_step(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """One step: `a` and `b` of that step and the state before it, `(..., H)` each, give the next state."""
    return a * h + b


def scan(
    a: Tensor, b: Tensor, h_0: Tensor | None = None, *, lengths: Tensor | None = None, reset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`h (T, B, H)`, zero past a sequence's length, and the state of each sequence's last step."""
    h = torch.zeros_like(b[0]) if h_0 is None else h_0
    valid = _valid(b, lengths)
    if valid is not None:  # zeroed, so that a NaN in the padding can't reach a gradient as 0 * NaN
        b = b.masked_fill(~valid, 0)
        a = a if a.dim() == 1 else a.masked_fill(~valid, 0)
    hs = []
    for t, (a_t, b_t) in enumerate(zip(a.expand_as(b).unbind(0), b.unbind(0), strict=True)):
        before = h if reset is None else h.masked_fill(reset[t, :, None], 0)
        after = scan_step(a_t, b_t, before)
        h = after if valid is None else torch.where(valid[t], after, h)
        hs.append(after if valid is None else after.masked_fill(~valid[t], 0))
    return torch.stack(hs), h


def scan_backward(
    a: Tensor,
    h: Tensor,
    h_0: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    dh: Tensor | None,
    dh_n: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """dL/da, dL/db and dL/dh_0 from dL/dh and dL/dh_n (None: zeros), `h` being the result of `scan`."""
    before = torch.cat([(torch.zeros_like(h[0]) if h_0 is None else h_0)[None], h[:-1]])
    if reset is not None:
        before = before.masked_fill(reset[..., None], 0)
    valid = _valid(h, lengths)
    carry = torch.zeros_like(h[0]) if dh_n is None else dh_n
    das, dbs = [], []
    for t in reversed(range(h.shape[0])):
        g = carry if dh is None else dh[t] + carry
        back = (a if a.dim() == 1 else a[t]).conj() * g
        if reset is not None:
            back = back.masked_fill(reset[t, :, None], 0)
        da = before[t].conj() * g
        if valid is not None:
            back, g, da = torch.where(valid[t], back, carry), g.masked_fill(~valid[t], 0), da.masked_fill(~valid[t], 0)
        carry = back
        das.append(da)
        dbs.append(g)
    da, db = torch.stack(das[::-1]), torch.stack(dbs[::-1])
    return da.sum((0, 1)) if a.dim() == 1 else da, db, carry


def _valid(b: Tensor, lengths: Tensor | None) -> Tensor | None:
    """`(T, B, 1)`: which steps lie within their sequence."""
    if lengths is None:
        return None
    return torch.arange(b.shape[0], device=b.device)[:, None, None] < lengths.to(b.device)[:, None]
