"""Cases: what one answer is learned for each. A case is a sequence, an image or a row; all have one signature."""

from typing import Protocol, Self

import numpy as np
from torch import Tensor

from elman.data.features import Features

Batch = tuple[Tensor, ...]


class Cases(Protocol):
    """N cases, and their features `values (S, F)`, from which a scaling is fitted."""

    @property
    def values(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """(N): what each case costs in a batch, in steps."""

    def take(self, indices: np.ndarray) -> Self:
        """Some of the cases, in the order of `indices`."""

    def scaled(self, features: Features) -> Self:
        """The cases as a network reads them."""

    def batch(self, indices: Tensor) -> Batch:
        """What the network's forward takes for those cases, which have been scaled."""

    def fingerprints(self) -> list[bytes]:
        """(N): the bytes of each case; equal cases have equal ones."""
