"""What passes between one that reads and one that speaks: a memory of what was read, a state of what was said."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What the encoder made of `(B, T)` symbols."""

    steps: Tensor  # (B, T, M)
    within: Tensor | None  # (B, T): which of them count; None: all
    keys: Tensor | None  # (B, T, d): what attention compares its queries with
    copies: Tensor | None  # (B, T): the target symbol that each source symbol would be as a copy, -1 for none

    def select(self, rows: Tensor) -> "Memory":
        """The same for other sequences: each of `rows` is the number of one."""
        picked = [None if t is None else t[rows] for t in (self.steps, self.within, self.keys, self.copies)]
        return Memory(*picked)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Spoken:
    """The state of a decoder, all that it keeps of what it said: tensors whose `axis` counts the sequences."""

    parts: tuple[Tensor, ...]
    axes: tuple[int, ...]

    def select(self, rows: Tensor) -> "Spoken":
        return replace(
            self, parts=tuple(p.index_select(axis, rows) for p, axis in zip(self.parts, self.axes, strict=True))
        )
