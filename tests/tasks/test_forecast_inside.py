"""What a forecaster leaves in its run folder of a look inside is what it forecasts."""

import numpy as np

from elman.tasks.forecast import Forecaster
from elman.training.look import Inside


def test_outputs_inputs_and_truth_are_those_of_the_forecasts(river, small, tmp_path):
    f = Forecaster(**{**small, "epochs": 1}).fit(river, run=tmp_path / "run")
    seen = Inside.load(tmp_path / "run")
    assert seen.facts["outputs"][0] == "forecast" and seen.facts["first_output"] == f.window
    assert seen.facts["steps"] == f.window + f.horizon
    table = f.backtest(river)
    for n in range(len(seen.arrays["outputs"])):
        times = seen.facts["times"][n]
        rows = [r for r in table.iter_rows(named=True) if str(r["cutoff"]) == times[f.window - 1]]
        assert [str(r["date"]) for r in rows] == times[f.window :]
        np.testing.assert_allclose(seen.arrays["outputs"][n, :, 0], [r["forecast"] for r in rows], rtol=1e-4)
        np.testing.assert_allclose(seen.arrays["truth"][n], [r["y"] for r in rows], rtol=1e-6)
    low = f"lo-{f.level[0]:g}"
    at = 1 + f.quantiles_.index((100 - f.level[0]) / 200)
    assert low in table.columns
    np.testing.assert_allclose(seen.arrays["outputs"][n, :, at], [r[low] for r in rows], rtol=1e-4)
    assert np.isnan(seen.arrays["inputs"][:, f.window :, 0]).all()
    assert np.abs(seen.arrays["saliency.delta"]).max() < 1e-3


def test_nothing_is_written_where_probing_is_off(river, small, tmp_path):
    Forecaster(**{**small, "epochs": 1}, probe=0).fit(river, run=tmp_path / "run")
    assert not list((tmp_path / "run").glob("inside.*"))
