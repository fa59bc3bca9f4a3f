"""What the layers say where an argument does not fit: expected, found, and what to do. `owner` names the layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def check_probability(value: Any, argument: str, owner: str) -> None:
    """Raises a ValueError unless `value` is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{owner}: expected {argument} as a probability from 0 to 1, found {value!r}")


def check_sizes(owner: str, **sizes: Any) -> None:
    """Raises a ValueError unless each is a whole number of at least 1."""
    for argument, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"{owner}: expected {argument} as a whole number of at least 1, found {size!r}")


def check_input(x: Any, input_size: int, batch_first: bool, dtype: torch.dtype, owner: str) -> None:
    """Raises unless `x` is `(T, B, I)`, with batch_first `(B, T, I)`, or `(T, I)`, of at least one step and `dtype`."""
    layout = "(B, T, I)" if batch_first else "(T, B, I)"
    if not isinstance(x, Tensor):
        raise TypeError(f"{owner}: expected x as a tensor {layout} or a PackedSequence, found {type(x).__name__}")
    if x.dim() not in (2, 3):
        raise ValueError(f"{owner}: expected x of shape {layout}, or (T, I) unbatched, found {tuple(x.shape)}")
    if x.shape[-1] != input_size:
        raise ValueError(
            f"{owner}: expected {input_size} input features in the last dimension of x, found {tuple(x.shape)}"
        )
    if x.shape[1 if x.dim() == 3 and batch_first else 0] == 0:
        raise ValueError(f"{owner}: expected at least one step in x, found {tuple(x.shape)}")
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"{owner}: expected x as {dtype}, like the weights, found {x.dtype}; use x.to({dtype})")


def check_state(
    given: Sequence[Any], letters: str, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, owner: str
) -> None:
    """Raises unless there is a tensor for each letter, of its shape `(L * D, B, size)` and of `dtype`."""
    if len(given) != len(letters):
        many = {1: "one tensor", 2: "the pair"}.get(len(letters), f"{len(letters)} tensors")
        wanted = f"{many} {letters if len(letters) == 1 else '(' + ', '.join(letters) + ')'}"
        raise ValueError(f"{owner}: expected the state as {wanted}, found {len(given)} tensor(s)")
    for letter, shape, part in zip(letters, shapes, given, strict=True):
        if not isinstance(part, Tensor):
            raise TypeError(f"{owner}: expected the state's {letter} as a tensor, found {type(part).__name__}")
        if part.dtype != dtype and not torch.is_autocast_enabled(part.device.type):
            raise ValueError(
                f"{owner}: expected the state's {letter} as {dtype}, like the weights, found {part.dtype}; use "
                f".to({dtype})"
            )
        if part.shape != shape:
            raise ValueError(
                f"{owner}: expected the state's {letter} of shape {shape} (layers * directions, "
                f"{'batch, ' if len(shape) == 3 else ''}size), found {tuple(part.shape)}"
            )
