"""Images, all of one size."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.data.cases import Batch
from elman.data.features import Features
from elman.errors import InputError


@dataclass(frozen=True)
class Images:
    """N images: `values (N * H * W, C)` has a row for each pixel; `height` and `width`.

    >>> images = read_images(np.zeros((5, 8, 6)))
    >>> images.scaled(Features.fit(images.values)).batch(torch.tensor([1, 4]))[0].shape
    torch.Size([2, 1, 8, 6])
    """

    values: np.ndarray
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.values) // (self.height * self.width)

    @property
    def pixels(self) -> np.ndarray:
        """(N, H, W, C)"""
        return self.values.reshape(-1, self.height, self.width, self.values.shape[1])

    @property
    def lengths(self) -> np.ndarray:
        return np.ones(len(self), dtype=np.int64)

    def take(self, indices: np.ndarray) -> "Images":
        return replace(self, values=self.pixels[indices].reshape(-1, self.values.shape[1]))

    def scaled(self, features: Features) -> "Images":
        return replace(self, values=features.transform(self.values))

    def batch(self, indices: Tensor) -> Batch:
        """`x (B, C, H, W)`"""
        return (torch.from_numpy(self.pixels[indices.numpy()]).permute(0, 3, 1, 2),)

    def fingerprints(self) -> list[bytes]:
        return [image.tobytes() for image in self.pixels]


def read_images(X: Any, shape: tuple[int, ...] | None = None) -> Images:
    """An array `(n, H, W)` or `(n, H, W, C)` of finite numbers, or NaN; `shape`: the (H, W, C) that they must have."""
    try:
        found = np.array(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("expected images as an array (n, H, W) or (n, H, W, C) of numbers, all of one size") from None
    pixels = found[..., None] if found.ndim == 3 else found
    if pixels.ndim != 4 or not pixels.size:
        raise InputError(f"expected images of shape (n, H, W) or (n, H, W, C), found an array of shape {found.shape}")
    if shape is not None and pixels.shape[1:] != shape:
        raise InputError(
            f"expected images of (H, W, C) = {shape}, as the model was fitted on, found an array of shape {found.shape}"
        )
    if np.isinf(found).any():
        raise InputError("the images hold an infinity; finite numbers, or NaN where one is missing, were expected")
    return Images(pixels.reshape(-1, pixels.shape[3]), pixels.shape[1], pixels.shape[2])
