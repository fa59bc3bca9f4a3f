"""A network that reads a text and writes on."""

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import TextGenerator
from elman.errors import InputError
from elman.models.sampling import probabilities
from elman.tasks.loading import load
from elman.tasks.write import _overlap
from elman.tasks.write_lessons import WriteLessons, nats
from elman.training.distributed import ALONE

SMALL = {"architecture": "gru", "hidden_size": 16, "epochs": 3, "truncate": 16, "batch_size": 8, "dropout": 0.0}
WORDS = ["the", "cat", "sat", "on", "mat", "and", "dog", "ran", "to", "hat", "by", "an", "old", "red", "barn", "door"]


def english(words: int, seed: int = 0) -> str:
    drawn = random.Random(seed)
    return (
        "\n".join(" ".join(drawn.choice(WORDS) for _ in range(min(12, words))) for _ in range(-(-words // 12))) + "\n"
    )


@pytest.fixture(scope="module")
def writer() -> TextGenerator:
    return TextGenerator(**SMALL | {"epochs": 12, "hidden_size": 48, "learning_rate": 1e-2}).fit(english(3000))


def test_it_learns_the_words(writer):
    """The words are all as likely, so ln 16 nats a word can't be saved, nor is more needed."""
    text = english(1000, seed=1)
    best = math.log(len(WORDS)) * len(text.split()) / len(text)
    assert best * 0.9 < writer.bits_per_character(text) * math.log(2) < best * 1.25
    written = writer.generate("the cat ", length=300, temperature=0.5, seed=1)
    known = [word in WORDS for word in written.split()[:-1]]
    assert sum(known) > 0.9 * len(known) > 30


def test_surprisal_is_the_loss_token_by_token(writer):
    text = english(30, seed=2)
    table = writer.surprisal(text)
    assert "".join(table["token"]) == text
    ids = writer.tokenizer_.encode("\n" + text).astype(np.int64)
    with torch.no_grad():
        logits, _ = writer.network_(torch.from_numpy(ids[None, :-1]))
    loss = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(ids[1:]), reduction="none")
    np.testing.assert_allclose(table["bits"].to_numpy() * math.log(2), loss.numpy(), rtol=1e-4, atol=1e-5)
    assert writer.bits_per_character(text) == pytest.approx(table["bits"].sum() / len(text))
    assert writer.perplexity(text) == pytest.approx(2 ** table["bits"].mean())
    assert writer.score(text) == -writer.bits_per_character(text)


def test_a_long_text_is_scored_in_pieces_as_a_whole(writer):
    text = english(3000, seed=3)
    ids = writer.tokenizer_.encode("\n" + text).astype(np.int64)
    with torch.no_grad():
        logits, _ = writer.network_(torch.from_numpy(ids[None, :-1]))
        whole = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(ids[1:])).item()
    assert len(text) > 8192
    assert writer.surprisal(text)["bits"].mean() * math.log(2) == pytest.approx(whole, rel=1e-4)


def test_each_token_is_drawn_from_what_the_whole_text_before_it_says(writer):
    """The state that is carried on gives what reading everything anew would."""
    prompt = "the cat sat on "
    written = writer.generate(prompt, length=20, temperature=0)
    text = prompt
    for character in written:
        ids = torch.from_numpy(writer.tokenizer_.encode(text).astype(np.int64))[None]
        with torch.no_grad():
            logits = writer.network_(ids)[0][0, -1]
        logits[0] = -torch.inf
        assert writer.tokenizer_.decode([int(logits.argmax())]) == character
        text += character


def test_a_seed_repeats_and_no_seed_does_not(writer):
    told = {writer.generate("the ", length=40, seed=5) for _ in range(2)}
    assert len(told) == 1
    assert len({writer.generate("the ", length=40, temperature=1.5) for _ in range(3)}) > 1
    torch.manual_seed(0)
    before = torch.get_rng_state()
    writer.generate("the ", length=5)
    assert torch.equal(before, torch.get_rng_state())


def test_streaming_goes_on_for_ever_and_gives_the_same(writer):
    pieces = list(itertools.islice(writer.stream("the ", seed=7), 700))
    assert "".join(pieces) == writer.generate("the ", length=700, seed=7)


@pytest.mark.parametrize("stop", ["e", "the", " c", "\n", "never this"])
def test_it_stops_before_the_stop_text(writer, stop):
    whole = writer.generate("a", length=120, seed=3)
    found = writer.generate("a", length=120, seed=3, stop=stop)
    assert found == whole.partition(stop)[0]
    assert "".join(writer.stream("a", length=120, seed=3, stop=stop)) == found


def test_overlap():
    assert _overlap("abcEN", "END") == 2 and _overlap("aEEN", "EN") == 0 and _overlap("", "END") == 0


def test_unknown_characters_are_reported_and_never_written(writer):
    with pytest.warns(UserWarning, match=r"2 of the characters were not in the text .*'Q', '7'"):
        written = writer.generate("Q7 the", length=300, temperature=3.0, seed=0)
    assert "\N{REPLACEMENT CHARACTER}" not in written
    with pytest.warns(UserWarning, match="read as unknown"):
        assert writer.surprisal("Q")["token"].to_list() == ["unknown"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"temperature": -1.0}, "temperature must be a number from 0"),
        ({"temperature": math.nan}, "temperature must be a number from 0"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"length": -1}, "length must be at least 0"),
        ({"stop": ""}, "stop is empty"),
    ],
)
def test_wrong_ways_to_write(writer, asked, message):
    with pytest.raises(InputError, match=message):
        writer.generate("the", **asked)


def test_nothing_to_score(writer):
    with pytest.raises(InputError, match="no text to score"):
        writer.surprisal("")


@pytest.mark.parametrize("tokens", ["characters", "bytes", "byte-pairs"])
@pytest.mark.parametrize("tied", [True, False])
def test_every_kind_of_token_is_saved_and_loaded(tmp_path, tokens, tied):
    text = "naïve café – " * 300
    settings = SMALL | {"tokens": tokens, "tied": tied, "vocabulary": 270 if tokens == "byte-pairs" else None}
    writer = TextGenerator(**settings).fit(text)
    again = load(writer.save(tmp_path / "model"))
    assert isinstance(again, TextGenerator) and again.settings() == writer.settings()
    assert again.generate("naïve", length=30, seed=1) == writer.generate("naïve", length=30, seed=1)
    assert again.bits_per_character(text[:100]) == writer.bits_per_character(text[:100])
    assert again.nats_ == writer.nats_


def test_bytes_are_written_as_whole_characters(tmp_path):
    writer = TextGenerator(**SMALL | {"tokens": "bytes", "epochs": 30, "learning_rate": 1e-2}).fit(
        "日本語のテキスト。" * 200
    )
    written = writer.generate("日本", length=90, temperature=0.2, seed=0)
    assert written.count("\N{REPLACEMENT CHARACTER}") <= 1 and "語" in written


@pytest.mark.parametrize(
    "architecture", ["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "lru", "slstm", "transformer"]
)
def test_every_architecture_writes(architecture):
    writer = TextGenerator(**SMALL | {"architecture": architecture, "epochs": 1}).fit(english(300))
    assert len(writer.generate("the", length=10)) == 10


def test_the_smallest_setting_of_the_article():
    writer = TextGenerator(architecture="rnn", hidden_size=50, epochs=2).fit(english(600))
    assert writer.network_.layer.hidden_size == 50 and len(writer.generate(length=5)) == 5


def test_the_last_part_is_held_out_and_its_loss_is_told():
    text = "a" * 900 + "b" * 100
    writer = TextGenerator(**SMALL | {"epochs": 20, "learning_rate": 1e-2}).fit(text)
    assert "b" not in writer.tokenizer_.tokens  # the vocabulary is that of the training part
    assert writer.nats_ > 2


def test_a_run_is_resumed_to_the_same_weights(tmp_path):
    text, settings = english(800), SMALL | {"probe": 0}
    whole = TextGenerator(**settings).fit(text, run=tmp_path / "whole")

    def stop(event):
        if event["event"] == "step" and event["step"] == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TextGenerator(**settings).fit(text, run=tmp_path / "cut", on_event=stop)
    resumed = TextGenerator(**settings).fit(text, run=tmp_path / "cut", resume=True)
    for name, weight in whole.network_.state_dict().items():
        assert torch.equal(weight, resumed.network_.state_dict()[name]), name
    with pytest.raises(InputError, match="its sha256 was"):
        (tmp_path / "cut" / "model" / "config.json").unlink()
        TextGenerator(**settings).fit(text + "x", run=tmp_path / "cut", resume=True)


def test_a_run_tells_what_the_network_wrote_at_each_look(tmp_path):
    writer = TextGenerator(**SMALL | {"probe": 5}).fit(english(800), run=tmp_path / "run")
    looks = [e for e in writer.history_ if e["event"] == "probe"]
    assert len(looks) >= 2
    assert all(len(look["said"]) == 160 for look in looks)
    assert looks[0]["said"] != looks[-1]["said"]
    assert looks[-1]["said"] == writer._say(writer.network_)  # the last look is at the network that was kept


def test_bad_texts(tmp_path):
    for text, message in (("", "it is empty"), (" \n", "it is blank"), ("abc", "too short: of its 3 tokens")):
        with pytest.raises(InputError, match=message):
            TextGenerator(**SMALL).fit(text)
    with pytest.raises(InputError, match="does not exist"):
        TextGenerator(**SMALL).fit(tmp_path / "none.txt", run=tmp_path / "run")
    (tmp_path / "bad.txt").write_bytes(b"abc\xff\xfe\x00")
    for path in (tmp_path / "bad.txt", "a"):
        with pytest.raises(InputError):
            TextGenerator(**SMALL).fit(path, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="found int"):
        TextGenerator(**SMALL).fit(3)
    with pytest.raises(InputError, match="tied embeddings have hidden_size=16"):
        TextGenerator(**SMALL, embedding_size=4).fit(english(100))


def test_a_text_shorter_than_a_stretch():
    writer = TextGenerator(**SMALL | {"truncate": 500, "batch_size": 64}).fit("to be or not to be " * 4)
    assert writer.history_[-1]["event"] == "end"


def test_a_large_file_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr("elman.tasks.write.LARGE", 1000)
    path = tmp_path / "a.txt"
    path.write_text(english(2000))
    with pytest.raises(InputError, match="give run="):
        TextGenerator(**SMALL).fit(path)
    large = TextGenerator(**SMALL).fit(path, run=tmp_path / "run")
    assert (tmp_path / "run" / "tokens.bin").stat().st_size == path.stat().st_size
    small = TextGenerator(**SMALL).fit(Path(path).read_text())
    assert large.nats_ == pytest.approx(small.nats_, rel=1e-6)


def lessons(tokens: int = 500, batch: int = 4, steps: int = 10) -> WriteLessons:
    return WriteLessons(torch.arange(tokens) % 7, torch.arange(50) % 7, 7, batch, steps, seed=0, say=lambda network: "")


def test_an_epoch_reads_streams_in_order():
    given = lessons()
    for epoch in (0, 1, 5):
        batches = list(given.batches(epoch, ALONE))
        assert len(batches) <= given.batches_an_epoch
        for (x, y), (after, _) in itertools.pairwise(batches):
            assert torch.equal((x + 1) % 7, y)
            assert torch.equal(y[:, -1], after[:, 0])
    begins = {int(next(iter(given.batches(epoch, ALONE)))[0][0, 0]) for epoch in range(6)}
    assert len(begins) > 1


def test_facts_are_the_entropy_of_the_tokens():
    assert lessons(700).facts()["constant"] == pytest.approx(math.log(7), rel=1e-3)


def test_validation_reads_all_but_the_first_tokens(writer):
    text = english(100, seed=4)
    tokens = torch.from_numpy(writer.tokenizer_.encode(text).astype(np.int64))
    with torch.no_grad():
        logits, _ = writer.network_(tokens[None, :-1])
        whole = torch.nn.functional.cross_entropy(logits[0], tokens[1:])
        assert nats(writer.network_, tokens).item() == pytest.approx(whole.item(), rel=1e-5)


def test_probabilities_by_hand():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    plain = logits.double().softmax(0)
    torch.testing.assert_close(probabilities(logits), plain)
    torch.testing.assert_close(probabilities(logits, temperature=2.0), (logits.double() / 2).softmax(0))
    two = torch.cat([plain[:2] / plain[:2].sum(), torch.zeros(2).double()])
    torch.testing.assert_close(probabilities(logits, top_k=2), two)
    torch.testing.assert_close(probabilities(logits, top_p=0.8), two)  # 0.64 + 0.24
    assert probabilities(logits, top_p=0.6).tolist() == [1, 0, 0, 0]
    equal = probabilities(torch.zeros(5), top_k=2)
    assert (equal > 0).sum() == 2 and equal.sum() == 1
