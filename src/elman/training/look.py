"""Looks inside a network as a run folder keeps them: `NAME.npz` and `NAME.json`. They are read without torch."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from elman.errors import InputError
from elman.files import read_json, replacing, write_json

FORMAT = 1
Array = NDArray[Any]


@dataclass(frozen=True)
class Look:
    """What was seen: `facts` as JSON takes them, `arrays` by name."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]
    name: ClassVar[str]  # of the two files

    def save(self, folder: str | Path) -> None:
        """Write both files into a run's folder, each whole; a mixture of two looks is noticed."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **self.arrays)
        with replacing(Path(folder) / f"{self.name}.npz") as aside:
            aside.write_bytes(buffer.getvalue())
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        write_json(Path(folder) / f"{self.name}.json", {"format": FORMAT, "sha256": digest, **self.facts})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What `save` wrote; InputError where it is not there, not whole, or of a newer format."""
        facts = read_json(Path(folder) / f"{cls.name}.json")
        numbers = Path(folder) / f"{cls.name}.npz"
        if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
            raise InputError(f"{Path(folder) / cls.name}.json was not written by this version of elman; fit again")
        try:
            raw = numbers.read_bytes()
        except OSError as error:
            raise InputError(f"{numbers} can't be read: {error.strerror}") from None
        if hashlib.sha256(raw).hexdigest() != facts.pop("sha256", None):
            raise InputError(
                f"{numbers} is not the file that was saved with {cls.name}.json; it was truncated or changed"
            )
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return cls(facts, {name: arrays[name] for name in arrays.files})


class Inside(Look):
    """What `look_inside` saw, in `inside.npz` and `inside.json`.

    N sequences are shown in full, M (of which the first are those N) only by their states; T is the number of steps,
    and outputs belong to the last T' of them. For layer k, in the order of `facts["layers"]`:

    - `h.k (N, T, R)`, `c.k (N, T, H)`, `gate.k.i (N, T, H)` and `bar.k.i` the same before it was squashed;
    - `contributions.k (N, T, 3)`: the norms of what came from the input, the state before and the biases;
    - `wide.k (M, T, R)`: h in 8 bits between the two numbers of `wide_range.k`;
    - `order.k (R)`: units so that like ones are neighbours; `related.k (R)`: how much each goes with the input;
    - `spans.k (R, 10, 2)`: sequence and step where a unit is highest, -1 for none; `peaks.k (R, 10)`: its values there;
    - `path.k (M, T, 2)`: h along the two directions of most variance, whose shares are `path_shares.k (2)`;
    - `favoured.k (R, 6)` and `favoured_weights.k`: the outputs whose weights from this unit are largest.

    And for all: `inputs (M, T, n)` or `words (M, T)`, indices into `facts["words"]`; `outputs (N, T', K)`, for classes
    probabilities (left out where there are more than 128), and `along (N, T, K)`, what it says after each step, where
    `outputs` are of the last alone; with `top (N, T', 8)`, `top_share` and, where the truth is
    known, `surprisal (N, T')` in bits; `truth (N, T')`; `connectivity (N, T', T)` of the outputs `connected (N, T')`;
    `targets (N, G, 2)`, a step counted from the first output and an output, with `saliency.gradient`, `.integrated` and
    `.occlusion (N, G, T)`, `.value`, `.baseline` and `.delta (N, G)`, in the units of the network.
    """

    name = "inside"


class Features(Look):
    """What `elman.training.feature_maps` saw of convolutions, or of attention, in `features.npz` and `features.json`.

    For each of N cases n, whose sizes may differ, and each layer k of `facts["layers"]`; a map has one dimension T of
    steps, or two, of an image:

    - `map.n.k (F, ...)`: the feature maps after the activation, or after pooling (a layer whose `kind` is "pooling");
    - `filter.k (F, ...)`: the weights `(F, I, K)` over time; of an image `(F, K, K)`, signed where one channel is read,
      else the norm over the channels;
    - `attention.n.k (heads, T, T)`: how much each step (row) looked at each step (column), of a transformer;
    - `read.n (T, I)` or `(H, W, C)`: the case in the reader's units; `output.n (K)`: what the network says of it;
    - `share.n`: what each place of the last maps adds to the answer `facts["cases"][n]["answer"]`, which with
      `"rest"` they add up to; `occluded.n`: how much the answer falls where a place is covered;
    - `picked.n (D)`: the step at which each of the D channels has its maximum, where pooling over time takes that.
    """

    name = "features"
