"""The way in: one function that serves the page until it is interrupted."""

import ipaddress
import socket
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from elman.errors import InputError


def watch(
    runs: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool = True,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve the live page of `runs`, which need not exist yet, until Ctrl-C or SIGTERM.

    host: the address to listen at; another than loopback lets others on the network look, but not stop the training.
    port: 0 for any that is free.  on_start: called with the page's address when it can be opened.

    Raises InputError where the extra is not installed, no run is named, or the address can't be had.
    """
    if not runs:
        raise InputError("expected at least one run folder, found none: name the folder after -o of `elman fit`")
    try:
        from elman.watch.server import serve
    except ImportError as error:
        raise InputError(f"watching needs {error.name}: pip install 'elman[serve]'") from None
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(f"can't listen at {host}, port {port}: {error}. --port 0 takes any that is free") from None
    with listening:
        shown = "localhost" if is_any(host) else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"

        def started() -> None:
            if on_start:
                on_start(address)
            if browser:
                webbrowser.open(address)

        serve([Path(run) for run in runs], listening, host=host, on_start=started)


def is_any(host: str) -> bool:
    """Whether a server that listens at `host` is reached under every address of the machine.

    >>> is_any("0.0.0.0"), is_any("::"), is_any("127.0.0.1"), is_any("localhost")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
