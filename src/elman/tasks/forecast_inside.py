"""A look inside a forecaster: windows of its validation part, from the first step read to the last one forecast."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from elman.data.windows import Windows
from elman.training.inside import look_inside
from elman.training.look import Inside

SHOWN, LOOKED_AT = 6, 48
SERIES = 7  # inputs beside the target that are shown
Outputs = Callable[[np.ndarray, Tensor], np.ndarray]


def forecast_inside(
    network: nn.Module, windows: Windows, origins: Tensor, quantiles: tuple[float, ...], inverse: Outputs
) -> Inside:
    """Of some of the windows at `origins` (N, 2). `inverse` takes outputs for origins to the target's unit.

    Shown are windows spread evenly over the origins, and the one with the largest value ahead.
    """
    # Windows that overlap show the same flood several times.
    apart = len(origins) // (windows.window + windows.horizon)
    even = torch.linspace(0, len(origins) - 1, min(LOOKED_AT, len(origins), max(apart, 2 * SHOWN))).long().unique()
    ahead = windows.truth(origins).nan_to_num(-torch.inf).amax(1)
    picks = [int(ahead.argmax()), *even[:: max(1, len(even) // (SHOWN - 1))].tolist(), *even.tolist()]
    some = origins[torch.tensor(list(dict.fromkeys(picks)))]
    roles = windows.panel.roles
    at = torch.from_numpy(windows.starts)[some[:, 0]] + some[:, 1]
    steps = at[:, None] + torch.arange(1 - windows.window, windows.horizon + 1)
    measured = windows.observed[steps.numpy()]
    known = measured.astype(np.float32)
    known[:, windows.window :] = np.nan
    x = windows.batch(some).x
    names = [series.name for series in windows.panel.series]
    times = [[str(t).removesuffix(" 00:00:00") for t in windows.times[row.numpy()]] for row in steps]
    several = len(names) > 1
    labels = [
        (f"{names[int(series)]}, " if several else "") + f"forecast of {of[windows.window - 1]}"
        for (series, _), of in zip(some.tolist(), times, strict=True)
    ]
    others = [*roles.past, *roles.future]
    return look_inside(
        network,
        lambda x: network(x, windows.horizon),
        x,
        labels=labels,
        inputs={roles.target: known} | _others(windows, some, others, steps),
        times=times,
        outputs=["forecast", *(f"{100 * q:g} % quantile" for q in quantiles)],
        unit=roles.target,
        truth=measured[:, windows.window :],
        in_units=lambda scaled: inverse(scaled, some[: len(scaled)]),
        shown=SHOWN,
    )


def _others(windows: Windows, origins: Tensor, names: list[str], steps: Tensor) -> dict[str, np.ndarray]:
    """Inputs besides the target as they were measured, NaN where the network does not get to know them."""
    roles, panel, found = windows.panel.roles, windows.panel, {}
    for name in names[:SERIES]:
        role, k = ("past", roles.past.index(name)) if name in roles.past else ("future", roles.future.index(name))
        whole = np.concatenate([np.append(getattr(s, role)[:, k], [np.nan] * windows.horizon) for s in panel.series])
        values = whole[steps.numpy()].astype(np.float32)
        if role == "past":
            values[:, windows.window :] = np.nan
        found[name] = values
    return found
