"""What one says step by step is what it says at once; padding never matters; attention looks at real symbols alone."""

import pytest
import torch

from elman.errors import InputError
from elman.layers.attention import Attention
from elman.models.seq2seq import Seq2Seq, padded

SETTINGS = [
    {"architecture": "lstm", "num_layers": 2},
    {"architecture": "gru", "attention": "additive"},
    {"architecture": "gru", "attention": "multiplicative", "feeding": True},
    {"architecture": "rnn", "attention": "additive", "coverage": True, "num_layers": 2},
    {"architecture": "mingru", "attention": "none"},
    {"architecture": "minlstm", "copying": True, "bidirectional": False},
    {"architecture": "slstm"},
    {"architecture": "transformer", "num_layers": 2},
    {"architecture": "transformer", "copying": True},
]


def made(settings, **more):
    torch.manual_seed(0)
    return Seq2Seq(9, 11, hidden_size=8, **settings, **more).double().eval()


@pytest.mark.parametrize("settings", SETTINGS)
def test_step_by_step_is_as_at_once(settings):
    model = made(settings)
    source, said = torch.randint(9, (3, 6)), torch.randint(11, (3, 5))
    memory = model.read(source, torch.tensor([6, 2, 4]), source if settings.get("copying") else None)
    logits, weights, _ = model.say(said, memory)
    state, one_by_one = None, []
    for symbol in said.split(1, dim=1):
        found, looked, state = model.say(symbol, memory, state)
        one_by_one.append((found, looked))
    assert torch.allclose(torch.cat([found for found, _ in one_by_one], 1), logits)
    if weights is not None:
        assert torch.allclose(torch.cat([looked for _, looked in one_by_one], 1), weights)


@pytest.mark.parametrize("settings", SETTINGS)
def test_padding_never_matters(settings):
    model = made(settings)
    source, said = torch.randint(9, (1, 4)), torch.randint(11, (1, 5))
    copies = source if settings.get("copying") else None
    alone, weights, _ = model.say(said, model.read(source, torch.tensor([4]), copies))
    longer = torch.cat([source, torch.randint(9, (1, 3))], 1)
    other = torch.cat([longer, torch.randint(9, (1, 7))])
    memory = model.read(other, torch.tensor([4, 7]), other if copies is not None else None)
    beside, beside_weights, _ = model.say(said.repeat(2, 1), memory)
    assert torch.allclose(beside[:1], alone)
    if weights is not None:
        assert torch.allclose(beside_weights[:1, :, :4], weights)
        assert (beside_weights[0, :, 4:] == 0).all()
        assert torch.allclose(beside_weights.sum(-1), torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_weight_learns(settings):
    model = made(settings).train()
    source, said = torch.randint(9, (3, 6)), torch.randint(11, (3, 5))
    logits, *_ = model.say(said, model.read(source, None, source if settings.get("copying") else None))
    logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_copy_can_say_what_the_vocabulary_would_not():
    model = made({"architecture": "gru", "copying": True})
    source = torch.tensor([[3, 5, 7]])
    with torch.no_grad():
        model.gate.weight.zero_()
        model.gate.bias.fill_(-50.0)  # copies alone
    chances = model.say(torch.tensor([[9]]), model.read(source, None, torch.tensor([[2, -1, 2]])))[0].exp()
    _, weights, _ = model.say(torch.tensor([[9]]), model.read(source, None, torch.tensor([[2, -1, 2]])))
    assert chances[0, 0, 2].item() == pytest.approx((weights[0, 0, 0] + weights[0, 0, 2]).item())
    assert chances[0, 0, 3].item() < 1e-8


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_attention_by_hand(kind):
    torch.manual_seed(0)
    attention = Attention(kind, 3, 4).double()
    query, memory = torch.randn(1, 2, 3).double(), torch.randn(1, 5, 4).double()
    context, weights = attention(query, memory)
    for s in range(2):
        scores = []
        for t in range(5):
            key = attention.of_memory(memory[0, t])
            if kind == "additive":
                scores.append(attention.score(torch.tanh(attention.of_query(query[0, s]) + key)))
            else:
                scores.append((query[0, s] @ key / 3**0.5)[None])
        by_hand = torch.cat(scores).softmax(0)
        assert torch.allclose(weights[0, s], by_hand)
        assert torch.allclose(context[0, s], by_hand @ memory[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "none", "feeding": True}, "need attention"),
        ({"attention": "none", "copying": True}, "copying goes where attention looks"),
        ({"architecture": "transformer", "coverage": True}, "attends in its own way"),
        ({"architecture": "lru"}, "no bridge leads to"),
        ({"attention": "dot"}, "one of additive, multiplicative"),
        ({"shared": True}, "found 9 and 11"),
    ],
)
def test_what_does_not_go_together(settings, message):
    with pytest.raises(InputError, match=message):
        Seq2Seq(9, 11, hidden_size=8, **settings)


def test_padded():
    rows, lengths = padded([[1, 2], [], [3]])
    assert rows.tolist() == [[1, 2], [0, 0], [3, 0]] and lengths.tolist() == [2, 0, 1]
