from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from elman.data.roles import Roles
from elman.data.series import Panel, read_panel
from elman.data.tables import read_table


@pytest.fixture
def panel_of():
    """`panel_of(times, y, ..., roles)`: a panel from columns; without `y` its values are 0, 1, 2, ..."""

    def make(times, y=None, *, step=None, gaps="mask", name="u", **columns) -> Panel:
        y = [float(k) for k in range(len(times))] if y is None else y
        roles = {role: tuple(columns.pop(role, ())) for role in ("past", "future", "static")}
        frame = pl.DataFrame({"t": times, "y": y, **columns}, strict=False)
        series = name if name in columns else None
        return read_panel(read_table(frame), Roles("y", time="t", series=series, **roles), step=step, gaps=gaps)

    return make


@pytest.fixture
def two_rivers() -> Panel:
    """Two series of different scale, length and start, with inputs of every kind, some values missing."""
    random = np.random.default_rng(0)
    frames = []
    for name, days, start, size in (("Elbe", 40, datetime(2020, 2, 20), 500.0), ("Ilm", 30, datetime(2020, 3, 1), 2.0)):
        y = size * random.gamma(4, 1, days)
        rain = random.gamma(0.5, 5, days)
        y[[3, 11]] = rain[[5, 11]] = np.nan
        frames.append(
            pl.DataFrame(
                {
                    "river": name,
                    "day": [start + timedelta(days=k) for k in range(days)],
                    "level": y,
                    "rain": rain,
                    "holiday": random.integers(0, 2, days).astype(float),
                    "area": 10 * size,
                    "height": None if name == "Ilm" else 100.0,
                },
                schema_overrides={"height": pl.Float64},
            )
        )
    roles = Roles("level", time="day", series="river", past=("rain",), future=("holiday",), static=("area", "height"))
    return read_panel(read_table(pl.concat(frames).fill_nan(None)), roles)
