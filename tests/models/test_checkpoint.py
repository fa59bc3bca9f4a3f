"""A model folder comes back as it was, or not at all, and says why."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from elman.errors import InputError
from elman.files import sha256
from elman.models.checkpoint import FORMAT, _fingerprint, load_config, load_weights, save_model

CONFIG = {
    "task": "forecast",
    "settings": {"hidden_size": 4, "level": (80, 90.5)},
    "learned": {"mean": 0.1, "gap": None},
}


def network(seed, size=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, size), nn.BatchNorm1d(size), nn.Linear(size, 1))


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path, network(1), CONFIG)
    return tmp_path


def load(folder, model=None):
    load_weights(folder, model or network(2), load_config(folder))


def signed(folder, **changes):
    """`config.json` with `changes`, its own hash made right again."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    config.pop("config_sha256")
    path.write_text(json.dumps({**config, "config_sha256": _fingerprint(config)}))


def with_weights(folder, tensors):
    """Other weights, all hashes made right again: what a careful hand could do."""
    save_file(tensors, folder / "model.safetensors")
    signed(folder, sha256=sha256(folder / "model.safetensors"))


def test_round_trip(folder):
    config = load_config(folder)
    assert (config["task"], config["format"]) == ("forecast", FORMAT)
    assert config["settings"] == {"hidden_size": 4, "level": [80, 90.5]}
    assert config["learned"] == {"mean": 0.1, "gap": None}
    other = network(2)
    load_weights(folder, other, config)
    assert all(
        torch.equal(a, b) for a, b in zip(network(1).state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_a_reordered_config_says_the_same(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    load(folder)


def test_any_changed_byte_of_the_weights_is_noticed(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match=r"model.safetensors is not the file that was saved with .*config.json"):
            load(folder)


def test_truncated_weights_are_noticed(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated or changed"):
        load(folder)


def test_weights_of_another_model_are_noticed(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    save_model(other, network(3), CONFIG)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="is not the file that was saved with"):
        load(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["settings"].update(hidden_size=5),
        lambda c: c["learned"].update(mean=0.2),  # it fits, and every forecast would be wrong
        lambda c: c["learned"].pop("gap"),
        lambda c: c.update(task="classify"),
        lambda c: c.pop("config_sha256"),
    ],
)
def test_an_edited_config_is_noticed(folder, edit):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config.json is not the file that was saved; it was changed"):
        load_config(folder)


@pytest.mark.parametrize("text", ["", '{"format": 1', "[1]", "{}", '{"format": "1"}', "7"])
def test_a_config_that_is_none_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config.json is not (whole JSON|the config of a model)"):
        load_config(folder)


def test_a_newer_format_is_refused_with_advice(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format": FORMAT + 1}))
    with pytest.raises(InputError, match=rf"format {FORMAT + 1} by a newer elman.*up to format {FORMAT}. Update elman"):
        load_config(folder)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"not a whole model folder: it has no model.safetensors"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"not a model folder: it has no config.json"):
        load(folder)
    with pytest.raises(InputError, match=r"not a model folder"):
        load(folder / "nowhere")


def test_weights_that_do_not_fit_are_named_even_if_the_hash_is_right(folder):
    with pytest.raises(InputError, match=r"tensor '0.bias': expected \(5,\), found \(4,\)"):
        load(folder, network(2, size=5))
    tensors = load_file(folder / "model.safetensors")
    with_weights(folder, {k: v for k, v in tensors.items() if k != "2.weight"})
    with pytest.raises(InputError, match=r"tensor '2.weight': expected \(1, 4\), found no such tensor"):
        load(folder)
    with_weights(folder, {**tensors, "3.weight": torch.ones(2)})
    with pytest.raises(InputError, match=r"tensor '3.weight': expected no such tensor, found \(2,\)"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_even_if_the_hash_is_right(folder, value):
    tensors = load_file(folder / "model.safetensors")
    tensors["2.weight"][0, 1] = value
    with_weights(folder, tensors)
    with pytest.raises(InputError, match=r"tensor '2.weight' holds values that are not finite"):
        load(folder)


def test_a_refused_model_is_left_as_it_was(folder):
    tensors = load_file(folder / "model.safetensors")
    with_weights(folder, {**tensors, "3.weight": torch.ones(2)})
    other, before = network(2), network(2)
    with pytest.raises(InputError):
        load(folder, other)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), before.parameters(), strict=True))
