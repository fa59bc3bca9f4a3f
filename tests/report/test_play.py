"""What the page needs to run a network: whole where it can be had, else the reason; and the network in the browser."""

from __future__ import annotations

import base64
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from elman.data.datasets import fulda
from elman.layers import LSTM, RNN, SLSTM, MinGRU, Reservoir
from elman.models.checkpoint import save_model
from elman.models.language import LanguageModel
from elman.models.sequence import RECURRENT
from elman.report import networks
from elman.report.networks import packed, rounded
from elman.report.play import networks_of_page
from elman.report.reading import read_run
from elman.tasks.forecast import Forecaster
from elman.training.record import Run

HOSTILE = "</script><img src=x onerror=\"window.spoiled='1'\">"
VOCABULARY = ["\n", " ", "<", ">", "a", "b", "é", "😀", HOSTILE]
SAMPLE = "ab ba\n<a> b😀 é" * 8


def language_run(path: Path, model: LanguageModel, vocabulary: list[str] = VOCABULARY, **more: Any) -> Path:
    """A run folder as a program that is no estimator leaves it."""
    run = Run(path, label=path.name)
    run.start({"task": "language", "settings": model.settings()})
    config = {"task": "language", "settings": model.settings(), "vocabulary": vocabulary, "sample": SAMPLE, **more}
    save_model(run.model_path, model, config)
    return path


def model_of(architecture: str = "lstm", seed: int = 0, **more: Any) -> LanguageModel:
    torch.manual_seed(seed)
    model = LanguageModel(len(VOCABULARY), architecture, **({"hidden_size": 7, "num_layers": 2} | more)).eval()
    nn.init.normal_(model.head.bias)  # a tied one begins as zeros, which would hide that it is forgotten
    return model


def told_of(run: Path) -> dict[str, Any]:
    return networks_of_page([read_run(run)], ["a run"])[0]


def with_rounded(network: nn.Module) -> nn.Module:
    network.load_state_dict(rounded(network))
    return network


def data_of(page: Any, chart: str) -> Any:
    return page.evaluate(f"window.elman.charts['{chart}'].data")


@pytest.fixture
def add_language(tmp_path: Path) -> Callable[..., Path]:
    return lambda model, **more: language_run(tmp_path / "writer", model, **more)


def test_the_weights_travel_as_halves_in_the_order_of_their_shapes(add_language):
    model = model_of(embedding_size=3)
    told = told_of(add_language(model))
    numbers = np.frombuffer(base64.b64decode(told["weights"]), dtype="<f2")
    assert told["parameters"] == len(numbers) == sum(p.numel() for p in model.parameters())
    at = 0
    for (name, *shape), tensor in zip(told["shapes"], model.state_dict().values(), strict=True):
        size = int(np.prod(shape))
        np.testing.assert_array_equal(numbers[at : at + size].reshape(shape), tensor.half().numpy(), err_msg=name)
        at += size
    assert len(told["weights"]) / told["parameters"] < 2.7
    assert told["kind"] == "language" and told["stacks"]["layer"]["cell"] == "LSTM"
    assert len(told["prompt"]) >= 60 and SAMPLE.startswith(told["prompt"])


def test_what_rounding_costs_is_measured(add_language):
    model = model_of(embedding_size=3)
    told = told_of(add_language(model))["rounding"]
    tokens = torch.tensor([[VOCABULARY.index(c) for c in SAMPLE]])
    for network, bits in zip((model, with_rounded(copy.deepcopy(model))), told["bits"], strict=True):
        with torch.no_grad():
            loss = nn.functional.cross_entropy(network(tokens[:, :-1])[0][0], tokens[0, 1:]).item()
        assert bits == pytest.approx(loss / np.log(2), rel=1e-6)
    assert told["characters"] == len(SAMPLE) - 1 and told["bits"][0] != told["bits"][1]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda run: shutil.rmtree(run / "model"), "There is no trained network here"),
        (lambda run: (run / "model" / "model.safetensors").write_bytes(b"x"), "truncated or changed"),
        (lambda run: (run / "model" / "config.json").write_text("{}"), "not the config of a model"),
        (lambda run: save_model(run / "model", model_of(), {"task": "dance"}), "This network is of the task 'dance'"),
        (
            lambda run: save_model(run / "model", model_of(), {"task": "language"}),
            "can't be read (KeyError('settings'))",
        ),
        (
            lambda run: save_model(
                run / "model", m := model_of(), {"task": "language", "settings": m.settings(), "vocabulary": ["a"]}
            ),
            "expected a vocabulary of 9 different strings, found 1",
        ),
    ],
)
def test_what_can_not_be_played_says_why(add_language, spoil, why):
    run = add_language(model_of())
    spoil(run)
    assert why in told_of(run)["missing"]


def test_a_network_that_is_too_large_is_not_put_into_the_page(add_language, monkeypatch):
    monkeypatch.setattr(networks, "LARGEST", 100)
    assert "up to 100 run in the page" in told_of(add_language(model_of()))["missing"]


def test_a_layer_that_the_page_can_not_compute_is_named():
    assert "a LSTM with peephole" in networks._strange(LSTM(2, 3, peephole=True))
    assert "the kind Reservoir" in networks._strange(Reservoir(2, 3))
    assert "bidirectional, layer_norm" in networks._strange(RNN(2, 3, bidirectional=True, layer_norm=True))
    assert not networks._strange(MinGRU(2, 3, num_layers=2, nonlinearity="positive", forget_bias=1.0, batch_first=True))
    with pytest.raises(ValueError, match="65,504"):
        net = nn.Linear(1, 1)
        net.weight.data.fill_(1e5)
        packed(net)


# In the browser


LAYOUTS = [{}, {"embedding_size": 5}, {"embedding_size": 7, "tied": True}]


@pytest.mark.parametrize("architecture", [name for name in RECURRENT if name != "esn"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pages_network_computes_what_torch_computes(visit, add_language, architecture, layout):
    model = model_of(architecture, **layout)
    page = visit(add_language(model))
    page.fill("#play-text", SAMPLE)
    tokens = [VOCABULARY.index(c) for c in SAMPLE]
    state, following = data_of(page, "play-state"), data_of(page, "play-next")
    assert state["tokens"] == tokens and state["layer"] == 1
    model = with_rounded(model)
    with torch.no_grad():
        x = model.embed(torch.tensor([tokens]))
        y, _ = model.layer(x)
        logits, _ = model.run(x)
    np.testing.assert_allclose(state["h"], y[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(following["logits"], logits[0, -1].numpy(), atol=1e-5)
    shares = torch.softmax(logits[0].double() / 0.7, -1)
    np.testing.assert_allclose(following["probabilities"], shares[-1].numpy(), atol=1e-5)
    bits = -torch.log_softmax(logits[0, :-1].double(), -1)[torch.arange(len(tokens) - 1), tokens[1:]] / np.log(2)
    np.testing.assert_allclose(data_of(page, "play-surprise")["bits"], bits.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "more", [{"nonlinearity": "relu"}, {"bias": False}, {"nonlinearity": "positive"}, {"num_heads": 7}]
)
def test_options_of_cells(visit, add_language, monkeypatch, more):
    """Networks that `LanguageModel` does not make by itself."""
    kind = SLSTM if "num_heads" in more else {"relu": RNN, "positive": MinGRU}.get(more.get("nonlinearity"), LSTM)

    class Other(LanguageModel):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.layer = kind(len(VOCABULARY), 7, 2, batch_first=True, **more)

    torch.manual_seed(1)
    monkeypatch.setattr(networks, "LanguageModel", Other)
    model = Other(len(VOCABULARY), "lstm", hidden_size=7, num_layers=2).eval()
    page = visit(add_language(model))
    page.fill("#play-text", "ab <a>")
    with torch.no_grad():
        y, _ = with_rounded(model).layer(model.embed(torch.tensor([[VOCABULARY.index(c) for c in "ab <a>"]])))
    np.testing.assert_allclose(data_of(page, "play-state")["h"], y[0].numpy(), atol=1e-5)


def test_a_held_unit_gives_its_value_at_every_step(visit, add_language):
    model = model_of("rnn", embedding_size=4, num_layers=1)
    page = visit(add_language(model))
    page.fill("#play-text", "ab ba")
    before = data_of(page, "play-next")["logits"]
    page.fill("#play-unit", "3")
    page.check("#play-hold")
    page.locator("#play-value").fill("-0.5")
    page.wait_for_timeout(100)
    state, following = data_of(page, "play-state"), data_of(page, "play-next")
    model = with_rounded(model)
    h = torch.zeros(1, 1, 7)
    with torch.no_grad():
        for k, character in enumerate("ab ba"):
            _, h = model.layer(model.embed(torch.tensor([[VOCABULARY.index(character)]])), h)
            h[0, 0, 3] = -0.5
            np.testing.assert_allclose(state["h"][k], h[0, 0].numpy(), atol=1e-5)
        logits = model.head(h[0, 0])
    np.testing.assert_allclose(following["logits"], logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(following["free"], before, atol=1e-12)
    page.uncheck("#play-hold")
    page.wait_for_timeout(100)
    np.testing.assert_allclose(data_of(page, "play-next")["logits"], before, atol=1e-12)


def test_typing_grows_the_state_and_what_is_not_known_is_said(visit, add_language):
    page = visit(add_language(model_of(embedding_size=4)))
    page.fill("#play-text", "")
    assert "has read nothing yet" in page.locator("#chart-play-state .missing").inner_text()
    page.focus("#play-text")
    for count, key in enumerate("abba", 1):
        page.keyboard.type(key)
        assert len(data_of(page, "play-state")["h"]) == count
    page.keyboard.type("zb")
    assert len(data_of(page, "play-state")["h"]) == 5
    assert "does not read: z" in page.locator("#play [role=status]").inner_text()
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    assert len(data_of(page, "play-state")["h"]) == 4 and not page.locator("#play [role=status]").is_visible()
    page.focus("#chart-play-state .plot")
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.input_value("#play-unit") == "2" and data_of(page, "play-next")["at"] == 2
    assert "unit 2: " in page.locator("#training [aria-live=polite]").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert page.is_checked("#play-hold")


def test_it_writes_the_same_text_from_the_same_seed_and_can_be_stopped(visit, add_language):
    page = visit(add_language(model_of(embedding_size=4)), reduced_motion="reduce")

    def written(seed: int, temperature: float = 1.0) -> str:
        page.fill("#play-text", "ab")
        page.fill("#play-seed", str(seed))
        page.locator("#play-seed").blur()
        page.locator("#play-temperature").fill(str(temperature))
        page.click("#play-continue")
        page.locator("#play-stop:disabled").wait_for()
        return page.input_value("#play-text")

    first = written(1)
    assert len(first) > 300 and written(1) == first != written(2)
    page.emulate_media(reduced_motion="no-preference")
    page.fill("#play-text", "ab")
    page.click("#play-continue")
    page.wait_for_timeout(300)
    page.click("#play-stop")
    long = len(page.input_value("#play-text"))
    page.wait_for_timeout(100)
    assert 6 < long == len(page.input_value("#play-text")) < 400


def test_hostile_tokens_stay_text(visit, add_language):
    page = visit(add_language(model_of(embedding_size=4)))
    page.fill("#play-text", "a" + HOSTILE)
    assert data_of(page, "play-state")["tokens"] == [4, 8]  # as one token
    page.locator("#chart-play-next").get_by_role("button", name="Table").click()
    assert HOSTILE.replace(" ", "␣") in page.locator("#chart-play-next table").inner_text()
    assert page.locator("img").count() == 0 and page.evaluate("window.spoiled") is None
    assert "</script><img" not in page.content().split('id="elman-record"')[1].split("</script>")[0]


@pytest.fixture(scope="module")
def river(browser, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Short real runs of forecasters, one with rain known ahead, of a table with gaps."""
    made, table = {}, pl.read_csv(fulda(), try_parse_dates=True).tail(900)
    gap = pl.int_range(pl.len()).is_between(610, 618)
    table = table.with_columns(pl.when(gap).then(None).otherwise(pl.col("tmean")).alias("tmean"))
    for name, settings in {
        "lstm": {"architecture": "lstm", "future": ("rain_mm", "tmean"), "num_layers": 2},
        "mingru": {"architecture": "mingru", "past": (), "future": (), "transform": "log", "level": (50, 80, 95)},
    }.items():
        made[name] = tmp_path_factory.mktemp("river") / name
        forecaster = Forecaster(
            target="discharge_m3s", horizon=5, window=40, hidden_size=8, epochs=2, validation=200, **settings
        )
        forecaster.fit(table, test=100, run=Run(made[name], label=name))
    return made


def expected(run: Path, x: Tensor, window: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The outputs of the rounded network for one window, and the forecast in the target's unit."""
    f = Forecaster.load(run / "model")
    with torch.no_grad():
        outputs = with_rounded(f.network_)(x[window : window + 1], f.horizon)[0].double().numpy()
    quantiles = np.sort(np.sort(outputs[:, 1:], axis=-1) + f.shifts_, axis=-1)
    scaler = next(iter(f.scaling_.target.values()))
    bands = {f"{tau:g}": scaler.inverse(quantiles[:, k]) for k, tau in enumerate(f.quantiles_)}
    return outputs, {"point": scaler.inverse(outputs[:, 0]), **bands}


@pytest.mark.parametrize("name", ["lstm", "mingru"])
def test_the_pages_forecast_is_torchs(visit, river, name):
    from elman.files import read_tensors

    run = river[name]
    page, (tensors, note) = visit(run), read_tensors(run / "windows.safetensors")
    assert page.locator("#play-window option").count() == len(tensors["x"]) == 4
    levels = json.loads((run / "model" / "config.json").read_text())["settings"]["level"]
    for window in range(4):
        page.select_option("#play-window", str(window))
        drawn = data_of(page, "play-forecast")
        outputs, forecast = expected(run, tensors["x"], window)
        np.testing.assert_allclose(drawn["before"]["outputs"], outputs, atol=1e-5)
        np.testing.assert_allclose(drawn["before"]["point"], forecast["point"], rtol=1e-5, atol=1e-5)
        assert [band["level"] for band in drawn["after"]["bands"]] == levels
        for band in drawn["after"]["bands"]:
            for side, tau in (("low", 0.5 - band["level"] / 200), ("high", 0.5 + band["level"] / 200)):
                np.testing.assert_allclose(band[side], forecast[f"{round(tau, 6):g}"], rtol=1e-5, atol=1e-5)
    truth = [v for v in data_of(page, "play-forecast")["truth"] if v is not None]
    table = pl.read_csv(fulda(), try_parse_dates=True).filter(
        pl.col("date").cast(str).is_in([t[:10] for t in note["times"][3][40:]])
    )
    np.testing.assert_allclose(truth, table["discharge_m3s"].to_numpy(), rtol=1e-5)


def test_dragging_a_point_moves_the_forecast_as_torch_would(visit, river):
    from elman.files import read_tensors

    run = river["lstm"]
    page, x = visit(run), read_tensors(run / "windows.safetensors")[0]["x"].clone()
    before = data_of(page, "play-forecast")
    page.locator("#play-pull").fill("0")
    page.locator("#chart-play-forecast").scroll_into_view_if_needed()
    box = page.locator("#chart-play-forecast canvas").bounding_box()
    x_of_last = 60 + (27.5 / 33) * (box["width"] - 72)  # 28 steps of the past are drawn, and 5 ahead
    page.mouse.move(box["x"] + x_of_last, box["y"] + 250)
    page.mouse.down()
    page.mouse.move(box["x"] + x_of_last + 3, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_timeout(100)
    after = data_of(page, "play-forecast")
    assert after["history"][:-1] == before["history"][:-1] and after["history"][-1] > before["history"][-1]
    f = Forecaster.load(run / "model")
    x[0, 39, 0] = float(next(iter(f.scaling_.target.values())).transform(np.array(after["history"][-1])))
    np.testing.assert_allclose(after["after"]["outputs"], expected(run, x, 0)[0], atol=1e-5)
    assert after["before"] == before["before"] and "your changes move it by" in page.inner_text("#title-play-forecast")
    page.click("#play-undo")
    assert data_of(page, "play-forecast")["after"] == before["after"]

    # An input that is known ahead can be changed there too, by keys, and a missing value becomes a known one.
    page.select_option("#play-column", label="rain_mm")
    page.focus("#chart-play-input .plot")
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.wait_for_timeout(100)
    rain, first = data_of(page, "play-input"), read_tensors(run / "windows.safetensors")[0]["x"]
    changed = [k for k, (a, b) in enumerate(zip(rain["values"], rain["measured"], strict=True)) if a != b]
    assert changed == [44] and rain["column"] == "rain_mm"
    column = [*f.roles_.past, *f.roles_.future].index("rain_mm") + 1
    first[0, 44, column] = float(f.scaling_.inputs["rain_mm"].transform(np.array(rain["values"][44])))
    np.testing.assert_allclose(
        data_of(page, "play-forecast")["after"]["outputs"], expected(run, first, 0)[0], atol=1e-5
    )
    assert "rain_mm" in page.locator("#training [aria-live=polite]").inner_text()


def test_a_run_without_its_windows_says_so(visit, river, tmp_path):
    run = shutil.copytree(river["lstm"], tmp_path / "lstm")
    (run / "windows.safetensors").unlink()
    page = visit(run)
    assert "kept no windows of its data" in page.locator("#play .missing").inner_text()


def test_long_windows_are_fewer_or_left_out(river, monkeypatch):
    run = river["lstm"]
    whole = told_of(run)
    each = 4 * whole["steps"] * whole["inputs"]
    monkeypatch.setattr(networks, "ROOM", 2 * each)
    told = told_of(run)
    assert [len(told[key]) for key in ("times", "y", "series", "targets")] == [2] * 4
    assert base64.b64decode(told["x"]) == base64.b64decode(whole["x"])[: 2 * each]
    monkeypatch.setattr(networks, "ROOM", each - 1)
    assert "45 steps" in told_of(run)["missing"] and "too large for a page" in told_of(run)["missing"]


def test_several_networks_have_a_chooser(visit, river, add_language):
    page = visit(*river.values(), add_language(model_of()))
    assert page.locator("#play-run option").count() == 3
    page.select_option("#play-run", "2")
    assert page.locator("#play-text").is_visible() and not page.locator("#play-window").count()
    assert {"play-state", "play-next"} <= set(page.evaluate("Object.keys(window.elman.charts)"))


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off(visit, river, add_language, width, scheme):
    for run in (river["lstm"], add_language(model_of())):
        page = visit(run, width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        edges = "[...document.querySelectorAll('#play :not(.scroll *)')].map((e) => e.getBoundingClientRect().right)"
        assert max(page.evaluate(edges)) <= width
        for figure in page.locator("#play figure").all():
            figure.get_by_role("button", name="Table").click()
            assert figure.locator("tbody tr").count() >= 2
            figure.get_by_role("button", name="Table").click()
            with page.expect_download() as download:
                figure.get_by_role("button", name="PNG").click()
            assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_network_is_small():
    source = Path(__file__).parents[2] / "viewer" / "src" / "network.js"
    if source.is_file():
        assert source.stat().st_size <= 15_000
