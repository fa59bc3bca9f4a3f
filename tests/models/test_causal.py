"""The transformer that reads from left to right: a state that goes on, and no look ahead."""

import math

import pytest
import torch

from elman.errors import InputError
from elman.models.causal import CausalTransformer
from elman.models.language import LanguageModel


@pytest.fixture
def layer() -> CausalTransformer:
    torch.manual_seed(0)
    return CausalTransformer(5, 12, num_layers=2, heads=3, context=6).eval().double()


@pytest.mark.parametrize("cuts", [(20,), (7, 13), (1,) * 20, (3, 1, 16)])
def test_pieces_give_what_the_whole_gives(layer, cuts):
    x = torch.randn(2, 20, 5).double()
    whole, _ = layer(x)
    found, state = [], None
    for part in x.split(cuts, 1):
        y, state = layer(part, state)
        found.append(y)
    torch.testing.assert_close(torch.cat(found, 1), whole)
    assert int(state[0]) == 20 and state[1].shape == (2, 3, 6, 4)


def test_a_step_sees_the_steps_of_its_context_and_none_ahead():
    """With two layers a step hears of context - 1 more steps through what it sees."""
    torch.manual_seed(0)
    layer = CausalTransformer(5, 12, num_layers=1, context=6).eval().double()
    x = torch.randn(1, 20, 5).double().requires_grad_()
    layer(x)[0][0, 12].square().sum().backward()
    moved = x.grad[0].abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12]


def test_only_how_far_apart_steps_are_counts(layer):
    x = torch.randn(1, 30, 5).double()
    whole, _ = layer(x)
    later, _ = layer(x[:, 15:])
    torch.testing.assert_close(later[:, 12:], whole[:, 27:])  # both see the same 6 + 5 steps


def test_attention_by_hand():
    torch.manual_seed(1)
    layer = CausalTransformer(4, 4, num_layers=1, heads=1, context=3).eval().double()
    x = torch.randn(1, 5, 4).double()
    block = layer.blocks[0]
    q, k, v = block.ask(block.before(x))[0].chunk(3, -1)

    def turned(u: torch.Tensor, place: int) -> torch.Tensor:
        out = u.clone()
        for pair in range(2):
            angle = place * 10_000.0 ** (-2 * pair / 4)
            a, b = u[pair], u[pair + 2]
            out[pair] = a * math.cos(angle) - b * math.sin(angle)
            out[pair + 2] = a * math.sin(angle) + b * math.cos(angle)
        return out

    t, seen = 4, (2, 3, 4)
    weights = torch.stack([turned(q[t], t) @ turned(k[s], s) / 2 for s in seen]).softmax(0)
    h = x[0, t] + block.answer(sum(w * v[s] for w, s in zip(weights, seen, strict=True)))
    h = h + block.narrow(torch.nn.functional.gelu(block.wide(block.between(h))))
    torch.testing.assert_close(layer(x)[0][0, t], layer.norm(h))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"hidden_size": 7}, "hidden_size=7 can't be shared by any heads"),
     ({"hidden_size": 12, "heads": 4}, "by 4 heads of an even number"),
     ({"hidden_size": 8, "context": 0}, "context must be at least 1")],
)  # fmt: skip
def test_sizes_that_do_not_go_together(settings, message):
    with pytest.raises(InputError, match=message):
        CausalTransformer(5, **settings)


def test_a_language_model_of_it():
    torch.manual_seed(0)
    model = LanguageModel(9, "transformer", hidden_size=8, num_layers=2, embedding_size=8, tied=True).eval()
    tokens = torch.randint(9, (2, 11))
    whole, _ = model(tokens)
    first, state = model(tokens[:, :4])
    rest, _ = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
