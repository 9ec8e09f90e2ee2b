from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from loadstone_web.exif import orientation_of, upright
from plugins.web.tests.builders import exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_found_in_both_byte_orders(orientation: int, order: str) -> None:
    """A TIFF block of either byte order tells its orientation."""
    assert orientation_of(exif(orientation, order)) == orientation


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", exif(0), exif(9), exif(3)[:18], b"MM\0*\xff\xff\xff\xff", b"XX" + exif(3)]
)
def test_a_damaged_block_counts_as_upright(block: bytes) -> None:
    """What cannot be read changes nothing."""
    assert orientation_of(block) == 1


@given(st.binary(max_size=80))
def test_any_block_gives_an_orientation(block: bytes) -> None:
    """Arbitrary bytes behind a right beginning never raise."""
    assert 1 <= orientation_of(b"II*\0" + block) <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_turning_upright_equals_pillow(orientation: int, shape: tuple[int, ...]) -> None:
    """Every orientation gives what Pillow's exif_transpose gives, for grey and for colour."""
    stored = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation

    expected = np.asarray(ImageOps.exif_transpose(image))

    np.testing.assert_array_equal(upright(stored, orientation), expected)
