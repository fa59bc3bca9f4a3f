"""What a recurrence reads: one tuple for all three cells, checked once, which every implementation takes whole."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from .native import plain

Maybe = Tensor | None
HC = tuple[Tensor, Tensor]

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
LETTERS = {"rnn_tanh": "h", "rnn_relu": "h", "lstm": "ifgo", "gru": "rzn"}
"""What each block of H rows in a weight leads to."""
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Arguments(NamedTuple):
    """The arguments of one call. Shapes: `T` time, `B` batch, `I` input, `H` hidden, `G` gates, `R` size of h.

    `R` is `H`, or what `W_hr` projects to. None stands for "not there"; what each means is said in `reference.py`.
    """

    cell: str
    """One of `GATES`."""
    zoneout_h: float
    zoneout_c: float
    x: Tensor
    """(T, B, I)"""
    h_0: Maybe
    """(B, R)"""
    c_0: Maybe
    """(B, H), lstm only, there where h_0 is"""
    W_ih: Tensor
    """(G * H, I)"""
    W_hh: Tensor
    """(G * H, R)"""
    b_ih: Maybe
    """(G * H), there where b_hh is"""
    b_hh: Maybe
    W_hr: Maybe
    """(R, H), lstm only"""
    peephole: Maybe
    """(3, H) of i f o, lstm only"""
    norm_ih: Maybe
    """(G * H), there where norm_hh is"""
    norm_hh: Maybe
    norm_c: Maybe
    """(H), lstm only, there where norm_ih is"""
    bias_c: Maybe
    """(H), only where norm_c is"""
    mask: Maybe
    """(B, R)"""
    keep_h: Maybe
    """(T, B, R) of bool"""
    keep_c: Maybe
    """(T, B, H) of bool, lstm only"""
    lengths: Maybe
    """(B) of whole numbers from 0 to T"""
    reset: Maybe
    """(T, B) of bool"""

    @property
    def name(self) -> str:
        """rnn, lstm or gru."""
        return self.cell.partition("_")[0]

    @property
    def hidden_size(self) -> int:
        return self.W_ih.shape[0] // GATES[self.cell]

    @property
    def state(self) -> tuple[Tensor, ...] | None:
        if self.h_0 is None:
            return None
        return (self.h_0,) if self.c_0 is None else (self.h_0, self.c_0)

    @property
    def tensors(self) -> tuple[Maybe, ...]:
        """All that comes from x on."""
        return cast(tuple[Maybe, ...], self[FIRST:])

    @property
    def differentiable(self) -> tuple[Maybe, ...]:
        """From x to bias_c: what there are gradients of."""
        return self.tensors[: LAST - FIRST]

    @property
    def numbers(self) -> list[Tensor]:
        """All tensors that must be of one dtype on one device."""
        return [t for t in self.tensors[: LAST - FIRST + 1] if t is not None]

    @property
    def plain(self) -> bool:
        """Whether nothing is added to the cell."""
        return not (self.zoneout_h or self.zoneout_c or any(t is not None for t in self.tensors[7:-2]))

    def addressable(self, names: Iterable[str]) -> dict[str, Maybe]:
        """Those tensors, and lengths, as kernels read them."""
        given = {name: plain(getattr(self, name)) for name in names}
        given["lengths"] = None if self.lengths is None else self.lengths.to("cpu", torch.int64).contiguous()
        return given

    @property
    def extras(self) -> list[str]:
        """What the plain cell does not have, in words."""
        words = {
            "W_hr": "projection", "peephole": "peepholes", "norm_ih": "layer normalisation",
            "mask": "recurrent dropout", "keep_h": "zoneout", "keep_c": "zoneout",
        }  # fmt: skip
        found = [word for name, word in words.items() if getattr(self, name) is not None]
        return [*found, "zoneout"] if self.zoneout_h or self.zoneout_c else found


FIRST, LAST = Arguments._fields.index("x"), Arguments._fields.index("mask")


def rnn(
    x: Tensor,
    state: Maybe,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    *,
    nonlinearity: str = "tanh",
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    mask: Maybe = None,
    keep_h: Maybe = None,
    zoneout_h: float = 0.0,
    lengths: Maybe = None,
    reset: Maybe = None,
) -> Arguments:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"rnn: expected nonlinearity 'tanh' or 'relu', found {nonlinearity!r}")
    return checked(
        Arguments(
            f"rnn_{nonlinearity}", zoneout_h, 0.0, x, state, None, W_ih, W_hh, b_ih, b_hh, None, None, norm_ih, norm_hh,
            None, None, mask, keep_h, None, lengths, reset,
        )
    )  # fmt: skip


def lstm(
    x: Tensor,
    state: HC | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    W_hr: Maybe = None,
    *,
    peephole: Maybe = None,
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    norm_c: Maybe = None,
    bias_c: Maybe = None,
    mask: Maybe = None,
    keep_h: Maybe = None,
    keep_c: Maybe = None,
    zoneout_h: float = 0.0,
    zoneout_c: float = 0.0,
    lengths: Maybe = None,
    reset: Maybe = None,
) -> Arguments:
    h_0, c_0 = (None, None) if state is None else state
    return checked(
        Arguments(
            "lstm", zoneout_h, zoneout_c, x, h_0, c_0, W_ih, W_hh, b_ih, b_hh, W_hr, peephole, norm_ih, norm_hh,
            norm_c, bias_c, mask, keep_h, keep_c, lengths, reset,
        )
    )  # fmt: skip


def gru(
    x: Tensor,
    state: Maybe,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Maybe = None,
    b_hh: Maybe = None,
    *,
    norm_ih: Maybe = None,
    norm_hh: Maybe = None,
    mask: Maybe = None,
    keep_h: Maybe = None,
    zoneout_h: float = 0.0,
    lengths: Maybe = None,
    reset: Maybe = None,
) -> Arguments:
    return checked(
        Arguments(
            "gru", zoneout_h, 0.0, x, state, None, W_ih, W_hh, b_ih, b_hh, None, None, norm_ih, norm_hh,
            None, None, mask, keep_h, None, lengths, reset,
        )
    )  # fmt: skip


MAKERS: dict[str, Callable[..., Arguments]] = {"rnn": rnn, "lstm": lstm, "gru": gru}


def cells(run: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The functions rnn, lstm and gru of an implementation: its `run` takes `Arguments`, gives y and state's parts."""

    def function(name: str) -> Callable[..., Any]:
        def cell(*given: Any, trace: Any = None, isa: str | None = None, **options: Any) -> Any:
            more = {"trace": trace, "isa": isa}
            y, parts = run(MAKERS[name](*given, **options), **{k: v for k, v in more.items() if v is not None})
            return y, parts if name == "lstm" else parts[0]

        cell.__name__ = cell.__qualname__ = name
        return cell

    return [function(name) for name in MAKERS]


def expect_tensors(name: str, given: Iterable[tuple[str, Any]], must: Sequence[str]) -> None:
    """Raises a TypeError where something is no tensor; None will do, save for what must be there."""
    for argument, t in given:
        if not isinstance(t, Tensor) and (t is not None or argument in must):
            raise TypeError(f"{name}: expected {argument} to be a tensor, found {type(t).__name__}")


def _rows(weight: Tensor) -> int:
    return weight.shape[0] if weight.dim() else 0


def checked(a: Arguments) -> Arguments:
    """`a`; raises a ValueError that names every shape unless all of them fit together."""
    if a.cell not in GATES:
        raise ValueError(f"expected a cell of {', '.join(GATES)}; found {a.cell!r}")
    expect_tensors(a.name, zip(Arguments._fields[FIRST:], a.tensors, strict=True), must=("x", "W_ih", "W_hh"))
    gates, x = GATES[a.cell], a.x
    if x.dim() != 3 or x.shape[0] == 0:
        raise ValueError(f"{a.name}: expected x of shape (T, B, I) with at least one step, found {tuple(x.shape)}")
    T, B, I = x.shape
    H = _rows(a.W_ih) // gates
    R = H if a.W_hr is None else _rows(a.W_hr)
    rows = (gates * H,)
    shapes = (
        (B, R), (B, H), (gates * H, I), (gates * H, R), rows, rows, (R, H), (3, H), rows, rows, (H,), (H,),
        (B, R), (T, B, R), (T, B, H), (B,), (T, B),
    )  # fmt: skip
    names = Arguments._fields[FIRST + 1 :]
    given = a.tensors[1:]
    if any(t is not None and t.shape != shape for t, shape in zip(given, shapes, strict=True)):
        there = [
            (name.removesuffix("_0"), tuple(t.shape), tuple(shape))
            for name, t, shape in zip(names, given, shapes, strict=True)
            if t is not None
        ]
        raise ValueError(
            f"{a.name}: these shapes do not fit together: x {tuple(x.shape)}, "
            f"{', '.join(f'{name} {found}' for name, found, _ in there)}; "
            f"expected {', '.join(f'{name} {wanted}' for name, _, wanted in there)}"
        )
    for one, other in (
        ("b_ih", "b_hh"),
        ("norm_ih", "norm_hh"),
        *((("norm_ih", "norm_c"), ("h_0", "c_0")) if a.cell == "lstm" else ()),
    ):
        if (getattr(a, one) is None) != (getattr(a, other) is None):
            raise ValueError(f"{a.name}: expected both {one} and {other}, or neither; found only one of them")
    if a.bias_c is not None and a.norm_c is None:
        raise ValueError(f"{a.name}: expected norm_c beside bias_c, found none")
    if a.lengths is not None and a.lengths.dtype not in WHOLE:
        raise ValueError(f"{a.name}: expected lengths as whole numbers, found {a.lengths.dtype}")
    for name in ("keep_h", "keep_c", "reset"):
        if (t := getattr(a, name)) is not None and t.dtype != torch.bool:
            raise ValueError(f"{a.name}: expected {name} of bool, found {t.dtype}")
    return a
