"""A JPEG frame whose data end early is refused, also where an end of image was written behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import LoadstoneError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.decode import decode_frame
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.instance import Instance
from plugins.wado.tests.builders import SETTINGS, image

if TYPE_CHECKING:
    import numpy.typing as npt

RNG = np.random.default_rng(5)
SHAPE = (64, 80)
FRAMES: dict[str, npt.NDArray[Any]] = {
    "8 bits": RNG.integers(0, 256, SHAPE, dtype=np.uint8),
    "signed 8 bits": RNG.integers(-128, 128, SHAPE, dtype=np.int8),
    "12 bits": RNG.integers(0, 2**12, SHAPE, dtype=np.uint16),
    "signed 12 bits": RNG.integers(0, 2**11, SHAPE, dtype=np.int16),
    "colour": RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8),
}


def encoded(pixels: npt.NDArray[Any]) -> bytes:
    bits = 8 if pixels.dtype.itemsize == 1 else 12
    return bytes(
        imagecodecs.jpeg8_encode(pixels.view(f"u{pixels.dtype.itemsize}"), level=90, bitspersample=bits)
    )


def decoded(pixels: npt.NDArray[Any], data: bytes) -> npt.NDArray[Any]:
    """Decode a frame with the attributes of these pixels."""
    uid = ts.JPEG_BASELINE if pixels.dtype.itemsize == 1 else ts.JPEG_EXTENDED
    instance = Instance.from_dataset(image(pixels), SETTINGS, source="made.dcm")
    return decode_frame(instance, 1, EncodedFrame(data, uid), scaled=False).pixels


@pytest.mark.parametrize("name", FRAMES)
@given(part=st.floats(0.3, 0.9))
def test_a_repaired_half_is_refused(name: str, part: float) -> None:
    """Half the data with an end of image behind them: never a frame that is grey below."""
    pixels = FRAMES[name]
    data = encoded(pixels)
    half = data[: int(len(data) * part)].rstrip(b"\xff") + b"\xff\xd9"

    with pytest.raises(LoadstoneError, match=r"last pixel|cannot be decoded"):
        decoded(pixels, half)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("tail", [b"", b"\0"])
def test_what_is_really_grey_is_grey(name: str, tail: bytes) -> None:
    """A frame that looks like what the decoder makes up is a frame all the same, padded or not."""
    pixels = FRAMES[name]
    bits = 8 if pixels.dtype.itemsize == 1 else 12
    grey = np.full_like(pixels.view(f"u{pixels.dtype.itemsize}"), 1 << (bits - 1)).view(pixels.dtype)

    read = decoded(grey, encoded(grey) + tail)

    assert read.shape == grey.shape
    assert np.ptp(read.astype(int)) <= 2
