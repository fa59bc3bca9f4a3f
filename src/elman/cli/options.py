"""How the fields of an estimator become options of the command line."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Parameter, Token, convert
from cyclopts.config import Toml

from elman.errors import InputError

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="where to write")]
TableName = Annotated[str, Parameter(allow_leading_hyphen=True)]
Force = Annotated[bool, Parameter(negative=(), help="replace what is there")]
Quiet = Annotated[bool, Parameter(negative=(), help="say nothing but errors")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="print JSON instead of a table")]


def by_commas(kind: Any, tokens: Sequence[Token]) -> Any:
    """cyclopts' conversion, but lists are also split at commas, `--future rain,tmax`, and weights `yes=5,no=1`."""
    kinds = (kind, *get_args(kind))
    if any(getattr(k, "__origin__", None) is Mapping for k in kinds) and any("=" in token.value for token in tokens):
        return {name: weight for token in tokens for name, weight in map(_weight, token.value.split(","))}
    many = next((k for k in kinds if getattr(k, "__origin__", None) is tuple), None)
    if many is None:
        return convert(kind, list(tokens))
    words = [word.strip() for token in tokens for word in token.value.split(",")]
    item = get_args(many)[0]
    return tuple(convert(item, [word]) for word in words if word)


def _weight(text: str) -> tuple[str, float]:
    """
    >>> _weight("yes = 5")
    ('yes', 5.0)
    """
    name, _, number = text.rpartition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise InputError(f"expected a name and a number such as yes=5, found {text!r}") from None


class Settings(Toml):
    """The settings in a run's config.toml, weights of classes as the command line writes them."""

    def _load_config(self, path: Path) -> dict[str, Any]:
        config = super()._load_config(path)
        for key, value in config.get("settings", {}).items():
            if isinstance(value, Mapping):
                config["settings"][key] = ",".join(f"{name}={number}" for name, number in value.items())
        return config


def settings_file(arguments: Sequence[str]) -> Toml | None:
    """The settings of an earlier run, for `--config RUN/config.toml`; options given beside it win."""
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--config" or word.startswith("--config="):
            path = Path(word.removeprefix("--config=") if "=" in word else after)
            if not path.is_file():
                raise InputError(f"--config {path}: there is no such file; the config.toml of a run was expected")
            return Settings(path, root_keys=("settings",), use_commands_as_keys=False)
    return None


def held_out(text: str) -> int | float | str | None:
    """A test part as the user wrote it: 730 steps, a share such as 0.2, a time, or 0 for none."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number) or number < 0 or (number > 1 and number != int(number)):
        raise InputError(f"--test {text}: steps, a share below 1, or a time was expected")
    return None if number == 0 else number if number < 1 else int(number)


def command_line() -> str:
    """The command as it was given, for the record."""
    return shlex.join(["elman", *sys.argv[1:]])
