"""Backpropagation through time in stretches: the state is carried from one to the next, the gradient is not.

A sequence of any length is trained on so, in memory for one stretch (truncated BPTT; Williams and Peng 1990,
doi:10.1162/neco.1990.2.4.490): `elman.data.batching` cuts it, and `train(..., carry=True)` carries the state.
"""

from typing import Any

from torch import Tensor

State = Any  # None, a tensor, or a tuple of states


def detached(state: State) -> State:
    """The same state, from which no gradient goes further back.

    >>> import torch
    >>> h = torch.ones(1, requires_grad=True) * 2
    >>> [part.requires_grad for part in detached((h, (h, h)))[1]]
    [False, False]
    """
    if isinstance(state, Tensor):
        return state.detach()
    return None if state is None else tuple(detached(part) for part in state)


def tensors_of(state: State, name: str = "state") -> dict[str, Tensor]:
    """The state's tensors by where they stand in it, as a checkpoint keeps them.

    >>> import torch
    >>> sorted(tensors_of((torch.ones(1), (torch.ones(2),))))
    ['state.0', 'state.1.0']
    """
    if isinstance(state, Tensor):
        return {name: state}
    return {k: v for i, part in enumerate(state or ()) for k, v in tensors_of(part, f"{name}.{i}").items()}


def state_of(tensors: dict[str, Tensor], name: str = "state") -> State:
    """The state whose `tensors_of` these are.

    >>> import torch
    >>> state_of(tensors_of((torch.ones(1), (torch.zeros(1),))))
    (tensor([1.]), (tensor([0.]),))
    """
    if not tensors or name in tensors:
        return tensors.get(name)
    count = 1 + max(int(k[len(name) + 1 :].split(".")[0]) for k in tensors)
    own = [{k: v for k, v in tensors.items() if f"{k}.".startswith(f"{name}.{i}.")} for i in range(count)]
    return tuple(state_of(part, f"{name}.{i}") for i, part in enumerate(own))
