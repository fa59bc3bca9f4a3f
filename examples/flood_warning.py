"""Will the Fulda pass 60 m3/s in the coming week? Train on eight years, warn through two more, print what it was worth.

Run it: `python examples/flood_warning.py` (about ten seconds; `--epochs 8` for a quick look).
"""

import argparse

import elman
from elman.data.datasets import fulda

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs

weather = ("tmax", "tmin", "tmean", "rain_mm")
f = elman.Forecaster(target="discharge_m3s", horizon=7, future=weather, event=">= 60", season=365, epochs=epochs)
f.fit(fulda(), test="1987-01-01")
scores = f.evaluate(fulda(), test="1987-01-01")

print("lead  hit rate  false alarms  critical success index (persistence, ridge)")
for row in scores.summary["event"]["rows"]:
    print(
        f"{row['lead']!s:>4}  {row['hit_rate']:8.2f}  {row['false_alarm_ratio']:12.2f}  "
        f"{row['csi']:.2f} ({row['csi_persistence']:.2f}, {row['csi_ridge']:.2f})"
    )

overall = scores.summary["event"]["rows"][-1]
assert overall["csi"] > overall["csi_persistence"], "the network warns no better than yesterday's level"
if epochs >= 30:  # the headline figure, with a perfect weather forecast
    assert scores.mean("lstm") >= 0.83
