"""One of the processes that train a small network together: `torchrun ... many.py FOLDER [--resume] [--die STEP]`.

Sequences have different lengths, the last batch is one sequence, and the loss is a mean over their steps: so the shares
of the processes weigh differently, and one of them has nothing in the last batch.
"""

import argparse
import os
import signal
import sys

import torch
from torch import nn

from elman.errors import TrainingError
from elman.layers import LSTM
from elman.training.distributed import joined
from elman.training.loop import train
from elman.training.optimizers import optimizer
from elman.training.record import Run
from elman.training.schedules import cosine

SEQUENCES, BATCH, EPOCHS = 13, 4, 3
LENGTHS = torch.randint(1, 9, (SEQUENCES,), generator=torch.Generator().manual_seed(7))
X = torch.randn(SEQUENCES, 8, 2, generator=torch.Generator().manual_seed(8))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = LSTM(2, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, index):
        y, _ = self.layer(X[index], lengths=LENGTHS[index])
        seen = torch.arange(8) < LENGTHS[index][:, None]
        error = (self.head(y)[..., 0] - X[index].cumsum(1)[..., 0]).square()
        return (error * seen).sum() / seen.sum()


def main(folder, resume=False, die=None):
    torch.set_num_threads(1)
    with joined() as world:
        torch.manual_seed(3 + world.rank)  # a process that began with other weights is given those of the first
        net, used = Net(), []

        def batches(epoch):
            for part in torch.randperm(SEQUENCES, generator=torch.Generator().manual_seed(epoch)).split(BATCH):
                own = world.share(part)
                used.append(own.tolist())
                yield own if len(own) else None

        def on_event(event):
            if event["event"] == "step" and event["step"] == die and world.rank == world.size - 1:
                os.kill(os.getpid(), signal.SIGKILL)

        run = Run(folder, silent=not world.first)
        if not resume:
            run.start({})
        world.wait()
        train(
            net, batches, lambda m, own: m(own), optimizer=optimizer("adam", net.parameters(), 0.02), epochs=EPOCHS,
            validate=lambda m: m(torch.arange(SEQUENCES)).item(), schedule=cosine(12), clip=0.3,
            weigh=lambda own: float(LENGTHS[own].sum()), world=world, run=run, resume=resume, on_event=on_event,
        )  # fmt: skip
        torch.save({"weights": dict(net.state_dict()), "used": used}, f"{folder}/{world.rank}-of-{world.size}.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--die", type=int)
    try:
        main(**vars(parser.parse_args()))
    except TrainingError as error:
        sys.exit(f"TrainingError: {error}")
