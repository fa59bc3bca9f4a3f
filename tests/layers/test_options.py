"""What each option of RNN, LSTM and GRU draws, keeps and starts from; that they add up is in `test_battery.py`."""

import pytest
import torch
from torch.nn.functional import layer_norm, linear
from torch.testing import assert_close

from elman import kernels, layers

CLASSES = [layers.RNN, layers.LSTM, layers.GRU]
EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, a few steps


@pytest.fixture
def calls(monkeypatch):
    """The keyword arguments of every call of a kernel."""
    seen = []

    def spy_on(function):
        def spy(*given, **options):
            seen.append(options)
            return function(*given, **options)

        return spy

    for name in ("rnn", "lstm", "gru"):
        monkeypatch.setattr(kernels, name, spy_on(getattr(kernels, name)))
    return seen


@pytest.mark.parametrize("cls", CLASSES)
def test_recurrent_dropout_draws_one_mask_for_each_sequence_layer_and_direction(cls, calls):
    layer = cls(3, 50, num_layers=2, bidirectional=True, recurrent_dropout=0.4)
    x = torch.randn(6, 20, 3)
    layer(x), layer(x)
    masks = torch.stack([call["mask"] for call in calls])
    assert masks.shape == (8, 20, 50)
    assert_close(masks.unique(), torch.tensor([0.0, 1 / 0.6]))
    # 8,000 draws: a standard deviation of 0.0055, so 4 of them.
    assert (masks == 0).double().mean().item() == pytest.approx(0.4, abs=0.022)
    rows = masks.reshape(160, 50)
    assert len(rows.unique(dim=0)) == 160
    calls.clear()
    layer.eval()(x)
    assert len(calls) == 4
    assert all("mask" not in call for call in calls)


@pytest.mark.parametrize("cls", CLASSES)
def test_weight_dropout_draws_one_mask_a_call_and_evaluates_with_the_whole(cls, calls):
    layer = cls(3, 40, weight_dropout=0.4)
    x = torch.randn(6, 2, 3)
    layer(x), layer(x), layer.eval()(x)
    first, second, whole = (call["W_hh"] for call in calls)
    assert not torch.equal(first, second)
    assert_close(first[first != 0], whole[first != 0] / 0.6)
    # At least 1,600 draws: a standard deviation of 0.0123, so 4 of them.
    assert (first == 0).double().mean().item() == pytest.approx(0.4, abs=0.049)
    assert torch.equal(whole, layer.weight_hh_l0)


@pytest.mark.parametrize("cls", CLASSES)
def test_zoneout_draws_while_training_and_keeps_shares_otherwise(cls, calls):
    zoneout = (0.1, 0.5) if cls is layers.LSTM else 0.1
    layer = cls(3, 50, zoneout=zoneout)
    x = torch.randn(10, 20, 3)
    layer(x)
    shares = dict(zip(layer.letters, (0.1, 0.5), strict=False))
    for letter, share in shares.items():
        keep = calls[0][f"keep_{letter}"]
        assert (keep.shape, keep.dtype) == ((10, 20, 50), torch.bool)
        # 10,000 draws: a standard deviation of 0.005, so 4 of them.
        assert keep.double().mean().item() == pytest.approx(share, abs=0.02)
        assert f"zoneout_{letter}" not in calls[0]
    layer.eval()(x)
    assert {name: value for name, value in calls[1].items() if "zoneout" in name or "keep" in name} == {
        f"zoneout_{letter}": share for letter, share in shares.items()
    }


def test_a_single_zoneout_holds_for_h_and_c(calls):
    layers.LSTM(3, 4, zoneout=0.3).eval()(torch.randn(2, 2, 3))
    assert (calls[0]["zoneout_h"], calls[0]["zoneout_c"]) == (0.3, 0.3)


def test_a_zoneout_of_one_never_leaves_the_first_state():
    layer = layers.GRU(3, 4, zoneout=1.0)
    h = torch.randn(1, 2, 4)
    for mode in (True, False):
        y, after = layer.train(mode)(torch.randn(5, 2, 3), h)
        assert_close(y, h.expand(5, 2, 4))
        assert_close(after, h)


def by_hand_lstm(layer, x):
    """Layer normalisation, peepholes and projection in the words of their papers, one layer from zeros."""
    w = {name.removesuffix("_l0"): p for name, p in layer.named_parameters()}
    H = layer.hidden_size
    h, c, ys = x.new_zeros(x.shape[1], layer.proj_size or H), x.new_zeros(x.shape[1], H), []
    for x_t in x:
        from_x, from_h = linear(x_t, w["weight_ih"]), linear(h, w["weight_hh"])
        if layer.layer_norm:
            from_x = layer_norm(from_x, (4 * H,), w["norm_ih"])
            from_h = layer_norm(from_h, (4 * H,), w["norm_hh"])
        i, f, g, o = (from_x + w["bias_ih"] + from_h + w["bias_hh"]).split(H, dim=-1)
        p_i, p_f, p_o = w["peephole"] if layer.peephole else (0, 0, 0)
        c, before = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g), c
        o = torch.sigmoid(o + p_o * c)
        h = o * torch.tanh(layer_norm(c, (H,), w["norm_c"], w["bias_c"]) if layer.layer_norm else c)
        if layer.proj_size:
            h = h @ w["weight_hr"].T
        ys.append(h)
        assert before is not c
    return torch.stack(ys), (h[None], c[None])


@pytest.mark.parametrize(
    "options", [{"layer_norm": True}, {"peephole": True}, {"layer_norm": True, "peephole": True, "proj_size": 2}]
)
def test_an_lstms_options_by_hand(options):
    torch.manual_seed(0)
    layer = layers.LSTM(3, 5, dtype=torch.float64, **options)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    assert_close(layer(x), by_hand_lstm(layer, x), **EXACT)


@pytest.mark.parametrize("cls", CLASSES)
def test_layer_norm_is_blind_to_the_weights_scale(cls):
    """What is normalised forgets by how much its sums were multiplied, up to the epsilon of 1e-5 in the variance."""
    torch.manual_seed(0)
    layer = cls(3, 16, layer_norm=True, dtype=torch.float64)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    ys = []
    for factor in (100, 3):  # 100 first: sums of variance 1 and more, beside which the epsilon is nothing
        with torch.no_grad():
            layer.weight_ih_l0 *= factor
            layer.weight_hh_l0 *= factor
        ys.append(layer(x)[0])
    assert_close(*ys, rtol=0, atol=1e-5)


NAMES = {
    "layer_norm": ["norm_ih_l0", "norm_hh_l0", "norm_c_l0", "bias_c_l0"],
    "peephole": ["peephole_l0"],
    "learned_state": ["h_0", "c_0"],
}


@pytest.mark.parametrize("option", NAMES)
def test_parameters_of_options_stand_beside_torchs(option):
    """From one seed torch's own are the same, with the option or without."""
    torch.manual_seed(7)
    theirs = torch.nn.LSTM(3, 5, num_layers=2)
    torch.manual_seed(7)
    ours = layers.LSTM(3, 5, num_layers=2, **{option: True})
    more = set(dict(ours.named_parameters())) - set(dict(theirs.named_parameters()))
    names = NAMES[option] if option == "learned_state" else [n[:-1] + k for n in NAMES[option] for k in "01"]
    assert more == set(names)
    for name, parameter in theirs.named_parameters():
        assert torch.equal(parameter, ours.get_parameter(name))
    starts = {name: ours.get_parameter(name) for name in more}
    if option == "peephole":
        assert all(0 < p.abs().max() <= 5**-0.5 and p.shape == (3, 5) for p in starts.values())
    else:
        assert all((p == (1 if "norm" in name else 0)).all() for name, p in starts.items())
    if option == "learned_state":
        assert {p.shape for p in starts.values()} == {(2, 5)}


@pytest.mark.parametrize("cls", CLASSES)
def test_orthogonal_blocks_keep_lengths(cls):
    layer = cls(3, 6, num_layers=2, bidirectional=True, recurrent_init="orthogonal")
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            blocks = weight.chunk(layer.gates)
            for block in blocks:
                assert_close(block @ block.T, torch.eye(6), rtol=0, atol=1e-5)
            assert all(not torch.allclose(blocks[0], other) for other in blocks[1:])


def test_orthogonal_where_h_is_projected():
    for block in layers.LSTM(3, 6, proj_size=4, recurrent_init="orthogonal").weight_hh_l0.chunk(4):
        assert_close(block.T @ block, torch.eye(4), rtol=0, atol=1e-5)


def test_an_identity_rnn_adds_up_what_it_reads():
    """The IRNN of Le et al. 2015: from positive inputs, h is their sum."""
    layer = layers.RNN(2, 4, nonlinearity="relu", recurrent_init="identity")
    torch.nn.init.ones_(layer.weight_ih_l0)
    x = torch.rand(5, 3, 2)
    assert_close(layer(x)[0], x.sum(-1, keepdim=True).cumsum(0).expand(5, 3, 4))


def test_a_forget_bias_is_the_sum_of_both_biases():
    layer = layers.LSTM(3, 5, num_layers=2, bidirectional=True, forget_bias=1.5)
    plain = layers.LSTM(3, 5, num_layers=2, bidirectional=True)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        total = (getattr(layer, f"bias_ih_{suffix}") + getattr(layer, f"bias_hh_{suffix}")).split(5)
        assert torch.equal(total[1], torch.full((5,), 1.5))
        assert all(block.abs().max() > 0 for block in (total[0], total[2], total[3]))
        assert (getattr(plain, f"bias_hh_{suffix}").split(5)[1] != 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.GRU(3, 4, recurrent_dropout=1.2), "recurrent_dropout as a probability from 0 to 1, found 1.2"),
        (lambda: layers.GRU(3, 4, weight_dropout=True), "weight_dropout as a probability from 0 to 1, found True"),
        (lambda: layers.GRU(3, 4, zoneout=-1), "zoneout as a probability from 0 to 1, found -1"),
        (lambda: layers.GRU(3, 4, zoneout=(0.1, 0.2)), "one share, its state being h alone, found (0.1, 0.2)"),
        (lambda: layers.LSTM(3, 4, zoneout=(0.1, 0.2, 0.3)), "one share, or a pair (h, c), found (0.1, 0.2, 0.3)"),
        (lambda: layers.LSTM(3, 0), "LSTM: expected hidden_size as a whole number of at least 1, found 0"),
        (lambda: layers.LSTM(3, 4, proj_size=2.0), "proj_size from 0 to below hidden_size=4, found 2.0"),
        (lambda: layers.LSTM(3, 4, zoneout=(0.1, 2)), "zoneout as a probability from 0 to 1, found 2"),
        (lambda: layers.RNN(3, 4, recurrent_init="eye"), "one of uniform, orthogonal, identity, found 'eye'"),
        (lambda: layers.LSTM(3, 4, bias=False, forget_bias=1.0), "forget_bias=1.0 needs biases"),
        (lambda: layers.LSTM(3, 4, bidirectional=True).step(torch.zeros(2, 3)), "a bidirectional layer has no step"),
        (lambda: layers.LSTM(3, 4).step(torch.zeros(1, 2, 3)), "expected x of shape (B, I), or (I)"),
    ],
)
def test_an_error_says_what_was_expected_and_found(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("reset", "batch_first", "error", "message"),
    [
        (torch.zeros(2, 5, dtype=torch.bool), False, ValueError, "so of shape (5, 2), found (2, 5)"),
        (torch.zeros(5, 2, dtype=torch.bool), True, ValueError, "so of shape (2, 5), found (5, 2)"),
        (torch.zeros(5, 2), False, TypeError, "expected reset of torch.bool, found torch.float32"),
    ],
)
def test_a_reset_in_the_wrong_layout_or_type_raises(reset, batch_first, error, message):
    x = torch.zeros(2, 5, 3) if batch_first else torch.zeros(5, 2, 3)
    with pytest.raises(error) as caught:
        layers.GRU(3, 4, batch_first=batch_first)(x, reset=reset)
    assert message in str(caught.value)


def test_a_reset_of_packed_sequences_raises():
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(4, 2, 3), [4, 2])
    with pytest.raises(ValueError, match="expected none of reset="):
        layers.GRU(3, 5)(packed, reset=torch.zeros(4, 2, dtype=torch.bool))


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="layernorm"):
        layers.LSTM(3, 4, layernorm=True)
