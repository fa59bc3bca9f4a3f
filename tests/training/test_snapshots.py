"""Snapshots: their arrays against the same worked out step by step, how many are kept, and what they cost."""

import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from elman import layers
from elman.errors import InputError
from elman.training import record
from elman.training.diagnostics import Probe, lyapunov
from elman.training.loop import train
from elman.training.record import BINS, MOST, Run
from elman.training.snapshots import histogram

T, B = 12, 3


def arrays_of(model, x, loss=lambda y: y[-1].sum()):
    arrays = {}
    Probe(lambda m: loss(m(x)[0])).look(model, snapshot=arrays)
    return arrays


@pytest.mark.parametrize("cls", [layers.RNN, layers.LSTM, layers.GRU, layers.MinGRU, layers.LRU])
def test_the_itemised_gradient_is_that_of_the_same_loss_step_by_step(cls):
    torch.manual_seed(0)
    model, x = cls(3, 5), torch.randn(T, B, 3)
    arrays = arrays_of(model, x)
    found = arrays["l0/itemised"]
    assert arrays["l0/sources"].tolist() == arrays["l0/targets"].tolist() == list(range(T))
    y = model(x)[0]
    signs = torch.randint(0, 2, (T * B, y.shape[-1]), generator=torch.Generator().manual_seed(0)) * 2 - 1
    for t in range(T):
        read = x.clone().requires_grad_()
        (model(read)[0][t] * signs[B * t : B * t + B]).sum().backward()
        expected = read.grad.square().sum(-1).mean(-1).sqrt()
        np.testing.assert_allclose(found[t], expected.numpy(), rtol=1e-3, atol=1e-7)
    assert not found[np.triu_indices(T, 1)].any()  # no step depends on a later one


def test_over_signs_it_is_the_norm_of_the_jacobian():
    torch.manual_seed(0)
    rnn, x = layers.RNN(40, 100), torch.randn(6, 2, 40)
    found = arrays_of(rnn, x)["l0/itemised"]
    jacobians = [torch.autograd.functional.jacobian(lambda r: rnn(r)[0][-1, 0], x[:, k : k + 1]) for k in (0, 1)]
    squares = [j[:, 3].square().sum() for j in jacobians]
    expected = (sum(squares) / 2).sqrt().item()
    assert found[5, 3] == pytest.approx(expected, rel=0.25)  # one draw of signs a sequence


def test_backwards_a_step_depends_on_later_ones_alone_and_the_layer_above_reads_both_directions():
    torch.manual_seed(0)
    model = layers.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    arrays = {}
    x = torch.randn(B, T, 3)
    Probe(lambda m: m(x)[0].sum()).look(model, snapshot=arrays)
    reverse = arrays["l0_reverse/itemised"]
    assert not reverse[np.tril_indices(T, -1)].any() and (reverse[np.triu_indices(T)] > 0).all()
    assert not arrays["l1/itemised"][np.triu_indices(T, 1)].any()


def test_a_given_state_is_where_the_layer_starts():
    class Handed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.GRU(2, 4), layers.GRU(2, 4)

        def forward(self, x):
            return self.second(x, self.first(x * 3)[1] * 5)

    torch.manual_seed(0)
    model, x = Handed(), torch.randn(T, B, 2)
    found = arrays_of(model, x)["second.l0/itemised"]
    state = model.first(x * 3)[1].detach() * 5
    signs = torch.randint(0, 2, (T * B, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    read = x.clone().requires_grad_()
    (model.second(read, state)[0][0] * signs[:B]).sum().backward()
    np.testing.assert_allclose(found[0], read.grad.square().sum(-1).mean(-1).sqrt().numpy(), rtol=1e-4, atol=1e-8)


def test_units_are_counted_at_the_ends_of_their_gates():
    torch.manual_seed(0)
    lstm, x = layers.LSTM(3, 5), 4 * torch.randn(T, B, 3)
    arrays = arrays_of(lstm, x)
    gates = lstm(x, trace=True)[2].layers[0].gates
    for letter, low, high in (("f", 0.1, 0.9), ("g", -0.97, 0.97)):
        np.testing.assert_allclose(arrays[f"l0/low_{letter}"], (gates[letter] < low).float().mean((0, 1)), rtol=1e-6)
        np.testing.assert_allclose(arrays[f"l0/high_{letter}"], (gates[letter] > high).float().mean((0, 1)), rtol=1e-6)


def test_histograms_and_eigenvalues():
    torch.manual_seed(0)
    rnn, x = layers.RNN(3, 5), torch.randn(T, B, 3)
    arrays = arrays_of(rnn, x)
    h = rnn(x)[0].detach()
    limit = float(arrays["l0/limit_h"])
    assert limit == 1.0  # a tanh
    counts, _ = np.histogram(h.numpy().ravel(), BINS, (-limit, limit))
    np.testing.assert_allclose(arrays["l0/hist_h"], counts / h.numel(), atol=1e-6)
    assert {"l0/hist_W_hh", "l0/hist_h_bar"} <= set(arrays)
    expected = np.sort_complex(np.linalg.eigvals(rnn.weight_hh_l0.detach().numpy()))
    np.testing.assert_allclose(np.sort_complex(arrays["l0/eigenvalues_W_hh"]), expected, atol=1e-5)
    assert arrays["l0/eigenvalues"].shape == (3, 5) and arrays["l0/eigen_steps"].tolist() == [1, 6, 10]
    t = 6
    jacobian = torch.diag(1 - h[t, 0] ** 2) @ rnn.weight_hh_l0.detach()
    np.testing.assert_allclose(
        np.sort_complex(arrays["l0/eigenvalues"][1]), np.sort_complex(np.linalg.eigvals(jacobian.numpy())), atol=1e-5
    )


def test_a_histogram_of_what_is_not_finite_or_not_there_is_empty():
    shares, limit = histogram(torch.tensor([float("nan")]))
    assert not shares.any() and limit == 1
    shares, limit = histogram(torch.zeros(7))
    assert shares.sum() == pytest.approx(1) and limit > 0


def test_the_lyapunov_exponent_of_a_linear_network_is_the_logarithm_of_its_factor():
    rnn = layers.RNN(1, 1, bias=False, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        rnn.weight_hh_l0.fill_(0.8)
        rnn.weight_ih_l0.fill_(1.0)
    seen = Probe(lambda m: m(torch.ones(40, 2, 1, dtype=torch.float64))[0][-1].sum()).look(rnn)
    assert seen["layers"][0]["lyapunov"] == pytest.approx(np.log(0.8), rel=1e-3)
    assert lyapunov(torch.tensor([0.0, 0.0, 0.0])) is None and lyapunov(torch.ones(1)) is None


def test_the_band_holds_the_mean_of_several_steps():
    torch.manual_seed(0)
    lstm = layers.LSTM(3, 5)
    (layer,) = Probe(lambda m: m(torch.randn(T, B, 3))[0][-1].sum()).look(lstm)["layers"]
    for name in ("jacobian_radius", "jacobian_norm"):
        low, high = layer[f"{name}_band"]
        assert low < layer[name] < high


def snapshot_run(tmp_path):
    run = Run(tmp_path / "run")
    run.start({})
    return run


def test_snapshots_thin_out_and_keep_the_first_and_the_last(tmp_path):
    run = snapshot_run(tmp_path)
    for step in range(1, 3000, 50):
        if run.snapshot_due(step):
            run.snapshot(step, {"a": np.arange(3.0)})
    run.snapshot(3000, {"a": np.arange(3.0)})
    steps = run.snapshot_steps()
    assert steps[0] == 1 and steps[-1] == 3000 and MOST // 2 <= len(steps) <= MOST
    gaps = np.diff(steps[:-1])
    assert gaps.max() <= 2.1 * gaps.min()
    np.testing.assert_array_equal(run.read_snapshot(3000)["a"], np.arange(3.0))
    assert [p for p in (run.path / "snapshots").iterdir() if p.suffix != ".npz"] == []


def test_a_rewound_run_has_no_snapshot_of_later_steps(tmp_path):
    run = snapshot_run(tmp_path)
    for step in (1, 50, 100):
        run.snapshot(step, {"a": np.zeros(1)})
    run.rewind(60, 1)
    assert run.snapshot_steps() == [1, 50]


def test_no_object_is_written_and_none_is_read(tmp_path):
    run = snapshot_run(tmp_path)
    with pytest.raises(InputError, match="Python objects"):
        run.snapshot(1, {"a": np.array([{}], dtype=object)})
    run.snapshot(1, {"text": np.array(["größer — 大"])})
    assert run.read_snapshot(1)["text"][0] == "größer — 大"
    np.savez(run.snapshot_path(2), a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not a whole snapshot"):
        run.read_snapshot(2)
    run.snapshot_path(3).write_bytes(run.snapshot_path(1).read_bytes()[:100])
    with pytest.raises(InputError, match="not a whole snapshot"):
        run.read_snapshot(3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = layers.LSTM(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])[:, 0]


def fit(run, probe, epochs=2, batches=30, **more):
    torch.manual_seed(0)
    net = Net()
    data = [(torch.randn(8, 5, 2), torch.randn(5)) for _ in range(batches)]
    return train(
        net, lambda _: data, lambda m, b: (m(b[0]) - b[1]).square().mean(),
        optimizer=torch.optim.Adam(net.parameters()), epochs=epochs, run=run, probe=probe, **more,
    )  # fmt: skip


def test_a_run_has_snapshots_where_there_is_time_and_none_without_a_probe(tmp_path, monkeypatch):
    x = torch.randn(8, 4, 2)
    run = snapshot_run(tmp_path)
    probe = Probe(lambda m: m(x).sum(), every=10, share=1e9, samples=lambda m: {"text": np.array(["so"])})
    fit(run, probe)
    steps = run.snapshot_steps()
    assert steps == [1, 11, 21, 31, 41, 51, 60]
    assert run.read_snapshot(60)["samples/text"].tolist() == ["so"]
    spent = probe.seconds
    assert spent > sum(e["seconds"] for e in run.events() if e["event"] == "probe") > 0  # writing counts too
    assert probe.snapshot_latest > 0

    def never(*arguments, **more):
        raise AssertionError("with probing off nothing is recorded")

    monkeypatch.setattr(record.Run, "snapshot", never)
    monkeypatch.setattr(record.Run, "snapshot_due", never)
    monkeypatch.setattr(Probe, "look", never)
    without = Run(tmp_path / "without")
    without.start({})
    fit(without, None)
    assert without.snapshot_steps() == [] and not (without.path / "snapshots").exists()


def test_snapshots_count_in_the_share_of_time():
    probe = Probe(lambda m: None, every=1, share=0.03)
    probe.latest, probe.seconds, probe.snapshot_latest = 0.01, 0.01, 0.05
    assert not probe.due(1, 2.5) and probe.due(1, 2.7)  # the last look comes with a snapshot
    assert not probe.affords_snapshot(4.2) and probe.affords_snapshot(4.4)
    assert probe.affords_snapshot(0.1, last=True)
    assert Probe(lambda m: None).affords_snapshot(0.0)  # the first


def test_a_file_named_stop_ends_training_as_an_interrupt_does(tmp_path):
    run = snapshot_run(tmp_path)

    def stop_at(event):
        if event["event"] == "step" and event["step"] == 7:
            run.stop_path.touch()

    with pytest.raises(KeyboardInterrupt):
        fit(run, None, on_event=stop_at)
    assert run.checkpoint_path.exists() and not run.stop_path.exists()
    assert [e["step"] for e in run.events()][-1] == 7
    run.stop_path.touch()  # left from before: a resumed run does not heed it
    assert fit(run, None, resume=True).step == 60


def test_events_reach_the_file_while_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "FLUSHED_EVERY", 0.0)
    run = snapshot_run(tmp_path)
    run.record("step", step=1)
    assert [e["step"] for e in Run(run.path).events()] == [1]


def test_a_signal_still_stops_a_run_with_a_folder(tmp_path):
    run = snapshot_run(tmp_path)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit(run, None, epochs=10_000)
    assert run.checkpoint_path.exists()
