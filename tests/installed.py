"""What `make wheel-test` runs in an environment that has the wheel, and neither a compiler nor elman's folder."""

import os
import shutil
from pathlib import Path

import torch

import elman
from elman import kernels
from elman.compiled.steps import Step


def main() -> None:
    assert not shutil.which("c++") and not shutil.which("cc"), os.environ["PATH"]
    assert "site-packages" in Path(elman.__file__).parts, elman.__file__
    os.environ["ELMAN_KERNEL"] = "native"
    net, x = elman.LSTM(5, 32), torch.randn(100, 8, 5, requires_grad=True)
    y, (h, _) = net(x)
    y.sum().backward()
    assert torch.equal(y[-1], h[-1]) and x.grad is not None and torch.isfinite(x.grad).all()
    step = Step("gru", *(t.numpy() for t in (torch.rand(96, 5), torch.rand(96, 32))))
    state = step.zeros()
    step(x[0, :1].detach().numpy(), state)
    assert state.any()
    print("installed from the wheel, elman ran an LSTM on", kernels.native_status().isa)


if __name__ == "__main__":
    main()
