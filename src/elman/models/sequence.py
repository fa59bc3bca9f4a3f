"""Networks that read sequences: layers assembled, with a head."""

from typing import Any

import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.layers import GRU, LRU, LSTM, RGLRU, RNN, SLSTM, MinGRU, MinLSTM, Recurrent, Reservoir

RECURRENT: dict[str, type[Recurrent]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "rglru": RGLRU,
    "lru": LRU,
    "slstm": SLSTM,
    "esn": Reservoir,
}


def recurrent(
    architecture: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    **options: Any,
) -> Recurrent:
    """The recurrent layer called `architecture`, batch first, with dropout between its layers.

    options: other arguments of that layer.
    """
    if architecture not in RECURRENT:
        raise InputError(f"architecture={architecture!r} is not known; it is one of {', '.join(RECURRENT)}")
    between = dropout if num_layers > 1 else 0.0
    return RECURRENT[architecture](input_size, hidden_size, num_layers, dropout=between, batch_first=True, **options)


class EncoderForecaster(nn.Module):
    """Two recurrent stacks: one reads the past and hands its state to one that reads what is known of the coming steps.

    The handed state is all that the second stack learns of the past, and step k of it sees coming steps up to k only.
    Source: the hindcast and forecast LSTMs with state handoff of Cho et al. (2014), doi:10.3115/v1/D14-1179, used for
    rivers by Nearing et al. (2024), doi:10.1038/s41586-024-07145-1.

    >>> import torch
    >>> net = EncoderForecaster("lstm", input_size=5, output_size=3, hidden_size=8)
    >>> net(torch.randn(2, 30, 5), horizon=7).shape
    torch.Size([2, 7, 3])
    """

    def __init__(
        self,
        architecture: str,
        input_size: int,
        output_size: int,
        *,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = recurrent(architecture, input_size, hidden_size, num_layers, dropout)
        self.decoder = recurrent(architecture, input_size, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.decoder.output_size, output_size)

    def forward(self, x: Tensor, horizon: int, truncate: int | None = None) -> Tensor:
        """(B, window + horizon, I) -> (B, horizon, O).

        With `truncate` the gradient goes through so many last steps of the window only; the forecast is the same.
        """
        past, state = x[:, :-horizon], None
        if truncate is not None and truncate < past.shape[1]:
            with torch.no_grad():
                _, state = self.encoder(past[:, :-truncate])
            past = past[:, -truncate:]
        _, state = self.encoder(past, state)
        h, _ = self.decoder(x[:, -horizon:], state)
        return self.head(self.dropout(h))
