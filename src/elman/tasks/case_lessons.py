"""What a classifier's or regressor's network is taught: cases, and what an answer to one of them costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.batching import buckets
from elman.data.cases import Batch, Cases
from elman.models.many_to_one import SequenceModel
from elman.models.text import TextModel
from elman.training.diagnostics import Probe
from elman.training.distributed import World
from elman.training.record import Arrays

AT_ONCE = 16_384  # steps that the network reads at once where no gradient is needed, padding included
PROBED = 16  # sequences through which a network in training is looked at

Taught = tuple[Batch, Tensor]
Cost = Callable[[Tensor, Tensor], Tensor]


def outputs_for(network: nn.Module, cases: Cases) -> Tensor:
    """(N, O): what the network makes of each case, in their order, whatever their lengths, in its own precision."""
    parts, order = [], []
    dtype = next(network.parameters()).dtype
    for part in buckets(torch.from_numpy(cases.lengths), AT_ONCE, torch.Generator().manual_seed(0)):
        parts.append(network(*(x.to(dtype) if x.is_floating_point() else x for x in cases.batch(part))))
        order.append(part)
    outputs = torch.cat(parts)
    return torch.empty_like(outputs).index_copy_(0, torch.cat(order), outputs)


def probe(cases: Cases, every: int, answer: Callable[[Tensor], Tensor]) -> Probe:
    """Looks at how what is said after the last step depends on the steps before it, in sequences cut to one length.

    answer: a number of what the network says, such as its largest logit.
    """
    some = torch.linspace(0, len(cases) - 1, min(PROBED, len(cases))).long()
    batch = cases.batch(some)
    shortest = int(cases.lengths[some.numpy()].min())

    def loss(network: nn.Module) -> Tensor:
        if isinstance(network, SequenceModel | TextModel):
            return answer(network.at_the_end(shortest, *batch))
        return answer(network(*batch))

    return Probe(loss, every=every)


@dataclass(frozen=True)
class CaseLessons:
    """`Lessons` of the cases `train_on`, validated on others.

    cost(outputs, y): the mean over a batch.  judge(outputs, y): the same of the validation part.
    weight: how much each class counts in that mean; None: each case alike.
    answer: what a look inside follows back.
    """

    cases: Cases
    y: Tensor
    train_on: np.ndarray
    validate_on: np.ndarray
    cost: Cost
    judge: Cost
    weight: Tensor | None
    constant: float
    answer: Callable[[Tensor], Tensor]
    batch_size: int
    noise: float
    seed: int

    carries = False

    @cached_property
    def training(self) -> Cases:
        return self.cases.take(self.train_on)

    @cached_property
    def validation(self) -> Cases:
        return self.cases.take(self.validate_on)

    @property
    def batches_an_epoch(self) -> int:
        return len(self._parts(torch.Generator().manual_seed(0)))

    def _parts(self, generator: torch.Generator) -> list[Tensor]:
        """Cases of about one length together; where all have one, in any order."""
        lengths = self.training.lengths
        return buckets(torch.from_numpy(lengths), round(self.batch_size * float(lengths.mean())), generator)

    def batches(self, epoch: int, world: World) -> Iterator[Taught | None]:
        y = self.y[self.train_on]
        for part in self._parts(torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)):
            own = world.share(part)
            yield (self.training.batch(own), y[own]) if len(own) else None

    def loss(self, network: nn.Module, taught: Taught) -> Tensor:
        (x, *rest), y = taught
        if self.noise:
            x = x + self.noise * torch.randn_like(x)  # behind the end of a sequence it reaches nothing
        return self.cost(network(x, *rest), y)

    def weigh(self, taught: Taught) -> float:
        return self._weight_of(taught[1])

    def _weight_of(self, y: Tensor) -> float:
        return float(len(y) if self.weight is None else self.weight[y].sum())

    def whole_loss(self, network: nn.Module) -> Tensor:
        return self.cost(outputs_for(network, self.training), self.y[self.train_on])

    def validation_loss(self, network: nn.Module, world: World) -> float:
        own = world.share(torch.arange(len(self.validation)))
        if not len(own):
            return world.mean(0.0, 0.0)
        y = self.y[self.validate_on][own]
        outputs = outputs_for(network, self.validation if world.size == 1 else self.validation.take(own.numpy()))
        return world.mean(self.judge(outputs, y).item(), self._weight_of(y))

    def probe(self, every: int) -> Probe:
        return probe(self.training, every, self.answer)

    def samples(self, network: nn.Module) -> Arrays:
        return {}

    def facts(self) -> dict[str, float]:
        """The loss of the best answer that is always the same, and how many cases are validated on and trained on."""
        trained = set(self.training.fingerprints())
        shared = sum(case in trained for case in self.validation.fingerprints())
        return {"constant": self.constant, "shared": shared, "validated": len(self.validate_on)}
