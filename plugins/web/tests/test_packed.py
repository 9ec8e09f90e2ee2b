from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import LimitError
from plugins.web.tests.builders import chunk, header_of, memory_growth_below, pixels_of, png

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)
PROFILE = bytes(range(256)) * 64


def text(packed: bytes) -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + packed)


def international_text(packed: bytes, flag: bytes = b"\1") -> bytes:
    return chunk(b"iTXt", b"Comment\0" + flag + b"\0de\0Kommentar\0" + packed)


def profile(packed: bytes) -> bytes:
    return chunk(b"iCCP", b"sRGB\0\0" + packed)


PACKED = [text, international_text, profile]


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """100 MB of nothing in 100 kB."""
    return zlib.compress(bytes(100 * 2**20), 9)


@pytest.mark.parametrize("kind", PACKED)
def test_a_bomb_is_refused_without_memory(kind: object, bomb: bytes) -> None:
    """What unpacks to more than any text or profile has is refused before it is unpacked."""
    assert callable(kind)
    data = png(RAMP, before=kind(bomb))

    with memory_growth_below(16 * 2**20), pytest.raises(LimitError, match="unpack to more than"):
        header_of(data)


def test_many_small_bombs_are_one_bomb() -> None:
    """The bound is for all texts of a file together."""
    small = text(zlib.compress(bytes(2**20)))

    header_of(png(RAMP, before=small * 3))
    with pytest.raises(LimitError):
        header_of(png(RAMP, before=small * 2, after=small * 3))


def test_a_text_that_is_not_packed_is_no_bomb(bomb: bytes) -> None:
    """International text may stand as it is, whatever it looks like."""
    data = png(RAMP, before=international_text(bomb, flag=b"\0"))

    np.testing.assert_array_equal(pixels_of(data), RAMP)


def test_the_icc_profile_is_kept() -> None:
    """A colour profile is unpacked into the header; it changes no pixel."""
    data = png(RAMP, before=profile(zlib.compress(PROFILE)))

    assert header_of(data).icc_profile == PROFILE
    assert header_of(png(RAMP)).icc_profile is None
    np.testing.assert_array_equal(pixels_of(data), RAMP)


@given(st.sampled_from(PACKED), st.binary(max_size=60), st.integers(0, 20))
def test_damaged_texts_change_no_pixel(kind: object, junk: bytes, cut: int) -> None:
    """Texts and profiles that cannot be unpacked are passed over."""
    assert callable(kind)
    damaged = zlib.compress(PROFILE)[:-cut] + junk

    np.testing.assert_array_equal(pixels_of(png(RAMP, before=kind(junk) + kind(damaged))), RAMP)
