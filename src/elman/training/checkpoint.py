"""The state of a training run in one file, enough to go on to the same numbers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.files import read_tensors, write_tensors


@dataclass
class Progress:
    """Where a run stands, and what it needs to know of its past."""

    step: int = 0  # optimiser steps done
    epoch: int = 0  # the running epoch
    batch: int = 0  # batches of it done
    loss_sum: float = 0.0  # over those batches
    ceiling: float = 0.0  # the largest loss of the first steps
    best: float = float("inf")  # validation loss
    best_epoch: int = -1
    seconds: float = 0.0


def save_checkpoint(
    path: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer, best: dict[str, Tensor]
) -> None:
    """Write everything that the next step depends on, the random numbers to come included, whole or not at all."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items() if v is not None}
    tensors["random"] = torch.get_rng_state()
    # Infinities are no JSON: `best` before the first validation is left out.
    known = {k: v for k, v in asdict(progress).items() if v != float("inf")}
    write_tensors(path, tensors, {"optimizer": type(optimizer).__name__, "progress": known})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    """Fill `model`, `optimizer` and torch's random state from `path`; return the progress and the best weights."""
    tensors, note = read_tensors(path)
    try:
        if note["optimizer"] != type(optimizer).__name__:
            raise ValueError(f"it was written with {note['optimizer']}, and this run has {type(optimizer).__name__}")
        progress, random = Progress(**note["progress"]), tensors.pop("random")
        parts: dict[str, Any] = {"model": {}, "best": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = tensor
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        torch.set_rng_state(random)
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path} does not belong to this run: {' '.join(str(error).split())}") from None
    return progress, parts["best"]
