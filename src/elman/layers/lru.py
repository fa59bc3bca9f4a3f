"""The linear recurrent unit: a complex diagonal recurrence between two products."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from elman import kernels

from .padding import without_padding
from .recurrent import Parts, Recurrent, Weights

Maybe = Tensor | None


def lru(
    x: Tensor,
    h_0: Maybe,
    nu_log: Tensor,
    theta_log: Tensor,
    gamma_log: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    b_y: Maybe = None,
    *,
    lengths: Maybe = None,
    reset: Maybe = None,
    trace: kernels.Trace | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349, sections 3.2 to 3.4 and equation 7).

    .. math::
        \lambda &= \exp(-\exp(\nu^{log}) + i \exp(\theta^{log})) \qquad \gamma = \exp(\gamma^{log}) \\
        h_t &= \lambda \odot h_{t-1} + \gamma \odot (B x_t) \\
        y_t &= \operatorname{Re}(C h_t) + D x_t + b_y

    h, lambda, B and C are complex, and lie here as real numbers: `B (2 * H, I)` is the real part's rows above the
    imaginary part's, `C (H, 2 * H)` the real part's columns beside the imaginary part's, and so is a state's h.
    `D (H, I)`; `nu_log`, `theta_log`, `gamma_log` and `b_y` are `(H)`. `x (T, B, I)` and the state give `y (T, B, H)`
    and the state after each sequence's last step.
    """
    x = without_padding(x, lengths)
    size = torch.exp(-torch.exp(nu_log))
    angle = torch.exp(theta_log)
    lambda_ = torch.complex(size * torch.cos(angle), size * torch.sin(angle))
    # The normalisation scales the small B, not the long product; what is complex is real and imaginary part in turn.
    scaled = torch.exp(gamma_log)[:, None, None] * B.unflatten(0, (2, -1)).transpose(0, 1)
    b = torch.view_as_complex(linear(x, scaled.flatten(0, 1)).unflatten(-1, (-1, 2)))
    before = None if h_0 is None else torch.complex(*h_0.chunk(2, dim=-1))
    h, h_n = kernels.scan(lambda_, b, before, lengths=lengths, reset=reset, trace=trace)
    re, im = C.chunk(2, dim=-1)
    y = linear(torch.view_as_real(h).flatten(-2), torch.stack([re, -im], dim=-1).flatten(-2), b_y) + linear(x, D)
    return without_padding(y, lengths), torch.cat([h_n.real, h_n.imag], dim=-1)


class LRU(Recurrent):
    """The linear recurrent unit; equations in `lru`.

    Args:
        input_size ... learned_state: see `Recurrent`. H is the number of complex units and of y's numbers alike.
        r_min, r_max: lambda starts uniformly in the ring between these radii, from 0 to 1. A small hole, such as 0.9 to
            0.999, remembers longer.
        max_phase: and at angles from 0 to this.

    Forward takes and gives what `GRU` does, but for the state: one real tensor h `(L * D, B, 2 * H)`, the real parts,
    then the imaginary ones, which can be indexed, batched and saved like any other. Parameters: `nu_log_l0`,
    `theta_log_l0`, `gamma_log_l0 (H)`, `weight_ih_l0 (2 * H, I)` (B), `weight_ho_l0 (H, 2 * H)` (C), `weight_io_l0
    (H, I)` (D) and `bias_o_l0 (H)`, zero at first, which the paper does not have.

    The layer is linear from x to y. The paper puts a nonlinearity behind each; stacked without one (num_layers > 1)
    it learns no more functions than a single wide layer.

    >>> y, h = LRU(3, 4, r_min=0.9, r_max=0.999)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        learned_state: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(f"LRU: expected 0 <= r_min < r_max <= 1, found r_min={r_min} and r_max={r_max}")
        if max_phase <= 0:
            raise ValueError(f"LRU: expected max_phase above 0, found {max_phase}")
        self.r_min = r_min
        self.r_max = r_max
        self.max_phase = max_phase
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            learned_state=learned_state, device=device, dtype=dtype,
        )  # fmt: skip

    def reset_parameters(self) -> None:
        """As in the paper: lambda uniform on the ring's area, B and C normal with a variance of 1 / inputs, and gamma
        such that an input of white noise gives h a variance of about its own. A learned state is zero."""
        for name, parameter in self.named_parameters():
            if name == "h_0":
                nn.init.zeros_(parameter)
        for w in self._all_weights():
            I, H = w["weight_ih"].shape[1], self.hidden_size
            nn.init.normal_(w["weight_ih"], std=math.sqrt(1 / (2 * I)))
            nn.init.normal_(w["weight_ho"], std=math.sqrt(1 / H))
            nn.init.normal_(w["weight_io"], std=math.sqrt(1 / I))
            if self.bias:
                nn.init.zeros_(w["bias_o"])
            with torch.no_grad():
                # Kept off 0 and 1, of which the logarithms below are infinite.
                u = w["nu_log"].uniform_(1e-6, 1 - 1e-6)
                squared = self.r_min**2 + u * (self.r_max**2 - self.r_min**2)
                w["nu_log"].copy_(torch.log(-0.5 * torch.log(squared)))
                w["theta_log"].uniform_(1e-6, 1).mul_(self.max_phase).log_()
                w["gamma_log"].copy_(0.5 * torch.log1p(-squared))

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"r_min": 0.0, "r_max": 1.0, "max_phase": 2 * math.pi}

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        H = self.hidden_size
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("nu_log", "theta_log", "gamma_log"), (H,))
        shapes |= {"weight_ih": (2 * H, columns), "weight_ho": (H, 2 * H), "weight_io": (H, columns)}
        return shapes | ({"bias_o": (H,)} if self.bias else {})

    @property
    def output_size(self) -> int:
        return self._directions * self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (2 * self.hidden_size,)

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        y, h = lru(x, None if state is None else state[0], *weights.values(), **more)
        return y, (h,)
