"""The training loop: one function, read from top to bottom. It knows no model, no data and no task."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from math import inf, isfinite
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from elman.errors import InputError, TrainingError
from elman.training.averaging import Average
from elman.training.bptt import detached, state_of, tensors_of
from elman.training.checkpoint import Group, Progress, load_checkpoint, save_checkpoint
from elman.training.diagnostics import Probe
from elman.training.distributed import ALONE, World
from elman.training.interrupt import held_interrupts
from elman.training.record import Arrays, Run
from elman.training.schedules import Schedule

BatchT = TypeVar("BatchT")

FIRST_STEPS = 10  # the largest loss among them, by magnitude, is what later losses are held against
EXPLODED = 1000.0  # times that is an explosion
SAVED_EVERY = 60.0  # seconds; a crash loses no more than that, however long an epoch is


def train(
    model: nn.Module,
    batches: Callable[[int], Iterable[BatchT | None]],
    loss: Callable[..., Any],
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    validate: Callable[[nn.Module], float] | None = None,
    patience: int | None = None,
    schedule: Schedule | None = None,
    clip: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    weigh: Callable[[BatchT], float] | None = None,
    carry: bool = False,
    average: float | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    probe: Probe | None = None,
    world: World = ALONE,
    run: Run | None = None,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train `model` in place; at the end it holds the weights of the epoch with the lowest validation loss.

    batches(epoch): the batches of one epoch; they may depend on the epoch alone, so that a resumed run sees the same.
    loss(model, batch): a scalar.  validate(model): a number, lower is better; without it the last weights stay.
    patience: stop after so many epochs without a better validation.
    schedule(step, validation losses): the factor on the optimiser's learning rates.
    clip: the largest allowed norm of the gradient.  clip_value: the largest allowed size of each of its numbers,
    cut first.
    accumulate: batches that make one step together.  weigh(batch): how many numbers its loss is a mean of, so that
    batches which make one step together, here or in several processes, count for what is in them; all alike by default.
    carry: truncated BPTT. The loss is then loss(model, batch, state), with None at an epoch's begin, and returns the
    scalar and the state after the batch, which goes, detached, to the next.
    average: the decay of a moving average of the weights, which is then validated and kept in their place.
    precision: "bfloat16" computes the loss under autocast; the weights stay as they are.
    probe: looks inside the model now and then.
    world: the processes that train together. Each batch is this one's share, None where it has none; all have as many.
    run: where events and checkpoints go.  resume: go on from its checkpoint, to the same weights as without the pause.
    on_event: called with each event as it is recorded: a step, a probe, an epoch, the end.

    Raises TrainingError when the loss or the gradient is not finite, the loss explodes, or another process is lost.
    Ctrl-C, SIGTERM and a file named `stop` in the run folder end the step, save a checkpoint and raise
    KeyboardInterrupt.

    >>> net = nn.Linear(1, 1)
    >>> data = [(torch.ones(4, 1), torch.ones(4, 1))]
    >>> done = train(net, lambda epoch: data, lambda m, b: ((m(b[0]) - b[1]) ** 2).mean(),
    ...              optimizer=torch.optim.SGD(net.parameters(), lr=0.1), epochs=3)
    >>> done.step
    3
    """
    if accumulate < 1:
        raise InputError(f"accumulate must be at least 1, found {accumulate}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    rates = [group["lr"] for group in optimizer.param_groups]
    summed = accumulate > 1 or world.size > 1  # over several losses, each of which is a mean
    progress, best, state = Progress(), Group(), None
    if carry and world.size > 1:
        raise InputError("a carried state belongs to one process; several can't train with carry=True")
    if run and world.size > 1:
        run.silent = not world.first
    there = bool(run and resume and run.checkpoint_path.exists())
    if any(count not in (0, world.size) for count in world.sum(run is not None, there)):
        raise InputError("each process needs the run, and its folder has to be on a file system that all of them see")
    world.agree(model)
    averaged = Average(model, average) if average else None
    random = Group()
    if run and resume:
        if there:
            progress, groups = load_checkpoint(run.checkpoint_path, model, optimizer)
            best, state = groups.get("best", {}), state_of(groups.get("carried", {}))
            if averaged:
                averaged.weights = groups.get("average", averaged.weights)
            random = groups["random"]
        world.wait()
        run.rewind(progress.step, progress.epoch)
    saved = time.perf_counter()
    began = saved - progress.seconds

    def checkpoint() -> None:
        nonlocal saved
        saved = time.perf_counter()
        progress.seconds = saved - began
        random = world.gather(torch.get_rng_state())
        if run and not run.silent:
            run.flush()  # first: events after a checkpoint are made again, those before it are not
            groups = {
                "best": best,
                "carried": tensors_of(state),
                "random": {str(rank): numbers for rank, numbers in enumerate(random)},
            }
            if averaged:
                groups["average"] = averaged.weights
            save_checkpoint(run.checkpoint_path, progress, model, optimizer, groups)

    def tell(event: str, **values: Any) -> None:
        if run:
            run.record(event, **values)
        if on_event:
            on_event({"event": event, **values})

    def interrupted() -> bool:
        return held() or bool(run and run.asked_to_stop())

    def pause() -> None:
        checkpoint()
        if run and not run.silent:
            run.stop_path.unlink(missing_ok=True)
        raise KeyboardInterrupt

    def look_inside(probe: Probe, before: list[torch.Tensor] | None, last: bool = False) -> None:
        elapsed = time.perf_counter() - began
        wanted = run is not None and (last or run.snapshot_due(progress.step))
        arrays: Arrays | None = {} if wanted and probe.affords_snapshot(elapsed, last=last) else None
        tell("probe", step=progress.step, **probe.look(model, before, snapshot=arrays))
        if run and arrays:
            began_writing = time.perf_counter()
            run.snapshot(progress.step, arrays)
            probe.took_to_write(time.perf_counter() - began_writing)

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

    with held_interrupts() as held:
        while progress.epoch < epochs and not _patience_is_over(progress, patience):
            model.train()
            state = state if progress.batch else None
            left = iter(batches(progress.epoch))
            for _ in islice(left, progress.batch):  # done before the pause
                pass
            if random or (world.rank and not progress.step):  # now, as `batches` may have drawn some
                _set_random(random, world)
                random = Group()
            for group in _groups(left, accumulate):
                factor = schedule(progress.step, progress.val_losses) if schedule else 1.0
                for settings, rate in zip(optimizer.param_groups, rates, strict=True):
                    settings["lr"] = rate * factor

                optimizer.zero_grad()
                total = weight = 0.0
                for batch in group:
                    if batch is None:
                        continue
                    with _in(precision):
                        if carry:
                            value, state = loss(model, batch, state)
                            state = detached(state)  # truncated BPTT: the gradient ends here
                        else:
                            value = loss(model, batch)
                    number, counts = value.item(), 1.0 if weigh is None else weigh(batch)
                    total, weight = total + number * counts, weight + counts
                    if isfinite(number):
                        (value.float() * counts if summed else value).backward()  # bfloat16 would round the counts
                late = run is not None and world.first and time.perf_counter() - saved > SAVED_EVERY
                total, weight, asked, due, ended = world.sum(total, weight, interrupted(), late, False)
                _together(ended, world)

                number = total / weight if weight else 0.0
                stop_unless(isfinite(number), f"the loss is {number}")
                if progress.step < FIRST_STEPS:
                    progress.ceiling = max(progress.ceiling, abs(number))
                stop_unless(
                    number <= (EXPLODED * progress.ceiling or inf),
                    f"the loss has exploded to {number:g}, from at most {progress.ceiling:g} in the first steps",
                )
                world.sum_gradients(parameters)
                gradients = [p.grad for p in parameters if p.grad is not None]
                if summed and weight and gradients:
                    torch._foreach_div_(gradients, weight)
                if clip_value is not None:
                    nn.utils.clip_grad_value_(parameters, clip_value)
                total_norm = nn.utils.get_total_norm(gradients)
                norm = total_norm.item()
                stop_unless(isfinite(norm), f"the norm of the gradient is {norm}, at a loss of {number:g}")
                if clip is not None and norm > clip:
                    nn.utils.clip_grads_with_norm_(parameters, clip, total_norm)
                looked = probe and probe.due(progress.step, time.perf_counter() - began)
                before = [p.detach().clone() for p in parameters] if looked else []
                optimizer.step()

                progress.step += 1
                progress.batch += len(group)
                progress.loss_sum += total
                progress.weight_sum += weight
                if averaged:
                    averaged.update(model, progress.step)
                tell(
                    "step", step=progress.step, epoch=progress.epoch, loss=number, grad_norm=norm,
                    lr=optimizer.param_groups[0]["lr"],
                )  # fmt: skip
                if probe and looked:
                    look_inside(probe, before)
                if asked if world.size > 1 else interrupted():  # several processes agreed on it before the step
                    pause()
                if due:
                    checkpoint()

            *_, asked, _, ended = world.sum(0.0, 0.0, interrupted(), False, True)
            _together(ended, world)
            if not progress.batch:
                raise InputError(
                    f"epoch {progress.epoch} has no batch; `batches` has to give an iterable for each epoch"
                )
            train_loss = progress.loss_sum / (progress.weight_sum or 1)
            val_loss = None
            if validate:
                model.eval()
                with torch.no_grad(), averaged.in_place(model) if averaged else nullcontext():
                    val_loss = validate(model)
                    stop_unless(isfinite(val_loss), f"the validation loss is {val_loss}")
                    progress.val_losses.append(val_loss)
                    if val_loss < progress.best:
                        progress.best, progress.best_epoch = val_loss, progress.epoch
                        best = {k: v.clone() for k, v in model.state_dict().items()}
            tell(
                "epoch", epoch=progress.epoch, step=progress.step, train_loss=train_loss, val_loss=val_loss,
                best=progress.best_epoch == progress.epoch, seconds=time.perf_counter() - began,
            )  # fmt: skip
            progress.epoch, progress.batch, progress.loss_sum, progress.weight_sum = progress.epoch + 1, 0, 0.0, 0.0
            checkpoint()
            if asked if world.size > 1 else interrupted():
                pause()

    if not best and averaged:
        best = averaged.weights
    if best:
        model.load_state_dict(best)
    model.eval()
    if probe:
        look_inside(probe, None, last=True)
    reason = "all epochs" if progress.epoch >= epochs else "early stopping"
    tell("end", step=progress.step, reason=reason, seconds=progress.seconds)
    if run:
        run.flush()
    return progress


def _groups(batches: Iterable[BatchT], size: int) -> Iterator[tuple[BatchT, ...]]:
    """So many batches at a time; the last group may have fewer."""
    iterator = iter(batches)
    while group := tuple(islice(iterator, size)):
        yield group


def _together(ended: float, world: World) -> None:
    if ended not in (0, world.size):
        raise TrainingError("one process has fewer batches in this epoch than another; give None where one has nothing")


def _in(precision: str) -> AbstractContextManager[Any]:
    if precision == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _patience_is_over(progress: Progress, patience: int | None) -> bool:
    return patience is not None and progress.best_epoch >= 0 and progress.epoch - progress.best_epoch > patience


def _set_random(saved: Group, world: World) -> None:
    """This process's random numbers to come: those that it had saved; where it is a new one, some of its own, since all
    begin from one seed and are to drop different units."""
    state = saved.get(str(world.rank))
    if state is not None:
        torch.set_rng_state(state)
    else:
        torch.manual_seed(torch.initial_seed() + world.rank)
