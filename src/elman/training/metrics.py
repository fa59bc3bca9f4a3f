"""Scores of forecasts. Arrays of one shape; pairs of which one is NaN are left out; NaN where nothing is left.

Sources: NSE, Nash and Sutcliffe 1970, doi:10.1016/0022-1694(70)90255-6; KGE, Gupta et al. 2009,
doi:10.1016/j.jhydrol.2009.08.003; MASE, Hyndman and Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001;
Brier 1950. Contingency scores: https://www.cawcr.gov.au/projects/verification (WWRP/WGNE).
"""

from typing import Any

import numpy as np

Array = np.ndarray


def _pairs(y: Array, forecast: Array) -> tuple[Array, Array]:
    both = ~(np.isnan(y) | np.isnan(forecast))
    return y[both], forecast[both]


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def rmse(y: Array, forecast: Array) -> float:
    """Root mean squared error, in the unit of y."""
    y, forecast = _pairs(y, forecast)
    return _mean((forecast - y) ** 2) ** 0.5


def mae(y: Array, forecast: Array) -> float:
    """Mean absolute error, in the unit of y."""
    y, forecast = _pairs(y, forecast)
    return _mean(np.abs(forecast - y))


def nse(y: Array, forecast: Array) -> float:
    """Nash-Sutcliffe efficiency: 1 is perfect, 0 as good as the mean of y.

    >>> nse(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    0.5
    """
    y, forecast = _pairs(y, forecast)
    spread = ((y - y.mean()) ** 2).sum() if y.size else 0.0
    return float(1 - ((forecast - y) ** 2).sum() / spread) if spread > 0 else float("nan")


def kge(y: Array, forecast: Array) -> float:
    """Kling-Gupta efficiency: 1 is perfect; it weighs correlation, spread and bias alike."""
    y, forecast = _pairs(y, forecast)
    if y.size < 2 or y.std() == 0 or y.mean() == 0:
        return float("nan")
    if forecast.std() == 0:
        return float("nan")  # the correlation with a constant is not defined
    r = np.corrcoef(y, forecast)[0, 1]
    return float(
        1 - np.sqrt((r - 1) ** 2 + (forecast.std() / y.std() - 1) ** 2 + (forecast.mean() / y.mean() - 1) ** 2)
    )


def mase(y: Array, forecast: Array, scale: float) -> float:
    """Mean absolute error over `scale`, the error of the seasonal naive forecast on the training part."""
    return mae(y, forecast) / scale if scale > 0 else float("nan")


def pinball(y: Array, forecast: Array, quantile: float) -> float:
    """Quantile loss of a forecast of one quantile, in the unit of y."""
    y, forecast = _pairs(y, forecast)
    error = y - forecast
    return _mean(np.maximum(quantile * error, (quantile - 1) * error))


def coverage(y: Array, low: Array, high: Array) -> float:
    """Share of y within [low, high]."""
    seen = ~(np.isnan(y) | np.isnan(low) | np.isnan(high))
    return _mean(((low <= y) & (y <= high))[seen].astype(float))


def brier(happened: Array, probability: Array) -> float:
    """Mean squared error of a probability; 0 is perfect."""
    return _mean((probability - happened) ** 2)


def contingency(happened: Array, warned: Array) -> dict[str, float]:
    """Hit rate, false alarm ratio (false alarms among the warnings) and critical success index of yes-or-no warnings.

    >>> contingency(np.array([True, True, False, False]), np.array([True, False, True, False]))["csi"]
    0.3333333333333333
    """
    hits, misses = float((happened & warned).sum()), float((happened & ~warned).sum())
    false = float((~happened & warned).sum())

    def share(part: float, whole: float) -> float:
        return part / whole if whole else float("nan")

    return {
        "hit_rate": share(hits, hits + misses),
        "false_alarm_ratio": share(false, hits + false),
        "csi": share(hits, hits + misses + false),
    }


def reliability(happened: Array, probability: Array, bins: int = 10) -> list[dict[str, Any]]:
    """For each bin of forecast probability: how many forecasts, their mean, and how often the event came."""
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        {
            "low": k / bins,
            "high": (k + 1) / bins,
            "forecasts": int((bin_of == k).sum()),
            "mean_probability": _mean(probability[bin_of == k]),
            "observed_frequency": _mean(happened[bin_of == k].astype(float)),
        }
        for k in range(bins)
    ]
