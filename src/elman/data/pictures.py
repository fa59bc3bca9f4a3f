"""Pictures and patterns from files: a folder of images, an array, or a table with a pattern in each row."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from elman.data.tables import read_table
from elman.errors import InputError
from elman.extras import need

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
LARGE, SMALLER = 64, 32  # pixels of a side: larger pictures are made so small, or the network would have too many units
NAMED = ("patterns", "images")  # of the arrays of an .npz file


def read_pictures(path: Path, size: int | tuple[int, int] | None = None) -> tuple[np.ndarray, list[str], str]:
    """Patterns (n, N) or images (n, H, W) at a path, a name for each, and a note where images were made smaller.

    A folder of images or one image (greys from 0 to 255; `size`: its side, or (H, W)), .npy, .npz (its array `patterns`
    or `images`, or the only one), or CSV or Parquet with a row for each pattern.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; pictures were expected: a folder of images, .npz, or a table")
    if path.is_dir() or path.suffix.lower() in IMAGES:
        return _read_images(path, size)
    if path.suffix.lower() in (".npy", ".npz"):
        found = _read_array(path)
        return found, [str(k) for k in range(len(found))], ""
    table = read_table(path)
    columns = []
    for name in table.frame.columns:
        column = table.numbers(name)
        if column.null_count():
            raise InputError(f"{table.name}, {table.row(int(column.is_null().arg_true()[0]))}: {name!r} is empty")
        columns.append(column)
    found = pl.DataFrame(columns).to_numpy()
    return found, [str(k) for k in range(len(found))], ""


def _read_images(path: Path, size: int | tuple[int, int] | None) -> tuple[np.ndarray, list[str], str]:
    images: Any = need("PIL.Image", "image", "a folder of images")
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no images; files ending in {', '.join(IMAGES)} were expected")
    opened = []
    for file in files:
        try:
            with images.open(file) as image:
                opened.append(image.convert("L"))
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{file} can't be read as an image: {error}") from None
    sizes = {image.size for image in opened}
    note = ""
    if size is None and (len(sizes) > 1 or max(max(s) for s in sizes) > LARGE):
        size = SMALLER
        note = f"images were made {size} x {size} pixels, as they are large or of several sizes"
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        opened = [image.resize((width, height), images.Resampling.BOX) for image in opened]
    return np.stack([np.asarray(image, dtype=np.float64) for image in opened]), [file.stem for file in files], note


def _read_array(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            found: Any = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            names = found.files
            name = next((n for n in NAMED if n in names), names[0] if len(names) == 1 else None)
            if name is None:
                raise InputError(f"{path} holds the arrays {', '.join(names)}; expected one called patterns or images")
            array: np.ndarray = found[name]
            return array
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a whole file of numbers: it was truncated, or changed ({error})") from None
