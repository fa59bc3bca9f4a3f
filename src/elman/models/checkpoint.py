"""A trained model as a folder of data: `config.json` and `model.safetensors`. Nothing in it is ever executed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from elman.errors import InputError
from elman.files import finite, read_json, read_tensors, sha256, write_json, write_tensors

FORMAT = 1


def save_model(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Write `model`'s weights, then `config` with both hashes: a change, or a mixture of two models, is noticed."""
    write_tensors(folder / "model.safetensors", model.state_dict())
    whole = {"format": FORMAT, "sha256": sha256(folder / "model.safetensors"), **config}
    write_json(folder / "config.json", {**whole, "config_sha256": _fingerprint(whole)})


def _fingerprint(config: dict[str, Any]) -> str:
    """The hash of what `config` says, in whatever order."""
    return hashlib.sha256(json.dumps(finite(config), sort_keys=True).encode()).hexdigest()


def load_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder; InputError when it is missing, changed or of a newer format."""
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not a model folder: it has no config.json")
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise InputError(f"{folder / 'config.json'} is not the config of a model: it names no format")
    if config["format"] > FORMAT:
        raise InputError(
            f"{folder} was written in format {config['format']} by a newer elman; this one reads up to format "
            f"{FORMAT}. Update elman"
        )
    if config.pop("config_sha256", None) != _fingerprint(config):
        raise InputError(f"{folder / 'config.json'} is not the file that was saved; it was changed")
    return config


def load_weights(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Fill `model`, which may be on the meta device; InputError unless the file is the saved one and fits by name."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise InputError(f"{folder} is not a whole model folder: it has no model.safetensors")
    if sha256(path) != config.get("sha256"):
        raise InputError(
            f"{path} is not the file that was saved with {folder / 'config.json'}; it was truncated or changed"
        )
    weights, _ = read_tensors(path)
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        expected = tuple(own[name].shape) if name in own else "no such tensor"
        found = tuple(weights[name].shape) if name in weights else "no such tensor"
        if expected != found:
            raise InputError(f"{path}: tensor {name!r}: expected {expected}, found {found}")
        if not torch.isfinite(weights[name]).all():
            raise InputError(f"{path}: tensor {name!r} holds values that are not finite")
    model.load_state_dict(weights, assign=True)
