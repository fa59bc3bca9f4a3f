"""RNN, LSTM and GRU: constructor, results, initialisation and parameters of `torch.nn`'s, and what is missed there."""

import math
from typing import Any, ClassVar, TypedDict, Unpack

import torch
from torch import Tensor, nn

from elman import kernels

from . import init
from .checks import check_probability
from .recurrent import Parts, Recurrent, Weights

KERNEL_NAMES = {"weight_ih": "W_ih", "weight_hh": "W_hh", "bias_ih": "b_ih", "bias_hh": "b_hh", "weight_hr": "W_hr"}
"""What the kernels call torch's parameters; those of the options have one name in both."""


class Options(TypedDict, total=False):
    """The keyword-only arguments of `RNN`, `LSTM` and `GRU`, explained at `Classic`."""

    layer_norm: bool
    recurrent_dropout: float
    weight_dropout: float
    zoneout: float | tuple[float, float]
    recurrent_init: str
    learned_state: bool


class Classic(Recurrent):
    """What `RNN`, `LSTM` and `GRU` share.

    The arguments up to `dtype` are torch's. Keyword-only, and without them the layer is torch's to the bit:

    Args:
        layer_norm: normalises both sums of every step (Ba et al. 2016, arXiv 1607.06450), and an lstm's c on its way to
            h: gains `norm_ih_l0`, `norm_hh_l0 (G * H)`, `norm_c_l0 (H)`, and with `bias` a shift `bias_c_l0 (H)`.
        recurrent_dropout: probability of zeroing an element of h on its way to `weight_hh`, while training, with one
            mask for each sequence, layer and direction, the same at every step; the rest is scaled by 1 / (1 - p)
            (Gal and Ghahramani 2016, arXiv 1512.05287).
        weight_dropout: probability of zeroing an element of `weight_hh`, while training, with one mask a call; the rest
            is scaled by 1 / (1 - p) (DropConnect: Wan et al. 2013; in recurrences Merity et al. 2017, 1708.02182).
        zoneout: share of the state's elements that keep their former value at a step: drawn while training, and on
            average otherwise (Krueger et al. 2017, arXiv 1606.01305). A pair (h, c) for an lstm; one number means both.
        recurrent_init: "uniform" as torch has it, "orthogonal" or "identity" for `weight_hh`; see `init.py`.
        learned_state: the state before the first step, where none is given, is learned: parameters `h_0`, `c_0`.
    """

    gates: ClassVar[int]
    """Blocks of H rows in each weight."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_init: str = "uniform",
        learned_state: bool = False,
    ) -> None:
        name = type(self).__name__
        if recurrent_init not in init.RECURRENT:
            raise ValueError(
                f"{name}: expected recurrent_init as one of {', '.join(init.RECURRENT)}, found {recurrent_init!r}"
            )
        check_probability(recurrent_dropout, "recurrent_dropout", name)
        check_probability(weight_dropout, "weight_dropout", name)
        shares = zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(self.letters)
        if len(shares) != len(self.letters):
            wanted = "one share, its state being h alone" if self.letters == "h" else "one share, or a pair (h, c)"
            raise ValueError(f"{name}: expected zoneout as {wanted}, found {zoneout!r}")
        for share in shares:
            check_probability(share, "zoneout", name)
        self.proj_size = proj_size
        self.layer_norm = layer_norm
        self.recurrent_dropout = float(recurrent_dropout)
        self.weight_dropout = float(weight_dropout)
        self.zoneout = zoneout
        self.recurrent_init = recurrent_init
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            learned_state=learned_state, device=device, dtype=dtype,
        )  # fmt: skip

    def reset_parameters(self) -> None:
        """Draws torch's parameters as torch does, in its order, and peepholes after them; then `recurrent_init` acts.

        Gains start from one, `bias_c` and a learned state from zero; "identity" sets the biases to zero.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        named = list(self.named_parameters())
        late = [parameter for name, parameter in named if name.startswith("peephole")]
        for name, parameter in named:
            if name.startswith("norm"):
                nn.init.ones_(parameter)
            elif name.startswith("bias_c") or name in ("h_0", "c_0"):
                nn.init.zeros_(parameter)
            elif not name.startswith("peephole"):
                nn.init.uniform_(parameter, -bound, bound)
        for parameter in late:
            nn.init.uniform_(parameter, -bound, bound)
        for weights in self._all_weights():
            init.RECURRENT[self.recurrent_init](weights["weight_hh"], self.gates)
            if self.recurrent_init == "identity" and self.bias:
                nn.init.zeros_(weights["bias_ih"])
                nn.init.zeros_(weights["bias_hh"])

    def _settings(self) -> dict[str, object]:
        return {"proj_size": 0} | super()._settings() | {
            "layer_norm": False, "recurrent_dropout": 0.0, "weight_dropout": 0.0, "zoneout": 0.0,
            "recurrent_init": "uniform",
        }  # fmt: skip

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)[: len(self.letters)]

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        rows, R = self.gates * self.hidden_size, self.state_sizes[0]
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, R)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (R, self.hidden_size)
        if self.layer_norm:
            shapes |= {"norm_ih": (rows,), "norm_hh": (rows,)}
        return shapes

    def _arguments(self, x: Tensor, weights: Weights) -> dict[str, Any]:
        """What the kernels take of one layer and direction beside x and the state, masks drawn anew."""
        given: dict[str, Any] = {KERNEL_NAMES.get(kind, kind): weight for kind, weight in weights.items()}
        (T, B, _), R = x.shape, self.state_sizes[0]
        if self.weight_dropout:
            given["W_hh"] = nn.functional.dropout(given["W_hh"], self.weight_dropout, self.training)
        if self.recurrent_dropout and self.training:
            given["mask"] = nn.functional.dropout(x.new_ones(B, R), self.recurrent_dropout)
        shares = self.zoneout if isinstance(self.zoneout, tuple) else (self.zoneout,) * len(self.letters)
        for letter, share, size in zip(self.letters, shares, self.state_sizes, strict=True):
            if share and self.training:
                given[f"keep_{letter}"] = coins((T, B, size), share, x)
            elif share:
                given[f"zoneout_{letter}"] = share
        return given


def coins(shape: tuple[int, ...], share: float, like: Tensor) -> Tensor:
    """Bools on `like`'s device, each of which is true with the probability `share`, to 2^-16.

    >>> coins((1000, 1000), 0.25, torch.zeros(1)).float().mean().round(decimals=2)
    tensor(0.2500)
    """
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.rand(shape, device=like.device) < share
    # 16 bits for each cost a third of a random number for each.
    numbers = math.prod(shape)
    bits = torch.randint(-(2**63), 2**63 - 1, (-(-numbers // 4),))
    most = max(round(share * 2**16), 1) - 1 - 2**15
    return (bits.view(torch.int16)[:numbers] <= most).view(shape)


class RNN(Classic):
    """The simple recurrent network of Elman (1990), with tanh or relu; equations in `kernels.reference.rnn_step`.

    Arguments and shapes are those of `LSTM`, without `proj_size`, `peephole` and `forget_bias`; the state is one
    tensor h.

    >>> rnn = RNN(3, 4, nonlinearity="relu", recurrent_init="identity")
    >>> y, h = rnn(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 4]))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[Options],
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: expected nonlinearity 'tanh' or 'relu', found {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype, **options
        )

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"nonlinearity": "tanh"}

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        h = None if state is None else state[0]
        y, h = kernels.rnn(x, h, **self._arguments(x, weights), nonlinearity=self.nonlinearity, **more)
        return y, (h,)


class LSTM(Classic):
    r"""The long short-term memory, a drop-in for `torch.nn.LSTM`; equations in `kernels.reference.lstm_step`.

    Args:
        input_size, hidden_size: I and H.
        num_layers: L layers, each reading the one below.
        bias: whether there are biases `b_ih` and `b_hh`.
        batch_first: x and y are `(B, T, ...)` rather than `(T, B, ...)`. The state stays `(L * D, B, ...)`.
        dropout: probability of zeroing an element between layers, while training.
        bidirectional: D = 2 directions; y holds the forward and the backward h side by side.
        proj_size: if not 0, h is projected to R = proj_size numbers; otherwise R = H (Sak et al. 2014, 1402.1128).
        peephole: c has a say in the gates i, f and o: `peephole_l0 (3, H)` (Gers and Schmidhuber 2000).
        forget_bias: what the biases of the forget gate start from; see `init.forget_bias`. None: torch's numbers.
        layer_norm, recurrent_dropout, weight_dropout, zoneout, recurrent_init, learned_state: see `Classic`.

    Forward takes `x (T, B, I)`, `(T, I)` unbatched, or a `PackedSequence`; the state, `h (L * D, B, R)` and
    `c (L * D, B, H)`, where None means zeros; and `lengths (B)`, whole numbers from 0 to T, for sequences that are
    padded at their end. It returns `(y, (h, c))`: `y (T, B, D * R)`, zero past each length, and the state after each
    sequence's last step. What stands in the padding never changes a result. `reset` and `trace`: see
    `Recurrent.forward`.

    Parameters are torch's: `weight_ih_l0 (4 * H, I)`, `weight_hh_l0 (4 * H, R)`, `bias_ih_l0`, `bias_hh_l0 (4 * H)`,
    `weight_hr_l0 (R, H)`, `_reverse` for the second direction; gates in the order i f g o.

    >>> lstm = LSTM(3, 4, num_layers=2, batch_first=True, layer_norm=True, zoneout=(0.05, 0.5))
    >>> y, (h, c) = lstm(torch.randn(2, 7, 3), lengths=[7, 5])
    >>> y.shape, h.shape, c.shape
    (torch.Size([2, 7, 4]), torch.Size([2, 2, 4]), torch.Size([2, 2, 4]))
    """

    gates = 4
    letters = "hc"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        forget_bias: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        whole = isinstance(proj_size, int) and isinstance(hidden_size, int)
        if proj_size != 0 and not (whole and 0 < proj_size < hidden_size):  # sizes alone are checked with the others
            raise ValueError(f"LSTM: expected proj_size from 0 to below hidden_size={hidden_size}, found {proj_size!r}")
        if forget_bias is not None and not bias:
            raise ValueError(f"LSTM: forget_bias={forget_bias} needs biases, found bias=False")
        self.peephole = peephole
        self.forget_bias = forget_bias
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype,
            **options,
        )  # fmt: skip

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            for weights in self._all_weights():
                init.forget_bias(weights["bias_ih"], weights["bias_hh"], self.forget_bias)

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {"peephole": False, "forget_bias": None}

    def _shapes(self, columns: int) -> dict[str, tuple[int, ...]]:
        shapes, H = super()._shapes(columns), self.hidden_size
        if self.layer_norm:
            shapes["norm_c"] = (H,)
        if self.layer_norm and self.bias:
            shapes["bias_c"] = (H,)
        if self.peephole:
            shapes["peephole"] = (3, H)
        return shapes

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        hc = None if state is None else (state[0], state[1])
        return kernels.lstm(x, hc, **self._arguments(x, weights), **more)


class GRU(Classic):
    """The gated recurrent unit, a drop-in for `torch.nn.GRU`; equations in `kernels.reference.gru_step`.

    Arguments and shapes are those of `LSTM`, without `proj_size`, `peephole` and `forget_bias`; the state is one
    tensor h; gates in the order r z n.

    >>> y, h = GRU(3, 4, bidirectional=True)(torch.randn(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 8]), torch.Size([2, 2, 4]))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype, **options
        )

    def _sequence(self, x: Tensor, state: Parts | None, weights: Weights, **more: Any) -> tuple[Tensor, Parts]:
        h = None if state is None else state[0]
        y, h = kernels.gru(x, h, **self._arguments(x, weights), **more)
        return y, (h,)
