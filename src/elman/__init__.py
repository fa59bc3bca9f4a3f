"""Recurrent neural networks on ordinary computers: train them, look inside them, ship them.

Nothing heavy is loaded until it is used: `import elman` costs a few milliseconds, `elman.LSTM` loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elman.errors import InputError, TrainingError

if TYPE_CHECKING:
    from elman import kernels, layers
    from elman.layers import GRU, LRU, LSTM, RGLRU, RNN, SLSTM, MinGRU, MinLSTM, Reservoir
    from elman.layers.accelerate import accelerate, restore
    from elman.tasks.capacity import capacity_curve
    from elman.tasks.classify import SequenceClassifier
    from elman.tasks.esn import EchoStateNetwork
    from elman.tasks.forecast import Forecaster
    from elman.tasks.loading import load
    from elman.tasks.memory import HopfieldNetwork
    from elman.tasks.regress import SequenceRegressor
    from elman.tasks.tag import SequenceTagger
    from elman.tasks.text import TextClassifier
    from elman.tasks.write import TextGenerator
    from elman.training.inside import look_inside

_ROOMS = {
    "RNN": "elman.layers",
    "LSTM": "elman.layers",
    "GRU": "elman.layers",
    "MinGRU": "elman.layers",
    "MinLSTM": "elman.layers",
    "RGLRU": "elman.layers",
    "LRU": "elman.layers",
    "SLSTM": "elman.layers",
    "Reservoir": "elman.layers",
    "accelerate": "elman.layers.accelerate",
    "restore": "elman.layers.accelerate",
    "Forecaster": "elman.tasks.forecast",
    "EchoStateNetwork": "elman.tasks.esn",
    "SequenceClassifier": "elman.tasks.classify",
    "SequenceRegressor": "elman.tasks.regress",
    "look_inside": "elman.training.inside",
    "SequenceTagger": "elman.tasks.tag",
    "TextClassifier": "elman.tasks.text",
    "TextGenerator": "elman.tasks.write",
    "HopfieldNetwork": "elman.tasks.memory",
    "capacity_curve": "elman.tasks.capacity",
    "load": "elman.tasks.loading",
}

__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "RGLRU",
    "RNN",
    "SLSTM",
    "EchoStateNetwork",
    "Forecaster",
    "HopfieldNetwork",
    "InputError",
    "MinGRU",
    "MinLSTM",
    "Reservoir",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "TextClassifier",
    "TextGenerator",
    "TrainingError",
    "accelerate",
    "capacity_curve",
    "kernels",
    "layers",
    "load",
    "look_inside",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    if name in ("kernels", "layers"):
        return import_module(f"elman.{name}")
    raise AttributeError(f"module 'elman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
