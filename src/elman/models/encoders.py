"""Every architecture that reads a sequence and says something at each step, behind one signature."""

from typing import Any

from torch import Tensor, nn

from elman.errors import InputError
from elman.models.convolution import ConvolutionEncoder
from elman.models.sequence import RECURRENT, recurrent
from elman.models.transformer import TransformerEncoder

REMEMBERING: dict[str, dict[str, Any]] = {  # starts from which a network keeps what it read many steps ago
    "rnn": {"recurrent_init": "orthogonal"},
    "lstm": {"recurrent_init": "orthogonal", "forget_bias": 1.0},
    "gru": {"recurrent_init": "orthogonal"},
    "mingru": {"forget_bias": 2.0},
}

ENCODERS = (*RECURRENT, "cnn", "transformer")


class RecurrentEncoder(nn.Module):
    """A recurrent stack, of which the state is not asked for: `(B, T, I)` to `(B, T, output_size)`."""

    def __init__(
        self,
        architecture: str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        options = {"bidirectional": bidirectional, **REMEMBERING.get(architecture, {})}
        self.stack = recurrent(architecture, input_size, hidden_size, num_layers, dropout, **options)
        self.output_size = self.stack.output_size

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        y, *_ = self.stack(x, lengths=lengths)
        return y


def encoder(
    architecture: str,
    input_size: int,
    hidden_size: int,
    *,
    num_layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = False,
    **own: Any,
) -> nn.Module:
    """A module with `output_size` that maps `(B, T, input_size)` and lengths to `(B, T, output_size)`.

    own: what only the architecture itself takes: `kernel_size` and `causal` of cnn; `heads`, `positions` and
    `max_steps` of transformer.

    >>> import torch
    >>> encoder("gru", 3, 8, bidirectional=True)(torch.randn(2, 30, 3), torch.tensor([30, 7])).shape
    torch.Size([2, 30, 16])
    """
    shared: dict[str, Any] = {"num_layers": num_layers, "dropout": dropout}
    if architecture in RECURRENT:
        return RecurrentEncoder(architecture, input_size, hidden_size, bidirectional=bidirectional, **shared, **own)
    if bidirectional:
        raise InputError(f"bidirectional is of the recurrent architectures; {architecture} reads in no direction")
    if architecture == "cnn":
        return ConvolutionEncoder(input_size, hidden_size, **shared, **own)
    if architecture == "transformer":
        return TransformerEncoder(input_size, hidden_size, **shared, **own)
    raise InputError(f"architecture={architecture!r} reads no sequences; it is one of {', '.join(ENCODERS)}")
