"""Swap `torch.nn`'s recurrent modules inside a model for their twins here, and back.

A twin shares all that the original holds: its dictionaries of parameters, buffers, submodules and hooks are the
original's own. So optimizers, hooks and weight normalisation go on as before, and what happens to one of the two is
seen by the other.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from .cells import GRUCell, LSTMCell, RNNCell
from .classic import GRU, LSTM, RNN


class _TorchsNames:
    """Takes its arguments under torch's names too: a model may call its layers with `input=` and `hx=`."""

    def forward(self, x: Any = None, state: Any = None, *, input: Any = None, hx: Any = None, **more: Any) -> Any:
        x, state = input if x is None else x, hx if state is None else state
        return super().forward(x, state, **more)  # type: ignore[misc]


class AcceleratedRNN(_TorchsNames, RNN): ...


class AcceleratedLSTM(_TorchsNames, LSTM): ...


class AcceleratedGRU(_TorchsNames, GRU): ...


class AcceleratedRNNCell(_TorchsNames, RNNCell): ...


class AcceleratedLSTMCell(_TorchsNames, LSTMCell): ...


class AcceleratedGRUCell(_TorchsNames, GRUCell): ...


TWINS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: AcceleratedRNN, nn.LSTM: AcceleratedLSTM, nn.GRU: AcceleratedGRU,
    nn.RNNCell: AcceleratedRNNCell, nn.LSTMCell: AcceleratedLSTMCell, nn.GRUCell: AcceleratedGRUCell,
}  # fmt: skip
ARGUMENTS = ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size", "nonlinearity")
TORCHS_OWN = ("mode", "_flat_weights", "_flat_weights_names", "_flat_weight_refs", "_all_weights", "num_chunks")
"""Attributes with which torch's modules manage their weights and ours do not."""
ORIGINAL = "_accelerated_original"


@dataclass(frozen=True)
class Row:
    """One recurrent module of a model."""

    paths: tuple[str, ...]
    """Where it stands, by the names of `named_modules`; more than one where it is used at several places."""
    module: str
    """What it was, as its repr says."""
    left: str | None
    """Why it was left as it is; None: it was swapped."""


@dataclass(frozen=True)
class Report:
    """What `accelerate` did. Printed, it is a table."""

    rows: tuple[Row, ...]

    @property
    def swapped(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.left is None)

    @property
    def left(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.left is not None)

    def __str__(self) -> str:
        if not self.rows:
            return "There is no torch.nn.RNN, LSTM, GRU or cell of these in this model."
        table = [("where", "module", "")]
        for row in self.rows:
            where = ", ".join(path or "(the model itself)" for path in row.paths)
            table.append((where, row.module, "swapped" if row.left is None else f"left: {row.left}"))
        widths = [max(len(line[column]) for line in table) for column in (0, 1)]
        lines = [f"{where:{widths[0]}}  {module:{widths[1]}}  {what}".rstrip() for where, module, what in table]
        return "\n".join([*lines, f"{len(self.swapped)} swapped, {len(self.left)} left"])


def accelerate(model: nn.Module) -> tuple[nn.Module, Report]:
    """Swaps every `torch.nn.RNN`, `LSTM`, `GRU` and cell of these inside a model for its twin, in place.

    The twins give the same results and have the very same `Parameter` objects, so an optimizer made before goes on
    working; hooks, training mode, names in the state_dict, `weight_norm` and parametrizations stay. A module that is
    used at several places is swapped once. Left as they are, with the reason in the report: subclasses (they may add
    behaviour), quantized modules and compiled ones (`torch.jit`).

    A module that the model holds elsewhere than among its submodules (a list, a closure) is not found there, and code
    that asks for `isinstance(module, torch.nn.LSTM)` no longer finds a twin.

    Returns the model, or its twin where it is itself such a module, and a `Report`. `restore` takes it all back.

    >>> model = nn.ModuleDict({"encoder": nn.LSTM(3, 4), "head": nn.Linear(4, 1)})
    >>> model, report = accelerate(model)
    >>> print(report)
    where    module
    encoder  LSTM(3, 4)  swapped
    1 swapped, 0 left
    >>> model["encoder"], isinstance(model["encoder"], LSTM)
    (AcceleratedLSTM(3, 4), True)
    >>> restore(model)["encoder"]
    LSTM(3, 4)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"accelerate: expected a torch.nn.Module, found {model!r}")
    found: dict[int, tuple[nn.Module, list[str]]] = {}
    for path, module in _walk(model):
        if _is_recurrent(module):
            found.setdefault(id(module), (module, []))[1].append(path)
    twins: dict[int, nn.Module] = {}
    rows = []
    for key, (module, paths) in found.items():
        reason = _reason_to_leave(module)
        if reason is None:
            twins[key] = _twin(module)
        rows.append(Row(tuple(paths), _described(module), reason))
    return _exchanged(model, twins), Report(tuple(rows))


def restore(model: nn.Module) -> nn.Module:
    """Puts back the very modules that `accelerate` swapped, with the state that their twins have now.

    Returns the model, or the original where the model is itself a twin.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"restore: expected a torch.nn.Module, found {model!r}")
    originals = {}
    for _, module in _walk(model):
        if ORIGINAL in module.__dict__ and id(module) not in originals:
            originals[id(module)] = _restored(module)
    return _exchanged(model, originals)


def _walk(module: nn.Module, path: str = "", seen: tuple[int, ...] = ()) -> Iterator[tuple[str, nn.Module]]:
    """Every place in a model with the module that stands there."""
    yield path, module
    if id(module) in seen or _of_torch_ao(module):
        return
    compiled = isinstance(module, torch.jit.ScriptModule)
    for name, child in module.named_children() if compiled else module._modules.items():
        if child is not None:
            yield from _walk(child, f"{path}.{name}" if path else name, (*seen, id(module)))


def _exchanged(model: nn.Module, others: dict[int, nn.Module]) -> nn.Module:
    for _, parent in list(_walk(model)):
        if isinstance(parent, torch.jit.ScriptModule):
            continue
        for name, child in parent._modules.items():
            if child is not None and id(child) in others:
                parent._modules[name] = others[id(child)]
    return others.get(id(model), model)


def _is_recurrent(module: nn.Module) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return module.original_name in {cls.__name__ for cls in TWINS}
    return isinstance(module, tuple(TWINS)) or _of_torch_ao(module)


def _of_torch_ao(module: nn.Module) -> bool:
    names = {cls.__name__ for cls in TWINS}
    return type(module).__name__ in names and type(module).__module__.startswith("torch.ao.")


def _reason_to_leave(module: nn.Module) -> str | None:
    if isinstance(module, torch.jit.ScriptModule):
        return "compiled by torch.jit"
    cls = parametrize.type_before_parametrizations(module)
    if not isinstance(module, tuple(TWINS)):
        return "quantized" if "quantized" in cls.__module__ else f"of {cls.__module__}"
    if cls not in TWINS:
        base = next(base for base in cls.__mro__ if base in TWINS)
        return f"a subclass of {base.__name__}, which may add behaviour"
    return None


def _twin(original: nn.Module) -> nn.Module:
    theirs = parametrize.type_before_parametrizations(original)
    given = {name: getattr(original, name) for name in ARGUMENTS if hasattr(original, name)}
    if not issubclass(theirs, nn.LSTM):
        given.pop("proj_size", None)
    with warnings.catch_warnings(), torch.device("meta"):  # neither memory nor random numbers for what is not kept
        warnings.simplefilter("ignore")
        twin = TWINS[theirs](original.input_size, original.hidden_size, **given)
    state = vars(original)
    twin.__dict__.update({name: value for name, value in state.items() if name not in TORCHS_OWN})
    _parametrize_like(original, twin)
    twin.__dict__[ORIGINAL] = original  # past nn.Module.__setattr__, which would make it a submodule
    return twin


def _restored(twin: nn.Module) -> nn.Module:
    original: nn.Module = twin.__dict__[ORIGINAL]
    state = vars(original)
    state.update({name: value for name, value in vars(twin).items() if name in state and name not in TORCHS_OWN})
    _parametrize_like(twin, original)
    for name in state.get("_flat_weights_names", ()):
        # Set anew, so that torch's own list of the weights follows: they may have been replaced meanwhile.
        if name in original._parameters or name in vars(twin):
            setattr(original, name, getattr(twin, name))
    if isinstance(original, nn.RNNBase):
        original.flatten_parameters()
    return original


def _parametrize_like(model: nn.Module, module: nn.Module) -> None:
    """Gives a module the class, made by `parametrize`, whose properties compute the weights; they serve any module."""
    (plain,) = {*TWINS, *TWINS.values()} & set(type(module).__mro__)
    if type(model) in {*TWINS, *TWINS.values()}:
        module.__class__ = plain
    else:
        own = {name: value for name, value in vars(type(model)).items() if name not in ("__dict__", "__weakref__")}
        module.__class__ = type(f"Parametrized{plain.__name__}", (plain,), own)


def _described(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return str(module.original_name)
    return f"{parametrize.type_before_parametrizations(module).__name__}({module.extra_repr()})"
