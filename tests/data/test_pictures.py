"""Pictures from files of all kinds, and what is said of those that are none."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from elman.data.pictures import read_pictures
from elman.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed: pip install 'elman[image]'")


def picture(path: Path, size: tuple[int, int] = (8, 6), seed: int = 0) -> np.ndarray:
    greys = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(greys).save(path)
    return greys


def test_a_folder_of_images_in_the_order_of_their_names(tmp_path):
    b, a = picture(tmp_path / "b.png", seed=1), picture(tmp_path / "a.PNG", seed=2)
    (tmp_path / "notes.txt").write_text("no picture")
    found, names, note = read_pictures(tmp_path)
    np.testing.assert_array_equal(found, [a, b])
    assert names == ["a", "b"] and not note
    alone, names, _ = read_pictures(tmp_path / "b.png")
    np.testing.assert_array_equal(alone, [b])
    assert names == ["b"]


@pytest.mark.parametrize(
    ("sizes", "shape"), [([(8, 6), (6, 8)], (32, 32)), ([(200, 100)], (32, 32)), ([(64, 9)], (9, 64))]
)
def test_large_and_unlike_images_are_made_smaller(tmp_path, sizes, shape):
    for k, size in enumerate(sizes):
        picture(tmp_path / f"{k}.png", size)
    found, _, note = read_pictures(tmp_path)
    assert found.shape == (len(sizes), *shape) and bool(note) == (shape == (32, 32))
    assert read_pictures(tmp_path, 5)[0].shape[1:] == (5, 5)
    assert read_pictures(tmp_path, (4, 7))[0].shape[1:] == (4, 7)


def test_arrays_and_tables(tmp_path):
    x = np.array([[1, -1, 1], [-1, -1, 1]])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "one.npz", whatever=x)
    np.savez(tmp_path / "two.npz", patterns=x, labels=np.arange(2))
    pl.DataFrame(x, schema=["a", "b", "c"]).write_csv(tmp_path / "x.csv")
    for name in ("x.npy", "one.npz", "two.npz", "x.csv"):
        found, names, _ = read_pictures(tmp_path / name)
        np.testing.assert_array_equal(found, x)
        assert names == ["0", "1"]


def test_what_is_no_picture(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "gap.csv").write_text("a,b\n1,-1\n1,\n")
    (tmp_path / "word.csv").write_text("a,b\n1,-1\n1,x\n")
    (tmp_path / "none.csv").write_text("a,b\n")
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, said in {
        "nowhere": "does not exist",
        "empty": "holds no images",
        "torn.png": "can't be read as an image",
        "torn.npz": "not a whole file of numbers",
        "objects.npy": "not a whole file of numbers",
        "two.npz": "holds the arrays a, b; expected one called patterns or images",
        "gap.csv": r"row 2 \(line 3\): 'b' is empty",
        "word.csv": "a number was expected, found 'x'",
        "none.csv": "has a header line and no rows",
    }.items():
        with pytest.raises(InputError, match=said):
            read_pictures(tmp_path / name)
