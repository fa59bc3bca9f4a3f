r"""Cells whose gates look at the input alone, as obvious PyTorch: what `gated_native.py` is held to, and its fallback.

Each is a diagonal linear recurrence, :math:`h_t = a_t \odot h_{t-1} + b_t`, whose a and b are functions of the sums
:math:`p_t = W_{ih} x_t + b_{ih}`, element by element. A function here gives a and b `(..., H)` from `p (..., G * H)`,
and the squashed gates by letter. Past and future are the business of `scan_reference.py`: so a step, a chunk with a
carried state and the whole sequence are the same function.

`positive` chooses the candidate's :math:`g`: the identity, or, as where logarithms of it are taken, what its paper has
in appendix B, :math:`g(v) = v + 0.5` for :math:`v \ge 0` and :math:`\sigma(v)` below.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Coefficients = tuple[Tensor, Tensor, dict[str, Tensor]]

BLOCKS = {"mingru": 2, "mingru_positive": 2, "minlstm": 3, "minlstm_positive": 3, "rglru": 3}
"""Blocks of H sums; in the order of csrc/kernels.h."""
LETTERS = {"mingru": "zn", "minlstm": "ifg", "rglru": "riu"}


def mingru(p: Tensor, *, positive: bool = False) -> Coefficients:
    r"""The minimal gated recurrent unit (Feng et al. 2024, "Were RNNs all we needed?", arXiv 2410.01201, section 3.1).

    .. math::
        (\bar z, \bar n)_t &= W_{ih} x_t + b_{ih} \\
        z_t &= \sigma(\bar z_t) \qquad n_t = g(\bar n_t) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t
    """
    z_bar, n_bar = p.unflatten(-1, (2, -1)).unbind(-2)
    z, n = torch.sigmoid(z_bar), candidate(n_bar, positive)
    return 1 - z, z * n, {"z": z, "n": n}


def minlstm(p: Tensor, *, positive: bool = False) -> Coefficients:
    r"""The minimal long short-term memory (Feng et al. 2024, arXiv 2410.01201, section 3.2), gates normalised to one.

    .. math::
        (\bar i, \bar f, \bar g)_t &= W_{ih} x_t + b_{ih} \\
        i_t &= \frac{\sigma(\bar i_t)}{\sigma(\bar i_t) + \sigma(\bar f_t)} \qquad f_t = 1 - i_t \\
        h_t &= f_t \odot h_{t-1} + i_t \odot g(\bar g_t)

    i_t is computed as :math:`\sigma(\log\sigma(\bar i_t) - \log\sigma(\bar f_t))`, the same number without a division
    of zero by zero.
    """
    i_bar, f_bar, g_bar = p.unflatten(-1, (3, -1)).unbind(-2)
    i, g = torch.sigmoid(logsigmoid(i_bar) - logsigmoid(f_bar)), candidate(g_bar, positive)
    f = 1 - i
    return f, i * g, {"i": i, "f": f, "g": g}


def rglru(p: Tensor, decay: Tensor) -> Coefficients:
    r"""The real-gated linear recurrent unit of Griffin (De et al. 2024, arXiv 2402.19427, section 2.4).

    .. math::
        (\bar r, \bar i, u)_t &= W_{ih} x_t + b_{ih} \\
        r_t &= \sigma(\bar r_t) \qquad i_t = \sigma(\bar i_t) \\
        a_t &= \exp(-c \operatorname{softplus}(\Lambda) \odot r_t) \\
        h_t &= a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot u_t)

    `decay (H)` is :math:`-c \operatorname{softplus}(\Lambda)`. The paper's unit has as many inputs as units and takes
    them as they are; where :math:`u_t = x_t` this is it.
    """
    r_bar, i_bar, u = p.unflatten(-1, (3, -1)).unbind(-2)
    r, i = torch.sigmoid(r_bar), torch.sigmoid(i_bar)
    log_a = decay * r
    a = torch.exp(log_a)
    # 1 - a^2 without cancellation; the root's slope must stay finite where r is so small that a is 1.
    b = torch.sqrt(-torch.expm1(2 * log_a).clamp(max=-torch.finfo(a.dtype).tiny)) * (i * u)
    return a, b, {"r": r, "i": i, "u": u}


def candidate(v: Tensor, positive: bool) -> Tensor:
    return torch.where(v >= 0, v + 0.5, torch.sigmoid(v)) if positive else v


def coefficients(cell: str, p: Tensor, decay: Tensor | None = None) -> Coefficients:
    """Those of a cell of `BLOCKS`."""
    name, _, positive = cell.partition("_")
    if decay is not None:
        return rglru(p, decay)
    cells: dict[str, Callable[..., Coefficients]] = {"mingru": mingru, "minlstm": minlstm}
    return cells[name](p, positive=bool(positive))
