"""What a network that labels words is taught: sentences, and the label of each of their words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.batching import buckets
from elman.data.cases import Batch, Cases
from elman.models.tagger import Tagger
from elman.tasks.case_lessons import AT_ONCE, PROBED
from elman.training.diagnostics import Probe
from elman.training.distributed import World
from elman.training.losses import cross_entropy
from elman.training.record import Arrays

Taught = tuple[Batch, Tensor]


def lengths_in(batch: Batch) -> Tensor:
    """The number of steps of each sequence of a batch, also where it names none."""
    x = batch[0]
    return batch[1] if len(batch) > 1 else torch.full((len(x),), x.shape[1])


def answers_for(network: Tagger, cases: Cases, answer: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """For each sequence in its order `answer(scores, lengths)`, cut to its length."""
    found: list[Tensor | None] = [None] * len(cases)
    dtype = next(network.parameters()).dtype
    for part in buckets(torch.from_numpy(cases.lengths), AT_ONCE, torch.Generator().manual_seed(0)):
        batch = tuple(x.to(dtype) if x.is_floating_point() else x for x in cases.batch(part))
        lengths = lengths_in(batch)
        rows = answer(network(*batch), lengths)
        for k, row, length in zip(part.tolist(), rows, lengths.tolist(), strict=True):
            found[k] = row[:length]
    return [row for row in found if row is not None]


@dataclass(frozen=True)
class TagLessons:
    """`Lessons` of the sentences `train_on`, validated on others; labels: their numbers, -1 for what is unknown."""

    cases: Cases
    labels: list[Tensor]
    train_on: np.ndarray
    validate_on: np.ndarray
    classes: int
    batch_size: int
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
        lengths = self.training.lengths
        return buckets(torch.from_numpy(lengths), round(self.batch_size * float(lengths.mean())), generator)

    def batches(self, epoch: int, world: World) -> Iterator[Taught | None]:
        for part in self._parts(torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)):
            own = world.share(part)
            yield (self.training.batch(own), self._labels(self.train_on[own.numpy()])) if len(own) else None

    def _labels(self, which: np.ndarray) -> Tensor:
        """`(B, T)`, -1 behind the end of a sentence."""
        return torch.nn.utils.rnn.pad_sequence([self.labels[k] for k in which], batch_first=True, padding_value=-1)

    def loss(self, network: nn.Module, taught: Taught) -> Tensor:
        batch, labels = taught
        assert isinstance(network, Tagger)
        return _cost(network, network(*batch), labels, lengths_in(batch))

    def weigh(self, taught: Taught) -> float:
        return float((taught[1] >= 0).sum())

    def whole_loss(self, network: nn.Module) -> Tensor:
        return self._mean(network, self.training, self.train_on)[0]

    def validation_loss(self, network: nn.Module, world: World) -> float:
        own = world.share(torch.arange(len(self.validation))).numpy()
        if not len(own):
            return world.mean(0.0, 0.0)
        loss, weight = self._mean(network, self.validation.take(own), self.validate_on[own])
        return world.mean(loss.item(), weight)

    def _mean(self, network: nn.Module, cases: Cases, which: np.ndarray) -> tuple[Tensor, float]:
        total, weight = torch.zeros(()), 0.0
        assert isinstance(network, Tagger)
        for part in buckets(torch.from_numpy(cases.lengths), AT_ONCE, torch.Generator().manual_seed(0)):
            batch, labels = cases.batch(part), self._labels(which[part.numpy()])
            known = float((labels >= 0).sum())
            total = total + known * _cost(network, network(*batch), labels, lengths_in(batch))
            weight += known
        return total / max(weight, 1.0), weight

    def probe(self, every: int) -> Probe:
        """Looks at how what is said of the last step depends on those before it, in sequences cut to one length."""
        some = torch.linspace(0, len(self.training) - 1, min(PROBED, len(self.training))).long()
        batch = self.training.batch(some)
        shortest = int(self.training.lengths[some.numpy()].min())

        def loss(network: nn.Module) -> Tensor:
            assert isinstance(network, Tagger)
            pieces = (batch[2][:, :shortest], batch[3]) if len(batch) > 2 else ()
            return network.run(network.embed(batch[0][:, :shortest], *pieces))[:, -1].max(dim=1).values.sum()

        return Probe(loss, every=every)

    def samples(self, network: nn.Module) -> Arrays:
        return {}

    def facts(self) -> dict[str, float]:
        """The loss of the best answer that is always the same, and how many sentences are in both parts."""
        counts = torch.bincount(torch.cat([self.labels[k] for k in self.train_on]).clamp(min=0), minlength=self.classes)
        trained = set(self.training.fingerprints())
        shared = sum(case in trained for case in self.validation.fingerprints())
        constant = float(torch.special.entr(counts / counts.sum()).sum())
        return {"constant": constant, "shared": shared, "validated": len(self.validate_on)}


def _cost(network: Tagger, scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """The mean over all words that have a label; a chain needs all of a sentence's, and leaves out others."""
    if network.crf is None:
        return cross_entropy(scores, labels)
    whole = (labels >= 0).sum(1) == lengths
    if not whole.any():
        return scores.sum() * 0
    likely = network.crf.log_likelihood(scores[whole], labels[whole], lengths[whole])
    return -likely.sum() / lengths[whole].sum()
