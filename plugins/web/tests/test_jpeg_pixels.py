"""A JPEG whose pixel data end early is refused, also where an end of image was written behind them."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import DecodeError
from loadstone_web.jpeg_pixels import decode_jpeg
from plugins.web.tests.builders import by_pillow, header_of, photo, pixels_of

RNG = np.random.default_rng(5)
NOISE = (photo(96, 128) // 2 + RNG.integers(0, 100, (96, 128, 3))).astype(np.uint8)
DEEP = RNG.integers(0, 2**12, (64, 64), dtype=np.uint16)
GREY = np.full((40, 48, 3), 128, np.uint8)
END = b"\xff\xd9"

FILES: dict[str, bytes] = {
    "colour": by_pillow(NOISE, "JPEG", quality=90),
    "subsampled": by_pillow(NOISE, "JPEG", subsampling="4:2:0"),
    "grey": by_pillow(NOISE, "JPEG", "L"),
    "CMYK": by_pillow(NOISE, "JPEG", "CMYK"),
    "12 bits": bytes(imagecodecs.jpeg8_encode(DEEP, bitspersample=12)),
}


@pytest.mark.parametrize("name", FILES)
@given(st.floats(0.3, 0.9))
def test_a_repaired_half_is_refused(name: str, part: float) -> None:
    """Half the data with an end of image behind them: never a picture that is grey below."""
    data = FILES[name]
    half = data[: int(len(data) * part)].rstrip(b"\xff") + END

    with pytest.raises(DecodeError, match="end before its last pixel"):
        pixels_of(half)


def test_a_repaired_half_of_a_lossless_file_is_refused() -> None:
    """There the decoder goes on with the last value."""
    data = bytes(imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=12, predictor=1))

    with pytest.raises(DecodeError, match="end before its last pixel"):
        pixels_of(data[: len(data) // 2].rstrip(b"\xff") + END)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("mode", [None, "L", "CMYK"])
def test_what_is_really_grey_is_grey(mode: str | None, options: dict[str, Any]) -> None:
    """A picture that looks like what the decoder fills in is a picture all the same."""
    data = by_pillow(GREY, "JPEG", mode, **options)

    assert np.abs(pixels_of(data).astype(int) - 128).max() <= 2


def test_a_flat_lossless_file_is_read() -> None:
    """Flat pixels are what the decoder would fill in, and are there."""
    flat = np.full((20, 30), 700, np.uint16)
    data = bytes(imagecodecs.jpeg8_encode(flat, lossless=True, bitspersample=12, predictor=1))

    np.testing.assert_array_equal(pixels_of(data), flat)


def test_fill_bytes_in_front_of_the_end_are_no_data() -> None:
    """Any number of FF may stand in front of a marker."""
    data = by_pillow(GREY, "JPEG")
    filled = data[:-2] + b"\xff\xff" + END

    assert header_of(filled).scans_end == header_of(data).scans_end == len(data) - 2
    np.testing.assert_array_equal(decode_jpeg(filled, header_of(filled), None), pixels_of(data))
