"""The adding problem: of T numbers two are marked, one in each half, and after the last step their sum is asked for.

To answer 1 always costs a mean squared error of 0.167. Run it: `python examples/adding_problem.py` (some minutes;
`--steps 50 --updates 20 --architecture gru` for a quick look).

Each network has one layer of 32 units and is trained by Adam at a rate of 0.01, falling along half a cosine, on batches
of 32 fresh sequences, its gradient clipped at 1. The start matters as much as the cell: the lstm is given the biases of
Tallec and Ollivier (2018, arXiv 1804.11188), who spread its memory over 1 to T steps (with a forget bias of 1 alone it
took four times the updates in a trial); the gru starts from orthogonal matrices, the mingru from keeping 95 % a step.
The rnn is the usual one.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import elman
from elman.data.synthetic import adding
from elman.models.summary import summary
from elman.report import write_report
from elman.training.diagnosis import diagnose
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.record import Run
from elman.training.schedules import cosine

HIDDEN, BATCH, RATE = 32, 32, 1e-2
CLOSE = 0.1  # an answer that is off by less counts as right
SOLVED = 0.01  # the mean squared error below which the problem counts as solved
EPOCH = 50  # updates
UPDATES = 1000

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", default="50,100,200", help="T, one or several")
parser.add_argument("--architecture", default="rnn,lstm,gru,mingru,slstm")
parser.add_argument("--updates", type=int, default=UPDATES)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--run", type=Path, help="a folder for a run of each network, and a page that compares them")
options = parser.parse_args()


def layer(architecture: str, steps: int) -> nn.Module:
    if architecture == "rnn":
        return elman.RNN(2, HIDDEN, batch_first=True)
    if architecture == "gru":
        return elman.GRU(2, HIDDEN, batch_first=True, recurrent_init="orthogonal")
    if architecture == "mingru":
        return elman.MinGRU(2, HIDDEN, batch_first=True, forget_bias=3.0)
    if architecture == "slstm":
        return elman.SLSTM(2, HIDDEN, batch_first=True)
    lstm = elman.LSTM(2, HIDDEN, batch_first=True)
    with torch.no_grad():
        forget = torch.empty(HIDDEN).uniform_(1, steps - 1).log()
        lstm.bias_ih_l0[: 2 * HIDDEN] = torch.cat([-forget, forget])  # of the gates i and f
        lstm.bias_hh_l0[: 2 * HIDDEN] = 0
    return lstm


class Adder(nn.Module):
    def __init__(self, architecture: str, steps: int) -> None:
        super().__init__()
        self.layer = layer(architecture, steps)
        self.answer = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(x)
        return self.answer(y[:, -1])[:, 0]


def mse(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


torch.set_num_threads(1)  # small networks gain nothing by a second one
print("architecture    T     mse  horizon            seconds  first finding")
errors, findings = {}, {}
for steps in map(int, options.steps.split(",")):
    for architecture in options.architecture.split(","):
        torch.manual_seed(options.seed)
        model, events = Adder(architecture, steps), []
        looked_at = adding(BATCH, steps, torch.Generator().manual_seed(-2))[0]
        probe = Probe(lambda model, x=looked_at: model(x).sum(), every=options.updates)

        def batches(epoch: int, steps: int = steps) -> list[tuple[Tensor, Tensor]]:
            fresh = torch.Generator().manual_seed(10_000 * options.seed + epoch)
            count = min(EPOCH, options.updates - epoch * EPOCH)
            return [adding(BATCH, steps, fresh) for _ in range(count)]

        run = (
            Run(options.run / f"{architecture}-{steps}", label=f"{architecture}, {steps} steps")
            if options.run
            else None
        )
        if run:
            run.start(
                {"task": "adding", "settings": {"architecture": architecture, "steps": steps, "seed": options.seed}},
                force=True,
            )
            run.record("model", **summary(model))
        began = time.perf_counter()
        train(
            model, batches, mse, optimizer=torch.optim.Adam(model.parameters(), RATE),
            epochs=-(-options.updates // EPOCH), schedule=cosine(options.updates), clip=1.0, on_event=events.append,
            run=run,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        seen = {"event": "probe", "step": options.updates, **probe.look(model)}  # of the network as it has become
        always_one = {"event": "fact", "constant": 1 / 6}  # the error of the best constant answer
        found = diagnose([always_one, *events, seen])
        with torch.no_grad():
            x, y = adding(1000, steps, torch.Generator().manual_seed(-1))
            error, right = mse(model, (x, y)).item(), ((model(x) - y).abs() < CLOSE).float().mean().item()
            guessed = ((1 - y).abs() < CLOSE).float().mean().item()  # of who always says one
        if run:
            run.record("probe", **{k: v for k, v in seen.items() if k != "event"})
            run.record(**always_one)
            run.record("memory", network=architecture, delay=steps, accuracy=right, chance=guessed)
            run.flush()
        errors[architecture, steps], findings[architecture, steps] = error, [f.illness for f in found]
        reach = f"{seen['layers'][-1]['horizon']} of {steps} steps"
        first = found[0].sentence if found else "nothing found"
        print(f"{architecture:12} {steps:4}  {error:6.4f}  {reach:17}  {seconds:7.1f}  {first}", flush=True)

if options.run:
    runs = [options.run / f"{architecture}-{steps}" for architecture, steps in errors]
    print(f"\nThe page: {write_report(runs, options.run / 'report.html', title='The adding problem')}")
assert all(error < 10 for error in errors.values())
if options.updates >= UPDATES:  # the headline figure
    assert errors.get(("lstm", 200), 0) < SOLVED, "the lstm does not solve 200 steps"
    assert errors.get(("gru", 200), 0) < SOLVED, "the gru does not solve 200 steps"
    assert "vanishing gradient" in findings.get(("rnn", 200), ["vanishing gradient"])
