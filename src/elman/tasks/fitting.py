"""How every estimator trains its network by its settings: along the gradient, or by a search without one."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from elman.models.summary import summary
from elman.tasks.settings import TrainingSettings
from elman.training.diagnostics import Probe
from elman.training.distributed import ALONE, World
from elman.training.gradient_free import POPULATION, SEARCHES, check_size, search
from elman.training.loop import train
from elman.training.optimizers import optimizer
from elman.training.record import Arrays, Run
from elman.training.schedules import schedule


class Lessons(Protocol):
    """What a network is taught and judged by; each estimator has its own."""

    @property
    def carries(self) -> bool:
        """Whether the state goes on from batch to batch: `loss` then takes it as a third argument, and returns it."""

    @property
    def batches_an_epoch(self) -> int: ...

    def batches(self, epoch: int, world: World) -> Iterable[Any]:
        """The shares of this process of an epoch's batches; None where it has none."""

    def loss(self, network: nn.Module, batch: Any, *state: Any) -> Any:
        """The mean over what counts in a batch."""

    def weigh(self, batch: Any) -> float:
        """How many numbers that mean is over."""

    def whole_loss(self, network: nn.Module) -> Tensor:
        """The mean over the whole training part, at once."""

    def validation_loss(self, network: nn.Module, world: World) -> float:
        """The mean over the validation part, shared out to all processes."""

    def probe(self, every: int) -> Probe: ...

    def samples(self, network: nn.Module) -> Arrays:
        """What the network says now on a few fixed cases, as `elman.training.snapshots` names it; {} for nothing."""

    def facts(self) -> dict[str, float]:
        """What a diagnosis needs to know of the data."""


def fit_network(
    settings: TrainingSettings,
    network: nn.Module,
    lessons: Lessons,
    *,
    world: World,
    run: Run | None,
    resume: bool,
    on_event: Callable[[dict[str, Any]], None] | None,
) -> list[dict[str, Any]]:
    """Train `network` in place; return the events of its training, with those before a pause where `run` has them."""
    events: list[dict[str, Any]] = []

    def note(event: dict[str, Any]) -> None:
        events.append(event)
        if on_event:
            on_event(event)

    if not resume:
        for event, values in (("fact", lessons.facts()), ("model", summary(network))):
            events.append({"event": event, **values})
            if run:
                run.record(event, **values)
        if run:
            run.flush()
    if settings.optimizer in SEARCHES:
        search(
            network,
            lessons.whole_loss,
            optimizer=settings.optimizer,
            budget=settings.evaluations,
            seed=settings.seed,
            validate=lambda net: lessons.validation_loss(net, ALONE),  # each process searches on its own
            run=run,
            resume=resume,
            on_event=note,
        )
    else:
        probe = lessons.probe(settings.probe) if settings.probe and world.first else None
        if probe:
            probe.samples = lessons.samples
        steps = settings.epochs * -(-lessons.batches_an_epoch // settings.accumulate)
        train(
            network,
            lambda epoch: lessons.batches(epoch, world),
            lessons.loss,
            optimizer=optimizer(
                settings.optimizer,
                network.parameters(),
                settings.learning_rate,
                weight_decay=settings.weight_decay,
                momentum=settings.momentum,
            ),
            epochs=settings.epochs,
            validate=lambda net: lessons.validation_loss(net, world),
            patience=settings.patience,
            schedule=schedule(settings.schedule, steps=steps, warmup=settings.warmup),
            clip=settings.clip,
            clip_value=settings.clip_value,
            accumulate=settings.accumulate,
            weigh=lessons.weigh,
            carry=lessons.carries,
            average=settings.average,
            precision=settings.precision,
            probe=probe,
            world=world,
            run=run,
            resume=resume,
            on_event=note,
        )
    return run.events() if run else events


def check_optimizer(settings: TrainingSettings, make: Callable[[], nn.Module]) -> None:
    """Raises an InputError where a search is wanted for a network, as `make` makes it, that is too large for it."""
    if settings.optimizer in SEARCHES:
        with torch.device("meta"):
            check_size(make(), settings.optimizer)


def rounds(settings: TrainingSettings) -> int:
    """How many epochs, or generations of a search, training has at the most."""
    return -(-settings.evaluations // POPULATION) if settings.optimizer in SEARCHES else settings.epochs
