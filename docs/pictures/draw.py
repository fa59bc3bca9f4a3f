"""Draw the README's picture from the demo's run: `make demo`, then `.venv/bin/python docs/pictures/draw.py`."""

from pathlib import Path

from elman.report.charts import save_svg
from elman.report.forecasts import forecasts
from elman.report.runs import read_run

here = Path(__file__).parent
run = read_run(here.parents[1] / "runs" / "demo" / "perfect-weather-forecast-0")
chart = forecasts(run).figures[3].chart  # the last lead time, around the largest flood
for theme in ("light", "dark"):
    save_svg(chart, here / f"fulda-{theme}.svg", height=360, theme=theme)
