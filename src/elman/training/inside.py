"""Look inside a trained network while it reads a few sequences: what every unit did at every step, and why.

`look_inside` runs the network, and gives an `Inside`, which a run folder keeps as `inside.npz` and `inside.json`; the
page draws it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from elman.errors import InputError
from elman.training.attribution import AT_ONCE, POINTS, Forward, connectivity, saliency
from elman.training.diagnostics import Call, can_trace, traced
from elman.training.layers_seen import Layer, layers_of
from elman.training.look import Inside
from elman.training.unit_views import alike, correlation, explained, path, spans

SHOWN = 128  # steps of a longer sequence that are kept, the last ones
NUMBERS = 4_000_000  # states that are kept of all sequences together; of the last ones that are too many, none
WORK = 3e10  # products that the questions about the shown sequences may take, some seconds of one core
TOP = 8  # most likely classes that are kept of each step
FAVOURED = 6  # outputs named for each unit
Array = NDArray[Any]


def look_inside(
    model: nn.Module,
    forward: Forward,
    x: Tensor,
    *,
    labels: Sequence[str] | None = None,
    words: Sequence[Sequence[str]] | None = None,
    inputs: Mapping[str, ArrayLike] | None = None,
    times: Sequence[Sequence[str]] | None = None,
    kind: str = "values",
    outputs: Sequence[str] | None = None,
    unit: str = "",
    truth: ArrayLike | None = None,
    in_units: Any = None,
    readout: nn.Linear | Tensor | None = None,
    shown: int = 4,
    targets: Sequence[tuple[int, int]] | None = None,
    along: Forward | None = None,
) -> Inside:
    """Run `model` over the sequences `x` and keep what happened inside its recurrent layers.

    Args:
        model: where the layers of `elman.layers` are looked for; it is run in its evaluation mode, and left as it was.
        forward: the model as a function of numbers, `(B, T, E)` to outputs `(B, T', K)` of the last T' steps. Rows of a
            batch must not depend on one another. For a model that reads tokens, x are their embeddings.
        x: `(M, T, E)`, sequences of one length. The first `shown` are kept in full, of the others the states. Of a
            large network fewer are shown, but one at least; a look at one costs as much as training on some hundred.
        labels: a name for each sequence.
        words, inputs: what was read, in the reader's words: a word for each step of each sequence, or series `(M, T)`
            by name, NaN where unknown. Without both, the numbers of x themselves.
        times: names of the steps of each sequence, such as dates; without them, they are counted from 1.
        kind: "values", or "classes" for logits.
        outputs: names of the K outputs.
        unit: of values, for the axis.
        truth: `(M, T')`, the value or the index of the class that was right; NaN or -1 where unknown.
        in_units: from arrays of values `(N, T', K)` as the model gives them to the reader's unit.
        readout: the linear layer from the last recurrent layer to the outputs, or its weights `(K, R)`; without it, the
            last linear layer that fits.
        targets: step (of the T') and output pairs whose saliency is taken, the same for all sequences. Without them:
            the first output of values at the first, middle and last step, the likeliest class at the middle and last.
        along: where forward gives the last output alone, what the model says after each step, `(B, T, K)`.

    Of more than 128 steps the last 128 are kept. Raises InputError where the arguments do not fit each other.

    >>> from elman.layers import GRU
    >>> class Sums(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.gru, self.head = GRU(1, 8, batch_first=True), nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         return self.head(self.gru(x)[0])
    >>> model, x = Sums(), torch.randn(5, 20, 1)
    >>> seen = look_inside(model, model, x, inputs={"number": x[..., 0]}, outputs=["sum"], truth=x.cumsum(1)[..., 0])
    >>> seen.arrays["gate.0.z"].shape, seen.arrays["connectivity"].shape, seen.facts["layers"][0]["name"]
    ((4, 20, 8), (4, 20, 20), 'gru.l0')
    """
    _check(x, labels, words, inputs, times, kind)
    M, T = x.shape[:2]
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]), can_trace():
            with torch.no_grad(), traced(model) as calls:
                answers = forward(x)
            _check_answers(answers, x, outputs, truth)
            with torch.no_grad():
                layers = layers_of(calls, T)
            cut = max(0, T - SHOWN)
            N = min(shown, M, _affordable(calls, answers, T - cut, len(targets or "123")))
            at_once = max(1, min(AT_ONCE, NUMBERS // answers[0].numel()))
            picked = answers[:N].argmax(-1) if kind == "classes" else torch.zeros(N, answers.shape[1], dtype=torch.long)
            first = T - answers.shape[1]
            connected = [connectivity(forward, x[n], picked[n].tolist(), at_once=at_once) for n in range(N)]
            asked = [targets or _targets(kind, picked[n].tolist(), max(0, cut - first)) for n in range(N)]
            salient = [saliency(forward, x[n], asked[n], first=cut, at_once=at_once) for n in range(N)]
    finally:
        for module, mode in modes.items():
            module.training = mode

    lost = max(0, cut - first)  # outputs of steps that are not kept
    arrays: dict[str, Array] = {
        "connectivity": torch.stack(connected)[:, lost:, cut:].numpy(),
        "connected": picked[:, lost:].numpy(),
        "targets": np.array(asked).reshape(N, -1, 2) - np.array([lost, 0]),
    }
    for name in ("gradient", "integrated", "occlusion"):
        arrays[f"saliency.{name}"] = np.stack([[getattr(s, name)[cut:].numpy() for s in of] for of in salient])
    for name in ("value", "baseline", "delta"):
        arrays[f"saliency.{name}"] = np.array([[getattr(s, name) for s in of] for of in salient])

    read, facts = _what_was_read(x, words, inputs, cut)
    arrays |= read
    arrays |= _outputs(answers[:N, lost:], kind, in_units)
    if along is not None:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            arrays["along"] = _said(along(x[:N])[:, cut:], kind, in_units)
    if truth is not None:
        arrays |= _truth(np.asarray(truth)[:N, lost:], answers[:N, lost:], kind)
    names = list(outputs) if outputs is not None else [f"output {k}" for k in range(answers.shape[-1])]
    weights = readout.weight if isinstance(readout, nn.Linear) else readout
    if weights is None:
        weights = _readout(model, layers[-1].output, answers.shape[-1])
    elif tuple(weights.shape) != (shape := (answers.shape[-1], layers[-1].output)):
        raise InputError(f"readout: expected weights of shape {shape}, found {tuple(weights.shape)}")
    top = max(layer.depth for layer in layers)
    for k, layer in enumerate(layers):
        related = correlation(layer.h[:, cut:], arrays["inputs"][..., 0]) if "inputs" in arrays else None
        arrays |= _of_layer(k, layer, N, cut, related, arrays.get("words"))
        if weights is not None and layer.depth == top and layer.output == weights.shape[1]:
            arrays |= _favoured(k, weights, layer)
    return Inside(
        {
            "kind": kind,
            "unit": unit,
            "steps": T - cut,
            "skipped": cut,
            "first_output": max(0, first - cut),
            "labels": list(labels) if labels is not None else [f"sequence {k + 1}" for k in range(M)],
            "times": None if times is None else [list(of)[cut:] for of in times],
            "outputs": names,
            "related": "share of its variance that the word explains" if words is not None else "correlation",
            "layers": [layer.facts(cut) for layer in layers],
            **facts,
        },
        arrays,
    )


def _affordable(calls: Sequence[Call], answers: Tensor, kept: int, targets: int) -> int:
    """How many sequences can be asked about within `WORK`, but one at least."""
    runs = 3 * answers.shape[1] + 3 * POINTS * targets + kept  # a way back costs about two ways there
    products = sum(len(call.trace.layers[0].h) * sum(p.numel() for p in call.layer.parameters()) for call in calls)
    return max(1, int(WORK / (runs * products)))


def _check(x: Tensor, labels: Any, words: Any, inputs: Any, times: Any, kind: str) -> None:
    if x.dim() != 3 or not x.is_floating_point() or not len(x) or x.shape[1] < 2:
        raise InputError(
            f"expected x as floats of shape (sequences, steps, numbers), found {x.dtype} {tuple(x.shape)}; for tokens, "
            "give their embeddings"
        )
    if kind not in ("values", "classes"):
        raise InputError(f"expected kind 'values' or 'classes', found {kind!r}")
    for name, given in (("labels", labels), ("words", words), ("times", times)):
        if given is not None and len(given) != len(x):
            raise InputError(f"expected {name} for {len(x)} sequences, found {len(given)}")
    rows = {f"{name}[{k}]": row for name, of in (("words", words), ("times", times)) for k, row in enumerate(of or ())}
    for name, row in rows.items():
        if len(row) != x.shape[1]:
            raise InputError(f"{name}: expected one for each of {x.shape[1]} steps, found {len(row)}")
    for name, series in (inputs or {}).items():
        if np.shape(series) != tuple(x.shape[:2]):
            raise InputError(f"input {name!r}: expected shape {tuple(x.shape[:2])}, found {np.shape(series)}")


def _check_answers(answers: Any, x: Tensor, outputs: Any, truth: Any) -> None:
    if not isinstance(answers, Tensor) or answers.dim() != 3 or answers.shape[0] != len(x):
        found = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
        raise InputError(f"forward(x): expected a tensor ({len(x)}, steps, outputs), found {found}")
    if not 0 < answers.shape[1] <= x.shape[1]:
        raise InputError(f"forward(x): expected outputs of 1 to {x.shape[1]} steps, found {answers.shape[1]}")
    if outputs is not None and len(outputs) != answers.shape[-1]:
        raise InputError(f"expected names of {answers.shape[-1]} outputs, found {len(outputs)}")
    if truth is not None and np.shape(truth) != tuple(answers.shape[:2]):
        raise InputError(f"truth: expected shape {tuple(answers.shape[:2])}, found {np.shape(truth)}")


def _of_layer(k: int, layer: Layer, N: int, cut: int, related: Array | None, words: Array | None) -> dict[str, Array]:
    h = layer.h[:, cut:]
    M = max(N, min(len(h), NUMBERS // max(1, h[0].size)))
    arrays = {f"h.{k}": h[:N], f"contributions.{k}": layer.norms[:N, cut:]}
    if layer.c is not None:
        arrays[f"c.{k}"] = layer.c[:N, cut:]
    arrays |= {f"gate.{k}.{letter}": v[:N, cut:] for letter, v in layer.gates.items()}
    arrays |= {f"bar.{k}.{letter}": v[:N, cut:] for letter, v in layer.bars.items()}
    low, high = float(h.min()), float(h.max())
    arrays[f"wide.{k}"] = np.rint((h[:M] - low) / max(high - low, 1e-30) * 255).astype(np.uint8)
    arrays[f"wide_range.{k}"] = np.array([low, high])
    arrays[f"order.{k}"] = np.array(alike(h))
    arrays[f"related.{k}"] = related if related is not None else explained(h, words if words is not None else h[..., 0])
    arrays[f"spans.{k}"], arrays[f"peaks.{k}"] = spans(h)
    where, shares = path(h[:M])
    return arrays | {f"path.{k}": where.astype(np.float32), f"path_shares.{k}": shares}


def _what_was_read(x: Tensor, words: Any, inputs: Any, cut: int) -> tuple[dict[str, Array], dict[str, Any]]:
    if words is not None:
        every, ids = np.unique([str(word) for of in words for word in list(of)[cut:]], return_inverse=True)
        return {"words": ids.reshape(len(x), -1)}, {"words": every.tolist(), "inputs": []}
    if inputs is None:
        inputs = {f"input {k}": x[..., k] for k in range(x.shape[-1])}
    series = np.stack([np.asarray(of, dtype=np.float32) for of in inputs.values()], axis=-1)
    return {"inputs": series[:, cut:]}, {"words": None, "inputs": list(inputs)}


def _outputs(answers: Tensor, kind: str, in_units: Any) -> dict[str, Array]:
    if kind == "values":
        return {"outputs": _said(answers, kind, in_units)}
    shares = answers.detach().softmax(-1)
    top = shares.topk(min(TOP, shares.shape[-1]))
    found = {"top": top.indices.numpy(), "top_share": top.values.numpy()}
    return found | ({"outputs": shares.numpy()} if shares.shape[-1] <= 128 else {})


def _said(answers: Tensor, kind: str, in_units: Any) -> Array:
    """Values in the reader's unit, or the probabilities of classes."""
    values = answers.detach().double() if kind == "values" else answers.detach().softmax(-1)
    return np.asarray(in_units(values.numpy()) if in_units and kind == "values" else values.numpy(), dtype=np.float32)


def _truth(truth: Array, answers: Tensor, kind: str) -> dict[str, Array]:
    if kind == "values":
        return {"truth": truth.astype(np.float32)}
    known = torch.as_tensor(truth).long()
    bits = -answers.detach().log_softmax(-1).gather(-1, known.clamp(min=0)[..., None])[..., 0] / np.log(2)
    return {"truth": known.numpy(), "surprisal": bits.masked_fill(known < 0, torch.nan).numpy()}


def _targets(kind: str, picked: list[int], lost: int) -> list[tuple[int, int]]:
    last = len(picked) - 1
    steps = (lost, (lost + last) // 2, last) if kind == "values" else ((lost + last) // 2, last)
    return [(step, picked[step]) for step in sorted(set(steps))]


def _readout(model: nn.Module, inputs: int, outputs: int) -> Tensor | None:
    """The weights of the last linear layer of this shape."""
    fitting = [
        m for m in model.modules() if isinstance(m, nn.Linear) and (m.in_features, m.out_features) == (inputs, outputs)
    ]
    return fitting[-1].weight if fitting else None


def _favoured(k: int, weights: Tensor, layer: Layer) -> dict[str, Array]:
    """Of a bidirectional layer, the columns of its own direction."""
    R = layer.h.shape[-1]
    columns = weights.detach()[:, R:] if layer.backward else weights.detach()[:, :R]
    top = columns.T.topk(min(FAVOURED, len(weights)))
    return {f"favoured.{k}": top.indices.numpy(), f"favoured_weights.{k}": top.values.numpy()}
