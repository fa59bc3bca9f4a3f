"""What a forecaster's network is taught: windows, what a forecast of them costs, and how it is looked at meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from elman.data.windows import Batch, Windows
from elman.training.diagnostics import Probe
from elman.training.distributed import World
from elman.training.losses import mse, pinball

AT_ONCE = 1024  # windows that the network reads at once where no gradient is needed
PROBED = 16  # windows through which a network in training is looked at


def probe(windows: Windows, origins: Tensor, *, horizon: int, truncate: int | None, every: int) -> Probe:
    """Looks at how the last step of a forecast depends on what the network read before it."""
    some = origins[torch.linspace(0, len(origins) - 1, min(PROBED, len(origins))).long()]
    x = windows.batch(some).x
    return Probe(lambda net: net(x, horizon, truncate)[:, -1, 0].sum(), every=every)


@dataclass(frozen=True)
class ForecastLessons:
    """`Lessons` of the windows at `train_on` and `validate_on`, both (N, 2) as `Windows.origins` gives them.

    A network's outputs (B, horizon, 1 + Q) are the point forecast, judged by its squared error, and the quantiles,
    judged by the pinball loss; what was not observed counts for nothing.
    """

    windows: Windows
    train_on: Tensor
    validate_on: Tensor
    quantiles: tuple[float, ...]
    batch_size: int
    truncate: int | None
    seed: int

    carries = False

    @property
    def batches_an_epoch(self) -> int:
        return -(-len(self.train_on) // self.batch_size)

    def batches(self, epoch: int, world: World) -> Iterator[Batch | None]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        for part in torch.randperm(len(self.train_on), generator=generator).split(self.batch_size):
            own = world.share(part)
            yield self.windows.batch(self.train_on[own]) if len(own) else None

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return self._cost(network(batch.x, self.windows.horizon, self.truncate), batch.y)

    def weigh(self, batch: Batch) -> float:
        return _observed(batch.y)

    @cached_property
    def everything(self) -> Batch:
        """The whole training part."""
        return self.windows.batch(self.train_on)

    def whole_loss(self, network: nn.Module) -> Tensor:
        return self._cost(network(self.everything.x, self.windows.horizon), self.everything.y)

    def validation_loss(self, network: nn.Module, world: World) -> float:
        own = world.share(self.validate_on)
        if not len(own):
            return world.mean(0.0, 0.0)
        parts = [network(self.windows.batch(part).x, self.windows.horizon) for part in own.split(AT_ONCE)]
        y = self.windows.truth(own)
        return world.mean(self._cost(torch.cat(parts), y).item(), _observed(y))

    def probe(self, every: int) -> Probe:
        return probe(self.windows, self.train_on, horizon=self.windows.horizon, truncate=self.truncate, every=every)

    def facts(self) -> dict[str, float]:
        """The loss of the best forecast that is always the same, and how many windows leak into the validation."""
        y = self.windows.truth(self.train_on)
        seen = y[~torch.isnan(y)]
        quantiles = torch.quantile(seen[:: 1 + len(seen) // 100_000], y.new_tensor(self.quantiles))
        same = torch.cat([seen.mean()[None], quantiles])
        facts: dict[str, float] = {"constant": self._cost(same.expand(*y.shape, -1), y).item()}
        if len(self.windows.panel.series) > 1:  # the times of one series are all different
            leaked = self.windows.shared(self.train_on, self.validate_on)
            facts |= {"shared": leaked, "validated": len(self.validate_on)}
        return facts

    def _cost(self, outputs: Tensor, y: Tensor) -> Tensor:
        return mse(outputs[..., 0], y) + pinball(outputs[..., 1:], y, self.quantiles)


def _observed(y: Tensor) -> float:
    return float(y.numel() - torch.isnan(y).sum())
