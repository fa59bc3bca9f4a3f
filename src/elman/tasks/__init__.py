"""One file per estimator; the only floor where data, models and training meet. Import from `elman`."""
