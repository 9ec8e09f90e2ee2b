"""Large images in bands: on two workers, in little memory, and exactly."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

import loadstone
from plugins.web.tests.builders import SIGNATURE, by_pillow, chunk, ihdr, memory_growth_below, pixels_of

if TYPE_CHECKING:
    from pathlib import Path


def picture(rows: int, columns: int, dtype: type = np.uint8, samples: int = 3) -> npt.NDArray[Any]:
    """Return smooth noise, for which encoders choose various filters."""
    rng = np.random.default_rng(5)
    steps = rng.integers(-3, 4, (rows, columns, samples)).cumsum(axis=1).cumsum(axis=0)
    return steps.astype(dtype).squeeze()


@pytest.mark.parametrize("compute_permits", [1, 2])
@pytest.mark.parametrize(("dtype", "samples"), [(np.uint8, 3), (np.uint8, 4), (np.uint8, 1), (np.uint16, 1)])
def test_bands_on_other_workers_give_the_pixels(
    tmp_path: Path, dtype: type, samples: int, compute_permits: int
) -> None:
    """Whether there is a second core or not, an image of many bands is what libpng makes of it."""
    pixels = picture(1500, 1900, dtype, samples)
    data = by_pillow(pixels)
    file = tmp_path / "large.png"
    file.write_bytes(data)

    with loadstone.Session(compute_permits=compute_permits) as session:
        loaded = session.load_image(file).pixels

    np.testing.assert_array_equal(loaded, pixels)
    np.testing.assert_array_equal(loaded, imagecodecs.png_decode(data))


def test_a_large_image_takes_little_beside_its_pixels() -> None:
    """The unpacked rows are never there as a whole."""
    data = by_pillow(np.zeros((4000, 3000, 3), np.uint8))

    with memory_growth_below(36_000_000 + 8 * 2**20):
        pixels_of(data)


@pytest.mark.parametrize("lacking", [-1, 1])
def test_rows_too_few_or_many_are_left_to_libpng(lacking: int) -> None:
    """What is not just the rows takes the slow way: what it gives, or that it refuses, is the same."""
    rows = b"".join(b"\0" + bytes([y % 251]) * 4000 for y in range(1000 - lacking))
    data = SIGNATURE + ihdr(4000, 1000, 8, 0) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    if lacking > 0:
        with pytest.raises(loadstone.LoadstoneError):
            pixels_of(data)
    else:
        np.testing.assert_array_equal(pixels_of(data), imagecodecs.png_decode(data))
