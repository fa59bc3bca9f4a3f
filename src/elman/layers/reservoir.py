"""The reservoir of an echo state network: a fixed, random, sparse recurrent layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from elman import kernels
from elman.errors import InputError

from .plasticity import adapted
from .recurrent import Parts, Recurrent, Weights, parameter_name
from .topology import TOPOLOGIES, orthogonal, scaled, spectral_radius

CONNECTIONS = 10  # that a unit has by default
Scaling = float | Sequence[float]


class Reservoir(Recurrent):
    """A fixed, random recurrent layer; equation in `kernels.reservoir_reference`. Only a readout of it is trained.

    Its weights are buffers, not parameters. Forward takes and gives what `RNN` does, but that y holds the states of all
    layers side by side: a deep reservoir, each layer of which reads the one below (Gallicchio et al. 2017,
    doi:10.1016/j.neucom.2016.12.089). A trace holds the states; there are no gates. An output that feeds back is an
    input like others: give its columns a scaling of their own.

    Args:
        input_size, hidden_size: I, and N units in each layer.
        num_layers, bias, batch_first, dropout, bidirectional: see `Recurrent`.
        leak: the share of a state that is new at each step, above 0 up to 1; several, where each group has its own.
        spectral_radius: of W of each group and layer, above 0. Below 1 a state usually forgets where it began from.
        input_scaling: the weights of inputs are uniform between minus and plus this; several, one for each input. What
            a layer reads from the one below has weights of this over the root of their number.
        bias_scaling: the same of the biases.
        connections: that each unit has from others (default: 10, or all where there are fewer).
        density: the share of all possible connections; instead of `connections`.
        topology: "random", "ring", "small-world" or "block"; see `topology.places`.
        groups: so many reservoirs side by side, which share the units evenly and know nothing of each other.
        variant: "leaky", or "es2n", whose old state is turned by a random orthogonal matrix (arXiv 2308.02902): it
            remembers longer, at a cost of N * N a step, and the leak is its proximity.
        seed: of the weights. None: drawn from torch's random numbers.

    Raises InputError for values out of range, and where no connection is left.

    >>> reservoir = Reservoir(3, 50, num_layers=2, spectral_radius=0.9, leak=0.3, seed=1)
    >>> y, h = reservoir(torch.randn(7, 2, 3))
    >>> y.shape, h.shape, len(list(reservoir.parameters()))
    (torch.Size([7, 2, 100]), torch.Size([2, 2, 50]), 0)
    """

    letters: ClassVar[str] = "h"

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
        leak: Scaling = 1.0,
        spectral_radius: float = 0.9,
        input_scaling: Scaling = 1.0,
        bias_scaling: float = 0.2,
        connections: int | None = None,
        density: float | None = None,
        topology: str = "random",
        groups: int = 1,
        variant: str = "leaky",
        seed: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.leak, self.spectral_radius, self.input_scaling = leak, spectral_radius, input_scaling
        self.bias_scaling, self.connections, self.density = bias_scaling, connections, density
        self.topology, self.groups, self.variant = topology, groups, variant
        self.seed = int(torch.randint(2**53, (), device="cpu")) if seed is None else seed
        self._where: dict[str, Any] = {"device": device, "dtype": dtype}
        self._ready: dict[int, tuple[tuple[Any, ...], list[_Part]]] = {}
        self._check(input_size, hidden_size)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )

    def reset_parameters(self) -> None:
        """Draws all weights anew from the seed: the same on every machine, but for the last digits of the scaling."""
        where = {name: given for name, given in self._where.items() if given is not None}
        like = torch.empty(0, **where)
        random = np.random.default_rng(self.seed)
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else self._directions * self.hidden_size
            scaling = self.input_scaling if layer == 0 else float(np.max(self.input_scaling)) / columns**0.5
            for direction in range(self._directions):
                # A model that is being loaded is on the meta device, and brings its own numbers.
                made = self._shaped(columns) if like.is_meta else self._drawn(columns, scaling, random)
                for kind, values in made.items():
                    numbers = torch.as_tensor(values, device=like.device)
                    buffer = numbers.to(like.dtype) if numbers.is_floating_point() else numbers
                    self.register_buffer(parameter_name(kind, layer, direction), buffer)

    @property
    def output_size(self) -> int:
        """How many numbers y has a step: the units of all layers and directions."""
        return self.num_layers * self._directions * self.hidden_size

    @property
    def leaks(self) -> list[float]:
        """Of each group."""
        leak = self.leak
        return [float(leak)] * self.groups if isinstance(leak, int | float) else [float(a) for a in leak]

    @torch.no_grad()
    def adapt(
        self, x: Tensor, *, epochs: int = 1, mean: float = 0.0, spread: float = 0.2, rate: float = 2e-4
    ) -> "Reservoir":
        """Let each unit's gain and bias adapt to `x`, so that its values become normal with this mean and spread.

        Intrinsic plasticity (Schrauwen et al. 2008, doi:10.1016/j.neucom.2007.12.020, equations 8 and 9), layer by
        layer, over all steps of x in turn, `epochs` times. Gains end up in the weights, so that the spectral radius is
        no longer what it was: see `spectral_radii`. Of "es2n" it adapts what enters its tanh.
        """
        if spread <= 0 or rate <= 0 or epochs < 1:
            raise InputError(
                f"expected spread and rate above 0 and at least one epoch; found {spread}, {rate}, {epochs}"
            )
        if self.bidirectional:
            raise InputError("intrinsic plasticity adapts a reservoir of one direction; this one has two")
        x = x.unsqueeze(1) if x.dim() == 2 else x.transpose(0, 1) if self.batch_first else x
        for layer in range(self.num_layers):
            weights = self._weights(layer, 0)
            leaks = np.repeat(self.leaks, self._group_sizes)
            W_in, values, b = adapted(
                x.double().numpy(),
                {name: t.numpy() for name, t in weights.items()},
                leaks,
                epochs=epochs,
                mean=mean,
                spread=spread,
                rate=rate,
            )
            for name, new in (("weight_ih", W_in), ("values", values), ("bias", b)):
                weights[name].copy_(torch.from_numpy(new))
            x = self.one_layer(layer, x.to(self._dtype))
        return self

    def spectral_radii(self) -> list[float]:
        """What the spectral radius of W is, of each layer and direction."""
        return [spectral_radius(_sparse(weights, self.hidden_size)) for weights in self._all_weights()]

    def matrix(self, index: int = 0) -> Any:
        """W of a layer and direction, as scipy's sparse array (N, N)."""
        return _sparse(self._all_weights()[index], self.hidden_size)

    def _sequence(
        self,
        x: Tensor,
        state: Parts | None,
        weights: Weights,
        *,
        lengths: Tensor | None,
        reset: Tensor | None,
        trace: kernels.Trace | None,
    ) -> tuple[Tensor, Parts]:
        h = None if state is None else state[0]
        x = x.contiguous()
        results = [
            kernels.reservoir(
                x,
                None if h is None else h[:, part.units].contiguous(),
                part.weights,
                leak=part.leak,
                lengths=lengths,
                reset=reset,
                turn=part.turn,
            )
            for part in self._parts_of(weights)
        ]
        y, h_n = results[0] if len(results) == 1 else (torch.cat(t, dim=-1) for t in zip(*results, strict=True))
        return y, (h_n,)

    def _parts_of(self, weights: Weights) -> "list[_Part]":
        """The groups with their packed weights; those of one leak are run as one."""
        index = next(k for k, own in enumerate(self._all_weights()) if own["weight_ih"] is weights["weight_ih"])
        key = tuple((t, t._version) for t in weights.values())
        held = self._ready.get(index)
        if held is None or any(a[0] is not b[0] or a[1] != b[1] for a, b in zip(held[0], key, strict=True)):
            held = self._ready[index] = key, list(self._packed(weights))
        return held[1]

    def _packed(self, weights: Weights) -> "Iterator[_Part]":
        leaks, ends = self.leaks, np.cumsum([0, *self._group_sizes])
        together = len(set(leaks)) == 1
        for k in range(1 if together else self.groups):
            units = slice(0, self.hidden_size) if together else slice(int(ends[k]), int(ends[k + 1]))
            size = units.stop - units.start
            own = (weights["rows"] >= units.start) & (weights["rows"] < units.stop)
            places = torch.stack([weights["rows"][own], weights["columns"][own]]) - units.start
            W = torch.sparse_coo_tensor(
                places, weights["values"][own], (size, size), check_invariants=False, is_coalesced=False
            )
            bias = weights["bias"][units] if self.bias else None
            turn = weights["turn"][units, units].contiguous() if self.variant == "es2n" else None
            yield _Part(units, leaks[k], kernels.ReservoirWeights(weights["weight_ih"][units], W, bias), turn)

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        return {}  # of parameters, of which it has none

    def _shaped(self, columns: int) -> dict[str, Any]:
        """What `_drawn` gives, of the same shapes."""
        N, entries = self.hidden_size, sum(map(self._entries, self._group_sizes))
        made: dict[str, Any] = {"weight_ih": np.zeros((N, columns)), "rows": np.zeros(entries, dtype=np.int64)}
        made |= {"columns": made["rows"], "values": np.zeros(entries), "bias": np.zeros(N)}
        return made | ({"turn": np.zeros((N, N))} if self.variant == "es2n" else {})

    def _drawn(self, columns: int, scaling: Scaling, random: np.random.Generator) -> dict[str, Any]:
        N, sizes = self.hidden_size, self._group_sizes
        parts = [scaled(n, self._entries(n), self.spectral_radius, self.topology, random) for n in sizes]
        firsts = np.cumsum([0, *sizes[:-1]])
        made = {
            "weight_ih": random.uniform(-1, 1, (N, columns)) * np.asarray(scaling, dtype=np.float64),
            "rows": np.concatenate([W.coords[0] + first for W, first in zip(parts, firsts, strict=True)]),
            "columns": np.concatenate([W.coords[1] + first for W, first in zip(parts, firsts, strict=True)]),
            "values": np.concatenate([W.data for W in parts]),
            "bias": random.uniform(-1, 1, N) * self.bias_scaling,
        }
        made |= {name: made[name].astype(np.int64) for name in ("rows", "columns")}
        if self.variant == "es2n":
            made["turn"] = np.zeros((N, N))
            for n, first in zip(sizes, firsts, strict=True):
                made["turn"][first : first + n, first : first + n] = orthogonal(n, random)
        return made

    @property
    def _group_sizes(self) -> list[int]:
        return [len(part) for part in np.array_split(np.arange(self.hidden_size), self.groups)]

    def _entries(self, N: int) -> int:
        """How many connections a group of N units has."""
        if self.topology == "ring":
            return N
        if self.density is None:
            return N * min(self.connections or CONNECTIONS, max(1, N - 1))
        return min(round(self.density * N * N), N * max(1, N - 1))

    def _weights(self, layer: int, direction: int) -> Weights:
        kinds = ("weight_ih", "rows", "columns", "values", "bias", *(("turn",) if self.variant == "es2n" else ()))
        return {kind: getattr(self, parameter_name(kind, layer, direction)) for kind in kinds}

    def _said(self, given: list[Tensor]) -> Tensor:
        return given[0] if len(given) == 1 else torch.cat(given, dim=-1)

    @property
    def _dtype(self) -> torch.dtype:
        return self.get_buffer(parameter_name("weight_ih", 0, 0)).dtype

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {
            "leak": 1.0, "spectral_radius": 0.9, "input_scaling": 1.0, "bias_scaling": 0.2, "connections": None,
            "density": None, "topology": "random", "groups": 1, "variant": "leaky",
        }  # fmt: skip

    def _check(self, input_size: int, hidden_size: int) -> None:
        for name, choices in (("topology", TOPOLOGIES), ("variant", ("leaky", "es2n"))):
            if getattr(self, name) not in choices:
                raise InputError(f"{name}={getattr(self, name)!r} is not known; it is one of {', '.join(choices)}")
        if not self.spectral_radius > 0 or not np.isfinite(self.spectral_radius):
            raise InputError(
                f"spectral_radius={self.spectral_radius!r}: a number above 0 was expected. With 0 no state would reach "
                "the next step; for a network without recurrence, take variant='nvar' or an mlp"
            )
        if not isinstance(self.groups, int) or not 1 <= self.groups <= max(1, hidden_size):
            raise InputError(f"groups={self.groups!r}: from 1 to the {hidden_size} units was expected")
        if len(self.leaks) != self.groups or not all(0 < leak <= 1 for leak in self.leaks):
            raise InputError(
                f"leak={self.leak!r}: a number above 0 up to 1 was expected, or one for each of {self.groups} groups"
            )
        if np.ndim(self.input_scaling) and np.shape(self.input_scaling) != (input_size,):
            raise InputError(
                f"input_scaling={self.input_scaling!r}: one number was expected, or one for each of {input_size} inputs"
            )
        if self.connections is not None and self.density is not None:
            raise InputError(f"connections={self.connections} and density={self.density} say the same; give one")
        if self.density is not None and not 0 < self.density <= 1:
            raise InputError(f"density={self.density!r}: a share above 0 up to 1 was expected")
        if self.connections is not None and (not isinstance(self.connections, int) or self.connections < 1):
            raise InputError(f"connections={self.connections!r}: a whole number of at least 1 was expected")
        size = hidden_size // self.groups
        if size > 0 and self._entries(size) == 0:
            raise InputError(
                f"density={self.density} of {size} x {size} connections is none, so low that the reservoir is empty. "
                f"Take at least {1 / size:.2g}, one connection a unit"
            )


@dataclass(frozen=True)
class _Part:
    """Units that are run as one."""

    units: slice
    leak: float
    weights: kernels.ReservoirWeights
    turn: Tensor | None


def _sparse(weights: Weights, N: int) -> Any:
    places = weights["rows"].numpy(), weights["columns"].numpy()
    return sparse.csr_array((weights["values"].double().numpy(), places), shape=(N, N))
