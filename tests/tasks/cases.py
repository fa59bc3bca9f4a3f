"""Small made-up cases that can be learned in seconds."""

import numpy as np
import polars as pl


def tones(n: int = 90, seed: int = 0, features: int = 2) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequences of 6 to 14 steps: a slow, a fast or no swing in the first feature, and noise in the others."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = []
    for kind in y:
        T = random.integers(6, 15)
        x = random.normal(0, 0.3, size=(T, features))
        x[:, 0] += [0.0, 1.0, 1.0][kind] * np.sin(np.arange(T) * [0.0, 0.7, 2.2][kind])
        X.append(x)
    return X, np.array(["none", "slow", "fast"])[y]


def long_table(X: list[np.ndarray], y: np.ndarray) -> pl.DataFrame:
    """The same as a table with a row for each step, sorted by nothing."""
    parts = [
        pl.DataFrame({"tone": [f"t{k:03}"] * len(x), "step": range(len(x)), "a": x[:, 0], "b": x[:, 1]}).with_columns(
            kind=pl.lit(y[k])
        )
        for k, x in enumerate(X)
    ]
    return pl.concat(parts)


def people(n: int = 300, seed: int = 0) -> pl.DataFrame:
    """Who likes which team: by age alone in town, and always the same one at the sea."""
    random = np.random.default_rng(seed)
    place = random.choice(["sea", "town"], n)
    age = random.integers(15, 90, n).astype(float)
    team = np.where(place == "sea", "blue", np.where(age > 50, "red", "green"))
    return pl.DataFrame({"age": age, "place": place, "height": random.normal(170, 9, n), "team": team})
