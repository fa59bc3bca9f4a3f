r"""Networks of N units, all coupled to all, that fall from a damaged pattern into the stored one.

Binary units are -1 or 1. A unit turns to the sign of its field

    h_i = \sum_j W_{ij} s_j - \theta_i,

and stays as it is where that is 0. For symmetric W with no negative diagonal, units that turn one after the other never
raise the energy

    E(s) = -\frac{1}{2} \sum_{ij} W_{ij} s_i s_j + \sum_i \theta_i s_i

(Hopfield 1982), so they come to rest. Where all turn at once (Amari 1972; Little 1974, with noise), what never rises is
`-s(t)^T W s(t-1) + \theta^T (s(t) + s(t-1))`: they come to rest or go to and fro between two states, and never in a
longer cycle (Goles, Fogelman and Pellegrin 1985).

Graded units are numbers between -1 and 1, V = tanh(beta u), and follow (Hopfield 1984, equations 5 and 7, with the time
constant 1)

    du_i/dt = -u_i + \sum_j W_{ij} V_j - \theta_i
    E(V) = -\frac{1}{2} \sum_{ij} W_{ij} V_i V_j + \sum_i \theta_i V_i + \sum_i \int_0^{V_i} artanh(v) / \beta dv.

Euler's step u - dt dE/dV is mirror descent with the integral term as its mirror map. The Hessian of E is at most
1 + beta max(0, -lambda) times that of the integral term, lambda the least eigenvalue of W, so no step with
dt <= 1 / (1 + beta max(0, -lambda)) raises E.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import eigsh
from scipy.special import xlogy
from torch import Tensor, nn

from .blas import one_thread_for
from .storage import RULES, Array

Storage = Literal["hebbian", "storkey", "pseudo-inverse"]
Update = Literal["asynchronous", "synchronous"]
Order = Literal["random", "sequential"]

BLOCK = 64  # units whose fields are kept up to date one by one before all others hear of it
SETTLED = 1e-7  # graded units have come to rest when no field moves by more in a step
DENSE = 400  # units up to which all eigenvalues are computed at once


Fall = tuple[int, Array, Array]  # a unit that turned, the states that it turned in, the change of their energies


@dataclass
class Path:
    """How B states moved: `final (B, N)`, after `steps (B)`; if it was recorded, `states[k] (B, N)` after k steps.

    cycle (B): 1 where a state rests, 2 where it goes to and fro, 0 where time was up.  falls: of each unit that turned
    in a sweep, in order.
    """

    now: Array
    steps: Array
    cycle: Array
    states: list[Array] | None
    falls: list[Fall] = field(default_factory=list)

    @classmethod
    def beginning(cls, S: Array, record: bool) -> "Path":
        """At states `S (N, B)`."""
        B = S.shape[1]
        return cls(S.copy(), np.zeros(B, int), np.zeros(B, int), [S.T.copy()] if record else None)

    def moved(self, which: Array, s: Array) -> None:
        """One step of the states `which`, to `s (N, len(which))`."""
        self.now[:, which] = s
        self.steps[which] += 1
        if self.states is not None:
            self.states.append(self.now.T.copy())

    @property
    def final(self) -> Array:
        return self.now.T


class AssociativeMemory(nn.Module):
    """`weight (N, N)`, `thresholds (N)` and the `patterns (P, N)` that they came from, as buffers in float64.

    >>> memory = AssociativeMemory.storing(np.array([[1.0, 1.0, -1.0, -1.0]]), "hebbian")
    >>> memory.settle(np.array([[1.0, -1.0, -1.0, -1.0]])).final
    array([[ 1.,  1., -1., -1.]])
    """

    weight: Tensor
    thresholds: Tensor
    patterns: Tensor

    def __init__(self, units: int, patterns: int):
        super().__init__()
        self.register_buffer("weight", torch.zeros(units, units, dtype=torch.float64))
        self.register_buffer("thresholds", torch.zeros(units, dtype=torch.float64))
        self.register_buffer("patterns", torch.zeros(patterns, units, dtype=torch.float64))

    @classmethod
    def storing(
        cls,
        patterns: Array,
        storage: Storage,
        *,
        thresholds: Array | None = None,
        self_coupling: bool = False,
    ) -> "AssociativeMemory":
        """A memory of patterns `(P, N)` of -1 and 1. Without `self_coupling` the diagonal of the weights is zero.

        A zero diagonal keeps what the projection stores, and makes its basins larger (Kanter and Sompolinsky 1987).
        """
        memory = cls(patterns.shape[1], len(patterns))
        with one_thread_for(patterns.shape[1]):
            weight = RULES[storage](patterns)
        if not self_coupling:
            np.fill_diagonal(weight, 0)
        memory.weight.copy_(torch.from_numpy((weight + weight.T) / 2))
        memory.patterns.copy_(torch.from_numpy(patterns))
        if thresholds is not None:
            memory.thresholds.copy_(torch.from_numpy(thresholds))
        return memory

    @property
    def W(self) -> Array:
        return self.weight.numpy()

    def fields(self, states: Array) -> Array:
        """`h (B, N)` of `states (B, N)`."""
        return states @ self.W - self.thresholds.numpy()

    def energy(self, states: Array) -> Array:
        """`E (B)` of binary `states (B, N)`."""
        theta = self.thresholds.numpy()
        return -0.5 * np.einsum("bn,bn->b", states, self.fields(states) - theta)

    def tie(self) -> float:
        """A field of no more than this is rounding, and turns no unit: a tie."""
        return 1e-10 * float(np.abs(self.W).sum(axis=1).max(initial=0))

    def stable(self, states: Array) -> Array:
        """(B): in which of binary `states (B, N)` no unit wants to turn."""
        return ~(self.fields(states) * states < -self.tie()).any(axis=1)

    def settle(
        self,
        states: Array,
        *,
        update: Update = "asynchronous",
        order: Order = "sequential",
        seed: int = 0,
        steps: int = 100,
        record: bool = False,
    ) -> Path:
        """Let binary `states (B, N)` move for at most so many `steps`: sweeps over all units, or all units at once.

        order: in which asynchronous units turn; a random one is drawn anew for each sweep from `seed`, alike for all
        states, so that no state depends on the others of its batch.
        """
        with one_thread_for(len(self.weight)):
            return self._settle(states, update, order, seed, steps, record)

    def _settle(self, states: Array, update: Update, order: Order, seed: int, steps: int, record: bool) -> Path:
        S = np.array(states.T, dtype=np.float64, order="C")
        path = Path.beginning(S, record)
        draw, tie = np.random.default_rng(seed), self.tie()
        moving, s, h, before = np.arange(S.shape[1]), S, self._fields(S), None
        for step in range(steps + 1):
            wants = h * s < -tie
            restless = wants.any(axis=0)
            path.cycle[moving[~restless]] = 1
            if before is not None:
                swings = restless & (np.where(wants, -s, s) == before).all(axis=0)
                path.cycle[moving[swings]] = 2
                restless &= ~swings
            moving = moving[restless]
            if not len(moving) or step == steps:
                break
            s, h = s[:, restless], h[:, restless]
            if update == "synchronous":
                before, s = s, np.where(wants[:, restless], -s, s)
                h = self._fields(s)
            else:
                units = draw.permutation(len(s)) if order == "random" else np.arange(len(s))
                self._sweep(s, h, units, tie, path.falls if record else None, moving)
            path.moved(moving, s)
        return path

    def _fields(self, S: Array) -> Array:
        """`h (N, B)` of `S (N, B)`."""
        h: Array = self.W @ S - self.thresholds.numpy()[:, None]
        return h

    def _sweep(self, s: Array, h: Array, order: Array, tie: float, falls: list[Fall] | None, names: Array) -> None:
        """Each unit once, in `order`: the states `s (N, B)` and their fields `h (N, B)` are changed in place.

        A block of units is brought up to date unit by unit, all others by one product at its end.
        """
        W = self.W
        for begin in range(0, len(order), BLOCK):
            units = order[begin : begin + BLOCK]
            now, field = s[units], h[units]
            if not (field * now < -tie).any():
                continue  # and none will, as long as no other unit of the block turns
            rows, change = W[units], np.zeros_like(now)
            coupled = rows[:, units]
            for k in range(len(units)):
                turns = field[k] * now[k] < -tie
                if not turns.any():
                    continue
                if falls is not None:
                    fall = 2 * now[k, turns] * field[k, turns] - 2 * coupled[k, k]
                    falls.append((int(units[k]), names[turns], fall))
                change[k] = np.where(turns, -2 * now[k], 0)
                now[k] += change[k]
                field += coupled[:, k, None] * change[k]
            s[units] = now
            turned = change.any(axis=0)
            h[:, turned] += rows.T @ change[:, turned]  # W is symmetric, and its rows are the faster to fetch

    # --- graded units ---

    def graded_energy(self, V: Array, beta: float) -> Array:
        """`E (B)` of `V (B, N)`, from -1 to 1; the integral of artanh is `V artanh V + ln(1 - V^2) / 2`."""
        inverse = np.where(np.abs(V) < 1, xlogy(1 + V, 1 + V) + xlogy(1 - V, 1 - V), 2 * np.log(2)) / 2
        return self.energy(V) + inverse.sum(axis=1) / beta

    def largest_step(self, beta: float) -> float:
        """The longest step of Euler's with which the energy of graded units can't rise."""
        W = self.W
        if not W.any():
            return 1.0
        least = eigvalsh(W)[0] if len(W) <= DENSE else 1.001 * eigsh(W, 1, which="SA", tol=1e-4)[0][0]
        return float(1 / (1 + beta * max(0.0, -least)))

    def settle_graded(
        self, u: Array, *, beta: float, time_step: float | None = None, steps: int = 1000, record: bool = False
    ) -> Path:
        """Let graded units move from `u (B, N)` in steps of Euler's; `final` and `states` are V = tanh(beta u)."""
        dt = self.largest_step(beta) if time_step is None else time_step
        u = np.array(u.T, dtype=np.float64)
        path = Path.beginning(np.tanh(beta * u), record)
        moving = np.arange(u.shape[1])
        for _ in range(steps):
            change = dt * (self._fields(np.tanh(beta * u)) - u)
            restless = np.abs(change).max(axis=0) > SETTLED
            path.cycle[moving[~restless]] = 1
            moving, u = moving[restless], (u + change)[:, restless]
            if not len(moving):
                break
            path.moved(moving, np.tanh(beta * u))
        return path
