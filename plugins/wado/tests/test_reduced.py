from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from loadstone import Image, IntegrityError, Quality, Session
from loadstone.events import VolumeModified
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.codecs import ends_with_mark, level_for
from loadstone_wado.decode import decode_reduced
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.instance import Instance
from plugins.wado.tests.builders import SETTINGS, image, part10
from plugins.wado.tests.studies import ct_slice

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

RAMP = np.add.outer(np.arange(0, 4000, 40), np.arange(60)).astype("u2")


def htj2k(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.htj2k_encode(pixels, **({"reversible": True} | options)))


def reduced(
    pixels: npt.NDArray[Any], data: bytes, level: int, uid: str = ts.HTJ2K_LOSSLESS, **attributes: Any
) -> Image | None:
    """Decode a frame of an object like `pixels` in part."""
    instance = Instance.from_dataset(image(pixels, **attributes), SETTINGS, source="made.dcm")
    return decode_reduced(instance, 1, EncodedFrame(data, uid), level, scaled=False)


def pixels_of(found: Image | None) -> npt.NDArray[Any]:
    assert found is not None
    return found.pixels


@pytest.mark.parametrize("level", range(5))
def test_a_coarse_image_has_full_size_and_says_what_it_is(level: int) -> None:
    """At each level it lies where the whole image does: off by no more than its coarser pixels are apart."""
    found = reduced(RAMP, htj2k(RAMP), level)

    assert found is not None
    assert (found.pixels.shape, str(found.pixels.dtype), found.quality) == (
        RAMP.shape,
        "uint16",
        Quality.SUBRESOLUTION,
    )
    assert np.abs(found.pixels.astype(int) - RAMP).max() <= (41 * 2**level if level else 0)


def test_more_levels_than_there_are() -> None:
    """More halvings than a codestream has are as many as it has."""
    data = htj2k(RAMP, resolutions=2)

    assert np.array_equal(pixels_of(reduced(RAMP, data, 9)), pixels_of(reduced(RAMP, data, 2)))


@given(
    kind=st.sampled_from(["u1", "i1", "u2", "i2"]),
    level=st.integers(0, 3),
    share=st.floats(0.3, 1),
    reversible=st.booleans(),
)
def test_extremes_never_wrap_around(kind: str, level: int, share: float, *, reversible: bool) -> None:
    """Next to black is dark and next to white bright, however the wavelets overshoot."""
    info = np.iinfo(kind)
    pixels = np.full((64, 64), info.min, kind)
    pixels[:, 32:] = info.max
    data = htj2k(pixels, reversible=reversible, **({} if reversible else {"level": 0.001}))

    found = pixels_of(reduced(pixels, data[: 200 + int(len(data) * share)], level)).astype(float)
    middle = (float(info.min) + info.max) / 2

    assert (found[:, :24] < middle).all()
    assert (found[:, 40:] > middle).all()


def test_values_stay_within_the_bits_that_are_stored() -> None:
    """Twelve bits in sixteen stay twelve bits: an overshoot must not widen a volume."""
    pixels = np.zeros((64, 64), "u2")
    pixels[:, 32:] = 4095

    found = pixels_of(reduced(pixels, htj2k(pixels), 1, BitsStored=12, HighBit=11))

    assert (found.min(), found.max()) == (0, 4095)


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
def test_the_beginning_of_a_codestream_is_the_whole_image(share: float) -> None:
    """From a part of the bytes comes every region of the image, more exactly from more bytes."""
    noise = np.random.default_rng(5).integers(0, 40, (256, 256))
    pixels = (np.add.outer(np.arange(0, 2560, 10), np.arange(256)) + noise).astype("u2")
    data = htj2k(pixels)
    beginning = data[: int(len(data) * share)]

    found = pixels_of(reduced(pixels, beginning, level_for(share)))

    assert np.abs(found.astype(int) - pixels).mean() < 30
    assert not ends_with_mark(beginning)
    assert ends_with_mark(data)


def test_color_frames_are_coarse_in_all_samples() -> None:
    """Three samples a pixel stay three, in the colour space of the whole image."""
    pixels = np.stack([RAMP >> 4, RAMP >> 5, 255 - (RAMP >> 4)], axis=-1).astype("u1")

    found = reduced(pixels, htj2k(pixels), 1)

    assert np.abs(pixels_of(found).astype(int) - pixels).max() < 8


def test_frames_that_are_decoded_as_a_whole_only() -> None:
    """Other transfer syntaxes, signs that only the attributes know, and parts of the image first: none."""
    by_position = htj2k(RAMP).replace(b"\xff\x52\x00\x0c\x00\x02", b"\xff\x52\x00\x0c\x00\x03")
    signed = RAMP.astype("i2")

    assert reduced(RAMP, htj2k(RAMP), 1, ts.JPEG_2000_LOSSLESS) is None
    assert reduced(signed, htj2k(RAMP), 1) is None
    assert by_position != htj2k(RAMP)
    assert reduced(RAMP, by_position, 1) is None


def test_what_is_no_beginning_is_refused() -> None:
    """Another size, or not even the whole header, is an error rather than an image."""
    with pytest.raises(IntegrityError, match="rows"):
        reduced(RAMP[:50], htj2k(RAMP), 1)
    with pytest.raises(IntegrityError, match="codestream"):
        reduced(RAMP, htj2k(RAMP)[:60], 1)


def test_levels_for_a_share_of_the_bytes() -> None:
    """The more bytes, the finer the level."""
    assert [level_for(share) for share in (1, 0.5, 0.28, 0.2, 0.05, 0.01)] == [0, 0, 0, 1, 2, 3]


def test_files_by_levels_of_resolution(tmp_path: Path) -> None:
    """A folder of HTJ2K files is coarse first, and in the end what a plain load gives."""
    for number in range(4):
        dataset = ct_slice(number, Rows=RAMP.shape[0], Columns=RAMP.shape[1])
        dataset.PixelData = encapsulate([htj2k(RAMP + number)])
        dataset["PixelData"].VR = "OB"
        (tmp_path / f"{number}.dcm").write_bytes(part10(dataset, ts.HTJ2K_LOSSLESS))
    qualities = set()
    with Session() as session:
        session.subscribe(VolumeModified, lambda event: qualities.update(event.volume.quality.tolist()))
        volume = session.load_volume(tmp_path, retrieve="resolution-levels")

    assert qualities >= {Quality.SUBRESOLUTION, Quality.FULL}
    assert (volume.array - np.arange(4)[:, None, None] == RAMP.astype("i2") - 1024).all()
