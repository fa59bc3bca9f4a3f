"""Beam search finds what a search through everything finds; rules hold; batches and single sequences agree."""

import itertools

import pytest
import torch

from elman.errors import InputError
from elman.models.decoding import Rules, beam_search, sample
from elman.models.seq2seq import Seq2Seq, padded

V, BEGIN, END = 5, 3, 4


class Table:
    """A state that is the symbols said so far; what comes next is drawn from a hash of them."""

    def __init__(self, said, seed):
        self.said, self.seed = said, seed

    def select(self, rows):
        return Table([self.said[k] for k in rows.tolist()], [self.seed[k] for k in rows.tolist()])


def chances(said, seed):
    generator = torch.Generator().manual_seed(hash((tuple(said), seed)) % 2**31)
    return (2 * torch.randn(V, generator=generator, dtype=torch.float64)).log_softmax(-1)


def step(last, state):
    said = [[*s, symbol] for s, symbol in zip(state.said, last.tolist(), strict=True)]
    return torch.stack([chances(s, k) for s, k in zip(said, state.seed, strict=True)]), None, Table(said, state.seed)


def everything(seed, rules):
    """All that may be said, best first."""
    found = []
    for length in range(rules.least, rules.most + 1):
        for symbols in itertools.product([k for k in range(V) if k != END and k not in rules.never], repeat=length):
            n = rules.no_repeat
            grams = [symbols[k : k + n] for k in range(len(symbols) - n + 1)] if n else []
            if len(set(grams)) < len(grams):
                continue
            said, total = [BEGIN], 0.0
            for symbol in (*symbols, END):
                free = rules.apply(chances(said, seed)[None], [said[1:]], END)[0]
                total += free[symbol].item()
                said.append(symbol)
            if total > -torch.inf:
                found.append((symbols, total, rules.rank(total, length)))
    return sorted(found, key=lambda f: -f[2])


RULES = [
    Rules(most=4, penalty=0.0),
    Rules(most=4, penalty=1.0),
    Rules(least=2, most=4, never=(BEGIN,)),
    Rules(most=4, no_repeat=1),
    Rules(most=4, no_repeat=2),
]


@pytest.mark.parametrize("rules", RULES)
def test_a_wide_beam_finds_the_best_of_all(rules):
    seeds = [1, 2, 3]
    found = beam_search(step, Table([[]] * 3, seeds), 3, BEGIN, END, rules, beam=400, n_best=4)
    for seed, hypotheses in zip(seeds, found, strict=True):
        best = everything(seed, rules)[:4]
        assert [h.symbols for h in hypotheses] == [symbols for symbols, *_ in best]
        assert [h.score for h in hypotheses] == pytest.approx([score for *_, score in best])
        assert [h.log_probability for h in hypotheses] == pytest.approx([total for _, total, _ in best])


def test_a_beam_of_one_without_penalty_is_greedy():
    rules = Rules(most=6, penalty=0.0)
    for seed in range(10):
        ((beam,),) = beam_search(step, Table([[]], [seed]), 1, BEGIN, END, rules, beam=1)
        (greedy,) = sample(step, Table([[]], [seed]), 1, BEGIN, END, rules)
        if beam.symbols != greedy.symbols:  # it ended early, on the greedy way
            assert beam.log_probability >= greedy.log_probability
        assert greedy.finished


def test_samples_come_as_often_as_they_are_likely():
    rules, generator = Rules(most=2, penalty=0.0), torch.Generator().manual_seed(0)
    n = 4000
    said = sample(step, Table([[]] * n, [7] * n), n, BEGIN, END, rules, temperature=1.0, generator=generator)
    for symbols, total, _ in everything(7, rules)[:6]:
        share = sum(h.symbols == symbols for h in said) / n
        forced = chances([BEGIN, *symbols], 7)[END].item() if len(symbols) == rules.most else 0.0
        p = torch.tensor(total - forced).exp().item()
        assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5


def test_the_tree_holds_the_way_to_each_hypothesis():
    trees = []
    found = beam_search(step, Table([[]], [5]), 1, BEGIN, END, Rules(most=4), beam=3, n_best=2, trees=trees)
    (tree,) = trees
    ways = set()
    for branch in tree:
        if branch.symbol == END and branch.kept:
            way, node = [], branch
            while node.parent >= 0:
                node = tree[node.parent]
                way.append(node.symbol)
                assert node.kept
            ways.add(tuple(reversed(way)))
    assert ways == {h.symbols for h in found[0]}


def test_what_cannot_be_asked():
    for wrong in ({"least": 5, "most": 4}, {"most": 0}, {"no_repeat": 0}):
        with pytest.raises(InputError):
            Rules(**wrong)
    with pytest.raises(InputError, match="n_best=3 with beam=2"):
        beam_search(step, Table([[]], [5]), 1, BEGIN, END, Rules(), beam=2, n_best=3)


@pytest.mark.parametrize(
    "settings",
    [
        {"architecture": "lstm", "num_layers": 2},
        {"architecture": "gru", "attention": "additive", "feeding": True, "coverage": True},
        {"architecture": "rnn", "attention": "none", "bidirectional": False},
        {"architecture": "mingru", "num_layers": 2, "copying": True},
        {"architecture": "transformer", "num_layers": 2},
        {"architecture": "transformer", "copying": True},
    ],
)
def test_a_batch_says_what_each_sequence_says_alone(settings):
    torch.manual_seed(0)
    model = Seq2Seq(9, 11, hidden_size=8, **settings).double().eval()
    sources = [[1, 2, 3, 4, 5], [6], [7, 8, 0]]
    rules = Rules(most=6)

    def told(rows):
        x, lengths = padded(rows)
        memory = model.read(x, lengths, copies=x if settings.get("copying") else None)

        def one(last, state):
            memory, state = state
            logits, weights, state = model.say(last[:, None], memory, state)
            return logits[:, 0], None if weights is None else weights[:, 0], Both((memory, state))

        return beam_search(one, Both((memory, model.begin(memory))), len(rows), 9, 10, rules, beam=3, n_best=3)

    together = told(sources)
    for row, hypotheses in zip(sources, together, strict=True):
        (alone,) = told([row])
        assert [h.symbols for h in alone] == [h.symbols for h in hypotheses]
        assert [h.score for h in alone] == pytest.approx([h.score for h in hypotheses])
        for h in hypotheses:
            for weights in h.weights:
                assert weights.sum().item() == pytest.approx(1)
                assert (weights[len(row) :] == 0).all()


class Both(tuple):
    def __new__(cls, parts):
        return super().__new__(cls, parts)

    def select(self, rows):
        return Both(part.select(rows) for part in self)
