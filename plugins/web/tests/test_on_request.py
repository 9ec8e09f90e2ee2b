from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loadstone.errors import IntegrityError, LimitError, LoadstoneError, UnsupportedError
from loadstone_web.exif import upright
from loadstone_web.header import check_limits
from loadstone_web.on_request import ON_REQUEST
from plugins.web.tests.builders import by_pillow, header_of, memory_growth_below, photo, pixels_of

PHOTO = photo()
GREY = PHOTO[..., 0]
DEEP = GREY.astype(np.uint16) * 200
FILES: dict[str, bytes] = {
    "BMP": by_pillow(PHOTO, "BMP"),
    "GIF": by_pillow(PHOTO, "GIF"),
    "TIFF": by_pillow(PHOTO, "TIFF", compression="tiff_lzw"),
    "WebP": by_pillow(PHOTO, "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", ON_REQUEST)
def test_a_format_is_opened_when_it_is_named(name: str) -> None:
    """The pixels are those that were written; a GIF has only 256 colours."""
    read = pixels_of(FILES[name], name)

    assert header_of(FILES[name], name).format == name
    assert np.abs(read.astype(int) - PHOTO).max() <= (16 if name == "GIF" else 0)


@pytest.mark.parametrize("name", ON_REQUEST)
def test_naming_another_format_does_not_open_it(name: str) -> None:
    """Each format is a decision of its own; the message says how to take it."""
    others = ON_REQUEST.keys() - {name}

    with pytest.raises(UnsupportedError, match=f"{{'formats': '{name}'}}"):
        pixels_of(FILES[name], *others)


@pytest.mark.parametrize("name", ON_REQUEST)
@given(st.integers(3, 2000))  # without the last two bytes a GIF still has all its pixels
def test_a_truncated_file_is_refused(name: str, cut: int) -> None:
    """No half pictures: what ends early is an error, wherever it ends."""
    data = FILES[name]

    with pytest.raises(LoadstoneError):
        pixels_of(data[: max(1, len(data) - cut)], name)


@pytest.mark.parametrize("name", ON_REQUEST)
@given(st.binary(max_size=200))
def test_junk_behind_a_right_beginning_is_a_typed_error(name: str, junk: bytes) -> None:
    """Arbitrary bytes behind the signature of a format raise nothing but ours."""
    try:
        pixels_of(FILES[name][:16] + junk, name)
    except LoadstoneError:
        return


@pytest.mark.parametrize(
    ("pixels", "options"),
    [(GREY, {}), (DEEP, {}), (PHOTO, {"compression": "tiff_deflate"}), (np.dstack([PHOTO, GREY]), {})],
)
def test_tiff_samples_are_exact(pixels: np.ndarray[Any, Any], options: dict[str, Any]) -> None:
    """Grey of 8 and 16 bits, RGB and RGBA come back bit for bit."""
    read = pixels_of(by_pillow(pixels, "TIFF", **options), "TIFF")

    assert read.dtype == pixels.dtype
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_that_would_not_stay_as_they_are_are_refused(dtype: type[np.number[Any]]) -> None:
    """A TIFF of floats or 32-bit integers is refused by name."""
    with pytest.raises(UnsupportedError, match="32 bits"):
        header_of(by_pillow(GREY.astype(dtype), "TIFF"), "TIFF")


def test_16_bit_colour_is_refused_and_not_cut_to_8() -> None:
    """Pillow would give 8 of 16 bits a sample."""
    entries = [(256, 1), (257, 1), (258, 0), (259, 1), (262, 2), (273, 200), (277, 3), (278, 1), (279, 6)]
    directory = b"".join(
        struct.pack("<HHIHH", tag, 3, 3 if tag == 258 else 1, value or 150, 0) for tag, value in entries
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    data = head.ljust(150, b"\0") + struct.pack("<HHH", 16, 16, 16)

    with pytest.raises(UnsupportedError, match="16/16/16 bits"):
        header_of(data.ljust(200, b"\0") + bytes(6), "TIFF")


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WebP"])
def test_an_animation_gives_its_first_frame_and_says_how_many_there_are(name: str) -> None:
    """The header counts the frames; the array is the first."""
    second = Image.fromarray(PHOTO[::-1].copy())
    options: dict[str, Any] = {"lossless": True} if name == "WebP" else {}
    data = by_pillow(PHOTO, name.upper(), save_all=True, append_images=[second], **options)

    assert header_of(data, name).frames == 2
    assert np.abs(pixels_of(data, name)[..., :3].astype(int) - PHOTO).max() <= 16


@pytest.mark.parametrize("name", ["TIFF", "WebP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(name: str, orientation: int) -> None:
    """A TIFF or WebP file is turned upright, as a JPEG is."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if name == "WebP" else {}
    data = by_pillow(PHOTO, name.upper(), exif=tags, **options)

    assert header_of(data, name).orientation == orientation
    np.testing.assert_array_equal(pixels_of(data, name), upright(PHOTO, orientation))


@pytest.mark.parametrize("name", ["TIFF", "WebP"])
def test_the_icc_profile_is_kept(name: str) -> None:
    """The header has the profile that came with the image."""
    profile = bytes(range(256)) * 9

    assert header_of(by_pillow(PHOTO, name.upper(), icc_profile=profile), name).icc_profile == profile


def test_transparency_of_webp_is_kept() -> None:
    """Lossless WebP with alpha comes back bit for bit."""
    pixels = np.dstack([PHOTO, GREY])

    np.testing.assert_array_equal(
        pixels_of(by_pillow(pixels, "WEBP", lossless=True, exact=True), "WebP"), pixels
    )


def test_a_huge_canvas_gets_no_memory() -> None:
    """16,777,216 x 16,777,216 pixels of WebP in a hundred bytes are refused by the header."""
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    data = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas

    with memory_growth_below(2**20), pytest.raises(LimitError):
        check_limits(header_of(data, "WebP"), max_pixels=2**28, max_bytes=2**29, source="test")


@pytest.mark.parametrize("length", [0, 4, 9])
def test_webp_without_a_size_is_refused(length: int) -> None:
    """A first chunk that is too short, or none at all, has no size."""
    chunk = b"VP8X" + struct.pack("<I", length) + bytes(length + length % 2)
    data = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk

    with pytest.raises(LoadstoneError, match="size"):
        header_of(data, "WebP")


def test_a_webp_that_announces_more_than_there_is_is_truncated() -> None:
    """The length in the file's head is believed before any decoder is."""
    with pytest.raises(IntegrityError, match="truncated"):
        header_of(FILES["WebP"][:-1], "WebP")


def test_without_pillow_the_message_says_what_to_install() -> None:
    """Pillow is an extra of the package."""
    code = (
        "import sys, io; sys.modules['PIL'] = None\n"
        "from loadstone_web.formats import read_header\n"
        "read_header(io.BytesIO(b'GIF89a'), verify=True, source='', formats=frozenset({'GIF'}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "UnsupportedError" in answer.stderr
    assert 'pip install "loadstone-web[pillow]"' in answer.stderr
