"""An associative memory of patterns of any numbers: the modern Hopfield network (see `hopfield.py`) by itself."""

from dataclasses import dataclass, field
from math import log

import numpy as np
import torch
from torch import Tensor, nn

from .associative import SETTLED
from .hopfield import Hopfield
from .storage import Array

WHOLE = 1e-3  # a pattern that is shown whole leaves at most this share of the attention to all others together


@dataclass
class Association:
    """How B cues moved: `final (B, N)`, after `steps (B)`; `cycle (B)`: 1 where a state rests, 0 where time was up.

    states, energies and shares: `(B, N)`, `(B)` and the attention to each pattern `(B, P)`, first of the cues and then
    of what each step made of them.
    """

    final: Array
    steps: Array
    cycle: Array
    states: list[Array] = field(default_factory=list)
    energies: list[Array] = field(default_factory=list)
    shares: list[Array] = field(default_factory=list)


class DenseMemory(nn.Module):
    """`patterns (P, N)` of any numbers, as a buffer in float64.

    normalise: patterns and cues are compared without their mean pattern and at length 1, as on the sphere of the
    paper's theorem 3; else as they are, and then a long pattern draws all cues to itself.

    >>> memory = DenseMemory.storing(np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 1.0]]))
    >>> memory.settle(np.array([[0.8, 0.3, 2.0]]), beta=memory.usual_beta()).final.round(2)
    array([[1., 0., 3.]])
    """

    patterns: Tensor

    def __init__(self, units: int, patterns: int, *, normalise: bool = True):
        super().__init__()
        self.normalise = normalise
        self.register_buffer("patterns", torch.zeros(patterns, units, dtype=torch.float64))

    @classmethod
    def storing(cls, patterns: Array, *, normalise: bool = True) -> "DenseMemory":
        memory = cls(patterns.shape[1], len(patterns), normalise=normalise)
        memory.patterns.copy_(torch.from_numpy(patterns))
        return memory

    def compared(self, vectors: Array) -> Array:
        """`vectors (B, N)` as they are compared. What has no length, as the mean pattern itself, stays 0."""
        if not self.normalise:
            return vectors
        # A single pattern is its own mean: then nothing is taken off.
        apart = vectors - self.patterns.numpy().mean(axis=0) if len(self.patterns) > 1 else vectors
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        return np.divide(apart, length, out=np.zeros_like(apart), where=length > 0)

    def separation(self) -> Array:
        """(P): how much better each pattern fits itself than the other that fits it best (definition 2 of the paper).

        It is infinite for a single one; one of 0 or less is never recalled.
        """
        x = self.compared(self.patterns.numpy())
        alike = x @ x.T
        own = alike.diagonal().copy()
        np.fill_diagonal(alike, -np.inf)
        return own - alike.max(axis=1)

    def usual_beta(self) -> float:
        """So high that each pattern that can be recalled, shown whole, gets all but WHOLE of the attention."""
        apart = self.separation()
        apart = apart[np.isfinite(apart) & (apart > 1e-9)]
        return log((len(self.patterns) - 1) / WHOLE) / float(apart.min()) if len(apart) else 1.0

    def overlaps(self, states: Array) -> Array:
        """(B, P): the cosine between states and patterns as they are compared."""
        x, y = self.compared(states), self.compared(self.patterns.numpy())
        if not self.normalise:
            x, y = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-300) for v in (x, y))
        return x @ y.T

    def energy(self, states: Array, beta: float) -> Array:
        """`E (B)` of `states (B, N)`, as they are compared."""
        stored = torch.from_numpy(self.compared(self.patterns.numpy()))[None]
        return _network(stored).energy(torch.from_numpy(self.compared(states))[None], stored, beta=beta)[0].numpy()

    def settle(self, cues: Array, *, beta: float, steps: int = 20, record: bool = False) -> Association:
        """Let cues `(B, N)` move for at most so many `steps`. A state is the mean of the patterns by their shares."""
        patterns = self.patterns.numpy()
        stored = torch.from_numpy(self.compared(patterns))[None]
        network, xi = _network(stored), torch.from_numpy(self.compared(cues))[None]
        made = Association(cues.copy(), np.zeros(len(cues), int), np.zeros(len(cues), int))
        for step in range(steps + 1):
            shares = network.association(xi, stored, beta=beta)
            if record:
                made.states.append(made.final.copy())
                made.energies.append(network.energy(xi, stored, beta=beta)[0].numpy())
                made.shares.append(shares[0].numpy())
            after = shares @ stored
            restless = (after - xi).abs().amax(-1)[0].numpy() > SETTLED
            made.cycle[:] = ~restless
            # The first step is taken also where nothing moves: only what is read of the patterns is in their numbers.
            going = np.ones_like(restless) if step == 0 else restless
            if step == steps or not going.any():
                break
            xi = torch.where(torch.from_numpy(going)[None, :, None], after, xi)
            made.final[going] = shares[0].numpy()[going] @ patterns
            made.steps += going
        return made


def _network(stored: Tensor) -> Hopfield:
    return Hopfield(stored.shape[-1], projections=False)
