"""What is seen inside a network is what brute force finds, with every cell; and it is saved whole."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elman.errors import InputError
from elman.layers import GRU, LRU, LSTM, RGLRU, RNN, SLSTM, MinGRU, MinLSTM
from elman.training import inside
from elman.training.attribution import connectivity, saliency
from elman.training.contributions import contributions
from elman.training.inside import look_inside
from elman.training.look import Inside

CELLS = [RNN, LSTM, GRU, MinGRU, MinLSTM, RGLRU, LRU, SLSTM]


class Tagger(nn.Module):
    """`(B, T, I)` to `(B, T, K)`, whatever the layout of its layer."""

    def __init__(self, cell=LSTM, batch_first: bool = True, outputs: int = 3, **options):
        super().__init__()
        self.layer = cell(2, 5, batch_first=batch_first, **options)
        self.head = nn.Linear(self.layer.output_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.layer.batch_first:
            return self.head(self.layer(x)[0])
        return self.head(self.layer(x.transpose(0, 1))[0]).transpose(0, 1)


class LanguageModel(nn.Module):
    """As a model of text is: tokens, embeddings, a layer, logits over the vocabulary."""

    def __init__(self, size: int):
        super().__init__()
        self.embed, self.layer, self.head = nn.Embedding(size, 4), GRU(4, 6, batch_first=True), nn.Linear(6, size)

    def run(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, state = self.layer(x, state)
        return self.head(y), state


class EncoderDecoder(nn.Module):
    def __init__(self, cell=LSTM):
        super().__init__()
        self.encoder, self.decoder = cell(2, 5, batch_first=True), cell(2, 5, batch_first=True)
        self.head = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.encoder(x[:, :-3])
        return self.head(self.decoder(x[:, -3:], state)[0])


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(4, 9, 2)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_looked_into(cell, batch_first, x):
    model = Tagger(cell, batch_first, num_layers=2).train()
    seen = look_inside(model, model, x, shown=2)
    _, _, trace = model.layer.eval()(x if batch_first else x.transpose(0, 1), trace=True)
    assert model.training and [layer["name"] for layer in seen.facts["layers"]] == ["layer.l0", "layer.l1"]
    for k, record in enumerate(trace.layers):
        np.testing.assert_allclose(seen.arrays[f"h.{k}"], record.h.transpose(0, 1)[:2], rtol=1e-5, atol=1e-6)
        letters = [letter for letter in record.gates if letter != "h"]
        assert seen.facts["layers"][k]["gates"] == letters
        for letter in letters:
            np.testing.assert_allclose(seen.arrays[f"gate.{k}.{letter}"], record.gates[letter].transpose(0, 1)[:2])
            np.testing.assert_allclose(seen.arrays[f"bar.{k}.{letter}"], record.bars[letter].transpose(0, 1)[:2])
        assert (f"c.{k}" in seen.arrays) == (record.c is not None)
        low, high = seen.arrays[f"wide_range.{k}"]
        wide = low + (high - low) * seen.arrays[f"wide.{k}"] / 255
        np.testing.assert_allclose(wide, record.h.transpose(0, 1), atol=0.51 * (high - low) / 255 + 1e-6)
    np.testing.assert_allclose(seen.arrays["outputs"], model(x)[:2].detach(), rtol=1e-5)
    numbers = {name: a for name, a in seen.arrays.items() if a.dtype.kind == "f" and not name.startswith("peaks")}
    assert all(np.isfinite(a).all() for a in numbers.values())


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}])
@pytest.mark.parametrize("cell", CELLS)
def test_connectivity_is_the_norm_of_each_derivative(cell, options, x):
    model = Tagger(cell, **options)
    found = connectivity(model, x[0], outputs := [k % 3 for k in range(9)])
    for t in range(9):
        one = x[:1].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(one)[0, t, outputs[t]], one)
        torch.testing.assert_close(found[t], gradient[0].norm(dim=-1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("cell", CELLS)
def test_integrated_gradients_add_up_and_the_others_are_what_they_say(cell, x):
    model = Tagger(cell)
    other, seen = saliency(model, x[0], [(2, 0), (6, 1)])
    assert not other.integrated[3:].any() and other.value != seen.value
    with torch.no_grad():
        value, baseline = model(x[:1])[0, 6, 1], model(torch.zeros(1, 9, 2))[0, 6, 1]
        without = [model(torch.cat([x[0, :s], torch.zeros(1, 2), x[0, s + 1 :]])[None])[0, 6, 1] for s in range(9)]
    assert seen.integrated.sum().item() == pytest.approx((value - baseline).item(), abs=2e-5)
    assert abs(seen.delta) < 2e-5
    torch.testing.assert_close(seen.occlusion, value - torch.stack(without), rtol=1e-4, atol=1e-6)
    one = x[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(one)[0, 6, 1], one)
    torch.testing.assert_close(seen.gradient, (gradient * x[:1]).sum(-1)[0], rtol=1e-4, atol=1e-6)
    assert not seen.integrated[7:].any() and not seen.occlusion[7:].any()  # what comes later did nothing


@pytest.mark.parametrize(
    ("cell", "options"),
    [(RNN, {}), (RNN, {"bias": False}), (LSTM, {}), (LSTM, {"proj_size": 3}), (GRU, {}), (SLSTM, {"num_heads": 2}),
     (LSTM, {"layer_norm": True})],
)  # fmt: skip
def test_contributions_add_up_to_what_is_squashed(cell, options):
    layer, x = cell(2, 6, **options), torch.randn(9, 4, 2)
    y, _, trace = layer(x, trace=True)
    before = torch.cat([torch.zeros_like(y[:1]), y[:-1]])
    made = contributions(layer, 0, x, before, None)
    parts = [part.detach().expand(9, 4, -1).unflatten(-1, (-1, 6)) for part in (made.input, made.state, made.bias)]
    record = trace.layers[0]
    for k, (letter, bars) in enumerate(record.bars.items()):
        if (cell, letter) != (GRU, "n"):
            torch.testing.assert_close(sum(part[..., k, :] for part in parts), bars, rtol=1e-4, atol=1e-5)
    assert made.norms().shape == (9, 4, 3)


@pytest.mark.parametrize("cell", [MinGRU, MinLSTM, RGLRU, LRU])
def test_contributions_to_a_linear_state_add_up_to_it(cell):
    layer, x = cell(2, 6), torch.randn(9, 4, 2)
    made = contributions(layer, 0, x, x, None)
    _, state = layer(x)
    torch.testing.assert_close((made.input + made.state)[-1], state[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_an_encoder_and_its_decoder_are_one_layer_whose_state_goes_on(cell, x):
    model = EncoderDecoder(cell)
    seen = look_inside(model, model, x)
    (layer,) = seen.facts["layers"]
    assert layer["parts"] == [{"name": "encoder.l0", "first": 0}, {"name": "decoder.l0", "first": 6}]
    assert seen.facts["first_output"] == 6 and seen.arrays["connectivity"].shape == (4, 3, 9)
    _, state, encoded = model.encoder(x[:, :-3], trace=True)
    decoded = model.decoder(x[:, -3:], state, trace=True)[2]
    both = torch.cat([encoded.layers[0].h, decoded.layers[0].h]).transpose(0, 1)
    np.testing.assert_allclose(seen.arrays["h.0"], both, rtol=1e-5, atol=1e-6)
    if cell in (RNN, LSTM, GRU):  # the decoder's first step hears of the encoder's state
        W, h = model.decoder.weight_hh_l0, encoded.layers[0].h[-1]
        np.testing.assert_allclose(
            seen.arrays["contributions.0"][:, 6, 1], (h @ W.T).norm(dim=-1).detach().numpy(), rtol=1e-4
        )


def test_a_character_model_is_seen_with_its_text():
    text = ["the cat sat.", "a dog ran on", "hostile <b>!"]
    letters = sorted(set("".join(text)))
    model, tokens = LanguageModel(len(letters)), torch.tensor([[letters.index(c) for c in line] for line in text])
    truth = np.pad(tokens[:, 1:].numpy(), ((0, 0), (0, 1)), constant_values=-1)
    seen = look_inside(
        model, lambda x: model.run(x)[0], model.embed(tokens).detach(), words=text, kind="classes", outputs=letters,
        truth=truth,
    )  # fmt: skip
    logits = model.run(model.embed(tokens))[0].detach()
    shares = logits.softmax(-1).numpy()
    assert ["".join(np.array(seen.facts["words"])[row]) for row in seen.arrays["words"]] == text
    np.testing.assert_allclose(seen.arrays["outputs"], shares, rtol=1e-5)
    np.testing.assert_allclose(seen.arrays["top_share"], -np.sort(-shares)[..., :8], rtol=1e-5)
    right = np.take_along_axis(shares, truth.clip(0)[..., None], -1)[..., 0]
    np.testing.assert_allclose(seen.arrays["surprisal"][:, :-1], -np.log2(right)[:, :-1], rtol=1e-4)
    assert np.isnan(seen.arrays["surprisal"][:, -1]).all()
    np.testing.assert_array_equal(seen.arrays["connected"], logits.argmax(-1))
    weights = model.head.weight.detach().numpy()
    np.testing.assert_array_equal(seen.arrays["favoured.0"][2], (-weights[:, 2]).argsort()[:6])
    assert ((seen.arrays["related.0"] >= 0) & (seen.arrays["related.0"] <= 1)).all()


def test_of_a_bidirectional_layer_each_direction_is_there(x):
    model = Tagger(GRU, bidirectional=True)
    seen = look_inside(model, model, x)
    names = [(layer["name"], layer["backward"]) for layer in seen.facts["layers"]]
    assert names == [("layer.l0", False), ("layer.l0_reverse", True)]
    weights, h = model.head.weight.detach(), model.layer(x)[0].detach()
    np.testing.assert_allclose(seen.arrays["h.1"], h[..., 5:], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(seen.arrays["favoured.1"][0], weights[:, 5].argsort(descending=True))
    # Of the backward direction, the step before is the one after in time.
    W = model.layer.weight_hh_l0_reverse
    np.testing.assert_allclose(
        seen.arrays["contributions.1"][:, 2, 1], (h[:, 3, 5:] @ W.T).norm(dim=-1).detach(), rtol=1e-4
    )
    assert (seen.arrays["contributions.1"][:, -1, 1] == 0).all()


def test_units_are_highest_where_the_spans_say(x):
    model = Tagger(GRU)
    seen = look_inside(model, model, x)
    h, where, peaks = seen.arrays["h.0"], seen.arrays["spans.0"], seen.arrays["peaks.0"]
    for unit in range(5):
        assert peaks[unit, 0] == h[..., unit].max()
        for (sequence, step), peak in zip(where[unit], peaks[unit], strict=True):
            assert np.isnan(peak) if sequence < 0 else h[sequence, step, unit] == peak
        steps = {(s, t) for s, t in where[unit].tolist() if s >= 0}
        assert all(abs(t - u) >= 6 for s, t in steps for r, u in steps if s == r and t != u)
    assert sorted(seen.arrays["order.0"]) == list(range(5))


def test_a_long_sequence_is_kept_in_part(x, monkeypatch):
    model = Tagger(LSTM)
    whole = look_inside(model, model, x, targets=[(8, 1)])
    monkeypatch.setattr(inside, "SHOWN", 4)
    part = look_inside(model, model, x, targets=[(8, 1)], words=["abcdefghi"] * 4, times=["123456789"] * 4)
    assert (part.facts["steps"], part.facts["skipped"], part.facts["times"][0]) == (4, 5, list("6789"))
    np.testing.assert_allclose(part.arrays["h.0"], whole.arrays["h.0"][:, 5:])
    np.testing.assert_allclose(part.arrays["connectivity"], whole.arrays["connectivity"][:, 5:, 5:])
    np.testing.assert_allclose(part.arrays["saliency.integrated"], whole.arrays["saliency.integrated"][..., 5:])
    assert part.arrays["targets"][0].tolist() == [[3, 1]]


def test_of_a_large_network_fewer_sequences_are_asked_about(x, monkeypatch):
    model = Tagger()
    monkeypatch.setattr(inside, "WORK", 1)
    seen = look_inside(model, model, x)
    assert len(seen.arrays["h.0"]) == len(seen.arrays["connectivity"]) == 1
    assert len(seen.arrays["wide.0"]) == 4


def test_it_is_saved_whole_and_read_again(x, tmp_path):
    seen = look_inside(model := Tagger(), model, x)
    seen.save(tmp_path)
    again = Inside.load(tmp_path)
    assert dict(again.facts) == json.loads(json.dumps(seen.facts))
    assert set(again.arrays) == set(seen.arrays)
    for name, array in seen.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inside.json", "inside.npz"]


def test_a_changed_or_torn_look_is_refused(x, tmp_path):
    look_inside(model := Tagger(), model, x).save(tmp_path)
    whole = (tmp_path / "inside.npz").read_bytes()
    (tmp_path / "inside.npz").write_bytes(whole[:-10])
    with pytest.raises(InputError, match="truncated or changed"):
        Inside.load(tmp_path)
    (tmp_path / "inside.npz").unlink()
    with pytest.raises(InputError, match="can't be read"):
        Inside.load(tmp_path)
    (tmp_path / "inside.json").write_text("[]")
    with pytest.raises(InputError, match="was not written by this version"):
        Inside.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"words": ["abc"]}, "words for 4 sequences, found 1"),
        ({"words": ["abc"] * 4}, r"words\[0\]: expected one for each of 9 steps, found 3"),
        ({"inputs": {"rain": np.zeros((4, 8))}}, r"input 'rain': expected shape \(4, 9\), found \(4, 8\)"),
        ({"outputs": ["a"]}, "names of 3 outputs, found 1"),
        ({"truth": np.zeros((4, 3))}, r"truth: expected shape \(4, 9\)"),
        ({"kind": "letters"}, "'values' or 'classes'"),
        ({"x": torch.zeros(4, 9, dtype=torch.long)}, "for tokens, give their embeddings"),
        ({"forward": lambda x: x[:, 0]}, "expected a tensor"),
        ({"readout": nn.Linear(4, 3)}, r"weights of shape \(3, 5\), found \(3, 4\)"),
        ({"model": nn.Linear(2, 3)}, "no layer of elman.layers ran over all 9 steps"),
    ],
)
def test_what_does_not_fit_is_said(change, said, x):
    model = Tagger()
    given = {"model": model, "forward": model, "x": x, **change}
    with pytest.raises(InputError, match=said):
        look_inside(**given)


def test_the_random_numbers_to_come_and_the_gradients_are_left_alone(x):
    model = Tagger(LSTM, num_layers=2, dropout=0.5)
    state = torch.get_rng_state()
    look_inside(model, model, x)
    assert torch.equal(state, torch.get_rng_state()) and all(p.grad is None for p in model.parameters())
