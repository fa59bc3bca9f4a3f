"""HopfieldNetwork: what it recalls, what it warns of, and what it refuses."""

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

import elman
from elman import HopfieldNetwork, InputError
from elman.data.patterns import damaged

SETTINGS: list[dict[str, Any]] = [
    {},
    {"storage": "storkey", "order": "sequential"},
    {"storage": "pseudo-inverse", "update": "synchronous"},
    {"storage": "pseudo-inverse", "self_coupling": True},
    {"kind": "continuous", "storage": "pseudo-inverse", "beta": 20.0},
    {"kind": "modern"},
    {"kind": "modern", "normalise": False, "beta": 0.5},
]


def patterns_of(n: int, N: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], (n, N))


@pytest.mark.parametrize("settings", SETTINGS)
def test_damaged_patterns_are_recalled_and_so_after_loading(settings, tmp_path):
    x = patterns_of(6, 100)
    cues = damaged(x, 0.15, 1)
    network = HopfieldNetwork(**settings).fit(x)
    assert network.score(cues, x) == 1.0 and network.score(x) == 1.0
    loaded = elman.load(network.save(tmp_path / "model"))
    assert isinstance(loaded, HopfieldNetwork) and loaded.get_params() == network.get_params()
    np.testing.assert_array_equal(loaded.predict(cues), network.predict(cues))
    np.testing.assert_array_equal(loaded.energy(cues), network.energy(cues))
    if network.kind == "binary":
        np.testing.assert_array_equal(network.predict(cues), x)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_recall_tells_the_way(settings):
    x = patterns_of(6, 100)
    network = HopfieldNetwork(**settings).fit(x)
    way = network.recall(damaged(x, 0.2, 1))
    K = len(way.states)
    assert way.states.shape == (K, 6, 100) and way.energy.shape == (K, 6) and way.overlaps.shape == (K, 6, 6)
    assert way.converged.all() and (way.cycle == 1).all() and way.steps.max() == K - 1
    assert way.nearest.tolist() == list(range(6))
    own = way.overlaps[:, range(6), range(6)]
    assert (own[-1] > 0.95).all() and (own[-1] >= own[0]).all()
    if settings.get("update") != "synchronous":
        assert (np.diff(way.energy, axis=0) <= 1e-9).all()
    if network.kind != "continuous":
        np.testing.assert_allclose(way.energy[0], network.energy(damaged(x, 0.2, 1)))
    if network.kind == "modern":
        np.testing.assert_allclose(way.attention.sum(axis=-1), 1)
    elif network.kind == "binary" and network.update == "asynchronous":
        assert len(way.descents) == 6
        for b, energies in enumerate(way.descents):
            assert (np.diff(energies) < 0).all()
            assert energies[-1] == pytest.approx(way.energy[-1, b])
    np.testing.assert_array_equal(network.predict(damaged(x, 0.2, 1)), way.recalled)


def test_images_of_greys_come_back_as_images():
    images = load_digits().images[:10]
    network = HopfieldNetwork(storage="pseudo-inverse").fit(images)
    assert "above 8" in network.notes_[0]
    found = network.predict(images[:3])
    assert found.shape == (3, 8, 8) and set(np.unique(found)) == {0.0, 16.0}
    np.testing.assert_array_equal(found, np.where(images[:3] > 8, 16, 0))
    alone = network.recall(images[4])
    assert alone.recalled.shape == (1, 8, 8)


def test_two_seeds_turn_units_in_two_orders_and_one_seed_in_one():
    x = patterns_of(30, 100)
    with pytest.warns(UserWarning):
        a, b, c = (HopfieldNetwork(seed=seed).fit(x).recall(damaged(x, 0.3)) for seed in (0, 0, 1))
    assert all(np.array_equal(p, q) for p, q in zip(a.descents, b.descents, strict=True))
    assert not all(np.array_equal(p, q) for p, q in zip(a.descents, c.descents, strict=True))


def test_thresholds_move_units():
    x = patterns_of(1, 20)
    with pytest.warns(UserWarning, match="1 of the 1 patterns are not at rest.*shown whole$"):
        network = HopfieldNetwork().fit(x, thresholds=np.full(20, 5.0))
    assert (network.predict(x) == -1).all()  # no field reaches them
    free = HopfieldNetwork().fit(x)
    assert network.energy(x)[0] == pytest.approx(free.energy(x)[0] + 5.0 * x.sum())


def test_steps_that_do_not_suffice_are_told():
    x = patterns_of(6, 100)
    network = HopfieldNetwork(kind="continuous", storage="pseudo-inverse", max_steps=2).fit(x)
    way = network.recall(damaged(x, 0.3))
    assert not way.converged.any() and (way.steps == 2).all()


@pytest.mark.parametrize(
    ("settings", "x", "said"),
    [
        ({}, patterns_of(20, 100), r"20 patterns in 100 units are 0\.200 N.* about 0\.138 N random ones, 14 here"),
        ({}, patterns_of(40, 100), "of the 40 patterns are not at rest.*'pseudo-inverse' would hold them"),
        ({"storage": "storkey"}, patterns_of(40, 100), r"more than N / sqrt\(2 ln N\), 33 here"),
        ({"storage": "pseudo-inverse"}, patterns_of(60, 50), "60 patterns span all 50 dimensions"),
        ({}, np.repeat(patterns_of(2, 100), 2, 0), "2 of the 4 patterns are there already"),
        ({"kind": "modern"}, np.repeat(patterns_of(2, 100), 2, 0), "4 of the 4 patterns fit another one as well"),
        ({"kind": "modern", "normalise": False}, np.array([[1.0, 0], [2.0, 0]]), "1 of the 2 patterns fit another one"),
    ],
)
def test_what_will_be_forgotten_is_warned_of(settings, x, said):
    with pytest.warns(UserWarning) as caught:
        network = HopfieldNetwork(**settings).fit(x)
    import re

    assert any(re.search(said, str(w.message)) for w in caught)
    assert any(re.search(said[1:], note) for note in network.notes_)


def test_dependent_patterns_are_noted_and_kept():
    x = patterns_of(5, 50)
    x = np.vstack([x, -x[0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = HopfieldNetwork(storage="pseudo-inverse").fit(x)
    assert "5 of the 6 patterns are linearly independent" in network.notes_[0]
    assert network.stable_.all()


@pytest.mark.parametrize(
    ("settings", "more", "said"),
    [
        ({"storage": "hebb"}, {}, "storage='hebb': one of hebbian, storkey, pseudo-inverse"),
        ({"beta": 2.0}, {}, "beta=2.0 does not apply to kind='binary'; it is a setting of continuous, modern"),
        ({"kind": "modern", "storage": "storkey"}, {}, "storage='storkey' does not apply to kind='modern'"),
        ({"kind": "continuous", "update": "synchronous"}, {}, "update='synchronous' does not apply"),
        ({"max_steps": 0}, {}, "max_steps is 0; it must be at least 1"),
        ({}, {"thresholds": [1.0]}, "thresholds as 100 finite numbers"),
        ({}, {"thresholds": [np.nan] * 100}, "thresholds as 100 finite numbers"),
        ({"kind": "modern"}, {"thresholds": [1.0] * 100}, "has no units with thresholds"),
        ({"kind": "continuous", "time_step": 1.0}, {}, "the energy can rise in steps longer than 0"),
    ],
)
def test_settings_that_do_not_fit(settings, more, said):
    with pytest.raises(InputError, match=said):
        HopfieldNetwork(**settings).fit(patterns_of(6, 100), **more)


def test_what_can_not_be_stored_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="the energy can rise"):
        HopfieldNetwork(kind="continuous", time_step=1.0).fit(patterns_of(6, 100), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_cues_that_do_not_fit():
    network = HopfieldNetwork().fit(patterns_of(3, 50))
    for call in (network.predict, network.recall, network.energy, network.score):
        with pytest.raises(InputError, match=r"cues of shape \(n, 50\)"):
            call(np.ones((2, 49)))
    with pytest.raises(InputError, match="for each of 2 cues, found 1"):
        network.score(np.ones((2, 50)), np.ones((1, 50)))


def test_many_cues_are_recalled_in_parts(monkeypatch):
    x = patterns_of(3, 40)
    network = HopfieldNetwork().fit(x)
    cues = damaged(np.repeat(x, 5, 0), 0.1)
    whole = network.predict(cues)
    monkeypatch.setattr("elman.tasks.memory.BATCH", 4)
    np.testing.assert_array_equal(network.predict(cues), whole)


def test_it_is_an_estimator_of_scikit_learn(tmp_path):
    network = HopfieldNetwork(storage="storkey", seed=3)
    assert clone(network).get_params() == network.get_params()
    assert network.set_params(seed=4).seed == 4
    with pytest.raises(Exception, match="not fitted"):
        network.predict(np.ones((1, 4)))


def test_a_table_is_answered_by_a_table():
    x = patterns_of(3, 30).astype(int)
    names = [f"u{k}" for k in range(30)]
    network = HopfieldNetwork().fit(pl.DataFrame(x, schema=names))
    found = network.predict_table(pl.DataFrame(damaged(x, 0.1).astype(int), schema=names))
    assert found.columns == names
    np.testing.assert_array_equal(found.to_numpy(), x)
    with pytest.raises(InputError, match="column 'u0' holds no numbers"):
        network.predict_table(pl.DataFrame({n: ["a"] for n in names}))


def test_a_run_keeps_what_its_page_shows(tmp_path):
    from elman.files import read_json

    x = patterns_of(6, 64)
    HopfieldNetwork().fit(x.reshape(6, 8, 8), run=tmp_path / "run")
    told = read_json(tmp_path / "run" / "memory.json")
    assert told["shape"] == [8, 8] and len(told["recalls"]) == 6 and len(told["noise"]) == 6
    for recall in told["recalls"]:
        assert recall["frames"][-1] == recall["truth"] and recall["right"] and recall["near"][0] == recall["pattern"]
        assert (np.diff(recall["descents"]["asynchronous"]) < 0).all()
    assert told["noise"][0]["right"] == 1.0 and told["capacity"]["found"][0][0] == 1.0
    with pytest.raises(InputError, match="nothing is overwritten"):
        HopfieldNetwork().fit(x, run=tmp_path / "run")
    np.testing.assert_array_equal(elman.load(tmp_path / "run").predict(x.reshape(6, 8, 8)), x.reshape(6, 8, 8))


def test_frames_of_a_long_way_lie_close_at_its_begin():
    from elman.tasks.memory_trials import FRAMES, _kept

    assert _kept(1) == [0] and _kept(FRAMES) == list(range(FRAMES))
    for states in (FRAMES + 1, 70, 2001):
        kept = _kept(states)
        assert kept[0] == 0 and kept[1] == 1 and kept[-1] == states - 1 and len(kept) <= FRAMES
        assert (np.diff(kept, 2) >= 0).all()


def test_a_changed_model_is_refused(tmp_path):
    folder = HopfieldNetwork().fit(patterns_of(3, 30)).save(tmp_path / "model")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"patterns": 3', '"patterns": 4'))
    with pytest.raises(InputError, match="changed"):
        elman.load(folder)
