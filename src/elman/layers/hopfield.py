r"""The modern Hopfield network, whose retrieval is attention (Ramsauer et al. 2020, arXiv 2008.02217).

States and stored patterns are vectors of real numbers. For stored patterns `x_1 .. x_N`, the rows of X, and a state xi

    E(xi) = -lse(\beta, X xi) + \frac{1}{2} xi^T xi + \frac{1}{\beta} \ln N + \frac{1}{2} \max_i |x_i|^2    (equation 2)
    lse(\beta, z) = \frac{1}{\beta} \ln \sum_i \exp(\beta z_i)
    xi' = X^T softmax(\beta X xi)                                                                  (equation 3)

and no step raises E. One step with beta = 1 / sqrt(d) is the attention of a transformer: states are the queries, stored
patterns keys and values. The number of patterns that can be told apart grows exponentially with their length
(theorem 3); the polynomial and exponential energies before it are those of Krotov and Hopfield (2016) and of Demircigil
and others (2017).
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .checks import check_probability, check_sizes
from .padding import Lengths, check_lengths


class Hopfield(nn.Module):
    """States `(B, S, state_size)` read stored patterns `(B, N, stored_size)`, batch first: `(B, S, output_size)`.

    num_heads memories stand side by side, each of head_size numbers (default: state_size / num_heads), with learned
    projections of states, stored patterns and what is read of them; `projections=False` leaves them out, and what is
    stored is what is read.  beta: the inverse temperature (default: 1 / sqrt(head_size)).  steps: retrievals of the
    projected states, of which the last reads the values.  dropout: of the association while training.

    >>> memory = Hopfield(16, num_heads=4)
    >>> memory(torch.randn(2, 3, 16), torch.randn(2, 50, 16)).shape
    torch.Size([2, 3, 16])
    """

    def __init__(
        self,
        state_size: int,
        stored_size: int | None = None,
        *,
        num_heads: int = 1,
        head_size: int | None = None,
        output_size: int | None = None,
        projections: bool = True,
        bias: bool = True,
        beta: float | None = None,
        steps: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        owner = type(self).__name__
        stored_size = state_size if stored_size is None else stored_size
        check_sizes(owner, state_size=state_size, stored_size=stored_size, num_heads=num_heads, steps=steps)
        check_probability(dropout, "dropout", owner)
        if head_size is None and state_size % num_heads:
            raise ValueError(
                f"{owner}: expected state_size as a multiple of num_heads={num_heads}, found {state_size}; or give "
                "head_size"
            )
        head_size = state_size // num_heads if head_size is None else head_size
        check_sizes(owner, head_size=head_size)
        if not projections and (stored_size != state_size or head_size * num_heads != state_size):
            raise ValueError(
                f"{owner}: without projections states and stored patterns have one size, the heads' together, found "
                f"state_size={state_size}, stored_size={stored_size} and {num_heads} heads of {head_size}"
            )
        if not projections and output_size not in (None, state_size):
            raise ValueError(f"{owner}: without projections output_size is {state_size}, found {output_size}")
        self.state_size, self.stored_size, self.num_heads, self.head_size = (
            state_size,
            stored_size,
            num_heads,
            head_size,
        )
        self.output_size = state_size if output_size is None else output_size
        self.steps, self.dropout = steps, dropout
        self.beta = checked_beta(1 / sqrt(head_size) if beta is None else beta, owner)
        inner = num_heads * head_size
        self.project_state = nn.Linear(state_size, inner, bias) if projections else None
        self.project_stored = nn.Linear(stored_size, inner, bias) if projections else None
        self.project_value = nn.Linear(stored_size, inner, bias) if projections else None
        self.project_output = nn.Linear(inner, self.output_size, bias) if projections else None

    def forward(
        self, state: Tensor, stored: Tensor, *, lengths: Lengths | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """lengths `(B)`: how many of each row's stored patterns count.  mask `(B, N)`: true for those that do."""
        counted = self._counted(state, stored, lengths, mask)
        heads = [
            self._heads(x if project is None else project(x))
            for x, project in (
                (state, self.project_state),
                (_zeroed(stored, counted), self.project_stored),
                (_zeroed(stored, counted), self.project_value),
            )
        ]
        xi, keys, values = heads
        seen = None if counted is None else counted[:, None, None]
        for _ in range(self.steps - 1):
            xi = _step(xi, keys, keys, self.beta, seen)
        read = _step(xi, keys, values, self.beta, seen, self.dropout if self.training else 0.0)
        read = read.transpose(1, 2).flatten(2)
        return read if self.project_output is None else self.project_output(read)

    def retrieve(
        self,
        query: Tensor,
        stored: Tensor,
        *,
        steps: int | None = None,
        beta: float | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """`query (B, S, D)` after so many steps among `stored (B, N, D)`, by the equations alone: no projections.

        >>> memory, stored = Hopfield(2, projections=False), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> memory.retrieve(torch.tensor([[[0.6, 0.2]]]), stored, beta=20.0, steps=2).round(decimals=4)
        tensor([[[1., 0.]]])
        """
        owner = type(self).__name__
        if steps is not None:
            check_sizes(owner, steps=steps)
        counted = self._counted(query, stored, lengths, mask, same_size=True)
        stored, xi = _zeroed(stored, counted), query
        seen = None if counted is None else counted[:, None]
        for _ in range(self.steps if steps is None else steps):
            xi = _step(xi, stored, stored, self._beta(beta), seen)
        return xi

    def association(
        self,
        state: Tensor,
        stored: Tensor,
        *,
        beta: float | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """`(B, S, N)`: how much of each of `stored (B, N, D)` one step takes, by the equations alone; it sums to 1."""
        counted = self._counted(state, stored, lengths, mask, same_size=True)
        return _scores(state, _zeroed(stored, counted), self._beta(beta), counted).softmax(-1)

    def energy(
        self,
        state: Tensor,
        stored: Tensor,
        *,
        beta: float | None = None,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """`E (B, S)` of `state (B, S, D)` among `stored (B, N, D)`: never negative, and no retrieval raises it.

        >>> memory, stored = Hopfield(2, projections=False), torch.eye(2)[None]
        >>> memory.energy(stored, stored, beta=20.0)
        tensor([[0.0347, 0.0347]])
        """
        counted = self._counted(state, stored, lengths, mask, same_size=True)
        beta, stored = self._beta(beta), _zeroed(stored, counted)
        lse = _scores(state, stored, beta, counted).logsumexp(-1) / beta
        N = stored.new_full((len(stored),), stored.shape[1]) if counted is None else counted.sum(-1).to(stored)
        most = stored.square().sum(-1).amax(-1)
        return -lse + 0.5 * state.square().sum(-1) + (N.log() / beta + 0.5 * most)[:, None]

    def _beta(self, beta: float | None) -> float:
        return self.beta if beta is None else checked_beta(beta, type(self).__name__)

    def _heads(self, x: Tensor) -> Tensor:
        """`(B, S, heads * size)` to `(B, heads, S, size)`."""
        return x.unflatten(-1, (self.num_heads, self.head_size)).transpose(1, 2)

    def _counted(
        self, state: Tensor, stored: Tensor, lengths: Lengths | None, mask: Tensor | None, *, same_size: bool = False
    ) -> Tensor | None:
        """`(B, N)`, which stored patterns count, or None where all do; raises where shapes don't fit."""
        owner = type(self).__name__
        size = state.shape[-1] if same_size else self.stored_size
        if state.dim() != 3 or (not same_size and state.shape[2] != self.state_size):
            last = "D" if same_size else self.state_size
            raise ValueError(f"{owner}: expected states of shape (B, S, {last}), found {tuple(state.shape)}")
        if stored.dim() != 3 or stored.shape[2] != size or len(stored) != len(state) or not stored.shape[1]:
            raise ValueError(
                f"{owner}: expected stored patterns of shape ({len(state)}, N, {size}), one at least in each row, "
                f"found {tuple(stored.shape)}"
            )
        B, N = stored.shape[:2]
        if lengths is not None and mask is not None:
            raise ValueError(f"{owner}: expected lengths or mask, found both")
        if lengths is not None:
            mask = (
                torch.arange(N, device=stored.device) < check_lengths(lengths, N, B, owner).to(stored.device)[:, None]
            )
        if mask is None:
            return None
        if mask.dtype != torch.bool or mask.shape != (B, N):
            raise ValueError(
                f"{owner}: expected mask of torch.bool and shape {(B, N)}, found {mask.dtype} and {tuple(mask.shape)}"
            )
        if not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
            none = (~mask.any(-1)).nonzero()
            if len(none):
                raise ValueError(
                    f"{owner}: expected a stored pattern that counts in each row, found none in row {int(none[0])}"
                )
        return mask


class HopfieldLayer(Hopfield):
    """A memory of `patterns` stored patterns that are learned: `(B, S, state_size)` to `(B, S, output_size)`.

    >>> HopfieldLayer(8, 100)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, state_size: int, patterns: int, stored_size: int | None = None, **settings: object):
        super().__init__(state_size, stored_size, **settings)  # type: ignore[arg-type]
        check_sizes("HopfieldLayer", patterns=patterns)
        self.stored = nn.Parameter(torch.randn(patterns, self.stored_size) / sqrt(self.stored_size))

    def forward(self, state: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(state, self.stored.expand(len(state), -1, -1))


class HopfieldPooling(Hopfield):
    """Learned states read a set or a sequence `(B, N, size)`: `(B, queries * output_size)`.

    >>> HopfieldPooling(8)(torch.randn(2, 30, 8), lengths=[30, 4]).shape
    torch.Size([2, 8])
    """

    def __init__(self, size: int, queries: int = 1, **settings: object):
        super().__init__(size, **settings)  # type: ignore[arg-type]
        check_sizes("HopfieldPooling", queries=queries)
        self.query = nn.Parameter(torch.randn(queries, size) / sqrt(size))

    def forward(  # type: ignore[override]
        self, stored: Tensor, *, lengths: Lengths | None = None, mask: Tensor | None = None
    ) -> Tensor:
        query = self.query.expand(len(stored), -1, -1)
        return super().forward(query, stored, lengths=lengths, mask=mask).flatten(1)


def checked_beta(beta: float, owner: str) -> float:
    if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 < beta < float("inf"):
        raise ValueError(f"{owner}: expected beta as a positive number, found {beta!r}")
    return float(beta)


def _step(
    xi: Tensor, keys: Tensor, values: Tensor, beta: float, counted: Tensor | None, dropout: float = 0.0
) -> Tensor:
    return scaled_dot_product_attention(xi, keys, values, counted, dropout, scale=beta)


def _scores(state: Tensor, stored: Tensor, beta: float, counted: Tensor | None) -> Tensor:
    scores = beta * state @ stored.mT
    return scores if counted is None else scores.masked_fill(~counted[:, None], -torch.inf)


def _zeroed(stored: Tensor, counted: Tensor | None) -> Tensor:
    """Stored patterns that do not count are zero, so that a NaN in them reaches no result and no gradient."""
    return stored if counted is None else stored.masked_fill(~counted[..., None], 0)
