"""The run folder: nothing of anybody else's is removed, what goes in comes out, and a torn line is no disaster."""

import pytest

from elman.errors import InputError
from elman.training.record import Run


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_config_comes_back_without_its_nones(tmp_path):
    run = Run(tmp_path / "a" / "run", label="größer — 大", command='elman fit "x y"')
    settings = {
        "level": (80, 90.5),
        "target": 'Wasserstand\n"µ" \\ 🌊',
        "clip": None,
        "on": True,
        "deep": [{"a": None}],
    }
    run.start({"settings": settings, "seed": 3})
    assert Run(run.path).config() == {
        "run_format": 1,
        "label": "größer — 大",
        "command": 'elman fit "x y"',
        "settings": {"level": [80, 90.5], "target": settings["target"], "on": True, "deep": [{}]},
        "seed": 3,
    }


def test_what_is_no_run_has_no_config(tmp_path):
    with pytest.raises(InputError, match=r"is not a run folder: it has no config.toml"):
        Run(tmp_path).config()
    (tmp_path / "config.toml").write_text("a = [1,")
    with pytest.raises(InputError, match=r"config.toml is not whole TOML"):
        Run(tmp_path).config()
    (tmp_path / "config.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(InputError, match=r"config.toml is not whole TOML"):
        Run(tmp_path).config()


def test_an_empty_folder_may_become_a_run(tmp_path):
    Run(tmp_path).start({"task": "a"})
    assert Run(tmp_path).config()["task"] == "a"


def test_a_run_is_replaced_only_with_force_and_then_wholly(tmp_path):
    run = Run(tmp_path / "run")
    run.start({"task": "old"})
    run.record("step", step=1)
    run.flush()
    run.model_path.mkdir()
    (run.model_path / "config.json").write_text("{}")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"exists; nothing is overwritten.*--force"):
        Run(run.path).start({"task": "new"})
    assert contents(tmp_path) == before
    Run(run.path).start({"task": "new"}, force=True)
    assert list(contents(tmp_path)) == ["run/config.toml"]
    assert run.config()["task"] == "new"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("diary.txt", "dear diary"),
        ("config.toml", "baseURL = 'https://example.org'"),  # other programs have one, too
        ("config.toml", "run_format = "),
        ("config.toml", ""),
    ],
)
def test_force_never_removes_a_folder_that_is_no_run(tmp_path, name, text):
    folder = tmp_path / "mine"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "one.jpg").write_bytes(b"\xff\xd8")
    (folder / name).write_text(text)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"is not a run folder.*--force does not remove it"):
        Run(folder).start({}, force=True)
    assert contents(tmp_path) == before


def test_force_never_removes_a_file(tmp_path):
    (tmp_path / "mine").write_text("dear diary")
    with pytest.raises(InputError, match="not a run folder"):
        Run(tmp_path / "mine").start({}, force=True)
    with pytest.raises(InputError, match="exists"):
        Run(tmp_path / "mine").start({})
    assert (tmp_path / "mine").read_text() == "dear diary"


def started(folder, *events):
    run = Run(folder)
    run.start({})
    for name, values in events:
        run.record(name, **values)
    run.flush()
    return run


def test_events_come_back_in_order_and_what_is_not_finite_as_none(tmp_path):
    run = started(
        tmp_path / "run", ("step", {"step": 1, "loss": 0.1 + 0.2}), ("step", {"step": 2, "loss": float("nan")})
    )
    run.record("epoch", epoch=0, note="süß\u2028line")
    assert len(run.events()) == 2  # the third has not been flushed
    run.flush()
    run.flush()
    assert Run(run.path).events() == [
        {"event": "step", "step": 1, "loss": 0.30000000000000004},
        {"event": "step", "step": 2, "loss": None},
        {"event": "epoch", "epoch": 0, "note": "süß\u2028line"},
    ]
    assert Run(tmp_path / "nowhere").events() == []


def test_a_torn_last_line_is_left_out_and_a_torn_line_before_it_is_not_overlooked(tmp_path):
    run = started(tmp_path / "run", *(("step", {"step": k, "word": "süß"}) for k in (1, 2, 3)))
    whole = run.events_path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1])):
        run.events_path.write_bytes(whole[: -1 - cut])
        assert [e["step"] for e in run.events()] == [1, 2]
    lines = whole.splitlines(keepends=True)
    for wrong in (lines[1][:9] + b"\n", b"[1]\n", b"7\n", b"\xff\n"):
        run.events_path.write_bytes(lines[0] + wrong + lines[2])
        with pytest.raises(InputError, match=r"events.jsonl, line 2 is not"):
            run.events()


def test_rewinding_keeps_what_was_done_and_nothing_else(tmp_path):
    run = started(
        tmp_path / "run",
        ("step", {"step": 1}), ("step", {"step": 2}), ("epoch", {"step": 2, "epoch": 0}),
        ("step", {"step": 3}), ("step", {"step": 4}), ("epoch", {"step": 4, "epoch": 1}),
        ("error", {"step": 4}), ("end", {"step": 4}),
    )  # fmt: skip
    with open(run.events_path, "a") as file:
        file.write('{"event": "st')
    run.record("step", step=9)  # pending: goes, too

    def after(step, epoch):
        run.rewind(step, epoch)
        run.flush()
        return [(e["event"], e.get("epoch", e["step"])) for e in run.events()]

    s1, s2, e0, s3, s4, e1 = ("step", 1), ("step", 2), ("epoch", 0), ("step", 3), ("step", 4), ("epoch", 1)
    assert after(4, 2) == [s1, s2, e0, s3, s4, e1]
    assert after(4, 1) == [s1, s2, e0, s3, s4]  # all its steps were done, its end was not
    assert after(3, 1) == [s1, s2, e0, s3]
    assert after(2, 1) == [s1, s2, e0]
    assert after(2, 0) == [s1, s2]
    assert after(0, 0) == []


def test_rewinding_keeps_what_holds_for_all_of_the_run(tmp_path):
    run = started(tmp_path / "run", ("fact", {"constant": 1}), ("model", {"parameters": 3}), ("step", {"step": 1}))
    run.rewind(0, 0)
    assert [e["event"] for e in run.events()] == ["fact", "model"]
