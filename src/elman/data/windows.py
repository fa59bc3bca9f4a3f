"""Regular series to the tensors that a network reads: scaled, masked, cut into windows when a batch is asked for.

Each step of a window has these channels, in this order:

    target, past inputs      0 where not known, always so after the origin
    future inputs            known ahead
    masks of all of those    1 where the value is known, 0 where it is not
    static inputs, and theirs; calendar

so a missing value and a value that lies in the future reach the network in the same way: as 0 with a mask of 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
import torch
from scipy.stats import f_oneway
from torch import Tensor

from elman.data.scaling import Scaler
from elman.data.series import Panel, Series, times_after
from elman.errors import InputError


class Batch(NamedTuple):
    """B windows. `x`: (B, window + horizon, I); `y`: (B, horizon), scaled, NaN where not observed."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Scaling:
    """The scalers of every column; the target's are by series, so that large and small series weigh the same."""

    target: Mapping[str, Scaler]
    inputs: Mapping[str, Scaler]

    @classmethod
    def fit(cls, panel: Panel, shape: Any = "auto") -> Self:
        """From `panel`, which holds the training part alone. One shape of transform serves the target of all series."""
        roles = panel.roles
        if shape == "auto":  # what most series want, where all of them can have it
            wanted = [Scaler.fit(s.target, name=roles.target).shape for s in panel.series]
            able = all(not (s.target < 0).any() for s in panel.series)
            shape = "sqrt" if able and 2 * wanted.count("sqrt") > len(wanted) else "none"
        target = {s.name: Scaler.fit(s.target, shape, roles.target) for s in panel.series}
        inputs = {}
        for role, columns in (("past", roles.past), ("future", roles.future), ("static", roles.static)):
            for k, column in enumerate(columns):
                values = [np.atleast_2d(getattr(s, role))[:, k] for s in panel.series]
                inputs[column] = Scaler.fit(np.concatenate(values), name=column)
        return cls(target, inputs)

    def of(self, series: Series) -> Scaler:
        """The target's scaler for `series`."""
        return self.target[series.name]

    def knowing(self, panel: Panel, known: Sequence[int]) -> Self:
        """With a scaler for each new series of `panel`, from its first `known` steps: what follows is to be forecast.

        One without any value there is scaled like the mean of the others.
        """
        shape = next(iter(self.target.values())).shape
        mean, std = (float(np.mean([getattr(s, part) for s in self.target.values()])) for part in ("mean", "std"))
        usual = Scaler(mean, std, shape)
        new = {
            s.name: Scaler.fit(s.target[:n], shape, panel.roles.target) if (~np.isnan(s.target[:n])).any() else usual
            for s, n in zip(panel.series, known, strict=True)
            if s.name not in self.target
        }
        return replace(self, target={**self.target, **new})

    def reshaped(self, panel: Panel, shape: Any) -> Self:
        """With the target's scalers fitted anew to `panel`, the training part, in another shape."""
        return replace(self, target={s.name: Scaler.fit(s.target, shape, panel.roles.target) for s in panel.series})

    def inverse(self, panel: Panel, origins: Tensor, scaled: np.ndarray) -> np.ndarray:
        """(N, ...) scaled values of the target for the windows at `origins` (N, 2), back in its unit."""
        out = np.empty(scaled.shape, dtype=np.float64)
        for k, series in enumerate(panel.series):
            rows = (origins[:, 0] == k).numpy()
            out[rows] = self.of(series).inverse(scaled[rows].astype(np.float64))
        return out

    def to_dict(self) -> dict[str, Any]:
        return {part: {k: s.to_dict() for k, s in getattr(self, part).items()} for part in ("target", "inputs")}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        return cls(*({k: Scaler(**s) for k, s in state[part].items()} for part in ("target", "inputs")))


CALENDAR = ("time_of_day", "day_of_week", "day_of_year")


def calendar_for(panel: Panel) -> tuple[str, ...]:
    """The cycles that series of this step can follow; the week only where it shows in the changes of the target.

    A river knows no weekdays, and seven of them are seven chances to learn noise: the day of the week is taken when a
    one-way analysis of variance of the target's changes by weekday has p < 0.001 in any series.
    """
    unit = panel.step.lstrip("0123456789")
    if unit in ("i", "y"):
        return ()
    cycles = ["time_of_day"] if unit in ("h", "m", "s", "us") else []
    if unit != "w" and not unit.startswith("mo") and any(_has_week(s) for s in panel.series):
        cycles.append("day_of_week")
    return (*cycles, "day_of_year")


def _has_week(s: Series) -> bool:
    changes, weekday = np.diff(s.target), s.times.dt.weekday().to_numpy()[1:]
    groups = [changes[(weekday == d) & ~np.isnan(changes)] for d in range(1, 8)]
    if min(len(g) for g in groups) < 2 or not any(g.std() > 0 for g in groups):
        return False
    return bool(f_oneway(*groups).pvalue < 0.001)


def calendar_features(times: pl.Series, cycles: Sequence[str]) -> np.ndarray:
    """(T, 2 * cycles): sine and cosine of each cycle's phase at `times`."""
    if not cycles:
        return np.zeros((len(times), 0))
    if times.dtype.is_integer():
        raise InputError(
            f"calendar={tuple(cycles)} needs dates; the time of this table is whole numbers. Choose calendar=()"
        )
    hours = (times.dt.hour().cast(pl.Float64) + times.dt.minute() / 60 + times.dt.second() / 3600).to_numpy()
    phases = {
        "time_of_day": hours / 24,
        "day_of_week": (times.dt.weekday().to_numpy() - 1 + hours / 24) / 7,
        "day_of_year": (times.dt.ordinal_day().to_numpy() - 1 + hours / 24) / 365.25,
    }
    return np.stack([f(2 * np.pi * phases[c]) for c in cycles for f in (np.sin, np.cos)], axis=1)


class Windows:
    """Every window of `panel`, made when asked for: memory grows with the table, not with windows x length.

    A window is named by its series and its origin, the index of the last step that counts as known: it reads
    `window` steps up to the origin, and forecasts the `horizon` steps after it.
    """

    def __init__(self, panel: Panel, scaling: Scaling, *, window: int, horizon: int, calendar: Sequence[str]):
        self.panel, self.scaling, self.calendar = panel, scaling, calendar
        self.window, self.horizon = window, horizon
        self.known_only_past = 1 + len(panel.roles.past)
        self.known = self.known_only_past + len(panel.roles.future)
        self.lengths = [len(s) for s in panel.series]
        # Each series is followed by `horizon` steps without values, so that a window may end in the real future.
        self.starts = np.cumsum([0, *(n + horizon for n in self.lengths)])[:-1]
        self.times = pl.concat([self._extended(s) for s in panel.series])
        channels = [self._channels(s, scaling, calendar) for s in panel.series]
        self.channels = torch.from_numpy(np.concatenate(channels)).float()
        self.target = torch.from_numpy(
            np.concatenate([self._padded(scaling.of(s).transform(s.target)) for s in panel.series])
        ).float()
        self.observed = np.concatenate([self._padded(s.target) for s in panel.series])

    @property
    def input_size(self) -> int:
        return self.channels.shape[1]

    def _extended(self, s: Series) -> pl.Series:
        return pl.concat([s.times, times_after(s.times, self.horizon, self.panel.step).cast(s.times.dtype)])

    def _padded(self, values: np.ndarray) -> np.ndarray:
        """(T, ...) with `horizon` missing steps behind."""
        after = np.full((self.horizon, *values.shape[1:]), np.nan)
        return np.concatenate([values, after])

    def _channels(self, s: Series, scaling: Scaling, calendar: Sequence[str]) -> np.ndarray:
        roles = self.panel.roles

        def scaled(columns: Sequence[str], values: np.ndarray) -> list[np.ndarray]:
            return [scaling.inputs[c].transform(values[..., k]) for k, c in enumerate(columns)]

        target = scaling.of(s).transform(s.target)
        changing = self._padded(
            np.stack([target, *scaled(roles.past, s.past), *scaled(roles.future, s.future)], axis=1)
        )
        fixed = np.array(scaled(roles.static, s.static))
        static = np.tile(np.concatenate([np.nan_to_num(fixed), ~np.isnan(fixed)]), (len(changing), 1))
        cycles = calendar_features(self._extended(s), calendar)
        return np.concatenate([np.nan_to_num(changing), ~np.isnan(changing), static, cycles], axis=1)

    def origins(self, first: Sequence[int] | int = 0, last: Sequence[int] | None = None, *, stride: int = 1) -> Tensor:
        """(N, 2): (series, origin) of each window that reads whole and has an observed target ahead.

        first, last: for each series, the first step that may be forecast, and the end (exclusive) of those that may.
        """
        found = []
        for k, n in enumerate(self.lengths):
            low = max(first if isinstance(first, int) else first[k], self.window) - 1
            high = (n if last is None else last[k]) - self.horizon
            origins = torch.arange(low, max(low, high), stride)
            steps = origins[:, None] + torch.arange(1, self.horizon + 1)
            seen = ~torch.isnan(self.target[int(self.starts[k]) + steps]).all(dim=1) if len(origins) else origins.bool()
            found.append(torch.stack([torch.full_like(origins, k), origins], dim=1)[seen])
        return torch.cat(found)

    def truth(self, origins: Tensor) -> Tensor:
        """(B, horizon): the scaled target ahead of `origins` (B, 2), NaN where not observed."""
        at = torch.from_numpy(self.starts)[origins[:, 0]] + origins[:, 1]
        return self.target[at[:, None] + torch.arange(1, self.horizon + 1)]

    def shared(self, a: Tensor, b: Tensor) -> int:
        """How many of the windows at `b` (N, 2) have the very values of the target, past and ahead, of one at `a`.

        So a series that stands in the table twice is found, under whatever name. Windows in which nothing changes are
        alike anywhere, and are not counted.
        """

        def prints(origins: Tensor) -> list[bytes]:
            values: list[bytes] = []
            for some in origins.split(4096):
                at = self.starts[some[:, 0].numpy()] + some[:, 1].numpy()
                windows = self.observed[at[:, None] + np.arange(1 - self.window, self.horizon + 1)]
                values += [w.tobytes() for w in windows if np.ptp(w[~np.isnan(w)]) > 0]
            return values

        known = set(prints(a))
        return sum(window in known for window in prints(b))

    def batch(self, origins: Tensor) -> Batch:
        """The windows at `origins` (B, 2)."""
        at = torch.from_numpy(self.starts)[origins[:, 0]] + origins[:, 1]
        x = self.channels[at[:, None] + torch.arange(1 - self.window, self.horizon + 1)]
        ahead = x[:, self.window :]
        ahead[..., : self.known_only_past] = 0
        ahead[..., self.known : self.known + self.known_only_past] = 0
        return Batch(x, self.truth(origins))

    def long_form(self, origins: Tensor, columns: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """A row for each window and lead: unique_id, cutoff, ds, lead, y, and `columns`, each (N, horizon)."""
        leads = np.tile(np.arange(1, self.horizon + 1), len(origins))
        cutoff = np.repeat(self.starts[origins[:, 0].numpy()] + origins[:, 1].numpy(), self.horizon)
        frame = pl.DataFrame(
            {
                "unique_id": pl.Series([s.name for s in self.panel.series])[
                    np.repeat(origins[:, 0].numpy(), self.horizon)
                ],
                "cutoff": self.times[cutoff],
                "ds": self.times[cutoff + leads],
                "lead": leads,
                "y": self.observed[cutoff + leads],
            }
        )
        return frame.with_columns(pl.Series(name, values.ravel()) for name, values in columns.items()).with_columns(
            pl.selectors.float().fill_nan(None)
        )
