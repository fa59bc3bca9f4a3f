"""Why a text was taken for what it was taken for, word by word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Explanation:
    """Of T tokens and C classes. `contributions (T)` add up to `log_odds - baseline`; `arriving (T, C)` is how likely
    each class was when no more than the tokens up to each had been read."""

    words: tuple[str, ...]
    classes: tuple[str, ...]
    label: str  # the class that is explained
    contributions: np.ndarray
    baseline: float  # log-odds of the class for a text without words
    log_odds: float
    arriving: np.ndarray

    @property
    def probability(self) -> float:
        return float(self.arriving[-1, self.classes.index(self.label)])

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "label": self.label,
            "probability": self.probability,
            "log_odds": self.log_odds,
            "baseline": self.baseline,
            "words": list(self.words),
            "contributions": self.contributions.tolist(),
            "classes": list(self.classes),
            "arriving": self.arriving.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Explanation":
        """What `to_dict` gave."""
        return cls(
            tuple(map(str, saved["words"])),
            tuple(map(str, saved["classes"])),
            str(saved["label"]),
            np.array(saved["contributions"], dtype=np.float64),
            float(saved["baseline"]),
            float(saved["log_odds"]),
            np.array(saved["arriving"], dtype=np.float64),
        )


def odds(logits: Tensor) -> Tensor:
    """Log-odds of each class against all others: `(..., C)` to `(..., C)`.

    >>> odds(torch.tensor([3.0, 1.0]))
    tensor([ 2., -2.])
    """
    C = logits.shape[-1]
    others = (
        logits[..., None, :].expand(*logits.shape[:-1], C, C).masked_fill(torch.eye(C, dtype=torch.bool), -torch.inf)
    )
    return logits - others.logsumexp(-1)
