"""Files are whole or absent, and what is not whole is said to be so."""

import json
import os
import stat
import struct

import pytest
import torch

from elman.errors import InputError
from elman.files import finite, read_json, read_tensors, replacing, sha256, write_json, write_tensors, write_text

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [b"old and whole", None])
def test_a_crash_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, error, old):
    path = tmp_path / "file"
    if old:
        path.write_bytes(old)
    with pytest.raises(error), replacing(path) as aside:
        aside.write_bytes(b"half of the n")
        assert aside.parent == tmp_path  # a rename is whole only within one file system
        raise error
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_the_new_file_takes_the_old_ones_place_and_folders_are_made(tmp_path):
    path = tmp_path / "deep" / "er" / "file"
    for text in ("old", "new, and süß"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "file", "text")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_json_comes_back_and_what_is_not_finite_as_null(tmp_path):
    write_json(tmp_path / "j", {"a": [1, 0.1 + 0.2, NAN, (INF, -INF)], "süß": {"b": None, "c": True}})
    assert read_json(tmp_path / "j") == {
        "a": [1, 0.30000000000000004, None, [None, None]],
        "süß": {"b": None, "c": True},
    }
    assert finite((NAN, 1.5, "nan")) == [None, 1.5, "nan"]


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": 1', b'{"a": 1}}', b"\xff\xfe", b"{'a': 1}", b"[" * 100_000])
def test_what_is_not_whole_json_is_refused(tmp_path, text):
    (tmp_path / "j").write_bytes(text)
    with pytest.raises(InputError, match=r"j is not whole JSON \(.*\); it was truncated or changed"):
        read_json(tmp_path / "j")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    for read in (read_json, read_tensors):
        with pytest.raises(InputError, match="nowhere does not exist"):
            read(tmp_path / "nowhere")
        with pytest.raises(InputError, match=tmp_path.name):
            read(tmp_path)


def draw(*shape, dtype=torch.float32):
    return (10 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))).to(dtype)


def test_tensors_come_back_whatever_their_layout(tmp_path):
    square = draw(3, 3)
    tensors = {
        "transposed": draw(4, 2).T,
        "view": square[1:],
        "the same": square,  # one memory under two names, as tied weights are
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "bytes": draw(5, dtype=torch.uint8),
        "double": draw(2, dtype=torch.float64),
        "learned": draw(2).requires_grad_(),
    }
    write_tensors(tmp_path / "t", tensors, note={"süß": [1, NAN]})
    found, note = read_tensors(tmp_path / "t")
    assert note == {"süß": [1, None]}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], tensors[k]) and found[k].dtype == tensors[k].dtype for k in tensors)


def test_a_truncated_or_garbled_tensor_file_is_refused_at_every_byte(tmp_path):
    path = tmp_path / "t"
    write_tensors(path, {"w": draw(3), "b": draw(2)}, note=[1])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="not a whole safetensors file"):
            read_tensors(path)
    (header,) = struct.unpack("<Q", whole[:8])
    refused = 0
    for at in range(8 + header):  # a changed number among the weights is for a hash to notice
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        try:
            read_tensors(path)
        except InputError:
            refused += 1  # a name may have changed into another name; nothing but InputError is ever raised
    assert refused > header / 2


def test_a_note_too_deep_to_read_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": draw(2)}, tmp_path / "t", metadata={"note": "[" * 100_000})
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_tensors(tmp_path / "t")


def test_sha256_is_the_known_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_written_for_people_too(tmp_path):
    write_json(tmp_path / "j", {"ü": 1})
    text = (tmp_path / "j").read_text(encoding="utf-8")
    assert "ü" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {"ü": 1}
