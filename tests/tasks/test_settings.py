"""Every hyperparameter is written once, with what the command line and the search need to know."""

from dataclasses import fields

import pytest

from elman import Forecaster, InputError, SequenceClassifier, SequenceRegressor
from elman.tasks.settings import (
    ClassifySettings,
    ForecastSettings,
    RegressSettings,
    check_architecture,
    check_settings,
    from_known,
)

EVERY = {Forecaster: ForecastSettings, SequenceClassifier: ClassifySettings, SequenceRegressor: RegressSettings}


@pytest.mark.parametrize("settings", EVERY.values())
def test_every_setting_has_help_and_every_number_a_lower_bound(settings):
    for f in fields(settings):
        assert f.metadata["help"], f.name
        if isinstance(f.default, int | float) and not isinstance(f.default, bool):
            assert f.metadata["low"] is not None, f.name


@pytest.mark.parametrize("settings", EVERY.values())
def test_the_defaults_are_within_their_own_bounds(settings):
    check_settings(settings())
    check_architecture(settings())


@pytest.mark.parametrize("estimator", EVERY)
def test_the_estimator_has_the_settings_and_no_others(estimator):
    assert estimator().get_params().keys() == {f.name for f in fields(EVERY[estimator])}


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(InputError, match=r"'hiden_size' is no setting of Forecaster.*did you mean 'hidden_size'"):
        from_known(Forecaster, {"hiden_size": 3})


@pytest.mark.parametrize("value", [True, "many", float("nan"), -1])
def test_a_number_that_is_none_or_out_of_range_is_refused(value):
    with pytest.raises(InputError, match="hidden_size"):
        check_settings(ForecastSettings(hidden_size=value))
