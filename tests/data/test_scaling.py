"""Scalers: undone exactly, blind to what is missing and to what comes after the training part."""

import dataclasses

import numpy as np
import pytest

from elman.data.scaling import Scaler
from elman.data.windows import Scaling
from elman.errors import InputError

NAN = float("nan")
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, a few operations


@pytest.fixture
def values():
    return np.random.default_rng(0).gamma(0.5, 20, 300)


@pytest.mark.parametrize("shape", ["none", "sqrt", "log", "auto"])
def test_law_inverse_undoes_transform(values, shape):
    scaler = Scaler.fit(values, shape)
    z = scaler.transform(values)
    assert (z.mean(), z.std()) == pytest.approx((0, 1))
    assert not np.allclose(z, values)
    np.testing.assert_allclose(scaler.inverse(z), values, **EXACT)


@pytest.mark.parametrize("shape", ["none", "sqrt", "log"])
def test_law_order_is_kept(values, shape):
    values = np.sort(values)
    scaler = Scaler.fit(values, shape)
    assert (np.diff(scaler.transform(values)) > 0).all()
    assert (np.diff(scaler.inverse(np.linspace(-5, 5, 101))) >= 0).all()  # a quantile stays one


@pytest.mark.parametrize("shape", ["none", "sqrt", "log"])
def test_missing_values_stay_missing_and_do_not_count(values, shape):
    holes = values.copy()
    holes[::3] = NAN
    scaler = Scaler.fit(holes, shape)
    assert scaler == Scaler.fit(holes[~np.isnan(holes)], shape) != Scaler.fit(values, shape)
    there_and_back = scaler.inverse(scaler.transform(holes))
    np.testing.assert_allclose(there_and_back, holes, **EXACT)


def test_auto_takes_the_root_of_what_is_skewed_and_never_negative(values):
    random = np.random.default_rng(1)
    assert Scaler.fit(values).shape == "sqrt"
    assert Scaler.fit(values - 0.01).shape == "none"
    assert Scaler.fit(random.random(300)).shape == "none"
    assert Scaler.fit(values.max() - values).shape == "none"  # skewed to the other side
    assert Scaler.fit(np.append(np.zeros(30), values)).shape == "sqrt"  # days without rain


@pytest.mark.parametrize("constant", [0.0, 5.0, -3.0, 123456.789, 1e-20, 1e15 / 3])
def test_a_constant_column_is_0_and_comes_back(constant):
    values = np.full(1001, constant)  # its mean is rounded, and its deviation is not quite 0
    scaler = Scaler.fit(values)
    assert scaler.std == 1
    np.testing.assert_allclose(scaler.transform(values), 0, atol=1e-9 * max(1, abs(constant)))
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, **EXACT)


@pytest.mark.parametrize("size", [1e-15, 1e-3, 1e12])
def test_any_unit_will_do(values, size):
    z, scaled = Scaler.fit(values, "none").transform(values), Scaler.fit(size * values, "none").transform(size * values)
    np.testing.assert_allclose(scaled, z, rtol=1e-9)


def test_a_column_without_any_value():
    scaler = Scaler.fit(np.full(4, NAN))
    assert (scaler.mean, scaler.std, scaler.shape) == (0, 1, "none")
    assert np.isnan(scaler.transform(np.full(4, NAN))).all()
    assert Scaler.fit(np.array([])) == scaler


@pytest.mark.parametrize(
    ("shape", "bad", "message"),
    [
        ("sqrt", -0.5, "transform='sqrt' needs non-negative values; level has -0.5. Choose transform='none'"),
        ("log", 0.0, "transform='log' needs positive values; level has 0"),
        ("log", -2.0, "transform='log' needs positive values; level has -2"),
    ],
)
def test_values_that_a_transform_can_not_take_are_named(shape, bad, message):
    with pytest.raises(InputError, match=message):
        Scaler.fit(np.array([1.0, bad, 2.0]), shape, "level")


@pytest.mark.parametrize("shape", ["sqrt", "log"])
def test_a_later_value_outside_the_domain_is_finite_and_the_lowest(values, shape):
    scaler = Scaler.fit(values, shape)
    z = scaler.transform(np.array([-5.0, 0.0, values.min()]))
    assert np.isfinite(z).all()
    assert z[0] == z[1] < z[2]
    assert (scaler.inverse(np.array([-1e3, -1e2])) >= 0).all()


# Of a whole panel -----------------------------------------------------------------------------------------------


def test_every_column_and_series_has_its_scaler(two_rivers):
    scaling = Scaling.fit(two_rivers, "none")
    elbe, ilm = two_rivers.series
    assert scaling.target == {"Elbe": Scaler.fit(elbe.target, "none"), "Ilm": Scaler.fit(ilm.target, "none")}
    assert scaling.target["Elbe"].mean > 100 * scaling.target["Ilm"].mean
    assert scaling.inputs.keys() == {"rain", "holiday", "area", "height"}
    assert scaling.inputs["rain"] == Scaler.fit(np.append(elbe.past[:, 0], ilm.past[:, 0]))
    assert scaling.inputs["area"].mean == pytest.approx((5000 + 20) / 2)  # each series once, however long
    assert scaling.inputs["height"].mean == 100


def test_one_shape_serves_the_target_of_all_series(two_rivers):
    series = list(two_rivers.series)
    series[1] = dataclasses.replace(series[1], target=-series[1].target)
    scaling = Scaling.fit(dataclasses.replace(two_rivers, series=tuple(series)), "auto")
    assert {s.shape for s in scaling.target.values()} == {"none"}


def test_law_what_comes_after_the_training_part_never_changes_a_scaler(two_rivers):
    ends, later = [20, 12], []
    for s, end in zip(two_rivers.series, ends, strict=True):
        s = dataclasses.replace(s, target=s.target.copy(), past=s.past.copy(), future=s.future.copy())
        s.target[end:], s.past[end:], s.future[end:] = 1e6, -1e6, NAN
        later.append(s)
    changed = dataclasses.replace(two_rivers, series=tuple(later))
    assert Scaling.fit(two_rivers.head(ends)) == Scaling.fit(changed.head(ends))
    assert Scaling.fit(two_rivers) != Scaling.fit(changed)


def test_law_a_series_not_seen_in_training_is_scaled_by_what_is_known_of_it(two_rivers):
    scaling = Scaling.fit(two_rivers, "sqrt")
    stranger = dataclasses.replace(two_rivers.series[0], name="Saale")
    panel = dataclasses.replace(two_rivers, series=(*two_rivers.series, stranger))
    known = scaling.knowing(panel, [5] * len(panel.series))
    assert known.of(stranger) == Scaler.fit(stranger.target[:5], "sqrt")
    assert known.of(two_rivers.series[0]) is scaling.target["Elbe"]
    changed = dataclasses.replace(stranger, target=np.append(stranger.target[:5], stranger.target[5:] * 9))
    assert scaling.knowing(dataclasses.replace(panel, series=(changed,)), [5]).of(changed) == known.of(stranger)


def test_law_a_scaling_comes_back_from_its_plain_numbers(two_rivers):
    import json

    scaling = Scaling.fit(two_rivers)
    assert Scaling.from_dict(json.loads(json.dumps(scaling.to_dict()))) == scaling
