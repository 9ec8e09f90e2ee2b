from __future__ import annotations

import gzip
import json
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loadstone import Session
from loadstone.errors import DecodeError, IntegrityError, LimitError, LoadstoneError
from loadstone_web.formats import read_header
from plugins.web.tests import builders
from plugins.web.tests.builders import chunk, header_of, ihdr, pixels_of, png, shared

if TYPE_CHECKING:
    from pathlib import Path

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def with_header(head: bytes) -> bytes:
    return builders.SIGNATURE + head + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


def rgba(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return any result as RGBA, as the reference of PngSuite is written."""
    most = np.iinfo(pixels.dtype).max
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], most, pixels.dtype)])


def test_every_valid_file_of_pngsuite_equals_its_reference() -> None:
    """Every colour type, depth, interlace and transparency gives the reference's samples, also of 16 bits."""
    names = [path.stem for path in shared("pngsuite").glob("[!x]*.png")]

    assert len(names) == 161
    for name in names:
        pixels = pixels_of(shared("pngsuite", f"{name}.png").read_bytes())
        reference = json.loads(gzip.decompress(shared("pngsuite_json", f"{name}.json.gz").read_bytes()))
        np.testing.assert_array_equal(rgba(pixels).ravel(), np.ravel(reference), err_msg=name)


def test_every_invalid_file_of_pngsuite_is_refused() -> None:
    """No file that PngSuite calls corrupt gives pixels."""
    paths = list(shared("pngsuite").glob("x*.png"))

    assert len(paths) == 14
    for path in paths:
        with pytest.raises(LoadstoneError):
            pixels_of(path.read_bytes())


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)),
    )
)
def test_8_and_16_bit_samples_are_exact(pixels: npt.NDArray[Any]) -> None:
    """What is written as grey, grey and alpha, RGB or RGBA comes back bit for bit, in 8 and in 16 bits."""
    samples = pixels.shape[2]
    written = pixels[..., 0] if samples == 1 else pixels
    expected = pixels[..., [0, 0, 0, 1]] if samples == 2 else written

    read = pixels_of(png(written))

    assert read.dtype == pixels.dtype
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_is_spread_to_the_full_range(depth: int) -> None:
    """Grey of 1, 2 or 4 bits becomes 0 to 255, as the specification scales samples."""
    values = range(2**depth)
    packed = int("".join(f"{value:0{depth}b}" for value in values), 2) << (-len(values) * depth % 8)
    row = packed.to_bytes(-(-len(values) * depth // 8), "big")
    data = builders.SIGNATURE + ihdr(2**depth, 1, depth, 0) + chunk(b"IDAT", zlib.compress(b"\0" + row))

    read = pixels_of(data + chunk(b"IEND", b""))

    assert read.tolist() == [[value * 255 // (2**depth - 1) for value in values]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_transparent_grey_value_gives_alpha(dtype: type[np.unsignedinteger[Any]]) -> None:
    """Grey with a transparent value becomes RGBA, transparent exactly where all bits agree."""
    grey = (np.arange(6).reshape(2, 3) * 40 + 1).astype(dtype)
    data = png(grey, before=chunk(b"tRNS", struct.pack(">H", 41)))

    read = pixels_of(data)

    np.testing.assert_array_equal(read[..., :3], np.stack([grey] * 3, axis=-1))
    np.testing.assert_array_equal(read[..., 3] == 0, grey == 41)


@pytest.mark.parametrize(
    "head",
    [
        ihdr(0, 4, 8, 0),
        ihdr(4, 0, 8, 0),
        ihdr(2**31, 4, 8, 0),
        ihdr(4, 4, 3, 0),
        ihdr(4, 4, 16, 3),
        ihdr(4, 4, 4, 2),
        ihdr(4, 4, 8, 5),
        ihdr(4, 4, 8, 0, methods=b"\1\0\0"),
        ihdr(4, 4, 8, 0, methods=b"\0\x40\0"),
        ihdr(4, 4, 8, 0, methods=b"\0\0\2"),
        chunk(b"IHDR", bytes(5)),
        chunk(b"gAMA", bytes(4)) + ihdr(4, 4, 8, 0),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(head: bytes) -> None:
    """Sizes, depths, colour types and methods that PNG does not have are refused by the header alone."""
    with pytest.raises(DecodeError):
        header_of(with_header(head))


@pytest.mark.parametrize("cut", range(1, 61))
def test_a_truncated_file_is_refused_wherever_it_ends(cut: int) -> None:
    """No byte can be missing at the end."""
    data = png(RAMP)

    with pytest.raises(IntegrityError):
        header_of(data[: max(1, len(data) - cut)])


@given(st.data())
def test_a_flipped_bit_never_gives_other_pixels(data: st.DataObject) -> None:
    """A bit flipped anywhere is either refused or, outside of what makes the pixels, without effect."""
    whole = bytearray(png(RAMP, before=chunk(b"tEXt", b"Title\0x")))
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8

    try:
        read = pixels_of(bytes(whole))
    except LoadstoneError:
        return

    np.testing.assert_array_equal(read, RAMP)


@pytest.mark.parametrize("colour", [0, 2, 3, 4, 6])
def test_pixels_that_end_early_are_refused(colour: int) -> None:
    """Whole chunks with too few pixels in them are no half picture."""
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    short = chunk(b"IDAT", zlib.compress(bytes(65 * 30)))

    with pytest.raises(DecodeError, match="cannot be decoded"):
        pixels_of(builders.SIGNATURE + ihdr(64, 64, 8, colour) + palette + short + chunk(b"IEND", b""))


def test_chunks_without_end_are_refused() -> None:
    """Empty chunks by the hundred thousand are work, and no picture."""
    data = png(RAMP, before=chunk(b"tEXt", b"") * 2**18)

    with pytest.raises(LimitError, match="chunks"):
        header_of(data)


def test_a_file_without_pixels_is_refused() -> None:
    """A PNG needs an IDAT chunk."""
    data = builders.SIGNATURE + ihdr(4, 4, 8, 0) + chunk(b"IEND", b"")

    with pytest.raises(IntegrityError, match="IDAT"):
        header_of(data)


def test_an_animation_gives_its_first_frame_and_says_how_many_there_are() -> None:
    """An APNG is its first frame; the header counts the frames."""
    frame = struct.pack(">IIIIIHHBB", 0, 4, 3, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">I", 2) + zlib.compress(builders.scanlines(RAMP[::-1]))
    data = png(
        RAMP,
        before=chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame),
        after=chunk(b"fcTL", struct.pack(">I", 1) + frame[4:]) + chunk(b"fdAT", second),
    )

    assert header_of(data).frames == 2
    np.testing.assert_array_equal(pixels_of(data), RAMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    """A PNG with an eXIf chunk is turned upright, as a JPEG is."""
    data = png(RAMP, before=chunk(b"eXIf", builders.exif(orientation)))

    assert pixels_of(data).shape == header_of(data).shape
    assert header_of(data).orientation == orientation


def test_chunks_around_the_pixels_change_none() -> None:
    """Texts, profiles, times and chunks that nobody knows change no pixel, and transparency stays."""
    transparent = chunk(b"tRNS", b"\0\5")
    data = png(RAMP, before=chunk(b"tEXt", b"Title\0x") + transparent, after=chunk(b"prVt", bytes(9)))

    np.testing.assert_array_equal(pixels_of(data), pixels_of(png(RAMP, before=transparent)))


@pytest.mark.parametrize(
    ("phys", "spacing"),
    [
        (struct.pack(">IIB", 2000, 4000, 1), (0.25, 0.5)),
        (struct.pack(">IIB", 1, 2, 0), None),
        (struct.pack(">IIB", 0, 4000, 1), None),
        (b"\0", None),
    ],
)
def test_the_print_density_is_told(phys: bytes, spacing: tuple[float, float] | None) -> None:
    """Pixels per metre become a distance of rows and of columns in mm; a mere ratio is none."""
    assert header_of(png(RAMP, before=chunk(b"pHYs", phys))).print_spacing == spacing


def test_a_size_that_the_pixel_data_cannot_fill_is_refused_by_the_header(tmp_path: Path) -> None:
    """16,384 x 16,384 pixels within all limits, with 20 bytes of pixel data, get no memory."""
    path = tmp_path / "a.png"
    path.write_bytes(with_header(ihdr(2**14, 2**14, 8, 0)))

    with Session() as session, pytest.raises(IntegrityError, match="unpack to"):
        session.load_image(f"web:{path}")


def test_the_checksum_is_only_read_when_asked_for() -> None:
    """Metadata does not read pixel data: a wrong IDAT checksum passes without verify."""
    data = bytearray(png(RAMP))
    data[-13] ^= 1

    header = read_header(BytesIO(bytes(data)), verify=False, source="test")

    assert header.shape == RAMP.shape
    with pytest.raises(IntegrityError, match="IDAT"):
        header_of(bytes(data))
