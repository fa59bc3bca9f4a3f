"""Handwritten digits read pixel by pixel: 64 steps of one number each, and after the last one of ten classes.

Run it: `python examples/sequential_digits.py` (about a minute; `--epochs 1` for a quick look). The digits are
scikit-learn's, 8 x 8 pixels, and a third of them is held out. Each network has one layer of 64 units, the mingru two,
and is trained by Adam at a rate of 0.005 along one cycle, its gradient clipped at 1. The gru and the rnn start from
orthogonal matrices, the lstm from a forget bias of 1, the mingru from keeping 88 % a step.
"""

import argparse
import time
from functools import partial

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import elman
from elman.training.loop import train
from elman.training.losses import cross_entropy
from elman.training.schedules import one_cycle

HIDDEN, BATCH, RATE, EPOCHS = 64, 32, 5e-3, 40
LAYERS = {
    "rnn": partial(elman.RNN, recurrent_init="orthogonal"),
    "lstm": partial(elman.LSTM, forget_bias=1.0),
    "gru": partial(elman.GRU, recurrent_init="orthogonal"),
    "mingru": partial(elman.MinGRU, forget_bias=2.0, num_layers=2),
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--architecture", default=",".join(LAYERS))
parser.add_argument("--epochs", type=int, default=EPOCHS)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()


class Reader(nn.Module):
    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.layer = LAYERS[architecture](1, HIDDEN, batch_first=True)
        self.answer = nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(x)
        return self.answer(y[:, -1])


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return cross_entropy(model(batch[0]), batch[1])


pixels, labels = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(
    torch.tensor(pixels / 16, dtype=torch.float32)[..., None], torch.tensor(labels),
    test_size=1 / 3, stratify=labels, random_state=0,
)  # fmt: skip


def batches(epoch: int) -> list[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(10_000 * options.seed + epoch))
    return [(x[part], y[part]) for part in order.split(BATCH)]


torch.set_num_threads(1)  # small networks gain nothing by a second one
print("architecture  accuracy  seconds")
accuracies = {}
for architecture in options.architecture.split(","):
    torch.manual_seed(options.seed)
    model = Reader(architecture)
    began = time.perf_counter()
    train(
        model, batches, loss, optimizer=torch.optim.Adam(model.parameters(), RATE), epochs=options.epochs,
        schedule=one_cycle(options.epochs * len(batches(0))), clip=1.0,
    )  # fmt: skip
    with torch.no_grad():
        accuracies[architecture] = (model(x_test).argmax(-1) == y_test).float().mean().item()
    print(f"{architecture:12}  {accuracies[architecture]:8.3f}  {time.perf_counter() - began:7.1f}", flush=True)

assert all(0 <= right <= 1 for right in accuracies.values())
if options.epochs >= EPOCHS and accuracies.keys() == LAYERS.keys():  # the headline figure
    assert max(accuracies.values()) > 0.92
