"""A PNG whose chunks contradict each other is refused, and says why."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from loadstone.errors import DecodeError, IntegrityError, LoadstoneError, UnsupportedError
from plugins.web.tests.builders import SIGNATURE, chunk, ihdr, pixels_of

PALETTE = chunk(b"PLTE", bytes(range(9)))
END = chunk(b"IEND", b"")


def indexed(before: bytes, indices: bytes = b"\0\1\2\1", after: bytes = b"", depth: int = 8) -> bytes:
    """Write one row of palette indices, chunks around them."""
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + indices))
    return SIGNATURE + ihdr(len(indices) * 8 // depth, 1, depth, 3) + before + pixels + after + END


def grey(before: bytes = b"", idat: bytes = chunk(b"IDAT", zlib.compress(b"\0\1\2"))) -> bytes:
    """Write one row of two grey pixels."""
    return SIGNATURE + ihdr(2, 1, 8, 0) + before + idat + END


@pytest.mark.parametrize(
    ("data", "kind", "named"),
    [
        (indexed(b""), DecodeError, "palette that is not there"),
        (indexed(chunk(b"PLTE", bytes(10))), DecodeError, "palette of 10 bytes"),
        (indexed(chunk(b"PLTE", bytes(771))), DecodeError, "palette of 771 bytes"),
        (indexed(PALETTE + PALETTE), DecodeError, "PLTE twice"),
        (indexed(b"", after=PALETTE), DecodeError, "PLTE behind"),
        (indexed(PALETTE, after=chunk(b"tRNS", b"\0")), DecodeError, "tRNS behind"),
        (indexed(chunk(b"tRNS", b"\0") + PALETTE), DecodeError, "not of the palette of 3"),
        (indexed(PALETTE + chunk(b"tRNS", bytes(4))), DecodeError, "4 colours"),
        (indexed(PALETTE + chunk(b"tRNS", b"\0")[:-1] + b"x"), IntegrityError, "tRNS is wrong"),
        (indexed(PALETTE, b"\0\1\2\3"), DecodeError, "colour 3 of a palette with 3"),
        (indexed(PALETTE, b"\x1b", depth=2), DecodeError, "colour 3 of a palette with 3"),
        (grey(chunk(b"tRNS", b"\0")), DecodeError, "tRNS has 1 bytes"),
        (grey(ihdr(1, 1, 8, 0)), DecodeError, "IHDR twice"),
        (grey(chunk(b"ABCD", b"")), UnsupportedError, "ABCD"),
        (grey(chunk(b"a\xffcd", b"")), IntegrityError, "the name"),
    ],
)
def test_a_contradiction_is_named(data: bytes, kind: type[LoadstoneError], named: str) -> None:
    """No program is asked to guess what such a file shows."""
    with pytest.raises(kind, match=named):
        pixels_of(data)


def test_pixel_data_are_in_one_piece() -> None:
    """Any number of chunks in a row, empty ones too; with another chunk among them a part may be missing."""
    packed = zlib.compress(b"\0\1\2")
    parts = chunk(b"IDAT", b"") + chunk(b"IDAT", packed[:4]) + chunk(b"IDAT", packed[4:])
    torn = chunk(b"IDAT", packed[:4]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", packed[4:])

    np.testing.assert_array_equal(pixels_of(grey(idat=parts)), [[1, 2]])
    with pytest.raises(DecodeError, match="IDAT behind"):
        pixels_of(grey(idat=torn))


@pytest.mark.parametrize(("alpha", "expected"), [(b"\x10", [16, 255, 255, 255]), (b"", None)])
def test_transparency_may_end_before_the_palette(alpha: bytes, expected: list[int] | None) -> None:
    """The colours that it does not name are opaque; naming none is no transparency."""
    pixels = pixels_of(indexed(PALETTE + chunk(b"tRNS", alpha)))

    assert pixels[0, :, :3].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [3, 4, 5]]
    assert pixels.shape[2] == (3 if expected is None else 4)
    assert expected is None or pixels[0, :, 3].tolist() == expected
