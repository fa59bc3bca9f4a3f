"""What every implementation may take for granted about its arguments."""

from collections.abc import Sequence

from torch import Tensor

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def check_shapes(
    cell: str,
    x: Tensor,
    state: Sequence[Tensor] | None,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    W_hr: Tensor | None,
    lengths: Tensor | None,
) -> None:
    """Raises a ValueError that names every shape unless all of them fit together."""
    gates = GATES[cell]
    if x.dim() != 3 or x.shape[0] == 0:
        raise ValueError(f"{cell}: expected x of shape (T, B, I) with at least one step, found {tuple(x.shape)}")
    B, I = x.shape[1:]
    H = W_ih.shape[0] // gates
    R = H if W_hr is None else W_hr.shape[0]
    found = {"W_ih": W_ih, "W_hh": W_hh, "b_ih": b_ih, "b_hh": b_hh, "W_hr": W_hr, "lengths": lengths}
    wanted: dict[str, tuple[int, ...]] = {
        "W_ih": (gates * H, I),
        "W_hh": (gates * H, R),
        "b_ih": (gates * H,),
        "b_hh": (gates * H,),
        "W_hr": (R, H),
        "lengths": (B,),
    }
    if state is not None:
        found |= dict(zip("hc", state, strict=False))
        wanted |= {"h": (B, R), "c": (B, H)}
    if any(tensor is not None and tensor.shape != wanted[name] for name, tensor in found.items()):
        given = {name: tuple(tensor.shape) for name, tensor in found.items() if tensor is not None}
        raise ValueError(
            f"{cell}: these shapes do not fit together: x {tuple(x.shape)}, {_listed(given)}; "
            f"expected {_listed({name: wanted[name] for name in given})}"
        )
    if (b_ih is None) != (b_hh is None):
        raise ValueError(f"{cell}: expected both b_ih and b_hh, or neither; found only one of them")


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
