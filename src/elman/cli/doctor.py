"""`elman doctor`: what this installation runs on, and what would make it faster."""

import os
import platform

from elman.cli.options import Json
from elman.cli.terminal import show
from elman.errors import InputError

FORCES = ("ELMAN_KERNEL", "ELMAN_ISA")


def doctor(*, json: Json = False) -> None:
    """Tell versions, processor, kernels and threads, and what to do where something is slow or amiss."""
    import torch

    from elman.kernels import explain, native_status
    from elman.tasks.base import versions

    try:
        native = native_status()
        explain("lstm", torch.zeros(1, 1, 1), None, torch.zeros(4, 1), torch.zeros(4, 1))
    except (ValueError, RuntimeError) as error:  # a variable of FORCES asks for what can't be had
        raise InputError(str(error)) from error
    facts = {
        **versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, torch uses {torch.get_num_threads()} threads",
        "kernels": f"native, {native.isa}" if native.built else "reference",
        "instruction sets": ", ".join(native.compiled) or "none compiled",
        "of these it can run": ", ".join(native.supported) or "none",
        "forced": ", ".join(f"{k}={os.environ[k]}" for k in FORCES if k in os.environ) or "nothing",
    }
    advice = []
    if not native.built:
        advice.append(
            f"There are no native kernels ({native.why_not}). Elman runs on torch's own layers instead and, where they "
            "can't serve, on slow loops. Install a C++ compiler (Debian, Ubuntu: apt install g++), then elman again "
            "from its folder: pip install --force-reinstall --no-deps ."
        )
    if json:
        import json as js

        print(js.dumps({**facts, "native": native.built, "advice": advice}))
        return
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, fact in facts.items():
        table.add_row(name, fact)
    for line in advice or ["All is well."]:
        table.add_row("advice", line)
    show(table)
