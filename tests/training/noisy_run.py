"""A run in which order and random numbers matter, small enough to be broken off at every step.

`python noisy_run.py FOLDER adam` begins it or goes on with it, and says each step on stdout.
"""

import sys
import time

import torch
from torch import nn

from elman.training.loop import train
from elman.training.record import Run
from elman.training.schedules import cosine, plateau

STEPS, EPOCHS = 15, 5  # three batches an epoch, the third a smaller one

OPTIMIZERS = {
    "adam": lambda parameters: torch.optim.AdamW(parameters, lr=0.3),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.2, momentum=0.9),
    "everything": lambda parameters: torch.optim.Adam(parameters, lr=0.1),
}
EVERYTHING = {"accumulate": 2, "average": 0.7, "clip_value": 0.1, "schedule": plateau(patience=1, by=0.5)}


def noisy_run(folder, optimizer="adam", *, resume=False, on_event=None, spoil=lambda: None):
    """The network after the run, dropout and all. `spoil` is called before each loss."""
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1))
    x = torch.randn(24, 3)
    y = (x @ torch.tensor([[1.0], [-2.0], [0.5]])).tanh() + 0.1 * torch.randn(24, 1)

    def batches(epoch):
        order = torch.randperm(12, generator=torch.Generator().manual_seed(epoch))
        return [(x[part], y[part]) for part in order.split(5)]

    def loss(model, batch):
        spoil()
        return ((model(batch[0]) - batch[1]) ** 2).mean()

    run = Run(folder)
    if not resume:
        run.start({"task": "noise"})
    train(
        net,
        batches,
        loss,
        optimizer=OPTIMIZERS[optimizer](net.parameters()),
        epochs=EPOCHS,
        validate=lambda model: ((model(x[12:]) - y[12:]) ** 2).mean().item(),
        **({"schedule": cosine(2 * STEPS, warmup=2)} | (EVERYTHING if optimizer == "everything" else {})),
        clip=0.5,
        run=run,
        resume=resume,
        on_event=on_event,
    )
    return net


if __name__ == "__main__":
    torch.set_num_threads(1)
    began = (Run(sys.argv[1]).path / "config.toml").exists()
    noisy_run(
        *sys.argv[1:],
        resume=began,
        on_event=lambda event: print(event["event"], flush=True),
        spoil=lambda: time.sleep(0.02),  # so that whoever kills it comes in time
    )
