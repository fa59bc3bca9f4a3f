"""A real training run for the live page's test: python trained.py RUN [--resume]; scores wait for a file RUN/../go."""

import sys
import time
from pathlib import Path

import polars as pl

from elman.data.datasets import fulda
from elman.tasks.forecast import Forecaster
from elman.training.diagnostics import Probe
from elman.training.record import Run


def slowly(event):
    if event["event"] == "step":
        time.sleep(0.04)


def main(path: Path, resume: bool) -> None:
    Probe.due = lambda self, step, elapsed: step % self.every == 0
    Probe.affords_snapshot = lambda self, elapsed, last=False: True
    table = pl.read_csv(fulda(), try_parse_dates=True).tail(1200)
    forecaster = Forecaster(
        target="discharge_m3s", horizon=3, hidden_size=4, window=20, epochs=8, probe=15, validation=200, patience=50
    )
    try:
        forecaster.fit(table, test=100, run=Run(path, label="LSTM"), resume=resume, on_event=slowly)
    except KeyboardInterrupt:
        sys.exit(130)
    while not (path.parent / "go").exists():
        time.sleep(0.1)
    forecaster.evaluate(table, test=100).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--resume" in sys.argv)
