"""What a forecaster's network is taught: windows, what a forecast of them costs, and how it is looked at meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.windows import Batch, Windows
from elman.report.networks import SampleWindows
from elman.training.diagnostics import Probe
from elman.training.distributed import World
from elman.training.losses import mse, pinball
from elman.training.record import Arrays

AT_ONCE = 1024  # windows that the network reads at once where no gradient is needed
SAMPLES = 4  # windows that a run keeps for its page
PROBED = 16  # windows through which a network in training is looked at
SAMPLED = 6  # windows whose forecasts a snapshot keeps, with a history SHOWN times as long, of at most MOST_SHOWN steps
SHOWN, MOST_SHOWN = 3, 200


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

    def samples(self, network: nn.Module) -> Arrays:
        """The forecasts, not calibrated, of a few validation windows, beside what was measured before and ahead."""
        picked = torch.linspace(0, len(self.validate_on) - 1, min(SAMPLED, len(self.validate_on)))
        origins = self.validate_on[picked.round().long()]
        windows = self.windows
        with torch.no_grad():
            scaled = network(windows.batch(origins).x, windows.horizon)[..., :1].double().numpy()
        forecast = windows.scaling.inverse(windows.panel, origins, scaled)[..., 0]
        at = windows.starts[origins[:, 0].numpy()] + origins[:, 1].numpy()
        before = np.arange(1 - min(windows.window, SHOWN * windows.horizon, MOST_SHOWN), 1)
        names = [windows.panel.series[k].name for k in origins[:, 0].tolist()]
        several = len(windows.panel.series) > 1
        label = [
            f"{name}, {windows.times[int(t)]}" if several else str(windows.times[int(t)])
            for name, t in zip(names, at, strict=True)
        ]
        return {
            "history": windows.observed[at[:, None] + before].astype(np.float32),
            "truth": windows.observed[at[:, None] + np.arange(1, windows.horizon + 1)].astype(np.float32),
            "forecast": forecast.astype(np.float32),
            "label": np.array([text.removesuffix(" 00:00:00") for text in label]),
        }

    def sample_windows(self) -> SampleWindows:
        """A few windows for a page to begin with.

        They are from the validation part: one that has the largest value ahead, and others evenly picked.
        """
        windows, origins = self.windows, self.validate_on
        even = torch.linspace(0, len(origins) - 1, min(SAMPLES - 1, len(origins))).long().tolist()
        largest = int(torch.nan_to_num(windows.truth(origins), nan=-torch.inf).amax(dim=1).argmax())
        picked = origins[list(dict.fromkeys([largest, *even]))]
        x, y = windows.batch(picked)
        at = windows.starts[picked[:, 0].numpy()] + picked[:, 1].numpy()
        times = [windows.times[int(k) + 1 - windows.window : int(k) + 1 + windows.horizon] for k in at]
        series = [windows.panel.series[int(k)].name for k in picked[:, 0]]
        return SampleWindows(x, y, series, [[str(t) for t in row] for row in times])

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
