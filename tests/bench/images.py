"""Photographs: a JPEG and PNGs of 12 and 4 megapixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from imageio.v3 import imread
from PIL import Image

import loadstone
from tests.bench.contest import Contest
from tests.bench.kept import kept_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["image_contests"]

FILES: dict[str, tuple[str, float, Callable[[bytes], object]]] = {
    "photo.jpg": ("JPEG, 12 Mpx", 2.5, imagecodecs.jpeg8_decode),
    "photo.png": ("PNG, RGB, 12 Mpx", 1.4, imagecodecs.png_decode),
    "deep.png": ("PNG, 16 bit grey, 4 Mpx", 1.0, imagecodecs.png_decode),
}


def image_contests(root: Path) -> Iterator[Contest]:
    """Against Pillow and imageio."""
    folder = kept_folder(root, "images", _write)
    for name, (work, goal, decode) in FILES.items():
        file = folder / name
        bare = [partial(decode, file.read_bytes())]
        yield Contest(work, "Pillow", partial(_loaded, f"web:{file}"), partial(_pillow, file), goal, bare)
        yield Contest(work, "imageio", partial(_loaded, f"web:{file}"), partial(imread, file), None, bare)


def _write(folder: Path) -> None:
    random = np.random.default_rng(23)
    rows, columns = np.mgrid[:3000, :4000]
    waves = np.stack([np.sin(rows / (40 + 9 * k)) * np.cos(columns / (60 + 7 * k)) for k in range(3)], -1)
    photo = (128 + 90 * waves + random.normal(0, 3, waves.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(photo).save(folder / "photo.jpg", quality=90)
    Image.fromarray(photo).save(folder / "photo.png")
    deep = (30000 + 20000 * waves[:2000, :2000, 0] + random.normal(0, 90, (2000, 2000))).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")


def _loaded(image_id: str) -> npt.NDArray[Any]:
    with loadstone.Session() as session:
        return session.load_image(image_id).pixels


def _pillow(file: Path) -> npt.NDArray[Any]:
    with Image.open(file) as image:
        return np.asarray(image)
