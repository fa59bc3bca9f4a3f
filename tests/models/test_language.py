"""A language model reads in pieces what it reads at once, and is made again from its settings and weights."""

import pytest
import torch

from elman.errors import InputError
from elman.models.checkpoint import load_config, load_weights, save_model
from elman.models.language import LanguageModel
from elman.models.sequence import RECURRENT

MODELS = [{"embedding_size": None}, {"embedding_size": 5}, {"embedding_size": 6, "tied": True}]


def model_of(architecture="gru", num_layers=2, **more):
    torch.manual_seed(0)
    model = LanguageModel(11, architecture, hidden_size=6, num_layers=num_layers, **more).eval()
    torch.nn.init.normal_(model.head.bias)  # a tied one begins as zeros, which would hide that it is forgotten
    return model


@pytest.mark.parametrize("architecture", RECURRENT)
@pytest.mark.parametrize("more", MODELS)
def test_a_text_in_pieces_gives_what_it_gives_at_once(architecture, more):
    layers = 1 if architecture == "esn" and more.get("tied") else 2  # deep reservoirs give every layer's states
    model, tokens = model_of(architecture, layers, **more), torch.randint(11, (3, 9))
    whole, _ = model(tokens)
    assert whole.shape == (3, 9, 11)
    first, state = model(tokens[:, :4])
    second, _ = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_no_logit_depends_on_what_comes_later():
    model, tokens = model_of(embedding_size=5), torch.randint(11, (1, 9))
    other = tokens.clone()
    other[:, 6] = (other[:, 6] + 1) % 11
    same = (model(tokens)[0] == model(other)[0]).all(-1)[0]
    assert same[:6].all() and not same[6:].any()


def test_tied_logits_are_products_with_the_embeddings():
    model, tokens = model_of(embedding_size=6, tied=True), torch.randint(11, (2, 4))
    h, _ = model.layer(model.embed(tokens))
    torch.testing.assert_close(model(tokens)[0], h @ model.embedding.weight.T + model.head.bias)
    assert sum(p.numel() for p in model.parameters()) == 11 * 6 + 11 + sum(p.numel() for p in model.layer.parameters())


@pytest.mark.parametrize("more", MODELS)
def test_it_is_made_again_from_settings_and_weights(tmp_path, more):
    model, tokens = model_of("lstm", **more), torch.randint(11, (1, 5))
    save_model(tmp_path, model, {"network": model.settings()})
    config = load_config(tmp_path)
    again = LanguageModel(**config["network"]).eval()
    load_weights(tmp_path, again, config)
    assert torch.equal(again(tokens)[0], model(tokens)[0])
    again(tokens)[0].sum().backward()  # and can be trained on, the tied table as one
    assert not model.tied or again.embedding.weight.grad.abs().sum() > 0


def test_sizes_that_do_not_go_together_are_named():
    with pytest.raises(InputError, match="output size, 6; found None"):
        model_of(tied=True)
    with pytest.raises(InputError, match="vocabulary_size must be at least 1, found 0"):
        LanguageModel(0, "rnn", hidden_size=3)
    with pytest.raises(InputError, match="output size, 12; found 6"):
        model_of("esn", embedding_size=6, tied=True)
    with pytest.raises(InputError, match="'lstn' is not known"):
        model_of("lstn")
