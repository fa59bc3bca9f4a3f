"""elman's side of every benchmark."""

from importlib.metadata import version

import torch

import elman
from elman import kernels
from elman.compiled.steps import Step
from with_torch import recurrent, scans, start, tensors
from worker import Numbers, Run


def stream(numbers: Numbers, job: dict[str, str]) -> Run:
    step = Step(job["cell"], *(numbers[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
    steps, state = list(numbers["x"]), step.zeros()

    def run() -> list[torch.Tensor]:
        state[:] = 0
        for x in steps:
            step(x, state)
        return list(torch.from_numpy(state))

    return run


def reservoir(numbers: Numbers, job: dict[str, float]) -> Run:
    x, W_in, values, b = tensors(numbers, "x", "W_in", "values", "b")
    places = torch.stack(tensors(numbers, "rows", "columns"))
    W = torch.sparse_coo_tensor(places, values, (len(b), len(b)), check_invariants=True)
    weights = kernels.ReservoirWeights(W_in, W, b)

    def run() -> list[torch.Tensor]:
        return [kernels.reservoir(x[:, None], None, weights, leak=job["leak"])[0][:, 0]]

    return run


if __name__ == "__main__":
    status = kernels.native_status()
    own = {"stream": stream, "reservoir": reservoir}
    start(
        recurrent(elman) | scans(lambda a, b: kernels.scan(a, b)[0]) | own,
        {"elman": version("elman"), "kernels": status.isa or f"none: {status.why_not}"},
    )
