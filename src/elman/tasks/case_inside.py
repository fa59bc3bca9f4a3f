"""A look inside a classifier or a regressor: what its network did with some cases that it did not learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.cases import Cases
from elman.data.images import Images
from elman.data.sequences import Sequences
from elman.data.texts import TokenCases
from elman.layers import Recurrent
from elman.models.many_to_one import ImageModel, SequenceModel
from elman.models.text import TextModel
from elman.training.feature_maps import look_at_features
from elman.training.inside import look_inside
from elman.training.look import Features, Inside

SHOWN, LOOKED_AT = 6, 48  # sequences that are shown in full, and whose states are kept
FEATURED = 8  # cases of which feature maps are kept
SERIES = 8  # features that are shown of what was read


@dataclass(frozen=True)
class Told:
    """The answers in words.

    kind: "classes" or "values".  outputs: the names of what the network says.  truth(k): that of case k, in a word.
    rescale: from what the network says to calibrated logits, or to values in their unit.  right (N): the value of each
    case; None for classes.
    """

    kind: str
    outputs: Sequence[str]
    unit: str
    truth: Callable[[int], str]
    rescale: Callable[[Tensor], Tensor]
    right: np.ndarray | None = None


def case_inside(
    network: nn.Module, raw: Cases, scaled: Cases, on: np.ndarray, names: Sequence[str], told: Told
) -> Inside | Features | None:
    """What there is to see: states of recurrent layers, feature maps, attention; None where a network has none.

    on: cases that were not learned from, spread evenly over which some are looked at.  names: of the features.
    """
    if isinstance(raw, Images) and isinstance(scaled, Images) and isinstance(network, ImageModel):
        picks = spread(on, FEATURED)
        cases = [scaled.batch(torch.tensor([k]))[0][0] for k in picks]
        return _features(network, cases, [raw.pixels[k] for k in picks], picks, names, told)
    if not isinstance(network, SequenceModel) or not isinstance(raw, Sequences) or not isinstance(scaled, Sequences):
        return None
    if not any(isinstance(module, Recurrent) for module in network.modules()):
        picks = spread(on, FEATURED)
        cases = [torch.from_numpy(_steps(scaled, k)) for k in picks]
        return _features(network, cases, [_steps(raw, k)[:, :SERIES] for k in picks], picks, names, told)
    return _sequences(network, raw, scaled, on, names, told)


def _sequences(
    network: SequenceModel, raw: Sequences, scaled: Sequences, on: np.ndarray, names: Sequence[str], told: Told
) -> Inside | None:
    """Sequences of one length: those of at least the median length, cut to it."""
    T = int(np.median(raw.lengths[on]))
    if T < 2:
        return None
    picks = spread(on[raw.lengths[on] >= T], LOOKED_AT)
    x = torch.from_numpy(np.stack([_steps(scaled, k)[:T] for k in picks]))
    labels = [
        f"case {k + 1}: {told.truth(k)}" + (f" (first {T} of {raw.lengths[k]} steps)" if raw.lengths[k] > T else "")
        for k in picks
    ]
    read = np.stack([_steps(raw, k)[:T] for k in picks])
    both = network.bidirectional  # then it reads again for each step

    def so_far(x: Tensor) -> Tensor:
        return told.rescale(network.as_it_reads(x))

    return look_inside(
        network,
        (lambda x: told.rescale(network(x))[:, None]) if both else so_far,
        x,
        along=so_far if both else None,
        labels=labels,
        inputs={name: read[..., k] for k, name in enumerate(names[:SERIES])},
        kind=told.kind,
        outputs=told.outputs,
        unit=told.unit,
        truth=None if told.right is None else np.repeat(told.right[picks][:, None], 1 if both else T, axis=1),
        shown=SHOWN,
    )


def text_inside(network: TextModel, cases: TokenCases, on: np.ndarray, told: Told) -> Inside | None:
    """Of a recurrent network: texts of one length, those of at least the median length, cut to it."""
    reader = network.reader
    if not isinstance(reader, SequenceModel) or not any(isinstance(m, Recurrent) for m in network.modules()):
        return None
    T = int(np.median(cases.lengths[on]))
    if T < 2:
        return None
    picks = spread(on[cases.lengths[on] >= T], LOOKED_AT)
    tokens, _, *pieces = cases.batch(torch.from_numpy(picks))
    with torch.no_grad():
        x = network.embed(tokens, *pieces)[:, :T]
    both = reader.bidirectional

    def so_far(x: Tensor) -> Tensor:
        return told.rescale(reader.as_it_reads(x))

    return look_inside(
        network,
        (lambda x: told.rescale(reader(x))[:, None]) if both else so_far,
        x,
        along=so_far if both else None,
        labels=[
            f"text {k + 1}: {told.truth(k)}" + (f" (first {T} of {n} tokens)" if n > T else "")
            for k, n in zip(picks.tolist(), cases.lengths[picks].tolist(), strict=True)
        ],
        words=[cases.words[k][:T] for k in picks],
        kind=told.kind,
        outputs=told.outputs,
        shown=SHOWN,
    )


def _features(
    network: SequenceModel | ImageModel, cases: list[Tensor], read: list[np.ndarray], picks: np.ndarray,
    names: Sequence[str], told: Told,
) -> Features:  # fmt: skip
    pooling = network.pool.kind if isinstance(network, SequenceModel) else ""
    return look_at_features(
        network,
        network.encoder,
        lambda x: told.rescale(network(x)),
        cases,
        read=read,
        inputs=list(names[:SERIES]),
        labels=[f"case {k + 1}: {told.truth(k)}" for k in picks.tolist()],
        outputs=told.outputs,
        kind=told.kind,
        picks=pooling in ("max", "summary"),
    )


def _steps(cases: Sequences, k: int) -> np.ndarray:
    begin: Any = cases.begins[k]
    return cases.values[begin : begin + cases.lengths[k]]


def spread(on: np.ndarray, most: int) -> np.ndarray:
    """So many of the cases, at the most, evenly over them."""
    return on[np.unique(np.linspace(0, len(on) - 1, min(most, len(on))).round().astype(int))]
