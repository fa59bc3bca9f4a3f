"""The state of a training run in one file, enough to go on to the same numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.files import read_tensors, write_tensors

Group = dict[str, Tensor]


@dataclass
class Progress:
    """Where a run stands, and what it needs to know of its past."""

    step: int = 0  # optimiser steps done
    epoch: int = 0  # the running epoch
    batch: int = 0  # batches of it done
    loss_sum: float = 0.0  # over those batches, each times its weight
    weight_sum: float = 0.0
    ceiling: float = 0.0  # the largest loss of the first steps
    best: float = float("inf")  # validation loss
    best_epoch: int = -1
    val_losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


def save_checkpoint(
    path: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer, groups: Mapping[str, Group]
) -> None:
    """Write everything that the next step depends on, whole or not at all.

    groups: what else the run holds, by names without a dot: the best weights, their average, the random numbers to
    come.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items() if v is not None}
    for name, group in groups.items():
        tensors |= {f"{name}.{k}": v for k, v in group.items()}
    # Infinities are no JSON: `best` before the first validation is left out.
    known = {k: v for k, v in asdict(progress).items() if v != float("inf")}
    write_tensors(path, tensors, {"optimizer": type(optimizer).__name__, "progress": known})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Group]]:
    """Fill `model` and `optimizer` from `path`; return the progress and the groups, without those that were empty."""
    tensors, note = read_tensors(path)
    try:
        if note["optimizer"] != type(optimizer).__name__:
            raise ValueError(f"it was written with {note['optimizer']}, and this run has {type(optimizer).__name__}")
        progress = Progress(**note["progress"])
        groups: dict[str, Any] = {}
        for name, tensor in tensors.items():
            group, _, key = name.partition(".")
            groups.setdefault(group, {})[key] = tensor
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups.pop("optimizer", {}).items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        model.load_state_dict(groups.pop("model"))
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path} does not belong to this run: {' '.join(str(error).split())}") from None
    return progress, groups
