"""The training loop: one function, read from top to bottom. It knows no model, no data and no task."""

import time
from collections.abc import Callable, Iterable
from itertools import islice
from math import cos, inf, isfinite, pi
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from elman.errors import TrainingError
from elman.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from elman.training.interrupt import held_interrupts
from elman.training.record import Run

BatchT = TypeVar("BatchT")

FIRST_STEPS = 10  # the largest loss among them, by magnitude, is what later losses are held against
EXPLODED = 1000.0  # times that is an explosion


def train(
    model: nn.Module,
    batches: Callable[[int], Iterable[BatchT]],
    loss: Callable[[nn.Module, BatchT], Tensor],
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    validate: Callable[[nn.Module], float] | None = None,
    patience: int | None = None,
    schedule: Callable[[int], float] | None = None,
    clip: float | None = None,
    run: Run | None = None,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train `model` in place; at the end it holds the weights of the epoch with the lowest validation loss.

    batches(epoch): the batches of one epoch; they may depend on the epoch alone, so that a resumed run sees the same.
    loss(model, batch): a scalar.  validate(model): a number, lower is better; without it the last weights stay.
    patience: stop after so many epochs without a better validation.
    schedule(step): the factor on the optimiser's learning rates.  clip: the largest allowed norm of the gradient.
    run: where events and checkpoints go.  resume: go on from its checkpoint, to the same weights as without the pause.
    on_event: called with each event as it is recorded: a step, an epoch, the end.

    Raises TrainingError when the loss or the gradient is not finite, or the loss explodes. Ctrl-C and SIGTERM end the
    step, save a checkpoint and raise KeyboardInterrupt.

    >>> net = nn.Linear(1, 1)
    >>> data = [(torch.ones(4, 1), torch.ones(4, 1))]
    >>> done = train(net, lambda epoch: data, lambda m, b: ((m(b[0]) - b[1]) ** 2).mean(),
    ...              optimizer=torch.optim.SGD(net.parameters(), lr=0.1), epochs=3)
    >>> done.step
    3
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    rates = [group["lr"] for group in optimizer.param_groups]
    progress, best = Progress(), dict[str, Tensor]()
    if run and resume:
        if run.checkpoint_path.exists():
            progress, best = load_checkpoint(run.checkpoint_path, model, optimizer)
        run.rewind(progress.step, progress.epoch)
    began = time.perf_counter() - progress.seconds

    def checkpoint() -> None:
        progress.seconds = time.perf_counter() - began
        if run:
            run.flush()  # first: events after a checkpoint are made again, those before it are not
            save_checkpoint(run.checkpoint_path, progress, model, optimizer, best)

    def tell(event: str, **values: Any) -> None:
        if run:
            run.record(event, **values)
        if on_event:
            on_event({"event": event, **values})

    def stop_unless(good: bool, what: str) -> None:
        if not good:
            tell("error", step=progress.step, message=what)
            if run:
                run.flush()
            raise TrainingError(
                f"training stopped at step {progress.step} (epoch {progress.epoch}): {what}. Lower the learning rate "
                "(try a tenth), clip the gradient (clip=1), or look for very large values in the data"
                + (f". The last good checkpoint is kept in {run.path}" if run and run.checkpoint_path.exists() else "")
            )

    with held_interrupts() as interrupted:
        while progress.epoch < epochs and not _patience_is_over(progress, patience):
            model.train()
            for batch in islice(batches(progress.epoch), progress.batch, None):
                factor = schedule(progress.step) if schedule else 1.0
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor

                value = loss(model, batch)
                number = value.item()
                stop_unless(isfinite(number), f"the loss is {number}")
                if progress.step < FIRST_STEPS:
                    progress.ceiling = max(progress.ceiling, abs(number))
                stop_unless(
                    number <= (EXPLODED * progress.ceiling or inf),
                    f"the loss has exploded to {number:g}, from at most {progress.ceiling:g} in the first steps",
                )
                optimizer.zero_grad()
                value.backward()
                norm = nn.utils.clip_grad_norm_(parameters, inf if clip is None else clip).item()
                stop_unless(isfinite(norm), f"the norm of the gradient is {norm}, at a loss of {number:g}")
                optimizer.step()

                progress.step += 1
                progress.batch += 1
                progress.loss_sum += number
                tell(
                    "step", step=progress.step, epoch=progress.epoch, loss=number, grad_norm=norm,
                    lr=optimizer.param_groups[0]["lr"],
                )  # fmt: skip
                if interrupted():
                    checkpoint()
                    raise KeyboardInterrupt

            train_loss = progress.loss_sum / max(progress.batch, 1)
            val_loss = None
            if validate:
                model.eval()
                with torch.no_grad():
                    val_loss = validate(model)
                stop_unless(isfinite(val_loss), f"the validation loss is {val_loss}")
                if val_loss < progress.best:
                    progress.best, progress.best_epoch = val_loss, progress.epoch
                    best = {k: v.clone() for k, v in model.state_dict().items()}
            tell(
                "epoch", epoch=progress.epoch, step=progress.step, train_loss=train_loss, val_loss=val_loss,
                best=progress.best_epoch == progress.epoch, seconds=time.perf_counter() - began,
            )  # fmt: skip
            progress.epoch, progress.batch, progress.loss_sum = progress.epoch + 1, 0, 0.0
            checkpoint()
            if interrupted():
                raise KeyboardInterrupt

    if best:
        model.load_state_dict(best)
    model.eval()
    reason = "all epochs" if progress.epoch >= epochs else "early stopping"
    tell("end", step=progress.step, reason=reason, seconds=progress.seconds)
    if run:
        run.flush()
    return progress


def _patience_is_over(progress: Progress, patience: int | None) -> bool:
    return patience is not None and progress.best_epoch >= 0 and progress.epoch - progress.best_epoch > patience


def cosine(steps: int, warmup: int = 0) -> Callable[[int], float]:
    """A schedule: up along a line for `warmup` steps, then down along half a cosine to 0 at `steps`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + cos(pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

    return factor
