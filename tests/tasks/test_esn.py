"""What an echo state network learns of series, of answers at each step and of answers to whole series."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone

import elman
from elman import EchoStateNetwork, InputError
from elman.data.synthetic import LYAPUNOV, lorenz, mackey_glass
from elman.models.readout import Sums, ridge
from elman.tasks import esn_learning

SMALL = {"hidden_size": 40, "washout": 20, "seed": 3}


@pytest.fixture(scope="module")
def series():
    return mackey_glass(1500)


@pytest.fixture(scope="module")
def answers():
    """An input, and an output that remembers it and itself."""
    x, y = np.random.default_rng(0).uniform(-1, 1, 1500), np.zeros(1500)
    for t in range(1, 1500):
        y[t] = 0.6 * y[t - 1] + 0.5 * np.tanh(x[t]) * x[t - 1]
    return x, y


def nrmse(found, truth):
    return np.sqrt(np.mean((found - truth) ** 2)) / truth.std()


def test_the_next_value_is_foreseen_and_the_series_goes_on_by_itself(series):
    esn = EchoStateNetwork(hidden_size=200, seed=1).fit(series[:1200])
    assert nrmse(esn.predict(series[1200:1400], go_on=True), series[1201:1401]) < 3e-3
    assert nrmse(esn.generate(100), series[1200:1300]) < 0.05
    assert nrmse(esn.generate(100, warm_up=series[:1300]), series[1300:1400]) < 0.05
    assert esn.score(series[1000:]) > 0.999
    assert 5 < len(esn.path_["ridge"]) == len(esn.path_["error"])
    assert min(esn.path_["ridge"]) <= esn.ridge_ < max(esn.path_["ridge"])


def test_each_horizon_is_a_ridge_regression_of_its_own(series):
    esn = EchoStateNetwork(**SMALL, horizon=(9, 1), ridge=1e-3).fit(series)
    scaled = (series - series.mean()) / series.std()
    x = torch.from_numpy(scaled[None, :-9, None])
    states = np.concatenate([esn.network_.reservoir(x)[0][0], x[0]], axis=1)[20:]
    for h in (1, 9):
        by_hand = ridge(Sums(41, 1).add(states, scaled[20 + h : 1500 - 9 + h, None]), 1e-3)
        expected = by_hand(states)[:, 0] * series.std() + series.mean()
        np.testing.assert_allclose(esn.predict(series, horizon=h)[20:-9], expected, rtol=1e-6)
    np.testing.assert_array_equal(esn.predict(series), esn.predict(series, horizon=1))
    with pytest.raises(InputError, match="horizon=2 was not fitted, only 1, 9"):
        esn.predict(series, horizon=2)
    with pytest.raises(InputError, match="with 1 in horizon"):
        EchoStateNetwork(**SMALL, horizon=(2,)).fit(series).generate(3)


@pytest.mark.parametrize(
    "options", [{}, {"choice": "folds"}, {"choice": "gcv"}, {"ridge": 1e-4}, {"readout": "rls"}, {"washout": 150}]
)
def test_pieces_give_the_whole(series, options, monkeypatch):
    whole = EchoStateNetwork(**SMALL | options).fit(series)
    monkeypatch.setattr(esn_learning, "LONGEST", 97)
    cut = EchoStateNetwork(**SMALL | options).fit(series)
    assert cut.ridge_ == pytest.approx(whole.ridge_)
    np.testing.assert_allclose(cut.predict(series), whole.predict(series), rtol=1e-5)
    np.testing.assert_allclose(cut.generate(5), whole.generate(5), rtol=1e-4)


def test_penalties_are_scored_on_what_was_held_out(series):
    esn = EchoStateNetwork(**SMALL, validation=0.25).fit(series)
    scaled = (series - series.mean()) / series.std()
    x = torch.from_numpy(scaled[None, :-1, None])
    states = np.concatenate([esn.network_.reservoir(x)[0][0], x[0]], axis=1)[20:]
    y = scaled[21:, None]
    begin = len(y) - round(len(y) / 4)
    for k in (3, -1):
        fitted = ridge(Sums(41, 1).add(states[:begin], y[:begin]), esn.path_["ridge"][k])
        error = np.sqrt(np.mean((fitted(states[begin:]) - y[begin:]) ** 2) / y.var())
        assert esn.path_["error"][k] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"readout": "rls"}, {"variant": "nvar"}, {"horizon": (1, 7)}])
def test_a_stream_gives_what_the_whole_gives(series, options):
    more = {k: v for k, v in SMALL.items() if k != "hidden_size" or "variant" not in options}
    make = lambda: EchoStateNetwork(**more, ridge=1e-4, scale=False, **options)  # noqa: E731
    whole, stream = make().fit(series), make()
    for piece in np.split(series, [10, 11, 12, 400, 1490]):
        stream.partial_fit(piece)
    np.testing.assert_allclose(stream.predict(series), whole.predict(series), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(stream.generate(5), whole.generate(5), rtol=1e-5)
    np.testing.assert_allclose(stream.predict(series[:5], go_on=True), whole.predict(series[:5], go_on=True), rtol=1e-5)


@pytest.mark.parametrize("feedback", [False, True])
def test_a_stream_of_answers_gives_what_the_whole_gives(answers, feedback):
    x, y = answers
    make = lambda: EchoStateNetwork(**SMALL, ridge=1e-4, scale=False, feedback=feedback)  # noqa: E731
    whole, stream = make().fit(x, y), make()
    for rows in np.split(np.arange(1500), [1, 300, 301, 900]):
        stream.partial_fit(x[rows], y[rows])
    for go_on in (False, True):
        np.testing.assert_allclose(stream.predict(x, go_on=go_on), whole.predict(x, go_on=go_on), rtol=1e-5, atol=1e-7)


def test_streams_are_told_what_they_can_not_do(series, answers):
    esn = EchoStateNetwork(**SMALL).fit(series)
    with pytest.raises(InputError, match="fitted as a whole"):
        esn.partial_fit(series)
    stream = EchoStateNetwork(**SMALL).partial_fit(*answers)
    with pytest.raises(InputError, match="Y was given before"):
        stream.partial_fit(answers[0])
    with pytest.raises(InputError, match="one series"):
        EchoStateNetwork(**SMALL).partial_fit([series, series])
    short = EchoStateNetwork(**SMALL).partial_fit(series[:10])
    with pytest.raises(InputError, match="at least 2 steps; there are 0"):
        short.predict(series)


def test_answers_at_each_step_with_and_without_feedback(answers):
    x, y = answers
    for feedback in (False, True):
        esn = EchoStateNetwork(hidden_size=200, feedback=feedback, seed=1).fit(x[:1200], y[:1200])
        assert nrmse(esn.predict(x[1200:], go_on=True), y[1200:]) < 0.15
        assert nrmse(esn.predict(x)[100:], y[100:]) < 0.15
        assert esn.score(x, y) > 0.97
    two = np.stack([y, -y], 1)
    esn = EchoStateNetwork(**SMALL).fit(x[:, None], two)
    assert esn.predict(x[:, None]).shape == (1500, 2)
    holes = two.copy()
    holes[::7] = np.nan
    esn.fit(x[:, None], holes)
    assert esn.score(x[:, None], holes) > 0.5


def test_with_feedback_it_runs_on_its_own_output(answers):
    """The closed loop, written out."""
    x, y = answers
    esn = EchoStateNetwork(**SMALL, feedback=True, ridge=1.0).fit(x, y)
    said, h, found = np.zeros(1), None, []
    for t in range(30):
        now = np.concatenate([[(x[t] - x.mean()) / x.std()], said])
        states, h = esn.network_.reservoir(torch.from_numpy(now)[None, None], h)
        features = np.concatenate([states[0, 0], now])
        said = features @ esn.network_.readout.weight.numpy().T + esn.network_.readout.bias.numpy()
        found.append(said[0] * y.std() + y.mean())
    np.testing.assert_allclose(esn.predict(x[:30]), found, rtol=1e-8)


def test_several_series_are_washed_out_each(series):
    halves = [series[:700], series[700:]]
    esn = EchoStateNetwork(**SMALL, ridge=1e-3).fit(halves)
    scaled = [(one - series.mean()) / series.std() for one in halves]
    sums = Sums(41, 1)
    for one in scaled:
        x = torch.from_numpy(one[None, :-1, None])
        states = np.concatenate([esn.network_.reservoir(x)[0][0], x[0]], axis=1)
        sums.add(states[20:], one[21:, None])
    np.testing.assert_allclose(esn.network_.readout.weight[0], ridge(sums, 1e-3).slope[:, 0], rtol=1e-5, atol=1e-8)
    found = esn.predict(halves)
    assert [len(one) for one in found] == [700, 800]


@pytest.mark.parametrize("labels", [["rises", "falls", "swings"], [0, 1], [True, False]])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_series_are_classified(labels, pooling):
    random = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(labels)), 30)
    kinds = [lambda t: t / 10, lambda t: -t / 10, np.sin]
    X = [kinds[c](np.arange(random.integers(12, 30))) + 0.3 * random.normal() for c in codes]
    y = np.array(labels)[codes]
    esn = EchoStateNetwork(hidden_size=50, pooling=pooling).fit(X[::2], y[::2])
    assert esn.score(X[1::2], y[1::2]) > 0.9
    assert esn.predict(X).dtype == y.dtype
    p = esn.predict_proba(X)
    assert p.shape == (len(X), len(labels))
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(esn.classes_[p.argmax(1)], esn.predict(X))


def test_series_with_a_number_each():
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 15, 2))
    y = X[:, -4:, 0].sum(1)
    esn = EchoStateNetwork(hidden_size=60, pooling="last").fit(X[:60], y[:60])
    assert esn.score(X[60:], y[60:]) > 0.8
    with pytest.raises(InputError, match="not fitted to classes"):
        esn.predict_proba(X)


def test_recursive_least_squares_ends_at_the_ridge_regression(series):
    """But that it penalises the intercept too, which is near zero."""
    rls = EchoStateNetwork(**SMALL, readout="rls", ridge=1e-2).fit(series)
    whole = EchoStateNetwork(**SMALL, ridge=1e-2).fit(series)
    np.testing.assert_allclose(rls.predict(series)[20:], whole.predict(series)[20:], atol=1e-3)


def test_force_learns_a_generator():
    t = np.arange(3100)
    wave = np.sin(0.13 * t) + 0.5 * np.sin(0.26 * t + 1)
    esn = EchoStateNetwork(hidden_size=200, leak=0.2, readout="force", spectral_radius=1.5, input_scaling=1.0, seed=1)
    assert nrmse(esn.fit(wave[:3000]).generate(100), wave[3000:]) < 0.2
    plain = clone(esn).set_params(readout="rls").fit(wave[:3000])
    assert not np.allclose(plain.network_.readout.weight, esn.network_.readout.weight)


def test_delays_and_products_foresee_the_lorenz_attractor():
    z = lorenz(2500)
    esn = EchoStateNetwork(variant="nvar", order=3, washout=5).fit(z[:2000])
    found = esn.generate(400)
    error = np.sqrt(((found - z[2000:2400]) ** 2).mean(1) / z.var(0).mean())
    assert (np.append(error, 1) > 0.4).argmax() * 0.02 * LYAPUNOV > 4


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "es2n"},
        {"groups": 4, "leaks": (0.1, 0.3, 0.6, 1.0)},
        {"num_layers": 3, "topology": "ring"},
        {"plasticity": 2},
        {"precision": "float32"},
        {"skip": False, "scale": False},
        {"noise": 1e-3},
    ],
    ids=str,
)
def test_it_is_kept_whole(series, options, tmp_path):
    esn = EchoStateNetwork(**SMALL, **options).fit(series)
    assert esn.score(series) > 0.9
    again = EchoStateNetwork(**SMALL, **options).fit(series)
    np.testing.assert_array_equal(again.generate(20), esn.generate(20))
    loaded = elman.load(esn.save(tmp_path / "model"))
    assert loaded.get_params() == esn.get_params()
    # Products may add in another order where the numbers lie at another place in memory.
    close = {"rtol": 1e-9 if esn.precision == "float64" else 1e-3}
    np.testing.assert_allclose(loaded.generate(20), esn.generate(20), **close)
    np.testing.assert_allclose(loaded.predict(series), esn.predict(series), **close)
    assert loaded.ridge_ == esn.ridge_
    assert clone(loaded).fit(series).ridge_ == esn.ridge_
    with pytest.raises(InputError, match="or loaded"):
        loaded.partial_fit(series)


def test_classes_and_streams_are_kept(series, tmp_path):
    X, y = [series[k : k + 30] for k in range(40)], np.array(["a", "b"] * 20)
    esn = EchoStateNetwork(**SMALL).fit(X, y)
    loaded = elman.load(esn.save(tmp_path / "classes"))
    np.testing.assert_allclose(loaded.predict_proba(X), esn.predict_proba(X), rtol=1e-9)
    assert loaded.classes_.tolist() == ["a", "b"]
    stream = EchoStateNetwork(**SMALL).partial_fit(series)
    loaded = elman.load(stream.save(tmp_path / "stream"))
    np.testing.assert_allclose(loaded.generate(9), stream.generate(9), rtol=1e-9)


def test_a_run_is_recorded(series, tmp_path):
    seen = []
    esn = EchoStateNetwork(**SMALL).fit(series, run=tmp_path / "run", on_event=seen.append)
    assert elman.load(tmp_path / "run").ridge_ == esn.ridge_
    assert seen[-1]["chosen"] == esn.ridge_
    with pytest.raises(InputError, match="nothing is overwritten"):
        EchoStateNetwork(**SMALL).fit(series, run=tmp_path / "run")


def test_a_file_that_is_mapped_into_memory_is_not_read_whole(series, tmp_path):
    np.save(tmp_path / "x.npy", series)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    esn = EchoStateNetwork(**SMALL).fit(mapped)
    np.testing.assert_array_equal(esn.generate(3), EchoStateNetwork(**SMALL).fit(series).generate(3))


def test_a_singular_readout_is_told(series):
    with pytest.warns(UserWarning, match=r"the readout is singular: its 41 features span \d+ directions"):
        EchoStateNetwork(**SMALL, ridge=0.0, input_scaling=0.0).fit(series)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EchoStateNetwork(**SMALL, input_scaling=0.0).fit(series)


@pytest.mark.parametrize(
    ("options", "data", "said"),
    [
        ({"washout": 1499}, lambda x: (x,), "washout=1499 leaves 0 steps .* has 1499"),
        ({}, lambda x: (np.where(np.arange(1500) == 7, np.nan, x),), "X holds nan at step 7"),
        ({}, lambda x: ([x, np.append(x, np.inf)],), "X holds inf at series 1, step 1500"),
        ({}, lambda x: (x, x[:-1]), r"series of \[1500\] steps and Y of \[1499\]"),
        ({}, lambda x: (["a", "b"],), "a series of numbers"),
        ({}, lambda x: ([x, x[:, None]],), "series 1 of X"),
        ({}, lambda x: ([x, x], ["a", "a"]), "two classes"),
        ({}, lambda x: ([x, x], [1.0, np.nan]), "Y holds nan for series 1"),
        ({}, lambda x: ([x, x], [1, 2, 3]), "one answer for each of the 2"),
        ({"feedback": True}, lambda x: (x,), "feedback=True needs a Y"),
        ({"feedback": True}, lambda x: (x, np.full(1500, np.nan)), "Y holds nan"),
        ({"readout": "force"}, lambda x: (x, x), "set feedback=True"),
        ({"readout": "force", "horizon": (3,)}, lambda x: (x,), "has to have 1"),
        ({"readout": "rls"}, lambda x: ([x, x], ["a", "b"]), "learns step by step"),
        ({"horizon": (3,)}, lambda x: (x, x), "of a series that is forecast"),
        ({"spectral_radius": 0}, lambda x: (x,), "spectral_radius is 0"),
        ({"density": 1e-5}, lambda x: (x,), "the reservoir is empty"),
        ({"variant": "nvar"}, lambda x: (x,), "hidden_size=40 does not apply to variant='nvar'"),
        ({"delays": 3}, lambda x: (x,), "delays=3 does not apply to variant='leaky'"),
        ({"ridge": -1.0}, lambda x: (x,), "ridge is -1"),
        ({"choice": "folds", "folds": 100, "washout": 1350}, lambda x: (x,), "149 steps can't be cut into folds=100"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_told(series, options, data, said):
    with pytest.raises(InputError, match=said):
        EchoStateNetwork(**{**SMALL, **options}).fit(*data(series))


def test_what_can_not_be_predicted_is_told(series):
    esn = EchoStateNetwork(**SMALL).fit(series)
    for call, said in (
        (lambda: esn.predict(np.ones((5, 2))), "X has 2 features a step"),
        (lambda: esn.generate(0), "steps=0"),
        (lambda: esn.generate(3, warm_up=[series, series]), "one series"),
        (lambda: EchoStateNetwork(**SMALL).fit(series, series).generate(3), "fit\\(series\\)"),
        (lambda: EchoStateNetwork(**SMALL).fit(series, series).predict(series, horizon=2), "Y at each step"),
    ):
        with pytest.raises(InputError, match=said):
            call()
