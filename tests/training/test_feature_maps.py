"""Feature maps are what the layers gave, shares add up to the answer, and covering is what covering by hand finds."""

import numpy as np
import pytest
import torch
from torch import nn

from elman.errors import InputError
from elman.models.convolution import ConvolutionEncoder, ImageEncoder
from elman.models.encoders import encoder
from elman.models.many_to_one import ImageModel, SequenceModel
from elman.training import feature_maps
from elman.training.feature_maps import look_at_features
from elman.training.look import Features

CLASSES = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def images(channels=1, height=8, width=6, **settings):
    return ImageModel(ImageEncoder(channels, 8, num_layers=2, **settings), 3), [
        torch.randn(channels, height, width) for _ in range(3)
    ]


def sequences(architecture="cnn", pooling="summary", **own):
    reader = encoder(architecture, 2, 8, num_layers=2, dropout=0.2, **own)
    return SequenceModel(reader, 3, pooling=pooling), [torch.randn(T, 2) for T in (9, 14, 5)]


def look(model, cases, **options):
    read = [x.numpy() if x.dim() == 2 else x.permute(1, 2, 0).numpy() for x in cases]
    settings = {"read": read, "inputs": ["x"], "labels": ["1", "2", "3"], "outputs": CLASSES} | options
    return look_at_features(model, model.encoder, model, cases, **settings)


def test_maps_and_filters_of_images_are_those_of_the_layers():
    model, cases = images()
    seen = look(model, cases)
    assert [layer["kind"] for layer in seen.facts["layers"]] == ["convolution", "convolution", "pooling"] * 2
    assert [layer["size"] for layer in seen.facts["layers"]] == [[8, 6], [8, 6], [4, 3], [4, 3], [4, 3], [2, 1]]
    model.eval()
    first, second = model.encoder.blocks
    x = first[:3](cases[1][None])
    np.testing.assert_allclose(seen.arrays["map.1.0"], x[0].detach(), rtol=1e-6)
    x = nn.functional.max_pool2d(first(cases[1][None]), 2)
    np.testing.assert_allclose(seen.arrays["map.1.2"], x[0].detach(), rtol=1e-6)
    np.testing.assert_allclose(seen.arrays["map.1.4"], second(x)[0].detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(seen.arrays["filter.0"], first[0].weight[:, 0].detach())
    np.testing.assert_allclose(seen.arrays["filter.1"], first[3].weight.detach().norm(dim=1), rtol=1e-6)
    np.testing.assert_allclose(seen.arrays["output.1"], model(cases[1][None])[0].softmax(-1).detach(), rtol=1e-5)


def test_maps_of_sequences_are_those_of_the_layers_whatever_their_lengths():
    model, cases = sequences()
    seen = look(model, cases, picks=True)
    model.eval()
    block = model.encoder.blocks[0]
    for n, x in enumerate(cases):
        h = block.convolution(nn.functional.pad(x[None].mT, block.padding)).mT
        h = nn.functional.gelu(block.norm(h))[0].T
        np.testing.assert_allclose(seen.arrays[f"map.{n}.0"], h.detach(), rtol=1e-5, atol=1e-6)
        picked = model.encoder(x[None])[0].argmax(dim=0)
        np.testing.assert_array_equal(seen.arrays[f"picked.{n}"], picked)
    np.testing.assert_array_equal(seen.arrays["filter.1"], model.encoder.blocks[1].convolution.weight.detach())
    assert [layer["apart"] for layer in seen.facts["layers"]] == [1, 2]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "summary"])
@pytest.mark.parametrize("architecture", ["cnn", "transformer"])
def test_law_shares_and_rest_add_up_to_the_answer_and_the_rest_is_the_bias(architecture, pooling):
    model, cases = sequences(architecture, pooling, **({"heads": 2} if architecture == "transformer" else {}))
    seen = look(model, cases)
    for n, told in enumerate(seen.facts["cases"]):
        bias = model.head.bias[told["chosen"]].item()
        assert told["rest"] == pytest.approx(bias, abs=1e-5)
        assert seen.arrays[f"share.{n}"].sum() + bias == pytest.approx(told["answer"], abs=1e-5)


def test_the_class_activation_map_is_the_head_upon_each_place():
    model, cases = images(height=9, width=8)
    seen = look(model, cases)
    told = seen.facts["cases"][2]
    last = seen.arrays["map.2.5"]
    weights = model.head.weight[told["chosen"]].detach().numpy()
    expected = np.einsum("f,fij->ij", weights, last) / last[0].size
    np.testing.assert_allclose(seen.arrays["share.2"], expected, rtol=1e-4, atol=1e-6)
    assert told["rest"] == pytest.approx(model.head.bias[told["chosen"]].item(), abs=1e-5)


def test_covering_is_what_covering_by_hand_costs():
    model, cases = images()
    seen, x = look(model, cases), cases[0]
    chosen = seen.facts["cases"][0]["chosen"]
    model.eval()
    for row, column in ((0, 0), (4, 2), (7, 5)):
        without = x.clone()
        without[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = 0
        fall = (model(x[None]) - model(without[None]))[0, chosen].item()
        assert seen.arrays["occluded.0"][row, column] == pytest.approx(fall, abs=1e-5)
    model, cases = sequences()
    seen, x = look(model, cases), cases[1]
    chosen = seen.facts["cases"][1]["chosen"]
    model.eval()
    without = x.clone()
    without[3] = 0
    fall = (model(x[None]) - model(without[None]))[0, chosen].item()
    assert seen.arrays["occluded.1"].shape == (14,)
    assert seen.arrays["occluded.1"][3] == pytest.approx(fall, abs=1e-5)


def test_a_large_case_is_kept_small(monkeypatch):
    monkeypatch.setattr(feature_maps, "STEPS", 32)
    monkeypatch.setattr(feature_maps, "WINDOWS", 16)
    model = SequenceModel(ConvolutionEncoder(2, 4), 3, pooling="mean")
    x = torch.randn(100, 2)
    seen = look(model, [x], labels=["1"])
    assert seen.arrays["map.0.0"].shape == (4, 32) and seen.arrays["occluded.0"].shape == (15,)
    assert len(seen.arrays["read.0"]) <= 32 and seen.facts["cases"][0]["size"] == [100]
    model, _ = images()
    monkeypatch.setattr(feature_maps, "SIDE", 10)
    monkeypatch.setattr(feature_maps, "GRID", 5)
    seen = look(model, [torch.randn(1, 40, 30)], labels=["1"])
    assert seen.arrays["map.0.0"].shape == (4, 10, 10) and seen.arrays["occluded.0"].shape == (5, 5)
    assert max(seen.arrays["read.0"].shape) <= 20


def test_attention_is_that_of_each_head():
    model, cases = sequences("transformer", "mean", heads=2)
    seen = look(model, cases)
    assert [layer["name"] for layer in seen.facts["attention"]] == [
        "encoder.layers.layers.0.self_attn", "encoder.layers.layers.1.self_attn"
    ]  # fmt: skip
    model.eval()
    layer = model.encoder.layers.layers[0]
    x = cases[1][None]
    h = layer.norm1(model.encoder.embedding(x) + model.encoder._places(x))
    _, weights = layer.self_attn(h, h, h, need_weights=True, average_attn_weights=False)
    np.testing.assert_allclose(seen.arrays["attention.1.0"], weights[0].detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.arrays["attention.1.1"].sum(-1), 1, rtol=1e-5)


def test_values_follow_their_first_output():
    model, cases = sequences()
    seen = look(model, cases, kind="values", outputs=["y", "a", "b"])
    model.eval()
    assert [told["chosen"] for told in seen.facts["cases"]] == [0, 0, 0]
    np.testing.assert_allclose(seen.arrays["output.0"], model(cases[0][None])[0].detach(), rtol=1e-5)


def test_the_model_and_its_random_numbers_are_left_as_they_were():
    model, cases = sequences()
    model.train()
    model.pool.eval()
    state = torch.get_rng_state()
    look(model, cases)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and not model.pool.training and all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_it_is_saved_and_loaded_whole(tmp_path):
    model, cases = images()
    seen = look(model, cases)
    seen.save(tmp_path)
    again = Features.load(tmp_path)
    assert again.facts == seen.facts and list(again.arrays) == list(seen.arrays)
    (tmp_path / "features.npz").write_bytes((tmp_path / "features.npz").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"is not the file that was saved with features\.json"):
        Features.load(tmp_path)


def test_what_has_nothing_to_show_is_refused():
    model, cases = sequences("gru")
    with pytest.raises(InputError, match="nothing to look at"):
        look(model, cases)
    model, cases = sequences()
    with pytest.raises(InputError, match="as many cases as labels and readings, found 3, 1, 3"):
        look(model, cases, labels=["1"])
