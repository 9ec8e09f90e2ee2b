"""A JPEG whose pixel data end early is refused, also where an end of image was written behind them."""

from __future__ import annotations

import re
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import DecodeError, IntegrityError
from loadstone_web.jpeg_pixels import decode_jpeg
from plugins.web.tests.builders import by_pillow, header_of, photo, pixels_of, shared

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


@pytest.mark.parametrize("mode", [None, "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 2}])
@given(part=st.floats(0.2, 1))
def test_a_repaired_progressive_file_is_refused_wherever_it_was_cut(
    mode: str | None, options: dict[str, Any], part: float
) -> None:
    """Scans that are missing or end early blur a picture: it is refused, or has lost next to nothing."""
    data = by_pillow(NOISE, "JPEG", mode, progressive=True, **options)
    cut = data[: int(len(data) * part)].rstrip(b"\xff") + END

    try:
        pixels = pixels_of(cut)
    except (DecodeError, IntegrityError):
        return

    assert (pixels != pixels_of(data)).mean() < 0.01


@pytest.mark.parametrize("mode", [None, "CMYK"])
def test_a_file_cut_in_front_of_a_restart_marker_is_refused(mode: str | None) -> None:
    """Whatever is put behind the data there, the decoder only waits for the marker."""
    data = by_pillow(NOISE, "JPEG", mode, restart_marker_rows=2)

    for number in range(2):
        half = data[: data.index(bytes((0xFF, 0xD0 + number)))] + END
        with pytest.raises(DecodeError, match="end before its last pixel"):
            pixels_of(half)


def test_a_file_cut_between_two_scans_is_refused() -> None:
    """Wherever it was: colour or fineness would be missing."""
    data = by_pillow(NOISE, "JPEG", progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff[\xda\xc4]", data)]
    second = next(at for at in starts if at > data.index(b"\xff\xda"))

    for start in starts[starts.index(second) + 2 :]:
        with pytest.raises(IntegrityError, match="missing"):
            header_of(data[:start] + END)


def test_a_file_without_a_component_is_refused() -> None:
    """A baseline file may bring its components one after the other, but has to bring all of them."""
    grey = by_pillow(NOISE, "JPEG", "L")
    at = grey.index(b"\xff\xc0")
    scan = grey.index(b"\xff\xda")
    frame = b"\xff\xc0\0\x11\x08" + grey[at + 5 : at + 9] + b"\3\1\x11\0\2\x11\0\3\x11\0"
    head = grey[:at] + frame + grey[at + 13 : scan]
    first, *others = (grey[scan : scan + 5] + bytes([n]) + grey[scan + 6 : -2] for n in (1, 2, 3))

    assert header_of(head + first + others[0] + others[1] + END).scans == 3
    with pytest.raises(IntegrityError, match="missing"):
        header_of(head + first + others[0] + END)
    with pytest.raises(DecodeError, match="end before its last pixel"):
        pixels_of(head + first + others[0] + others[1][: len(others[1]) // 2].rstrip(b"\xff") + END)


@pytest.mark.parametrize("name", ["progressive-missing-ac", "progressive-missing-dc"])
def test_a_picture_that_is_coarse_on_purpose_is_read(name: str) -> None:
    """A progressive file need not have every coefficient, if one scan is all it has."""
    read = pixels_of(shared("jpeg", f"{name}.jpg").read_bytes())
    expected = pixels_of(shared("jpeg", f"{name}.png").read_bytes())

    assert np.abs(read.astype(int) - expected).max() <= 2


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
