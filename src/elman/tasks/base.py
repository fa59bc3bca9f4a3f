"""What all estimators share: scikit-learn's contract, checking of settings, saving and loading."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from elman.errors import InputError
from elman.models.checkpoint import load_config, load_weights, save_model
from elman.report import Page
from elman.tasks.settings import from_known
from elman.training.distributed import ALONE, World
from elman.training.record import Run

# In a run folder: what was seen inside, too much to hold in memory.
LOOKS = ("snapshots", "inside.npz", "inside.json", "features.npz", "features.json", "explained.json")


def versions() -> dict[str, str]:
    """What a run was made with."""
    return {"elman": version("elman"), "torch": str(torch.__version__), "python": platform.python_version()}


class Estimator(BaseEstimator):
    """An estimator whose settings are dataclass fields, and whose trained state is one network and one JSON object.

    A subclass names its `task`, keeps its network in `network_`, and says what else it has learned in `_learned` and
    `_restore`.
    """

    task: ClassVar[str]
    network_: nn.Module
    history_: list[dict[str, Any]]
    scores_: Any  # of the last `evaluate`
    run_path_: Path | None = None  # the folder that `fit` recorded in, if it had one

    def settings(self) -> dict[str, Any]:
        """The hyperparameters by name, as JSON and TOML take them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def meanings(self) -> dict[str, str]:
        """What each setting means, for whoever reads a record of them."""
        return {f.name: str(f.metadata["help"]) for f in fields(self) if "help" in f.metadata}

    def _open_run(
        self,
        run: Run | str | os.PathLike[str] | None,
        data: dict[str, Any],
        *,
        resume: bool,
        force: bool,
        world: World = ALONE,
    ) -> Run | None:
        """The folder that records a run on `data` (facts about it): a new one, or with `resume` the same as before."""
        self.run_path_ = None
        if run is None:
            return None
        run = run if isinstance(run, Run) else Run(run)
        self.run_path_ = run.path
        run.silent = not world.first
        config: dict[str, Any] = {
            "task": self.task,
            "settings": self.settings(),
            "data": data,
            "versions": versions(),
            "meanings": self.meanings(),
        }
        if not resume:
            run.start(config, force=force)
            world.wait()
            return run
        before = run.config()
        for part, keys in (("settings", list(config["settings"])), ("data", ["sha256", "test"])):
            for key in keys:
                was, now = before.get(part, {}).get(key), config[part].get(key)
                if was != now:
                    raise InputError(
                        f"{run.path} can't be resumed: its {key} was {was!r} and is now {now!r}. Resume with the same "
                        "data and settings, or start anew in another folder"
                    )
        if run.model_path.exists():
            raise InputError(f"the run in {run.path} is finished; there is nothing to resume")
        return run

    def _learned(self) -> dict[str, Any]:
        raise NotImplementedError

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        """Take back what `_learned` gave, and return the network, still without its weights."""
        raise NotImplementedError

    def predict(self, X: Any) -> Any:
        raise NotImplementedError

    def predict_table(self, X: Any) -> Any:
        """What `elman predict` prints of the table `X`: a data frame, of polars where X is a file."""
        return self.predict(X)

    def report(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write one self-contained page: how it was trained and, after `evaluate`, how good it is."""
        check_is_fitted(self)
        if Path(path).exists() and not force:
            raise InputError(f"{path} exists; nothing is overwritten without force=True")
        return self.page().save(path)

    def page(self) -> Page:
        """The same page for a notebook, which shows it where it is the value of a cell; so it does the estimator."""
        check_is_fitted(self)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder) / "run")
            config = {"task": self.task, "settings": self.settings(), "meanings": self.meanings()}
            run.start({**config, "versions": versions()})
            for event in self.history_:
                run.record(**event)
            run.flush()
            for seen in [self.run_path_ / name for name in LOOKS] if self.run_path_ else []:
                if seen.is_dir():
                    shutil.copytree(seen, run.path / seen.name)
                elif seen.exists():
                    shutil.copy(seen, run.path / seen.name)
            if hasattr(self, "scores_"):
                self.scores_.save(run.path)
            self._add_to_page(run)
            return Page.of(run.path)

    def _add_to_page(self, run: Run) -> None:
        """Write into the folder of a page's run what a subclass keeps for it."""

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """How a notebook shows it: once fitted as its page, before as scikit-learn does."""
        return self.page()._repr_html_ if self.__sklearn_is_fitted__() else super()._repr_html_

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the model folder (safetensors and JSON). An existing one is replaced only with `force`."""
        folder = Path(folder)
        self.__sklearn_is_fitted__()
        if folder.exists() and not (force and (folder / "config.json").is_file()):
            raise InputError(
                f"{folder} exists; nothing is overwritten. Give another name, or force=True to replace a model"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            config = {"task": self.task, "settings": self.settings(), "learned": self._learned()}
            save_model(aside, self.network_, config)
            aside.chmod(0o755)
            if folder.exists():
                old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
                folder.replace(old)  # a folder can take the place of an empty one
                aside.replace(folder)
                shutil.rmtree(old)
            else:
                aside.replace(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """A model that `save` wrote. InputError when it is truncated, was changed, or is of a newer format."""
        folder = Path(folder)
        config = load_config(folder)
        if config.get("task") != cls.task:
            raise InputError(f"{folder} holds a model for the task {config.get('task')!r}, not {cls.task!r}")
        try:
            self: Self = from_known(cls, config["settings"])
            with torch.device("meta"):  # no memory before the shapes have been compared
                self.network_ = self._restore(config["learned"])
        except InputError as error:
            raise InputError(f"{folder / 'config.json'}: {error}; the file was changed") from None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise InputError(
                f"{folder / 'config.json'} is not the config of a {cls.__name__} ({type(error).__name__}: {error}); "
                "the file was changed"
            ) from None
        load_weights(folder, self.network_, config)
        self.network_.eval()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")
