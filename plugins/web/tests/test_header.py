from __future__ import annotations

import numpy as np
import pytest

from loadstone.errors import LimitError
from loadstone_web.header import check_limits
from plugins.web.tests.builders import SIGNATURE, chunk, header_of, ihdr, png


def test_the_header_describes_the_array() -> None:
    """Shape, dtype and meaning of the array are known before it is decoded."""
    header = header_of(png(np.zeros((3, 5, 4), np.uint16)))

    assert header.shape == (3, 5, 4)
    assert header.dtype == np.uint16
    assert (header.photometric_interpretation, header.bits) == ("RGBA", 16)


@pytest.mark.parametrize("size", [100_000, 2**31 - 1])
def test_a_huge_size_is_refused_on_the_header(size: int) -> None:
    """100,000 x 100,000 pixels in a hundred bytes are refused before anything is allocated."""
    data = SIGNATURE + ihdr(size, size, 8, 0) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

    with pytest.raises(LimitError, match="max_pixels"):
        check_limits(header_of(data), max_pixels=2**28, max_bytes=2**29, source="test")


def test_the_bytes_of_all_samples_count() -> None:
    """Few pixels of many bytes are refused too."""
    header = header_of(png(np.zeros((8, 8, 4), np.uint16)))

    check_limits(header, max_pixels=64, max_bytes=512, source="test")
    with pytest.raises(LimitError, match="max_image_bytes"):
        check_limits(header, max_pixels=64, max_bytes=511, source="test")
