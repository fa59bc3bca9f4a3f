"""A trained network in the page itself: its weights in half precision, and what the page must know to run it.

What a run needs to be played with: a model folder (`model/`, as `elman.models.checkpoint.save_model` writes it) whose
config names its `task`, and by that:

- "forecast": `settings` and `learned` of a Forecaster, and in the run folder `windows.safetensors`, a few windows of
  real data to begin with, as `SampleWindows` writes them.
- "language": `settings` of a `LanguageModel`, its `vocabulary` (a string for each token), and a `sample`, a text that
  it was not trained on: its begin is the page's prompt, and the rounding of the weights is judged by it. A run by
  whatever program, which is no estimator, is played with when its model folder is like this.
- "write": `settings` and `learned` of a TextGenerator of characters.

viewer/src/network.js computes what `elman.models` computes; tests hold both together.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.windows import Scaling
from elman.errors import InputError
from elman.files import finite, read_tensors, write_tensors
from elman.layers import Recurrent
from elman.models.checkpoint import load_config, load_weights
from elman.models.language import LanguageModel
from elman.models.sequence import EncoderForecaster
from elman.report.play import LARGEST
from elman.report.runs import Run

CELLS = ("RNN", "LSTM", "GRU", "MinGRU", "MinLSTM", "RGLRU", "LRU", "SLSTM")
# What changes nothing in how a trained layer computes, or what network.js knows.
HARMLESS = {
    "num_layers", "bias", "batch_first", "dropout", "recurrent_dropout", "weight_dropout", "recurrent_init",
    "forget_bias", "nonlinearity", "r_min", "r_max", "max_phase", "num_heads",
}  # fmt: skip
WINDOWS = "windows.safetensors"
ROOM = 600_000  # bytes of windows in a page, before they become a third more as base64
PROMPT = 60  # characters of the sample that a page begins with
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError)


@dataclass(frozen=True)
class SampleWindows:
    """Some windows of real data, for a forecaster's page to begin with.

    x: (N, window + horizon, I) as the network reads it, y: (N, horizon) scaled, NaN where not observed; for each window
    its series and its times.
    """

    x: Tensor
    y: Tensor
    series: Sequence[str]
    times: Sequence[Sequence[str]]

    def save(self, folder: Path) -> None:
        """Keep them in a run folder."""
        note = {"series": self.series, "times": self.times}
        write_tensors(folder / WINDOWS, {"x": self.x, "y": self.y}, note)


def playable(run: Run) -> dict[str, Any]:
    """What the page needs to run the network in `run`'s model folder, as JSON takes it; or `{"missing": why not}`."""
    folder = run.path / "model"
    try:
        config = load_config(folder)
        if config.get("task") not in KINDS:
            return {
                "missing": f"This network is of the task {config.get('task')!r}. The page itself can run networks that "
                "forecast, write or remember, and no others yet; `elman predict` runs this one."
            }
        build, describe = KINDS[config["task"]]
        with torch.device("meta"):  # no memory before the size is known
            network = build(config)
        count = sum(p.numel() for p in network.parameters())
        if count > LARGEST:
            return {
                "missing": f"The network has {count:,} parameters. Networks of up to {LARGEST:,} run in the page; a "
                "larger one would make it too heavy to open."
            }
        if why := _strange(network):
            return {"missing": why}
        load_weights(folder, network, config)
        told: dict[str, Any] = finite(describe(run, config, network.eval()) | packed(network))
        return told
    except InputError as error:
        return {"missing": f"There is nothing to play with: {error}."}
    except UNREADABLE as error:
        return {"missing": f"The model's config can't be read ({error!r}): it was changed."}


def _strange(network: nn.Module) -> str:
    """What of `network` the page does not know how to compute, in words; nothing where it knows all."""
    for layer in (m for m in network.modules() if isinstance(m, Recurrent)):
        kind = type(layer).__name__
        if kind not in CELLS:
            return f"The page does not know how to compute a layer of the kind {kind}."
        odd = [k for k, usual in layer._settings().items() if k not in HARMLESS and getattr(layer, k) != usual]
        if odd:
            return f"The page does not know how to compute a {kind} with {', '.join(odd)}."
    return ""


def packed(network: nn.Module) -> dict[str, Any]:
    """The weights in half precision, least significant byte first, by name and shape; and what the layers are."""
    tensors = network.state_dict()
    flat = torch.cat([t.flatten() for t in tensors.values()]).half()
    if not torch.isfinite(flat).all():
        raise InputError("a weight is larger than half precision can say (65,504)")
    return {
        "shapes": [[name, *tensor.shape] for name, tensor in tensors.items()],
        "weights": base64.b64encode(flat.numpy().astype("<f2").tobytes()).decode("ascii"),
        "parameters": flat.numel(),
        "stacks": {name: _stack(m) for name, m in network.named_modules() if isinstance(m, Recurrent)},
    }


def _stack(layer: Recurrent) -> dict[str, Any]:
    return {
        "cell": type(layer).__name__,
        "layers": layer.num_layers,
        "inputs": layer.input_size,
        "units": layer.hidden_size,
        "nonlinearity": getattr(layer, "nonlinearity", "tanh"),
    }


def rounded(network: nn.Module) -> dict[str, Tensor]:
    """The weights as the page has them: rounded to half precision."""
    return {name: tensor.half().float() for name, tensor in network.state_dict().items()}


def _language(config: Mapping[str, Any]) -> nn.Module:
    return LanguageModel(**config["settings"])


def _writer(config: Mapping[str, Any]) -> nn.Module:
    learned = config["learned"]
    if learned["tokenizer"]["kind"] != "characters":
        raise InputError("the page reads and writes characters, and this network other tokens")
    return LanguageModel(**learned["network"])


def _play_writer(run: Run, config: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    learned = config["learned"]
    # The first number stands for what is unknown, which is never written.
    vocabulary = ["\N{REPLACEMENT CHARACTER}", *learned["tokenizer"]["characters"]]
    return _play_language(run, {"vocabulary": vocabulary, "sample": learned["sample"]}, network)


def _play_language(run: Run, config: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    vocabulary = [str(token) for token in config["vocabulary"]]
    assert isinstance(network, LanguageModel)
    if len(vocabulary) != network.vocabulary_size or len(set(vocabulary)) != len(vocabulary):
        raise InputError(
            f"expected a vocabulary of {network.vocabulary_size} different strings, found {len(vocabulary)}, of them "
            f"{len(set(vocabulary))} different"
        )
    number = {token: k for k, token in enumerate(vocabulary)}
    sample = [number[c] for c in str(config.get("sample", "")) if c in number]
    told: dict[str, Any] = {
        "kind": "language",
        "vocabulary": vocabulary,
        "embedded": network.embedding is not None,
        "tied": network.tied,
        "prompt": "".join(vocabulary[k] for k in sample[:PROMPT]),
    }
    if len(sample) > 1:
        told["rounding"] = {
            "characters": len(sample) - 1,
            "bits": [_bits(network, weights, sample) for weights in (network.state_dict(), rounded(network))],
        }
    return told


def _bits(network: nn.Module, weights: Mapping[str, Tensor], tokens: Sequence[int]) -> float:
    """The mean surprise, in bits, of each token after those before it."""
    read = torch.tensor(tokens)
    with torch.no_grad():
        logits, _ = torch.func.functional_call(network, dict(weights), (read[None, :-1],))
        return float(nn.functional.cross_entropy(logits[0], read[1:])) / math.log(2)


def _forecaster(config: Mapping[str, Any]) -> nn.Module:
    settings, learned = config["settings"], config["learned"]
    return EncoderForecaster(
        settings["architecture"],
        int(learned["input_size"]),
        1 + len(learned["quantiles"]),
        hidden_size=settings["hidden_size"],
        num_layers=settings["num_layers"],
    )


def _play_forecaster(run: Run, config: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    path, settings, learned = run.path / WINDOWS, config["settings"], config["learned"]
    if not path.is_file():
        raise InputError(f"the run kept no windows of its data ({WINDOWS}) to begin with; fit again")
    tensors, note = read_tensors(path)
    x, y, horizon = tensors["x"].float(), tensors["y"].float(), int(settings["horizon"])
    if x.dim() != 3 or x.shape[2] != int(learned["input_size"]) or tuple(y.shape) != (len(x), horizon):
        raise InputError(f"{path.name}: expected windows of {learned['input_size']} inputs, found {tuple(x.shape)}")
    room = ROOM // (4 * x.shape[1] * x.shape[2])
    if not room:
        raise InputError(f"a window of {x.shape[1]} steps with {x.shape[2]} inputs each is too large for a page")
    x, y = x[:room], y[:room]
    scaling, roles = Scaling.from_dict(learned["scaling"]), learned["roles"]
    before, after = (_forecast(network, weights, x, horizon) for weights in (network.state_dict(), rounded(network)))
    scalers = [scaling.target[name] for name in note["series"][:room]]
    gap = max(
        abs(scaler.inverse(a.double().numpy()) - scaler.inverse(b.double().numpy())).max()
        for scaler, a, b in zip(scalers, before[..., 0], after[..., 0], strict=True)
    )
    columns = [roles["target"], *roles["past"], *roles["future"]]
    return {
        "kind": "forecast",
        "horizon": horizon,
        "columns": [str(c) for c in columns],
        "past": len(roles["past"]),  # of the columns, behind the target; those that follow are known ahead
        "scalers": [[s.mean, s.std, s.shape] for s in (scaling.inputs[c] for c in columns[1:])],
        "targets": [[s.mean, s.std, s.shape] for s in scalers],
        "series": [str(name) for name in note["series"][:room]],
        "times": [[str(t).removesuffix(" 00:00:00") for t in row] for row in note["times"][:room]],
        "quantiles": learned["quantiles"],
        "shifts": learned["shifts"],
        "levels": sorted(settings["level"]),
        "inputs": x.shape[2],
        "steps": x.shape[1],
        "x": floats(x),
        "y": [[None if math.isnan(v) else v for v in row] for row in y.tolist()],
        "rounding": {"most": float(gap)},
    }


def _forecast(network: nn.Module, weights: Mapping[str, Tensor], x: Tensor, horizon: int) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = torch.func.functional_call(network, dict(weights), (x, horizon))
    return outputs


def floats(values: Tensor | np.ndarray) -> str:
    """The numbers as floats of four bytes, least significant byte first, in base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


KINDS = {
    "forecast": (_forecaster, _play_forecaster),
    "language": (_language, _play_language),
    "write": (_writer, _play_writer),
}
