"""What a network must beat: forecasts that cost next to nothing. Each returns (N, horizon) in the target's unit."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.linear_model import Ridge
from torch import Tensor

from elman.data.series import Panel, Series, times_after
from elman.data.windows import Scaling, Windows
from elman.training.metrics import rmse

RIDGE_LAGS = 30
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
    """The value one season before, or the nearest earlier season in which that step was observed."""
    out = np.full((len(origins), horizon), np.nan)
    for row, (k, t) in enumerate(origins.tolist()):
        target = panel.series[k].target
        for lead in range(1, horizon + 1):
            back = t + lead - season * -(-lead // season)
            while back >= 0 and np.isnan(out[row, lead - 1]):
                out[row, lead - 1] = target[back]
                back -= season
    return out


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
    panel: Panel,
    scaling: Scaling,
    origins: Tensor,
    horizon: int,
    *,
    calendar: Sequence[str],
    train_ends: Sequence[int],
    val_ends: Sequence[int],
) -> np.ndarray | None:
    """Ridge regression for each lead time on the same scaled, masked channels as the network, over the last 30 steps.

    Its penalty is chosen on the validation part (from `train_ends` to `val_ends` of each series). None where the
    training part has too few whole windows.
    """
    windows = Windows(panel, scaling, window=RIDGE_LAGS, horizon=horizon, calendar=calendar)

    def design(o: Tensor) -> tuple[np.ndarray, np.ndarray]:
        x, y = windows.batch(o)
        return x.flatten(1).numpy(), y.numpy()

    fit_on, choose_on = windows.origins(last=train_ends), windows.origins(first=train_ends, last=val_ends)
    x, y = design(fit_on)
    x_val, y_val = design(choose_on)
    whole = ~np.isnan(y).any(1)
    if whole.sum() < 2 or not len(choose_on) or (origins[:, 1] < RIDGE_LAGS - 1).any():
        return None
    truth = scaling.inverse(panel, choose_on, y_val)

    def error(model: Ridge) -> float:
        return rmse(truth, scaling.inverse(panel, choose_on, model.predict(x_val)))

    best = min((Ridge(alpha).fit(x[whole], y[whole]) for alpha in RIDGE_ALPHAS), key=error)
    return scaling.inverse(panel, origins, best.predict(design(origins)[0]))
