"""What a network is made of: its parameters, how much it carries from step to step, and what a step costs."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from elman.layers import Recurrent
from elman.models.language import TiedHead

PRODUCTS = {"RNN": 0, "LSTM": 3, "GRU": 3, "MinGRU": 2, "MinLSTM": 2, "RGLRU": 4, "LRU": 4, "SLSTM": 5}
"""Products, and quotients, of one number by another that a unit's equations have beside the matrix products."""


def summary(network: nn.Module) -> dict[str, Any]:
    """The layers of `network` in the order in which they were made, and the totals, as JSON takes them.

    A layer has a `name`, a `kind`, its `inputs` and `outputs` a step, its `parameters`, the numbers of `state` that it
    carries for one sequence, and `multiply_adds`: multiplications a step, with the additions that go with them, in its
    matrix products and, number by number, in its cell's equations. It is None for a kind of layer that is not known
    here; the total is then None too. A one-hot input counts as what it is, a product with a matrix.

    >>> from elman.layers import LSTM
    >>> told = summary(nn.Sequential(LSTM(3, 4), nn.Linear(4, 2)))
    >>> [(layer["name"], layer["parameters"], layer["state"], layer["multiply_adds"]) for layer in told["layers"]]
    [('0.l0', 144, 8, 124), ('1', 10, 0, 8)]
    >>> told["parameters"], told["state"], told["multiply_adds"]
    (154, 8, 132)
    """
    layers = [row for name, module in network.named_modules() for row in _rows(name, module)]
    costs = [row["multiply_adds"] for row in layers]
    return {
        "layers": layers,
        "parameters": sum(p.numel() for p in network.parameters()),
        "state": sum(row["state"] for row in layers),
        "multiply_adds": None if None in costs else sum(costs),
    }


def _rows(name: str, module: nn.Module) -> Iterator[dict[str, Any]]:
    kind = type(module).__name__
    if isinstance(module, Recurrent):
        for index, weights in enumerate(module._all_weights()):
            layer, backward = divmod(index, 2) if module.bidirectional else (index, 0)
            part = f"l{layer}" + ("_reverse" if backward else "")
            states = [getattr(module, f"{letter}_0")[index] for letter in module.letters if module.learned_state]
            yield {
                "name": f"{name}.{part}" if name else part,
                "kind": kind,
                "inputs": module.input_size if layer == 0 else module.output_size,
                "outputs": module.state_sizes[0] if kind != "LRU" else module.hidden_size,
                "parameters": sum(w.numel() for w in (*weights.values(), *states)),
                "state": sum(module.state_sizes),
                "multiply_adds": _multiply_adds(module, weights),
            }
        return
    own = list(module.parameters(recurse=False))
    if not own:
        return
    row = {"name": name, "kind": kind, "inputs": None, "outputs": None, "state": 0, "multiply_adds": None}
    if isinstance(module, nn.Linear):
        row |= {"inputs": module.in_features, "outputs": module.out_features, "multiply_adds": module.weight.numel()}
    elif isinstance(module, nn.Embedding):  # a row is looked up
        row |= {"inputs": 1, "outputs": module.embedding_dim, "multiply_adds": 0}
    elif isinstance(module, TiedHead):
        V, H = module.vocabulary_size, module.hidden_size
        row |= {"inputs": H, "outputs": V, "multiply_adds": V * H}
    yield {**row, "parameters": sum(p.numel() for p in own)}


def _multiply_adds(module: Recurrent, weights: dict[str, Tensor]) -> int | None:
    kind = type(module).__name__
    if kind not in PRODUCTS:
        return None
    matrices = sum(w.numel() for w in weights.values() if w.dim() == 2 and w is not weights.get("peephole"))
    extras = sum(w.numel() for name, w in weights.items() if name.startswith(("norm", "peephole")))
    return matrices + extras + PRODUCTS[kind] * module.hidden_size
