"""Look at what convolutions make of a few cases, or where attention lies, and at what the answer is owed to.

`look_at_features` runs the network, and gives `Features`, which a run folder keeps; the page draws them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import InputError
from elman.training.attribution import AT_ONCE, Forward
from elman.training.look import Features

STEPS, SIDE = 256, 48  # of a map that is kept; a larger one is made smaller, by the largest value of each part
WINDOWS, GRID = 128, 20  # places that are covered in turn: along a sequence, and along each side of an image
ATTENDED = 128  # steps of a longer sequence whose attention is kept, the first ones
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
Array = NDArray[Any]


@dataclass
class Seen:
    """What one layer did while one case was read."""

    name: str
    kind: str
    module: nn.Module
    output: Tensor
    reads: Tensor | None = None


@dataclass
class Record:
    """What was seen of one run, in the order in which the layers ran."""

    maps: list[Seen] = field(default_factory=list)
    attention: list[Seen] = field(default_factory=list)
    encoded: Tensor | None = None


def look_at_features(
    model: nn.Module,
    encoder: nn.Module,
    forward: Forward,
    cases: Sequence[Tensor],
    *,
    read: Sequence[Array],
    inputs: Sequence[str],
    labels: Sequence[str],
    outputs: Sequence[str],
    kind: str = "classes",
    picks: bool = False,
) -> Features:
    """Run `model` over each of the cases alone, in its evaluation mode.

    Args:
        model: where the layers are looked for.
        forward: the model as a function of `(B, T, I)`, or of images `(B, C, H, W)`, to `(B, K)`.
        encoder: the part of it whose result is pooled: `(B, T, D)`, or already pooled, `(B, D)`.
        cases: `(T, I)`, whose lengths may differ, or `(C, H, W)`, as the model reads them.
        read, inputs: each case in the reader's units, `(T, n)` or `(H, W, n)`, and the names of the n.
        labels: a name for each case.  outputs: names of the K outputs.
        kind: "classes" for logits, of which the largest is followed back; "values", of which the first is.
        picks: whether the encoder's maxima over time are taken.

    Raises InputError where the model has neither convolutions nor attention.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> image = torch.randn(1, 8, 8)
    >>> seen = look_at_features(model, model, model, [image], read=[image.permute(1, 2, 0).numpy()], inputs=["grey"],
    ...     labels=["a"], outputs=list("wxyz"))
    >>> seen.arrays["map.0.0"].shape, seen.arrays["filter.0"].shape, seen.arrays["occluded.0"].shape
    ((4, 8, 8), (4, 3, 3), (8, 8))
    >>> told = seen.facts["cases"][0]
    >>> f"{seen.arrays['share.0'].sum() + told['rest'] - told['answer']:.3f}".strip("-")
    '0.000'
    """
    if not len(cases) == len(read) == len(labels):
        raise InputError(
            f"expected as many cases as labels and readings, found {len(cases)}, {len(labels)}, {len(read)}"
        )
    arrays: dict[str, Array] = {}
    layers: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            for n, (x, values) in enumerate(zip(cases, read, strict=True)):
                with torch.enable_grad(), recorded(model, encoder) as record:
                    answers = forward(x[None])
                    if not record.maps and not record.attention:
                        raise InputError(
                            "the model has neither convolutions nor attention; there is nothing to look at"
                        )
                    chosen = int(answers[0].argmax()) if kind == "classes" else 0
                    share = _shares(answers[0, chosen], record)
                answer = answers[0, chosen].item()
                occluded = _occluded(forward, x, chosen, answer)
                arrays |= {
                    f"read.{n}": _fewer(values),
                    f"output.{n}": _floats(answers.softmax(-1) if kind == "classes" else answers)[0],
                }
                arrays |= {f"share.{n}": _floats(share), f"occluded.{n}": occluded}
                arrays |= {f"map.{n}.{k}": _small(seen.output) for k, seen in enumerate(record.maps)}
                arrays |= {f"attention.{n}.{k}": _attended(seen.output) for k, seen in enumerate(record.attention)}
                if picks and record.encoded is not None:
                    arrays[f"picked.{n}"] = record.encoded[0].argmax(dim=0).numpy()
                rest = answer - float(share.sum())
                told.append(
                    {"label": labels[n], "chosen": chosen, "answer": answer, "rest": rest, "size": [*values.shape[:-1]]}
                )
                layers = layers or [_layer(seen) for seen in (*record.maps, *record.attention)]
    finally:
        for module, mode in modes.items():
            module.training = mode
    convolutions = [layer for layer in layers if layer["kind"] != "attention"]
    modules = dict(model.named_modules())
    for k, layer in enumerate(convolutions):
        if layer["kind"] == "convolution":
            arrays[f"filter.{k}"] = _filters(modules[layer["name"]].weight)
    facts = {
        "kind": kind, "sides": cases[0].dim() - 1, "inputs": list(inputs), "outputs": list(outputs), "cases": told,
        "layers": convolutions, "attention": [layer for layer in layers if layer["kind"] == "attention"],
    }  # fmt: skip
    return Features(facts, arrays)


@contextmanager
def recorded(model: nn.Module, encoder: nn.Module) -> Iterator[Record]:
    """Inside, one run of `model` is noted: each activation after a convolution, pooling of images, and attention."""
    record, pending = Record(), list[tuple[str, nn.Module]]()
    names = {m: n for n, m in model.named_modules()}

    def convolved(module: nn.Module, args: Any, output: Tensor) -> None:
        pending[:] = [(names[module], module)]

    def activated(module: nn.Module, args: Any, output: Tensor) -> None:
        if pending:  # else it follows no convolution
            name, convolution = pending.pop()
            swapped = isinstance(convolution, nn.Conv1d)  # there the activation is (B, T, F)
            record.maps.append(Seen(name, "convolution", convolution, output.mT if swapped else output))

    def pooled(module: nn.Module, args: Any, output: Tensor) -> None:
        record.maps.append(Seen(names[module], "pooling", module, output))

    def asked(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

    def attended(module: nn.Module, args: Any, output: Any) -> None:
        record.attention.append(Seen(names[module], "attention", module, output[1]))

    def encoded(module: nn.Module, args: Any, output: Tensor) -> None:
        record.encoded = output if output.dim() == 3 else None

    hooks = [encoder.register_forward_hook(encoded)]
    for module in names:
        if isinstance(module, CONVOLUTIONS):
            hooks.append(module.register_forward_hook(convolved))
        elif isinstance(module, nn.GELU):
            hooks.append(module.register_forward_hook(activated))
        elif isinstance(module, nn.MaxPool2d):
            hooks.append(module.register_forward_hook(pooled))
        elif isinstance(module, nn.MultiheadAttention):
            hooks.append(module.register_forward_pre_hook(asked, with_kwargs=True))
            hooks.append(module.register_forward_hook(attended))
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


def _shares(answer: Tensor, record: Record) -> Tensor:
    """What each place of the last maps adds to the answer: gradient x activation, summed over the channels.

    Where the answer is linear in pooled maps (their last, mean or maximum), the shares and the bias add up to it: the
    class activation map of Zhou et al. (2016), arXiv 1512.04150.
    """
    last = record.encoded if record.encoded is not None else record.maps[-1].output
    (gradient,) = torch.autograd.grad(answer, last)
    return (gradient * last).detach()[0].sum(dim=-1 if record.encoded is not None else 0)


def _occluded(forward: Forward, x: Tensor, chosen: int, answer: float) -> Array:
    """How much the answer falls where a window of the case is set to zero, its mean: `(places)`, or `(rows, columns)`.

    Of a sequence each step alone, of an image 3 x 3 pixels around each; of a large case windows that lie farther apart.
    """
    sides = (x.shape[0],) if x.dim() == 2 else tuple(x.shape[1:])
    most = WINDOWS if x.dim() == 2 else GRID
    strides = [-(-side // most) for side in sides]
    centres = [
        (torch.arange(0, side, stride) + stride // 2).clamp(max=side - 1)
        for side, stride in zip(sides, strides, strict=True)
    ]
    near = []
    for side, stride, at in zip(sides, strides, centres, strict=True):
        half = stride / 2 if x.dim() == 2 else max(1.5, stride)
        near.append((torch.arange(side) + 0.5 - (at[:, None] + 0.5)).abs() < half)
    covered = near[0] if x.dim() == 2 else (near[0][:, None, :, None] & near[1][None, :, None, :]).flatten(0, 1)
    falls = []
    with torch.no_grad():
        for part in covered.split(AT_ONCE):
            hidden = part[..., None] if x.dim() == 2 else part[:, None]
            falls.append(answer - forward(x.masked_fill(hidden, 0.0))[:, chosen])
    return torch.cat(falls).reshape([len(at) for at in centres]).float().numpy()


def _layer(seen: Seen) -> dict[str, Any]:
    module = seen.module
    told: dict[str, Any] = {"name": seen.name, "kind": seen.kind, "channels": int(seen.output.shape[1])}
    if seen.output.dim() == 4 and seen.kind != "attention":
        told["size"] = list(seen.output.shape[2:])
    if isinstance(module, CONVOLUTIONS):
        told |= {
            "reads": module.in_channels, "width": int(module.kernel_size[0]), "apart": int(module.dilation[0]),
        }  # fmt: skip
    return told


def _filters(weight: Tensor) -> Array:
    """Over time all weights `(F, I, K)`; of an image `(F, K, K)`: of one channel as they are, of several their norm."""
    weight = weight.detach()
    if weight.dim() == 4:
        weight = weight[:, 0] if weight.shape[1] == 1 else weight.norm(dim=1)
    return _floats(weight)


def _small(maps: Tensor) -> Array:
    """`(1, F, ...)` to `(F, ...)`, not larger than STEPS, or SIDE each way."""
    maps = maps.detach()
    if maps.dim() == 3:
        return _floats(F.adaptive_max_pool1d(maps, min(STEPS, maps.shape[2]))[0])
    return _floats(F.adaptive_max_pool2d(maps, (min(SIDE, maps.shape[2]), min(SIDE, maps.shape[3])))[0])


def _fewer(values: Array) -> Array:
    """A case for the reader, `(T, n)` or `(H, W, n)`: of a long one every so many-th step, or pixel."""
    kept = values[:: -(-values.shape[0] // (STEPS if values.ndim == 2 else 2 * SIDE))]
    if values.ndim == 3:
        kept = kept[:, :: -(-values.shape[1] // (2 * SIDE))]
    return np.asarray(kept, dtype=np.float32)


def _attended(weights: Tensor) -> Array:
    """`(1, heads, T, T)` to `(heads, t, t)` of the first steps."""
    return _floats(weights[0, :, :ATTENDED, :ATTENDED])


def _floats(values: Tensor) -> Array:
    return values.detach().float().numpy()
