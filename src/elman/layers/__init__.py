"""Recurrent layers: nn.Modules that hold parameters and take their state as an argument."""

from .cells import GRUCell, LSTMCell, RNNCell
from .classic import GRU, LSTM, RNN
from .recurrent import Recurrent
from .trace import LayerTrace, Trace

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "LayerTrace", "RNNCell", "Recurrent", "Trace"]
