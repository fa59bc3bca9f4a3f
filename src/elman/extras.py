"""Packages that only some users need: where one is missing, the error says how to install it."""

from importlib import import_module
from typing import Any

from elman.errors import InputError


def need(package: str, extra: str, what: str) -> Any:
    """The module called `package`; an InputError says that `what` needs it and which extra brings it.

    >>> need("no_such_package", "text", "a vocabulary of byte pairs")
    Traceback (most recent call last):
    elman.errors.InputError: a vocabulary of byte pairs needs no_such_package: pip install 'elman[text]'
    """
    try:
        return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise InputError(f"{what} needs {name}: pip install 'elman[{extra}]'") from None
