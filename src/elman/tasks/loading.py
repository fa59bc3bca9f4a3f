"""Load a model without knowing which estimator wrote it."""

import os
from importlib import import_module
from pathlib import Path

from elman.errors import InputError
from elman.models.checkpoint import load_config
from elman.tasks.base import Estimator

ESTIMATORS = {
    "forecast": ("elman.tasks.forecast", "Forecaster"),
    "classify": ("elman.tasks.classify", "SequenceClassifier"),
    "tag": ("elman.tasks.tag", "SequenceTagger"),
    "text": ("elman.tasks.text", "TextClassifier"),
    "regress": ("elman.tasks.regress", "SequenceRegressor"),
    "esn": ("elman.tasks.esn", "EchoStateNetwork"),
    "write": ("elman.tasks.write", "TextGenerator"),
    "memory": ("elman.tasks.memory", "HopfieldNetwork"),
}


def load(folder: str | os.PathLike[str]) -> Estimator:
    """The estimator in a model folder, or in the `model` folder of a run; InputError when it is not whole."""
    folder = Path(folder)
    if (folder / "model").is_dir():
        folder = folder / "model"
    elif (folder / "config.toml").is_file():
        raise InputError(f"the run in {folder} has no model yet: it was interrupted. Go on with it by --resume")
    task = load_config(folder).get("task")
    if task not in ESTIMATORS:
        raise InputError(f"{folder} holds a model for the task {task!r}; this elman knows {', '.join(ESTIMATORS)}")
    module, name = ESTIMATORS[task]
    cls: type[Estimator] = getattr(import_module(module), name)
    return cls.load(folder)
