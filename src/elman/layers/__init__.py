"""Recurrent layers: nn.Modules that hold parameters and take their state as an argument."""

from .cells import GRUCell, LSTMCell, RNNCell
from .classic import GRU, LSTM, RNN
from .hopfield import Hopfield, HopfieldLayer, HopfieldPooling
from .linear_cells import RGLRU, MinGRU, MinLSTM
from .lru import LRU
from .recurrent import Recurrent
from .reservoir import Reservoir
from .slstm import SLSTM
from .trace import LayerTrace, Trace

__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "RGLRU",
    "RNN",
    "SLSTM",
    "GRUCell",
    "Hopfield",
    "HopfieldLayer",
    "HopfieldPooling",
    "LSTMCell",
    "LayerTrace",
    "MinGRU",
    "MinLSTM",
    "RNNCell",
    "Recurrent",
    "Reservoir",
    "Trace",
]
