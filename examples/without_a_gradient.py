"""Which of two pulses came first? A network of 37 weights is trained on the share of wrong answers itself.

That share has no gradient, so the weights are searched for: by annealing, a particle swarm, CMA-ES and differential
evolution. Run it: `python examples/without_a_gradient.py` (about a minute; `--evaluations 200` for a quick look).
"""

import argparse
import time

import torch
from torch import Tensor, nn

import elman
from elman.training.gradient_free import SEARCHES, search

STEPS, EVALUATIONS = 20, 4000

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()


def pulses(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """`x (n, STEPS, 2)`, weak noise with a pulse of 1 in each of the two channels, and whether the first was first."""
    random = torch.Generator().manual_seed(seed)
    x = 0.1 * torch.randn(n, STEPS, 2, generator=random)
    when = torch.rand(n, STEPS, generator=random).argsort(1)[:, :2]  # two different steps
    for channel in (0, 1):
        x[torch.arange(n), when[:, channel], channel] += 1
    return x, when[:, 0] < when[:, 1]


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = elman.RNN(2, 4, batch_first=True)
        self.answer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(x)
        return self.answer(y[:, -1])[:, 0] > 0


x, y = pulses(200, seed=1)
x_test, y_test = pulses(2000, seed=2)

torch.set_num_threads(1)  # small networks gain nothing by a second one
print("search       training  accuracy  evaluations  seconds")
accuracies = {}
for name in SEARCHES:
    torch.manual_seed(options.seed)
    model = Judge()
    began = time.perf_counter()
    done = search(
        model, lambda model: (model(x) != y).float().mean(), optimizer=name, budget=options.evaluations,
        population=20, seed=options.seed,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    with torch.no_grad():
        right = (model(x) == y).float().mean().item()
        accuracies[name] = (model(x_test) == y_test).float().mean().item()
    print(f"{name:11}  {right:8.3f}  {accuracies[name]:8.3f}  {done.step:11}  {seconds:7.1f}", flush=True)

assert all(0 <= right <= 1 for right in accuracies.values())
if options.evaluations >= EVALUATIONS:  # the headline figure, on sequences that no search has seen
    assert max(accuracies.values()) > 0.95
