"""From a model that says how likely each symbol is next to what it says: greedily, by beam search, or by chance."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from elman.errors import InputError
from elman.models.sampling import check_sampling, probabilities


class State(Protocol):
    """What a step needs to know of the steps before, for several hypotheses side by side."""

    def select(self, rows: Tensor) -> Self:
        """The states of other hypotheses: each of `rows` is the number of one."""


Step = Callable[[Tensor, Any], tuple[Tensor, Tensor | None, Any]]
"""`last (N)`, the symbol that each of N hypotheses said last, and their state to the logits `(N, V)`, the weights of
attention `(N, T)` or None, and the state after."""


@dataclass(frozen=True)
class Hypothesis:
    """Something that was said: without the symbol that ended it."""

    symbols: tuple[int, ...]
    log_probability: float  # of the symbols and of the end
    score: float  # by which hypotheses were ranked
    finished: bool  # False: it was cut off
    weights: tuple[Tensor, ...] = field(default=(), compare=False)  # where it looked as it said each, (T) each


@dataclass(frozen=True)
class Branch:
    """A node of the tree of a beam search: which one it came from, -1 for none, and what was added."""

    step: int
    parent: int
    symbol: int
    log_probability: float
    kept: bool  # it is a part of a hypothesis that was told


@dataclass(frozen=True)
class Rules:
    """What may be said.

    least, most: symbols, without the one that ends. penalty: a hypothesis of n symbols is ranked by its logarithm of
    probability over ((5 + n) / 6) to this power (Wu et al. 2016, arXiv 1609.08144); 0: by it alone. no_repeat: no
    sequence of so many symbols comes up twice. never: symbols that are not said.
    """

    least: int = 0
    most: int = 100
    penalty: float = 0.6
    no_repeat: int | None = None
    never: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most or self.most < 1:
            raise InputError(f"at least {self.least} and at most {self.most} symbols can't be said")
        if self.no_repeat is not None and self.no_repeat < 1:
            raise InputError(f"no_repeat must be at least 1, found {self.no_repeat}")

    def rank(self, log_probability: float, length: int) -> float:
        return float(log_probability / ((5 + length) / 6) ** self.penalty)

    def apply(self, chances: Tensor, said: list[list[int]], end: int) -> Tensor:
        """`chances (N, V)`, logarithms, with minus infinity where one of the hypotheses may not go on."""
        length = len(said[0])
        chances = chances.clone()
        if self.never:
            chances[:, list(self.never)] = -torch.inf
        if length < self.least:
            chances[:, end] = -torch.inf
        if length >= self.most:
            kept = chances[:, end].clone()
            chances[:] = -torch.inf
            chances[:, end] = kept
        if self.no_repeat is not None and length + 1 >= self.no_repeat:
            n = self.no_repeat
            for row, symbols in enumerate(said):
                tail = symbols[len(symbols) - n + 1 :]
                for k in range(len(symbols) - n + 1):
                    if symbols[k : k + n - 1] == tail:
                        chances[row, symbols[k + n - 1]] = -torch.inf
        return chances


@torch.no_grad()
def sample(
    step: Step,
    state: State,
    count: int,
    begin: int,
    end: int,
    rules: Rules,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """One hypothesis for each of `count` sequences side by side; temperature 0 takes the likeliest symbol each time."""
    check_sampling(temperature, top_k, top_p)
    said: list[list[int]] = [[] for _ in range(count)]
    looked: list[list[Tensor]] = [[] for _ in range(count)]
    total = [0.0] * count
    alive = list(range(count))
    last = torch.full((count,), begin)
    while alive:
        logits, weights, state = step(last, state)
        chances = rules.apply(logits.double().log_softmax(-1), [said[k] for k in alive], end)
        if temperature == 0:
            drawn = chances.argmax(-1)
        else:
            shares = probabilities(chances, temperature=temperature, top_k=top_k, top_p=top_p)
            drawn = torch.multinomial(shares, 1, generator=generator)[:, 0]
        going = []
        for row, (k, symbol) in enumerate(zip(alive, drawn.tolist(), strict=True)):
            total[k] += float(chances[row, symbol])
            if symbol != end:
                said[k].append(symbol)
                looked[k] += [] if weights is None else [weights[row]]
                going.append(row)
        alive = [alive[row] for row in going]
        rows = torch.tensor(going, dtype=torch.long)
        last, state = drawn[rows], state.select(rows)
    return [
        Hypothesis(tuple(said[k]), total[k], rules.rank(total[k], len(said[k])), True, tuple(looked[k]))
        for k in range(count)
    ]


@torch.no_grad()
def beam_search(
    step: Step,
    state: State,
    count: int,
    begin: int,
    end: int,
    rules: Rules,
    *,
    beam: int = 5,
    n_best: int = 1,
    trees: list[list[Branch]] | None = None,
) -> list[list[Hypothesis]]:
    """The best hypotheses found for each of `count` sequences, best first; all are extended side by side.

    At each step the `beam` likeliest ways to go on are kept of each sequence, and those that end are set aside. It is
    over for a sequence when none that goes on can still outrank the `n_best` set aside, or none goes on.
    trees: is filled with the tree of each sequence.

    A hypothesis's rank can only fall as its logarithm of probability does, but a longer one is divided by more: what a
    hypothesis may still reach is taken to be its logarithm now, over the penalty of the longest that is allowed.
    """
    if not 1 <= n_best <= beam:
        raise InputError(f"n_best={n_best} with beam={beam}: expected 1 <= n_best <= beam")
    done: list[list[Hypothesis]] = [[] for _ in range(count)]
    ended: list[list[int]] = [[] for _ in range(count)]  # the branch of each that is done
    branches: list[list[Branch]] = [[] for _ in range(count)]
    owner = list(range(count))  # of each hypothesis that goes on
    said: list[list[int]] = [[] for _ in range(count)]
    looked: list[tuple[Tensor, ...]] = [() for _ in range(count)]
    nodes = [-1] * count
    total = torch.zeros(count, dtype=torch.float64)
    last, length = torch.full((count,), begin), 0
    while owner:
        logits, weights, state = step(last, state)
        chances = total[:, None] + rules.apply(logits.double().log_softmax(-1), said, end)
        going: list[tuple[int, int, float, int]] = []  # row, symbol, logarithm, node
        first = 0
        while first < len(owner):
            k = owner[first]
            rows = next((r for r in range(first, len(owner)) if owner[r] != k), len(owner)) - first
            mine = chances[first : first + rows].flatten()
            values, places = mine.topk(min(len(mine), 2 * beam))
            for rank, (value, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
                row, symbol = first + place // chances.shape[1], place % chances.shape[1]
                if value == -torch.inf:
                    break
                if symbol == end:
                    if rank < beam:
                        branches[k].append(Branch(length, nodes[row], symbol, value, False))
                        ended[k].append(len(branches[k]) - 1)
                        found = Hypothesis(tuple(said[row]), value, rules.rank(value, length), True, looked[row])
                        done[k].append(found)
                elif sum(1 for r, *_ in going if owner[r] == k) < beam:
                    branches[k].append(Branch(length, nodes[row], symbol, value, False))
                    going.append((row, symbol, value, len(branches[k]) - 1))
            scores = sorted((h.score for h in done[k]), reverse=True)[:n_best]
            best = max((v for r, _, v, _ in going if owner[r] == k), default=-torch.inf)
            if (
                len(scores) == n_best
                and rules.rank(best, rules.most if rules.penalty > 0 else length + 1) <= scores[-1]
            ):
                going = [g for g in going if owner[g[0]] != k]
            first += rows
        index = torch.tensor([row for row, *_ in going], dtype=torch.long)
        total = torch.tensor([value for _, _, value, _ in going], dtype=torch.float64)
        last = torch.tensor([symbol for _, symbol, *_ in going], dtype=torch.long)
        said, looked, nodes, owner = (
            [[*said[row], symbol] for row, symbol, *_ in going],
            [looked[row] if weights is None else (*looked[row], weights[row]) for row, *_ in going],
            [node for *_, node in going],
            [owner[row] for row, *_ in going],
        )
        state, length = state.select(index), length + 1
    results = []
    for k in range(count):
        order = sorted(range(len(done[k])), key=lambda n: -done[k][n].score)[:n_best]
        results.append([done[k][n] for n in order])
        if trees is not None:
            trees.append(_marked(branches[k], [ended[k][n] for n in order]))
    return results


def _marked(branches: list[Branch], ends: list[int]) -> list[Branch]:
    """The same tree, in which the ways to these ends are kept."""
    kept = set()
    for node in ends:
        while node >= 0:
            kept.add(node)
            node = branches[node].parent
    return [Branch(b.step, b.parent, b.symbol, b.log_probability, k in kept) for k, b in enumerate(branches)]
