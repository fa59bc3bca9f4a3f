"""Swapping torch's modules inside a model, and back: on models built as well-known ones are."""

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

import elman
from elman import layers
from elman.layers.accelerate import accelerate, restore

# float64; sums in another order over up to 40 steps.
EXACT = {"rtol": 1e-9, "atol": 1e-9}


class SpeechRecogniser(nn.Module):
    """DeepSpeech 2 (Amodei et al. 2015): convolutions, bidirectional GRUs on packed sequences, batch norm between."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv1d(6, 10, 5, stride=2, padding=2)
        self.recurrent = nn.ModuleList(nn.GRU(size, 7, bidirectional=True, bias=False) for size in (10, 7, 7))
        self.norms = nn.ModuleList(nn.BatchNorm1d(7) for _ in range(2))
        self.head = nn.Linear(7, 5)

    def forward(self, x, lengths):
        x, lengths = F.hardtanh(self.convolution(x), 0, 20).permute(2, 0, 1), (lengths + 1) // 2
        for k, gru in enumerate(self.recurrent):
            if k:
                x = self.norms[k - 1](x.flatten(0, 1)).view_as(x)
            y, _ = gru(pack_padded_sequence(x, lengths, enforce_sorted=False))
            y, _ = pad_packed_sequence(y)
            x = y.view(*y.shape[:2], 2, -1).sum(2)
        return self.head(x).log_softmax(-1)

    @staticmethod
    def inputs():
        return torch.randn(3, 6, 40).double(), torch.tensor([40, 25, 31])


class SpeechSynthesiser(nn.Module):
    """Tacotron 2 (Shen et al. 2017): a bidirectional LSTM reads, two LSTM cells with a pre-net and attention write."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.encoder = nn.LSTM(8, 4, 1, batch_first=True, bidirectional=True)
        self.prenet = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU())
        self.attention_rnn = nn.LSTMCell(6 + 8, 9)
        self.query = nn.Linear(9, 8, bias=False)
        self.decoder_rnn = nn.LSTMCell(9 + 8, 9)
        self.projection = nn.Linear(9 + 8, 5)

    def forward(self, text, lengths, frames):
        packed = pack_padded_sequence(self.embedding(text), lengths, batch_first=True)
        self.encoder.flatten_parameters()
        memory, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        a = d = None
        context, frame, out = memory.new_zeros(len(text), 8), memory.new_zeros(len(text), 5), []
        for target in frames:
            a = self.attention_rnn(torch.cat([self.prenet(frame), context], -1), a)
            weights = (memory @ self.query(a[0]).unsqueeze(-1)).softmax(1)
            context = (weights * memory).sum(1)
            d = self.decoder_rnn(torch.cat([a[0], context], -1), d)
            out.append(self.projection(torch.cat([d[0], context], -1)))
            frame = target
        return torch.stack(out)

    @staticmethod
    def inputs():
        return torch.randint(11, (3, 12)), torch.tensor([12, 9, 4]), torch.randn(6, 3, 5).double()


class WeightDrop(nn.Module):
    """DropConnect on recurrent weights as AWD-LSTM's code does it: the weight is put into the module at each call."""

    def __init__(self, module, p):
        super().__init__()
        self.module, self.p = module, p
        raw = module.weight_hh_l0
        del module.weight_hh_l0
        self.weight_hh_l0_raw = nn.Parameter(raw.data)
        module.weight_hh_l0 = raw.data.clone()

    def forward(self, *given):
        raw = self.weight_hh_l0_raw
        self.module.weight_hh_l0 = F.dropout(raw, self.p) if self.training else raw.clone()
        return self.module(*given)


class LanguageModel(nn.Module):
    """AWD-LSTM (Merity et al. 2017): tied embeddings, LSTMs with dropped recurrent weights, a state carried on."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(13, 6)
        self.rnns = nn.ModuleList(WeightDrop(nn.LSTM(i, h), 0.5) for i, h in ((6, 8), (8, 6)))
        self.head = nn.Linear(6, 13)
        self.head.weight = self.embedding.weight

    def forward(self, text):
        states, out = [None, None], []
        with warnings.catch_warnings():  # torch's, on weights that are not where it put them
            warnings.simplefilter("ignore")
            for chunk in text.split(10):
                x = self.embedding(chunk)
                for k, rnn in enumerate(self.rnns):
                    x, state = rnn(x, states[k])
                    states[k] = tuple(part.detach() for part in state)
                out.append(self.head(x))
        return torch.cat(out)

    @staticmethod
    def inputs():
        return (torch.randint(13, (30, 4)),)


class Tagger(nn.Module):
    """What is left: simple RNNs, GRU cells, torch's names for arguments, unbatched sequences, tied modules."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(5, 6, 2, nonlinearity="relu", batch_first=True, dropout=0.0)
        self.again = self.rnn
        self.blocks = nn.Sequential(
            nn.Identity(), nn.ModuleDict({"cell": nn.GRUCell(6, 5), "simple": nn.RNNCell(5, 5)})
        )
        self.projected = nn.LSTM(5, 6, proj_size=3)

    def forward(self, x):
        y, h = self.rnn(x)
        y, _ = self.again(input=x + y[..., :5], hx=h)
        h = None
        for t in range(y.shape[1]):
            h = self.blocks[1]["simple"](self.blocks[1]["cell"](y[:, t], hx=h))
        return self.projected(h)[0]

    @staticmethod
    def inputs():
        return (torch.randn(3, 7, 5).double(),)


MODELS = {
    SpeechRecogniser: {"recurrent.0", "recurrent.1", "recurrent.2"},
    SpeechSynthesiser: {"encoder", "attention_rnn", "decoder_rnn"},
    LanguageModel: {"rnns.0.module", "rnns.1.module"},
    Tagger: {"rnn", "again", "blocks.1.cell", "blocks.1.simple", "projected"},
}


def build(Model):
    torch.manual_seed(0)
    return Model().double(), Model.inputs()


def trained(model, inputs, steps=3, optimizer=None):
    """The outputs over some steps of training, dropout drawn alike each time."""
    torch.manual_seed(1)
    optimizer = optimizer or torch.optim.Adam(model.parameters(), 0.01)
    outs = []
    for _ in range(steps):
        out = model(*inputs)
        optimizer.zero_grad()
        out.square().mean().backward()
        optimizer.step()
        outs.append(out.detach())
    return outs


@pytest.mark.parametrize("Model", MODELS)
def test_an_accelerated_model_trains_to_the_same_numbers(Model):
    model, inputs = build(Model)
    expected = trained(copy.deepcopy(model), inputs)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)  # made before: it must find its parameters in use
    names = list(model.state_dict())
    parameters = list(model.parameters())
    accelerated, report = elman.accelerate(model)
    assert accelerated is model
    assert {path for row in report.swapped for path in row.paths} == MODELS[Model] and not report.left
    assert not any(isinstance(module, (nn.RNNBase, nn.RNNCellBase)) for module in model.modules())
    assert list(model.state_dict()) == names
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert_close(trained(model, inputs, optimizer=optimizer), expected, **EXACT)


@pytest.mark.parametrize("Model", MODELS)
def test_restore_gives_the_very_modules_back_as_they_are_now(Model):
    (model, inputs), (never, _) = build(Model), build(Model)
    before = dict(model.named_modules(remove_duplicate=False))
    accelerate(model)
    trained(model, inputs), trained(never, inputs)
    model.eval(), never.eval()
    assert restore(model) is model
    after = dict(model.named_modules(remove_duplicate=False))
    assert after.keys() == before.keys() and all(after[path] is before[path] for path in before)
    assert not any(module.training for module in model.modules())
    assert_close(model(*inputs), never(*inputs), **EXACT)
    assert_close(trained(model.train(), inputs), trained(never.train(), inputs), **EXACT)


def test_the_root_itself_and_a_module_at_two_places():
    lstm = nn.LSTM(3, 4)
    twin, report = accelerate(lstm)
    assert isinstance(twin, layers.LSTM) and report.rows[0].paths == ("",)
    assert restore(twin) is lstm
    model, _ = build(Tagger)
    _, report = accelerate(model)
    assert model.rnn is model.again
    assert report.rows[0].paths == ("rnn", "again")
    assert accelerate(model)[1].rows == ()  # nothing of torch's is left
    assert restore(model).rnn is model.again


def test_hooks_and_training_mode_stay():
    model = nn.Sequential(nn.LSTM(3, 4)).eval()
    seen = []
    handle = model[0].register_forward_hook(lambda module, given, result: seen.append(("forward", type(module))))
    model[0].register_full_backward_hook(lambda module, *gradients: seen.append(("backward", type(module))))
    model[0].register_forward_pre_hook(lambda module, given: seen.append(("before", type(module))))
    accelerate(model)
    assert not model[0].training
    x = torch.randn(5, 2, 3, requires_grad=True)
    y, _ = model(x)
    y.sum().backward()
    kind = type(model[0])
    assert issubclass(kind, layers.LSTM)
    assert seen == [("before", kind), ("forward", kind), ("backward", kind)]
    handle.remove()
    late = model[0].register_forward_hook(lambda *_: seen.append("late"))
    model(x)
    assert seen[3:] == [("before", kind), "late"]
    restore(model)
    model(x)
    assert seen[5:] == [("before", nn.LSTM), "late"]
    late.remove()
    model.train()
    assert model[0].training


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell"])
def test_weight_norm_and_parametrizations_go_on(name):
    is_cell = name.endswith("Cell")
    weight = "weight_hh" if is_cell else "weight_hh_l0"

    x = torch.randn(2, 3).double() if is_cell else torch.randn(9, 2, 3).double()
    state = (torch.randn(2, 4).double(),) * 2 if is_cell else None

    def wrapped(wrap):
        torch.manual_seed(0)
        model = nn.ModuleList([getattr(nn, name)(3, 4).double()])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of them is deprecated
            wrap(model[0], weight)
        return model

    for wrap in (parametrizations.weight_norm, parametrizations.spectral_norm, nn.utils.weight_norm):
        model, other = wrapped(wrap), wrapped(wrap)
        _, report = accelerate(model)
        assert not report.left and isinstance(model[0], getattr(layers, name))
        assert [key for key, _ in model.named_parameters()] == [key for key, _ in other.named_parameters()]
        for m in (model, other):
            optimizer = torch.optim.SGD(m.parameters(), 0.5)
            for _ in range(3):
                optimizer.zero_grad()
                with parametrize.cached():  # spectral_norm moves on whenever someone looks at the weight
                    m[0](x, state)[0].sum().backward()
                optimizer.step()
        model.eval(), other.eval()
        expected = other[0](x, state)
        assert_close(model[0](x, state), expected, **EXACT)
        if wrap is not nn.utils.weight_norm:  # which torch can't copy
            assert_close(copy.deepcopy(model)[0](x, state), expected, **EXACT)
        restore(model)
        assert_close(model[0](x, state), expected, **EXACT)


def test_parametrizations_that_come_or_go_between_swap_and_restore():
    class Half(nn.Module):
        def forward(self, w):
            return w / 2

    x = torch.randn(9, 2, 3)
    model = nn.Sequential(nn.GRU(3, 4))
    accelerate(model)
    parametrize.register_parametrization(model[0], "weight_hh_l0", Half())
    y, _ = model(x)
    restore(model)
    assert parametrize.is_parametrized(model[0], "weight_hh_l0")
    assert_close(model(x)[0], y)
    accelerate(model)
    parametrize.remove_parametrizations(model[0], "weight_hh_l0")
    assert_close(model(x)[0], y)
    restore(model)
    assert type(model[0]) is nn.GRU
    assert_close(model(x)[0], y)


def test_what_is_replaced_on_the_twin_is_on_the_original():
    model = nn.Sequential(nn.LSTM(3, 4))
    accelerate(model)
    other = nn.Sequential(nn.LSTM(3, 4))
    model.load_state_dict(other.state_dict(), assign=True)
    model.double()
    restore(model)
    x = torch.randn(5, 2, 3).double()
    assert_close(model(x), other.double()(x))


def test_copies_and_files_of_an_accelerated_model():
    model, inputs = build(SpeechRecogniser)
    accelerate(model)
    model.eval()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert_close(other(*inputs), model(*inputs), rtol=0, atol=0)
        restore(other)
        assert type(other.recurrent[0]) is nn.GRU
        assert other.recurrent[0].weight_ih_l0 is not model.recurrent[0].weight_ih_l0
        assert_close(other(*inputs), model(*inputs), **EXACT)
    plain = SpeechRecogniser().double().eval()
    plain.load_state_dict(model.state_dict())
    assert_close(plain(*inputs), model(*inputs), **EXACT)


class Peculiar(nn.LSTM):
    def forward(self, x, state=None):
        return super().forward(x.flip(0), state)


@pytest.mark.filterwarnings("ignore")  # torch's, on its own quantisation and compiler
def test_what_is_left_is_said_and_why():
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)), {nn.LSTM})
    model = nn.ModuleDict(
        {
            "own": Peculiar(3, 4),
            "quantized": quantized[0],
            "quantizable": torch.ao.nn.quantizable.LSTM(3, 4),
            "compiled": torch.jit.script(nn.Sequential(nn.LSTM(3, 4))),
            "plain": nn.GRU(3, 4),
            "other": nn.Linear(3, 4),
        }
    )
    before = dict(model.items())
    _, report = accelerate(model)
    assert str(report) == (
        "where        module\n"
        "own          Peculiar(3, 4)  left: a subclass of LSTM, which may add behaviour\n"
        "quantized    LSTM(3, 4)      left: quantized\n"
        "quantizable  LSTM()          left: of torch.ao.nn.quantizable.modules.rnn\n"
        "compiled.0   LSTM            left: compiled by torch.jit\n"
        "plain        GRU(3, 4)       swapped\n"
        "1 swapped, 4 left"
    )
    assert all(model[key] is before[key] for key in before if key != "plain")
    assert "There is no torch.nn.RNN" in str(accelerate(nn.Linear(3, 4))[1])
    assert "(the model itself)  RNN(3, 4)  swapped" in str(accelerate(nn.RNN(3, 4))[1])


def test_accelerating_draws_no_random_numbers():
    model = nn.Sequential(nn.LSTM(3, 4), nn.GRUCell(3, 4))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    accelerate(model)
    assert torch.equal(torch.rand(1), expected)


def test_a_compiled_model_with_twins_inside(monkeypatch):
    model = nn.Sequential(nn.GRU(3, 4))
    x = torch.randn(5, 2, 3)
    expected = model(x)
    accelerate(model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert_close(compiled(x), expected)
