"""What a network that writes is taught: to say at each token which one follows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from elman.data.batching import streams
from elman.errors import InputError
from elman.models.language import LanguageModel, State
from elman.training.diagnostics import Probe
from elman.training.distributed import World
from elman.training.losses import cross_entropy
from elman.training.record import Arrays

READ_AT_ONCE = 4096  # steps in a validation piece; its state goes on to the next
STREAMS = 8  # in which the validation part is read
PROBED, PROBED_STEPS = 8, 64  # sequences through which a network in training is looked at, and their length


@dataclass(frozen=True)
class WriteLessons:
    """`Lessons` of one long text: the tokens trained on and those validated on, whole numbers below `vocabulary`.

    The training part is read as `batch_size` streams side by side, `steps` tokens at a time. The state goes on from
    stretch to stretch, the gradient does not: truncated BPTT.
    """

    train_on: Tensor
    validate_on: Tensor
    vocabulary: int
    batch_size: int
    steps: int
    seed: int
    say: Callable[[nn.Module], str]
    """What a network in training writes now."""

    carries = True

    @property
    def batches_an_epoch(self) -> int:
        return -(-((len(self.train_on) - 1) // self.batch_size) // self.steps)

    def batches(self, epoch: int, world: World) -> Iterator[tuple[Tensor, Tensor]]:
        """Each epoch cuts the text at other places, so that the streams and the stretches begin elsewhere."""
        if world.size > 1:
            raise InputError("a text is read in order, its state carried on: one process alone can train on it")
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        spare = (len(self.train_on) - 1) % self.batch_size + min(self.steps, len(self.train_on) // self.batch_size // 4)
        begin = int(torch.randint(spare + 1, (), generator=generator)) if epoch else 0
        for x, y in streams(self.train_on[begin:], self.batch_size, self.steps):
            yield x.long(), y.long()

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        logits, state = network(batch[0], state)
        return cross_entropy(logits, batch[1]), state

    def weigh(self, batch: tuple[Tensor, Tensor]) -> float:
        return float(batch[1].numel())

    def whole_loss(self, network: nn.Module) -> Tensor:
        assert isinstance(network, LanguageModel)
        return nats(network, self.train_on)

    def validation_loss(self, network: nn.Module, world: World) -> float:
        assert isinstance(network, LanguageModel)
        return nats(network, self.validate_on).item()

    def probe(self, every: int) -> Probe:
        """How the last of so many tokens depends on those before it."""
        steps = min(PROBED_STEPS, len(self.train_on) - 1)
        begins = torch.linspace(0, len(self.train_on) - 1 - steps, PROBED).long()
        some = torch.stack([self.train_on[b : b + steps + 1] for b in begins.tolist()]).long()
        loss = lambda net: cross_entropy(net(some[:, :-1])[0][:, -1:], some[:, -1:])  # noqa: E731
        return Probe(loss, every=every, says=self.say)

    def samples(self, network: nn.Module) -> Arrays:
        return {}

    def facts(self) -> dict[str, float]:
        """The loss of who knows how common each token is, and nothing else."""
        shares = torch.bincount(self.train_on.long(), minlength=self.vocabulary).double() / len(self.train_on)
        return {"constant": float(torch.special.entr(shares).sum())}


def nats(network: LanguageModel, tokens: Tensor) -> Tensor:
    """The mean surprisal of all tokens but the first of each of a few streams, read from their begin to their end.

    A token of a stream has everything before it in the stream as its past.
    """
    parallel = max(1, min(STREAMS, (len(tokens) - 1) // READ_AT_ONCE))
    total, count, state = torch.zeros((), dtype=torch.float64), 0, None
    for x, y in streams(tokens, parallel, READ_AT_ONCE):
        logits, state = network(x.long(), state)
        total = total + cross_entropy(logits, y.long()).double() * y.numel()
        count += y.numel()
    return total / count
