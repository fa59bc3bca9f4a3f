"""Weights found without a gradient: by annealing, a particle swarm, CMA-ES or differential evolution.

They look for the lowest value of any function of a network, such as the share of wrong answers, which has no gradient.
They need many evaluations for each weight, so they are for small networks. The searches are scipy's, NiaPy's and cma's.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf, isfinite
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from elman.errors import InputError
from elman.extras import need
from elman.training.checkpoint import Group, Progress, load_checkpoint, save_checkpoint
from elman.training.interrupt import held_interrupts
from elman.training.record import Run

POPULATION = 40  # candidates in each generation
LARGEST = 2000  # weights; beyond, a search would not get anywhere in bearable time
WORST = 1e100  # what counts a value that is not finite, or larger: a search may still compare it, and square it
SAVED_EVERY = 5.0  # seconds

Objective = Callable[[np.ndarray], float]


class _Over(Exception):
    """The search ends here: the budget is used up, the user has asked to stop, or the value raised an error."""


def search(
    model: nn.Module,
    value: Callable[[nn.Module], float | Tensor],
    *,
    optimizer: str,
    budget: int,
    bound: float = 3.0,
    population: int = POPULATION,
    seed: int = 0,
    validate: Callable[[nn.Module], float] | None = None,
    run: Run | None = None,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Search for the weights of `model`, between -`bound` and `bound`, with the lowest `value`.

    value(model): a number; it has to be the same for the same weights. What is not finite counts as the worst.
    optimizer: "annealing" (dual annealing, doi:10.1016/S0378-4371(96)00271-3), "pso" (a particle swarm,
    doi:10.1109/ICNN.1995.488968), "cma-es" (arXiv 1604.00772) or "de" (doi:10.1023/A:1008202821328).
    budget: how often `value` is called at most.  population: candidates in each generation.
    validate(model): where given, the weights with the lowest of it are kept, out of the best of each generation.

    At the end the model has the best weights found, which are never worse than those that it had at first, cut to the
    bound. All else as in `elman.training.loop.train`: Ctrl-C saves a checkpoint, and `resume` ends with the weights
    that it would have found. A resumed search is walked through again with the values that it had, which takes no
    network; with a larger budget it goes further.

    Raises InputError for a network of no weights or more than 2,000, and for a checkpoint of another search.

    >>> net = nn.Linear(2, 1)
    >>> done = search(net, lambda m: (m.weight.abs().sum() - 1).abs(), optimizer="de", budget=200, population=10)
    >>> done.step
    200
    """
    check_size(model, optimizer)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if optimizer not in SEARCHES:
        raise InputError(f"optimizer={optimizer!r} is not known; without a gradient it is one of {', '.join(SEARCHES)}")
    if budget < 1 or population < 5 or not 0 < bound < inf:
        raise InputError(
            f"expected a budget of at least 1, a population of at least 5 and a finite bound above 0; found {budget}, "
            f"{population} and {bound}"
        )
    model.eval()
    start = parameters_to_vector(parameters).detach().clamp(-bound, bound)
    optimum = torch.optim.SGD(parameters)  # a checkpoint names an optimiser; it holds nothing here
    progress, best, found, known = Progress(), Group(), start.clone(), list[float]()
    if run and resume:
        if run.checkpoint_path.exists():
            progress, groups = load_checkpoint(run.checkpoint_path, model, optimum)
            if optimizer not in groups:
                raise InputError(f"{run.checkpoint_path} does not belong to this run: it is not of {optimizer!r}")
            best, start, known = (
                groups.get("best", {}),
                groups[optimizer]["start"],
                groups[optimizer]["values"].tolist(),
            )
        run.rewind(progress.step, progress.epoch)
    values: list[float] = []
    lowest, generation, errors = inf, list[float](), list[BaseException]()
    saved = time.perf_counter()
    began = saved - progress.seconds

    def checkpoint() -> None:
        nonlocal saved
        saved = time.perf_counter()
        progress.step, progress.seconds = len(values), saved - began
        if run and not run.silent:
            run.flush()
            held = {"start": start, "values": torch.tensor(values, dtype=torch.float64)}
            save_checkpoint(run.checkpoint_path, progress, model, optimum, {"best": best, optimizer: held})

    def tell(event: str, **said: Any) -> None:
        if run:
            run.record(event, **said)
        if on_event:
            on_event({"event": event, **said})

    def objective(weights: np.ndarray) -> float:
        if len(values) == budget or errors:
            raise _Over
        try:
            return evaluate(weights)
        except BaseException as error:  # the libraries would turn some into others, and swallow some
            errors.append(error)
            raise _Over from None

    def evaluate(weights: np.ndarray) -> float:
        nonlocal lowest, found, generation
        replayed = len(values) < len(known)
        if replayed:
            number = known[len(values)]
        else:
            vector_to_parameters(torch.from_numpy(weights).to(start), parameters)
            with torch.no_grad():
                number = float(value(model))
            number = min(number, WORST) if isfinite(number) else WORST
        values.append(number)
        if number < lowest:
            lowest, found = number, torch.from_numpy(weights).to(start).clone()
        generation.append(number)
        if len(generation) == population:
            if not replayed:
                close(generation)
            generation = []
        if not replayed and (interrupted() or (run and run.asked_to_stop())):
            checkpoint()
            if run:
                run.stop_path.unlink(missing_ok=True)
            raise KeyboardInterrupt
        if not replayed and time.perf_counter() - saved > SAVED_EVERY:
            checkpoint()
        return number

    def close(generation: list[float]) -> None:
        nonlocal best
        vector_to_parameters(found, parameters)
        val_loss = None
        if validate:
            with torch.no_grad():
                val_loss = validate(model)
            progress.val_losses.append(val_loss)
            if val_loss < progress.best:
                progress.best, progress.best_epoch = val_loss, progress.epoch
                best = {k: v.clone() for k, v in model.state_dict().items()}
        progress.step = len(values)
        tell(
            "epoch", epoch=progress.epoch, step=progress.step, train_loss=lowest, val_loss=val_loss,
            best=progress.best_epoch == progress.epoch, seconds=time.perf_counter() - began,
            median=median(generation), worst=max(generation),
        )  # fmt: skip
        progress.epoch += 1

    with held_interrupts() as interrupted, suppress(_Over):
        objective(start.double().numpy())  # so that the result is never worse than the start
        while len(values) < budget and not errors:  # one that has converged begins anew with other random numbers
            origin = found.double().numpy().clip(-bound, bound)  # in single precision a bound of 0.1 is a little more
            SEARCHES[optimizer](objective, origin, bound, budget, population, seed + len(values))
    if errors:
        raise errors[0]
    checkpoint()  # before the last generation is closed, which is a whole one where a larger budget goes further
    if generation:
        close(generation)
    vector_to_parameters(found, parameters)
    if best:
        model.load_state_dict(best)
    tell("end", step=progress.step, reason="all evaluations", seconds=progress.seconds)
    if run:
        run.flush()
    return progress


def check_size(model: nn.Module, optimizer: str) -> None:
    """Raises an InputError unless the network has weights, and few enough of them to be searched for."""
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if size > LARGEST:
        raise InputError(
            f"the network has {size} weights, and {optimizer!r} searches at most {LARGEST}: it needs many evaluations "
            "for each. Choose fewer units, or an optimizer that follows the gradient (adam, adamw, sgd)"
        )
    if not size:
        raise InputError("the network has no weights that may change; set requires_grad of some")


def _annealing(objective: Objective, start: np.ndarray, bound: float, budget: int, population: int, seed: int) -> None:
    from scipy.optimize import dual_annealing

    # Its local search would spend the budget on differences of a function that may have none.
    dual_annealing(objective, _box(start, bound), x0=start, maxiter=budget, no_local_search=True, rng=seed)


def _evolution(objective: Objective, start: np.ndarray, bound: float, budget: int, population: int, seed: int) -> None:
    from scipy.optimize import differential_evolution

    first = np.random.default_rng(seed).uniform(-bound, bound, (population, len(start)))
    first[0] = start
    differential_evolution(
        objective, _box(start, bound), init=first, maxiter=budget, tol=0, atol=0, polish=False, rng=seed
    )


def _strategy(objective: Objective, start: np.ndarray, bound: float, budget: int, population: int, seed: int) -> None:
    cma = need("cma", "evolve", "this search")
    # Its own random numbers would be numpy's global ones, which belong to others.
    numbers = np.random.default_rng(seed)
    options = {
        "bounds": [-bound, bound], "popsize": population, "maxfevals": budget, "verbose": -9,
        "seed": np.nan, "randn": lambda *shape: numbers.standard_normal(shape),
    }  # fmt: skip
    strategy = cma.CMAEvolutionStrategy(start, bound / 5, options)
    while not strategy.stop():
        candidates = strategy.ask()
        strategy.tell(candidates, [objective(c) for c in candidates])


def _swarm(objective: Objective, start: np.ndarray, bound: float, budget: int, population: int, seed: int) -> None:
    niapy = need("niapy", "evolve", "this search")
    from niapy.algorithms.basic import ParticleSwarmAlgorithm
    from niapy.problems import Problem

    class Weights(Problem):
        def _evaluate(self, x: np.ndarray) -> float:
            return objective(x)

    def first(task: Any, population_size: int, rng: Any, **rest: Any) -> tuple[np.ndarray, np.ndarray]:
        swarm = rng.uniform(-bound, bound, (population_size, len(start)))
        swarm[0] = start
        return swarm, np.apply_along_axis(task.eval, 1, swarm)

    task = niapy.task.Task(Weights(len(start), -bound, bound), max_evals=budget + population)
    algorithm = ParticleSwarmAlgorithm(
        population_size=population, c1=1.49, c2=1.49, w=0.73, min_velocity=-bound / 2, max_velocity=bound / 2,
        seed=seed, initialization_function=first,
    )  # fmt: skip
    algorithm.run(task)


SEARCHES: dict[str, Callable[[Objective, np.ndarray, float, int, int, int], None]] = {
    "annealing": _annealing,
    "pso": _swarm,
    "cma-es": _strategy,
    "de": _evolution,
}


def _box(start: np.ndarray, bound: float) -> list[tuple[float, float]]:
    return [(-bound, bound)] * len(start)
