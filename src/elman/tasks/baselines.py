"""What a network must beat: forecasts that cost next to nothing. Each returns (N, horizon) in the target's unit."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from torch import Tensor

from elman.data.series import Panel, Series, times_after
from elman.data.windows import Windows
from elman.models.readout import Linear, RidgePath, Sums
from elman.training.metrics import rmse

AT_ONCE = 1024  # windows whose channels lie in memory at once
RIDGE_LAGS = 30
RIDGE_LARGEST = 6000  # inputs; the products of all pairs of them are kept
RIDGE_ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
SEASONS = {"m": 1440, "h": 24, "d": 7, "w": 52, "mo": 12, "q": 4, "y": 1, "i": 1}


def season_of(step: str) -> int:
    """The usual period of series of this step: a day of minutes or hours, a week of days, a year of months."""
    number, unit = int(step.rstrip("abcdefghijklmnopqrstuvwxyz")), step.lstrip("0123456789")
    if (number, unit) == (7, "d"):
        return SEASONS["w"]
    return max(1, SEASONS.get(unit, 1) // number)


def persistence(panel: Panel, origins: Tensor, horizon: int) -> np.ndarray:
    """The last value observed up to the origin, for every lead time."""
    last = [_filled_forward(s.target) for s in panel.series]
    return np.stack([np.repeat(last[k][t], horizon) for k, t in origins.tolist()])


def _filled_forward(values: np.ndarray) -> np.ndarray:
    return pl.Series(values).fill_nan(None).forward_fill().fill_null(float("nan")).to_numpy()


def seasonal_naive(panel: Panel, origins: Tensor, horizon: int, season: int) -> np.ndarray:
    """The value one season before, or in the nearest earlier one in which it was observed, or else the last value."""
    last, out = persistence(panel, origins, horizon), np.full((len(origins), horizon), np.nan)
    for row, (k, t) in enumerate(origins.tolist()):
        target = panel.series[k].target
        for lead in range(1, horizon + 1):
            back = t + lead - season * -(-lead // season)
            while back >= 0 and np.isnan(out[row, lead - 1]):
                out[row, lead - 1] = target[back]
                back -= season
    return np.where(np.isnan(out), last, out)


def climatology(panel: Panel, train: Panel, origins: Tensor, horizon: int, days: int = 15) -> np.ndarray | None:
    """The training mean within `days` of that day of the year, at that hour; None where time has no dates."""
    if panel.series[0].times.dtype.is_integer():
        return None
    means = [_yearly_means(s, days) for s in train.series]
    out = np.empty((len(origins), horizon))
    places = [
        _place_in_year(pl.concat([s.times, times_after(s.times, horizon, panel.step).cast(s.times.dtype)]))
        for s in panel.series
    ]
    ahead = np.arange(1, horizon + 1)
    for row, (k, t) in enumerate(origins.tolist()):
        day, hour = places[k]
        out[row] = means[k][hour[t + ahead], day[t + ahead]]
    return out


def _place_in_year(times: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Day of the year from 0, and hour."""
    return times.dt.ordinal_day().to_numpy().astype(int) - 1, times.dt.hour().to_numpy().astype(int)


def _yearly_means(series: Series, days: int) -> np.ndarray:
    """(24, 366) means over a circular window of days; where an hour was never observed, over all hours."""
    day, hour = _place_in_year(series.times)
    seen = ~np.isnan(series.target)
    total, count = np.zeros((24, 366)), np.zeros((24, 366))
    np.add.at(total, (hour[seen], day[seen]), series.target[seen])
    np.add.at(count, (hour[seen], day[seen]), 1)
    total, count = (np.sum([np.roll(a, k, axis=1) for k in range(-days, days + 1)], axis=0) for a in (total, count))
    overall = series.target[seen].mean() if seen.any() else np.nan
    any_hour = np.divide(total.sum(0), count.sum(0), out=np.full(366, overall), where=count.sum(0) > 0)
    return np.divide(total, count, out=np.tile(any_hour, (24, 1)), where=count > 0)


def ridge(
    windows: Windows, origins: Tensor, *, train_ends: Sequence[int], val_ends: Sequence[int]
) -> np.ndarray | None:
    """Ridge regression for each lead time on the scaled, masked channels that the network reads, over 30 steps at most.

    Its penalty, and whether the target is scaled as for the network or as a logarithm, are chosen on the validation
    part (from `train_ends` to `val_ends` of each series). None where there is too little to fit, or too much to solve.
    """
    panel, scalings = windows.panel, [windows.scaling]
    train = panel.head(train_ends)
    if all(not (s.target <= 0).any() for s in panel.series) and all((~np.isnan(s.target)).any() for s in train.series):
        scalings.append(windows.scaling.reshaped(train, "log"))
    best, chosen = np.inf, None
    for scaling in scalings:
        lagged = Windows(
            panel,
            scaling,
            window=min(RIDGE_LAGS, windows.window),
            horizon=windows.horizon,
            calendar=windows.calendar,
        )
        choose_on = lagged.origins(first=train_ends, last=val_ends)
        if not len(choose_on):
            return None
        truth = scaling.inverse(panel, choose_on, lagged.truth(choose_on).numpy())
        for fitted in _ridges(lagged, lagged.origins(last=train_ends)):
            error = rmse(truth, _apply(lagged, choose_on, fitted))
            if error < best:
                best, chosen = error, (lagged, fitted)
    return None if chosen is None else _apply(chosen[0], origins, chosen[1])


def _ridges(windows: Windows, origins: Tensor) -> Iterator[Linear]:
    """Of the design and `horizon` outputs, for each penalty: from sums over parts of the windows."""
    size = windows.input_size * (windows.window + windows.horizon)
    if size >= RIDGE_LARGEST:
        return
    sums = Sums(size, windows.horizon)
    for part in origins.split(AT_ONCE):
        sums.add(_design(windows, part), windows.truth(part).double().numpy())
    if sums.n >= 2:
        path = RidgePath(sums)
        yield from (path.solve(alpha) for alpha in RIDGE_ALPHAS)


def _design(windows: Windows, origins: Tensor) -> np.ndarray:
    """(B, K): all channels of all steps of each window."""
    return windows.batch(origins).x.flatten(1).double().numpy()


def _apply(windows: Windows, origins: Tensor, fitted: Linear) -> np.ndarray:
    scaled = np.concatenate([fitted(_design(windows, part)) for part in origins.split(AT_ONCE)])
    return windows.scaling.inverse(windows.panel, origins, scaled)
