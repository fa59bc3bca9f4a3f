"""The copy task: ten symbols of eight kinds are shown, then blanks, and after the delay all ten are to be said again.

To guess gives an accuracy of 0.125. Run it: `python examples/copy_task.py` (some minutes; `--delays 10 --updates 20
--architecture gru` for a quick look).

Each network has one layer of 64 units and is trained by Adam at a rate of 0.005, falling along half a cosine, on
batches of 32 fresh sequences, its gradient clipped at 1. The rnn and the gru start from orthogonal matrices, the lstm
from a forget bias of 3, the mingru from keeping 95 % a step. None of them has learnt the task by
then: what is shown is who has begun to, and how far its gradient reaches.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import elman
from elman.data.synthetic import copying
from elman.models.summary import summary
from elman.report import write_report
from elman.training.diagnosis import diagnose
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.losses import cross_entropy
from elman.training.record import Run
from elman.training.schedules import cosine

HIDDEN, BATCH, RATE = 64, 32, 5e-3
KINDS, LENGTH = 10, 10  # eight symbols, the blank and the question; how many are to be kept
EPOCH = 50  # updates
UPDATES = 800
LAYERS = {
    "rnn": partial(elman.RNN, recurrent_init="orthogonal"),
    "lstm": partial(elman.LSTM, forget_bias=3.0),
    "gru": partial(elman.GRU, recurrent_init="orthogonal"),
    "mingru": partial(elman.MinGRU, forget_bias=3.0),
    "slstm": elman.SLSTM,
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--delays", default="10,30,100", help="one or several")
parser.add_argument("--architecture", default=",".join(LAYERS))
parser.add_argument("--updates", type=int, default=UPDATES)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--run", type=Path, help="a folder for a run of each network, and a page that compares them")
options = parser.parse_args()


class Copier(nn.Module):
    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.layer = LAYERS[architecture](KINDS, HIDDEN, batch_first=True)
        self.answer = nn.Linear(HIDDEN, KINDS)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(one_hot(x, KINDS).float())
        return self.answer(y)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return cross_entropy(model(batch[0]), batch[1])


torch.set_num_threads(1)  # small networks gain nothing by a second one
print("architecture  delay  accuracy  horizon           seconds  first finding")
accuracies = {}
for delay in map(int, options.delays.split(",")):
    for architecture in options.architecture.split(","):
        torch.manual_seed(options.seed)
        model, events = Copier(architecture), []
        looked_at = copying(BATCH, delay, torch.Generator().manual_seed(-2))[0]
        probe = Probe(lambda model, x=looked_at: model(x)[:, -1].sum())

        def batches(epoch: int, delay: int = delay) -> list[tuple[Tensor, Tensor]]:
            fresh = torch.Generator().manual_seed(10_000 * options.seed + epoch)
            count = min(EPOCH, options.updates - epoch * EPOCH)
            return [copying(BATCH, delay, fresh) for _ in range(count)]

        run = (
            Run(options.run / f"{architecture}-{delay}", label=f"{architecture}, delay {delay}")
            if options.run
            else None
        )
        if run:
            run.start(
                {"task": "copying", "settings": {"architecture": architecture, "delay": delay, "seed": options.seed}},
                force=True,
            )
            run.record("model", **summary(model))
        began = time.perf_counter()
        train(
            model, batches, loss, optimizer=torch.optim.Adam(model.parameters(), RATE),
            epochs=-(-options.updates // EPOCH), schedule=cosine(options.updates), clip=1.0, on_event=events.append,
            run=run,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        seen = {"event": "probe", "step": options.updates, **probe.look(model)}  # of the network as it has become
        # The loss of who answers blank, and guesses where the symbols are asked for.
        guessing = {"event": "fact", "constant": LENGTH * math.log(8) / (delay + 2 * LENGTH)}
        found = diagnose([guessing, *events, seen])
        x, y = copying(500, delay, torch.Generator().manual_seed(-1))
        with torch.no_grad():
            right = (model(x).argmax(-1) == y)[:, -LENGTH:].float().mean().item()
        accuracies[architecture, delay] = right
        if run:
            run.record("probe", **{k: v for k, v in seen.items() if k != "event"})
            run.record(**guessing)
            run.record("memory", network=architecture, delay=delay, accuracy=right, chance=1 / 8)
            run.flush()
        steps = seen["layers"][-1]["steps"]
        reach = f"{seen['layers'][-1]['horizon']} of {steps} steps"
        first = found[0].sentence if found else "nothing found"
        print(f"{architecture:12}  {delay:5}  {right:8.3f}  {reach:16}  {seconds:7.1f}  {first}", flush=True)

if options.run:
    runs = [options.run / f"{architecture}-{delay}" for architecture, delay in accuracies]
    print(f"\nThe page: {write_report(runs, options.run / 'report.html', title='The copy task')}")
assert all(0 <= right <= 1 for right in accuracies.values())
if options.updates >= UPDATES and options.delays == "10,30,100":  # the headline figure
    assert max(right for (_, delay), right in accuracies.items() if delay == 10) > 0.2
