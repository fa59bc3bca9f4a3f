"""Parameters and operations of networks, against numbers worked out by hand."""

import pytest
from torch import nn

import elman
from elman.models.language import LanguageModel
from elman.models.sequence import EncoderForecaster
from elman.models.summary import summary

I, H = 3, 5
BY_HAND = {
    # parameters, state, multiply-adds a step
    "RNN": (H * I + H * H + 2 * H, H, 15 + 25),  # W_ih x, W_hh h
    "LSTM": (4 * (H * I + H * H + 2 * H), 2 * H, 160 + 15),  # and f c, i g, o tanh(c)
    "GRU": (3 * (H * I + H * H + 2 * H), H, 120 + 15),  # and r u, (1 - z) n, z h
    "MinGRU": (2 * (H * I + H), H, 30 + 10),  # and (1 - z) h, z n
    "MinLSTM": (3 * (H * I + H), H, 45 + 10),  # and f h, i g
    "RGLRU": (3 * (H * I + H) + H, H, 45 + 20),  # and r log a, a h, i u, the root's product
    "LRU": (3 * H + 2 * H * I + 2 * H * H + H * I + H, 2 * H, 30 + 50 + 15 + 20),  # B, C, D, and a complex product
    "SLSTM": (4 * (H * I + H * H + H), 4 * H, 160 + 25),  # and f c, i g, f n, c / n, o times that
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_a_layer_of_each_kind(kind):
    more = {"num_heads": 1} if kind == "SLSTM" else {}
    layer = getattr(elman, kind)(I, H, **more)
    told = summary(layer)
    assert (told["parameters"], told["state"], told["multiply_adds"]) == BY_HAND[kind]
    assert [row["name"] for row in told["layers"]] == ["l0"] and told["layers"][0]["outputs"] == H


def test_a_forecaster_has_two_stacks_and_a_head():
    told = summary(EncoderForecaster("lstm", 7, 3, hidden_size=4, num_layers=2))
    below, above = 4 * (4 * 7 + 4 * 4 + 8), 4 * (4 * 4 + 4 * 4 + 8)
    assert [(row["name"], row["parameters"]) for row in told["layers"]] == [
        ("encoder.l0", below), ("encoder.l1", above), ("decoder.l0", below), ("decoder.l1", above),
        ("head", 4 * 3 + 3),
    ]  # fmt: skip
    assert told["parameters"] == 2 * (below + above) + 15 and told["state"] == 2 * 2 * 8
    assert told["multiply_adds"] == 2 * (4 * 4 * 11 + 12 + 4 * 4 * 8 + 12) + 12


@pytest.mark.parametrize("more", [{"embedding_size": 6, "tied": True}, {"embedding_size": 4}, {}])
def test_a_language_model_looks_its_symbols_up(more):
    model = LanguageModel(50, "gru", hidden_size=6, **more)
    told, E = summary(model), more.get("embedding_size", 50)
    gru = 3 * (6 * E + 6 * 6)
    tied = bool(more.get("tied"))
    assert told["multiply_adds"] == gru + 18 + 50 * 6
    assert told["parameters"] == gru + 36 + 50 + (0 if tied else 50 * 6) + (50 * E if more else 0)
    assert told["parameters"] == sum(row["parameters"] for row in told["layers"])


def test_both_directions_and_options_count():
    told = summary(elman.LSTM(I, H, num_layers=2, bidirectional=True, proj_size=2, peephole=True, learned_state=True))
    layers = told["layers"]
    assert [row["name"] for row in layers] == ["l0", "l0_reverse", "l1", "l1_reverse"]
    below = 4 * H * (I + 2) + 8 * H + 2 * H + 3 * H + (2 + H)
    assert layers[0]["parameters"] == below and layers[0]["state"] == 2 + H and layers[2]["inputs"] == 4
    assert layers[0]["multiply_adds"] == 4 * H * (I + 2) + 2 * H + 3 * H + 3 * H
    assert told["parameters"] == sum(row["parameters"] for row in layers)


def test_what_is_not_known_is_not_guessed():
    told = summary(nn.Sequential(nn.Bilinear(2, 3, 4), nn.Linear(4, 1)))
    assert told["parameters"] == 2 * 3 * 4 + 4 + 5 and told["multiply_adds"] is None
    assert told["layers"][0]["multiply_adds"] is None and told["layers"][1]["multiply_adds"] == 4
