"""Readouts of series that have one answer each: their pooled states to classes, or to a number."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from elman.models.echo_state import EchoState
from elman.models.readout import Linear

Array = np.ndarray
PENALTIES = np.logspace(-4, 3, 8)  # of the logistic regression
FOLDS = 5


def pooled(network: EchoState, inputs: Sequence[Array], pooling: str) -> Array:
    """`(n, F)`: the mean over the steps of what the readout reads of each series `(T_i, I)`, scaled; or the last."""
    dtype, found = network.last_output.dtype, np.empty((len(inputs), network.feature_size))
    for k, x in enumerate(inputs):
        features = network.features(torch.from_numpy(x)[None].to(dtype))[0][0]
        found[k] = (features[-1] if pooling == "last" else features.mean(0)).double().numpy()
    return found


def logistic(
    features: Array, codes: Array, ridge: float | None, seed: int
) -> tuple[Linear, float, dict[str, list[float]]]:
    """Multinomial logistic regression of `features (n, F)` to classes `codes (n)`: logits, penalty and its path.

    Where no penalty is given, the one with the least log loss in cross-validation over the cases is taken.
    """
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    scaled = (features - mean) / spread
    path: dict[str, list[float]] = {}
    if ridge is None:
        folds = min(FOLDS, int(np.bincount(codes).min()))
        ridge = 1.0
        if folds >= 2:
            cuts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(scaled, codes))
            errors = [_log_loss(scaled, codes, alpha, cuts) for alpha in PENALTIES]
            ridge = float(PENALTIES[int(np.argmin(errors))])
            path = {"ridge": PENALTIES.tolist(), "error": errors}
    slope, intercept = _fitted(scaled, codes, ridge)
    slope = slope / spread[:, None]
    return Linear(slope, intercept - mean @ slope), ridge, path


def _fitted(x: Array, codes: Array, alpha: float) -> tuple[Array, Array]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what is reached by then is as good on new cases
        model = LogisticRegression(C=1 / max(alpha, 1e-12), max_iter=500).fit(x, codes)
    slope, intercept = model.coef_.T, model.intercept_
    if slope.shape[1] == 1:  # of two classes the second's logit alone
        return np.hstack([np.zeros_like(slope), slope]), np.append(0.0, intercept)
    return slope, intercept


def _log_loss(x: Array, codes: Array, alpha: float, cuts: Sequence[tuple[Array, Array]]) -> float:
    """The mean over all cases, each scored by a regression that was not fitted to it."""
    losses = np.empty(len(x))
    for fit_on, score_on in cuts:
        slope, intercept = _fitted(x[fit_on], codes[fit_on], alpha)
        logits = x[score_on] @ slope + intercept
        logits -= logits.max(1, keepdims=True)
        right = logits[np.arange(len(score_on)), codes[score_on]]
        losses[score_on] = np.log(np.exp(logits).sum(1)) - right
    return float(losses.mean())
