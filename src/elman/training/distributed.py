"""More than one process on one training: who takes which part of a batch, and what they tell each other.

`torchrun --nproc-per-node 2 -m elman fit ...` starts the same program in each process. All hold the same weights; each
works through its share of every batch, and before a step the gradients are summed over all, weighed by what each loss
is a mean over. So the step is that of one process with the whole batch, whatever the shares, to rounding.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from elman.errors import TrainingError

SequenceT = TypeVar("SequenceT", Tensor, Sequence[object])


@dataclass(frozen=True)
class World:
    """This process among all that train together: its `rank`, from 0, of `size`. Alone, all of this does nothing.

    >>> alone = World()
    >>> alone.first, alone.share([5, 6, 7])
    (True, [5, 6, 7])
    >>> World(1, 2).share([5, 6, 7])
    [6]
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, items: SequenceT) -> SequenceT:
        """What this process takes of `items`; the shares of all processes are all of them, each once."""
        return items[self.rank :: self.size]

    def sum(self, *numbers: float) -> list[float]:
        """Each number, summed over all processes."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        with _together(self):
            dist.all_reduce(total)
        return total.tolist()

    def mean(self, value: float, weight: float) -> float:
        """The mean of `value` over all processes, each weighed by how much its value is a mean of."""
        total, weights = self.sum(value * weight if weight else 0.0, weight)
        return total / weights if weights else float("nan")

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Every gradient becomes its sum over the processes that have it; None where no process has."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(p.dtype for p in parameters):  # one message for all of a kind
            own = [p for p in parameters if p.dtype == dtype]
            has = torch.tensor([p.grad is not None for p in own], dtype=dtype)
            message = torch.cat([has, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in own)])
            with _together(self):
                dist.all_reduce(message)
            has, *sums = message.split([len(own), *(p.numel() for p in own)])
            for p, any_has, part in zip(own, has.tolist(), sums, strict=True):
                p.grad = part.view_as(p) if any_has else None

    def agree(self, model: nn.Module) -> None:
        """Give every process the weights of the first."""
        if self.size > 1:
            with _together(self):
                for tensor in model.state_dict().values():
                    dist.broadcast(tensor, 0)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """That of every process, in the order of their ranks; all of one shape."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with _together(self):
            dist.all_gather(found, tensor)
        return found

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            self.sum(0.0)


ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun has started this process in; alone where it was started on its own."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not dist.is_available():
        yield World()
    elif dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size())
    else:
        dist.init_process_group("gloo")
        try:
            yield World(dist.get_rank(), dist.get_world_size())
        finally:
            dist.destroy_process_group()


@contextmanager
def _together(world: World) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo tells of a lost connection so
        raise TrainingError(
            f"process {world.rank} of {world.size} has lost another one, which has ended or can't be reached "
            f"({str(error).splitlines()[0]}). Start all of them again with --resume"
        ) from None
