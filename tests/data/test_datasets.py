"""The data that ship with the package."""

import polars as pl

from elman.data.datasets import fulda
from elman.data.roles import guess_roles
from elman.data.series import read_panel
from elman.data.tables import read_table


def test_the_fulda_is_ten_whole_years_of_days_and_brings_its_notice():
    table = read_table(fulda())
    roles = guess_roles(table, "discharge_m3s")
    assert set(roles.past) == {"tmax", "tmin", "tmean", "rain_mm"}
    panel = read_panel(table, roles)
    (river,) = panel.series
    assert (panel.step, len(river)) == ("1d", 3653)
    assert (str(river.times[0]), str(river.times[-1])) == ("1979-01-01 00:00:00", "1988-12-31 00:00:00")
    assert table.frame.select(pl.col("discharge_m3s").min() > 0).item()
    assert "MIT" in fulda().with_name("fulda_daily.LICENSE.txt").read_text()
