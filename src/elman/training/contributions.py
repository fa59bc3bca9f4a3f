"""What a step of a cell is made of: what comes from its input, from the state before and from its biases."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from elman.kernels.reference import EPSILON
from elman.layers.recurrent import Parts, Recurrent, Weights


@dataclass(frozen=True)
class Contributions:
    """Of one layer and direction, `(T, B, rows)` each; `bias (rows)`.

    Where the cell has a matrix W_hh, these are W_ih x_t, W_hh h_(t-1) and the biases, all of whose rows add up to the
    pre-activations (but that a GRU's candidate weighs the second with its reset gate, and that peepholes add c). The
    other cells are linear in their state: there, `state` is the part of the new state that comes from the old one, and
    `input` all the rest, biases included.
    """

    input: Tensor
    state: Tensor
    bias: Tensor

    def norms(self) -> Tensor:
        """`(T, B, 3)`: of input, state and bias."""
        bias = self.bias.norm().expand(self.input.shape[:2])
        return torch.stack([self.input.norm(dim=-1), self.state.norm(dim=-1), bias], dim=-1)


def contributions(layer: Recurrent, index: int, read: Tensor, before: Tensor, first: Parts | None) -> Contributions:
    """Of the layer and direction `index`: it reads `read (T, B, I)`, and h before each step is `before (T, B, R)`.

    `first` is the whole state before the first step, where it is not zero. Time runs in the direction of the layer.

    >>> from elman.layers import LSTM
    >>> lstm, x = LSTM(3, 4), torch.randn(7, 2, 3)
    >>> y, _, trace = lstm(x, trace=True)
    >>> before = torch.cat([torch.zeros(1, 2, 4), y[:-1]])
    >>> made = contributions(lstm, 0, x, before, None)
    >>> bars = torch.cat([trace.layers[0].bars[gate] for gate in "ifgo"], dim=-1)
    >>> torch.allclose(made.input + made.state + made.bias, bars, atol=1e-5)
    True
    """
    weights = layer._all_weights()[index]
    if "weight_hh" not in weights:
        return _of_linear(layer, index, read, first)
    bias = sum((weights[name] for name in ("bias_ih", "bias_hh") if name in weights), torch.zeros(()))
    return Contributions(
        _normed(linear(read, weights["weight_ih"]), weights.get("norm_ih")),
        _normed(_from_state(weights, before), weights.get("norm_hh")),
        bias.expand(len(weights["weight_ih"])),
    )


def _normed(product: Tensor, gain: Tensor | None) -> Tensor:
    return product if gain is None else layer_norm(product, product.shape[-1:], gain, None, EPSILON)


def _from_state(weights: Weights, h: Tensor) -> Tensor:
    W = weights["weight_hh"]
    if W.shape[1] == h.shape[-1]:
        return linear(h, W)
    # Each head of an slstm reads its own units only.
    d = W.shape[1]
    heads = h.unflatten(-1, (-1, d))
    blocks = W.unflatten(0, (-1, heads.shape[-2], d))  # gates, heads, rows, columns
    return torch.einsum("gkrc,...kc->...gkr", blocks, heads).flatten(-3)


def _of_linear(layer: Recurrent, index: int, read: Tensor, first: Parts | None) -> Contributions:
    """By two steps each time: one from the state as it is, and one from a state of zeros."""
    zeros = tuple(read.new_zeros(read.shape[1], size) for size in layer.state_sizes)
    parts, inputs, states = zeros if first is None else first, [], []
    for x in read:
        alone, parts = layer.one_step(index, x, zeros)[0], layer.one_step(index, x, parts)
        inputs.append(alone)
        states.append(parts[0] - alone)
    return Contributions(torch.stack(inputs), torch.stack(states), read.new_zeros(1))
