"""Store ten handwritten digits, damage a fifth of their pixels, and let four networks recall them.

Run it: `python examples/remember_digits.py` (a few seconds; `--damage 0.3` for harder ones). It prints one recall as it
goes, the share of digits that each network recalls, and the energy that falls on the way.
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--damage", type=float, default=0.2)
parser.add_argument("--trials", type=int, default=100, help="damaged copies of each digit")
options = parser.parse_args()

digits = load_digits().images[:10] / 16  # (10, 8, 8), from 0 to 1
black_and_white = digits > 0.5
rng = np.random.default_rng(0)


def damaged(images: np.ndarray) -> np.ndarray:
    """The same images with a share of their pixels turned, at random places."""
    return np.where(rng.random(images.shape) < options.damage, 1 - images, images).astype(images.dtype)


networks = {
    "hebbian": elman.HopfieldNetwork(),
    "storkey": elman.HopfieldNetwork(storage="storkey"),
    "pseudo-inverse": elman.HopfieldNetwork(storage="pseudo-inverse"),
    "modern": elman.HopfieldNetwork(kind="modern"),
}
rates = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # ten digits are too alike for Hebb's rule, and the networks say so
    for name, network in networks.items():
        patterns = digits if name == "modern" else black_and_white
        network.fit(patterns)
        truth = np.repeat(patterns, options.trials, axis=0)
        rates[name] = network.score(damaged(truth), truth)
        print(f"{name:15} {100 * rates[name]:5.1f} % of {len(truth)} damaged digits are recalled without an error")

way = networks["pseudo-inverse"].recall(damaged(black_and_white[3]))
print(f"\nA three, damaged and recalled in {way.steps[0]} sweeps:")
for rows in zip(*(state.reshape(8, 8) for state in way.states[:, 0]), strict=True):
    print("   ".join("".join("##" if pixel > 0 else ". " for pixel in row) for row in rows))
print("Energy, after each unit that turned:", " ".join(f"{energy:.1f}" for energy in way.descents[0]))

assert (np.diff(way.descents[0]) < 0).all(), "the energy rose"
if options.damage <= 0.2 and options.trials >= 100:  # the headline figure
    assert rates["modern"] > 0.9 > rates["hebbian"]
