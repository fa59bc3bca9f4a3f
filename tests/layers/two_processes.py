"""One of two processes that train one model by DistributedDataParallel; arguments: its rank and the port to meet at."""

import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from elman import layers

CASES = [
    (layers.RNN, {"learned_state": True}),
    (layers.LSTM, {"num_layers": 2, "bidirectional": True, "layer_norm": True, "peephole": True}),
    (layers.GRU, {"num_layers": 2}),
]


def main(rank: int, port: int) -> None:
    store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    for cls, options in CASES:
        torch.manual_seed(0)
        layer = cls(3, 5, **options, dtype=torch.float64)
        x, target = torch.randn(7, 4, 3).double(), torch.randn(7, 4, layer.output_size).double()
        expected = torch.autograd.grad((layer(x)[0] - target).square().mean(), list(layer.parameters()))
        model = DistributedDataParallel(layer)
        mine = slice(2 * rank, 2 * rank + 2)
        for _ in range(2):  # the second call finds the reducer as the first left it
            model.zero_grad()
            (model(x[:, mine])[0] - target[:, mine]).square().mean().backward()
        # float64 sums in another order
        assert_close([p.grad for p in layer.parameters()], list(expected), rtol=1e-10, atol=1e-12)
    del model  # first: what still holds the group as Python ends may wait for its thread, and that for Python's lock
    dist.destroy_process_group()
    print("the same gradients")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
