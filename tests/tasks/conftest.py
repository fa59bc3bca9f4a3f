"""A small made-up river: discharge answers rain with a delay, so that there is something to learn in seconds."""

import numpy as np
import polars as pl
import pytest
import torch


def made_up_river(days: int = 500, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rain = random.gamma(0.3, 8.0, days)
    warmth = 10 - 8 * np.cos(2 * np.pi * np.arange(days) / 365.25) + random.normal(0, 1, days)
    level = np.empty(days)
    store = 30.0
    for t in range(days):
        store = 0.85 * store + rain[max(0, t - 1)]
        level[t] = store + random.normal(0, 0.3)
    dates = pl.date_range(pl.date(2001, 1, 1), pl.date(2001, 1, 1) + pl.duration(days=days - 1), eager=True)
    return pl.DataFrame({"date": dates, "rain": rain, "warmth": warmth, "level": level + 5})


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks run faster on one thread, and repeat bit for bit wherever the tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def river() -> pl.DataFrame:
    return made_up_river()


@pytest.fixture
def small() -> dict:
    return {"target": "level", "horizon": 4, "window": 20, "hidden_size": 12, "epochs": 3, "learning_rate": 0.01}
