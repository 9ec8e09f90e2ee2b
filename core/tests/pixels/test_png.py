"""The PNG writer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as pil  # noqa: N813 - as Pillow's documentation names it

from loadstone.errors import MetadataError
from loadstone.pixels import png_bytes

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.sampled_from([size, (*size, 1), (*size, 3), (*size, 4)])
)


@given(image=arrays.arrays(np.uint8, SHAPES))
def test_pillow_reads_back_what_was_written(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Grey, RGB and RGBA, bit for bit."""
    with pil.open(io.BytesIO(png_bytes(image))) as opened:
        opened.verify()
    with pil.open(io.BytesIO(png_bytes(image))) as opened:
        read = np.asarray(opened)

    assert np.array_equal(read, image.reshape(read.shape))


def test_a_view_can_be_written() -> None:
    """Memory need not be contiguous."""
    image = np.arange(60, dtype=np.uint8).reshape(6, 10)[::-2, ::3]
    with pil.open(io.BytesIO(png_bytes(image))) as opened:
        read = np.asarray(opened)

    assert np.array_equal(read, image)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (2, 2, 2), (2, 2, 5)])
def test_what_png_cannot_hold_is_refused(shape: tuple[int, ...]) -> None:
    """The file would not open."""
    with pytest.raises(MetadataError, match="PNG"):
        png_bytes(np.zeros(shape, np.uint8))
