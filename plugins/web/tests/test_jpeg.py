from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loadstone.errors import DecodeError, IntegrityError, LimitError, LoadstoneError, UnsupportedError
from plugins.web.tests.builders import by_pillow, header_of, photo, pixels_of, shared

PHOTO = photo()


def jpeg(mode: str | None = None, **options: Any) -> bytes:
    return by_pillow(PHOTO, "JPEG", mode, quality=95, subsampling=0, **options)


def lossless(pixels: npt.NDArray[np.uint16], bits: int) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=bits, predictor=1))


def test_colour_comes_as_rgb() -> None:
    """A YCbCr JPEG is RGB, within the loss of JPEG."""
    read = pixels_of(jpeg())

    assert read.shape == PHOTO.shape
    assert np.abs(read.astype(int) - PHOTO).max() <= 6


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"optimize": True},
        {"restart_marker_rows": 1},
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"subsampling": "4:2:0", "progressive": True},
        {"subsampling": "4:1:1"},
    ],
)
def test_kinds_of_encoding_give_what_pillow_gives(options: dict[str, Any]) -> None:
    """Progressive, subsampled and optimised files equal Pillow's own reading."""
    data = by_pillow(PHOTO, "JPEG", **options)

    np.testing.assert_array_equal(pixels_of(data), np.asarray(Image.open(BytesIO(data))))


def test_rgb_that_was_never_ycbcr_is_not_converted() -> None:
    """A JPEG that stores red, green and blue as they are comes back with its colours."""
    read = pixels_of(jpeg(keep_rgb=True))

    assert np.abs(read.astype(int) - PHOTO).max() <= 6


@pytest.mark.parametrize("samples", [1, 3])
def test_12_bits_are_within_the_loss_of_jpeg(samples: int) -> None:
    """12-bit grey and colour come as uint16 with their full range."""
    pixels = (PHOTO[..., :samples].astype(np.uint16) << 4).squeeze()
    data = bytes(imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=12))

    assert header_of(data).bits == 12
    assert np.abs(pixels_of(data).astype(int) - pixels).max() < 100


def test_grey_comes_as_two_dimensions() -> None:
    """A grey JPEG is ``(rows, columns)``."""
    data = jpeg("L")

    assert header_of(data).photometric_interpretation == "MONOCHROME2"
    assert pixels_of(data).shape == PHOTO.shape[:2]


def test_cmyk_has_the_right_polarity() -> None:
    """A CMYK JPEG, inverted as Adobe writes it, is the picture and not its negative."""
    read = pixels_of(jpeg("CMYK"))

    assert read.shape == PHOTO.shape
    assert np.abs(read.astype(int) - PHOTO).max() <= 12


@pytest.mark.parametrize("name", ["jpg-cmyk-1", "jpg-cmyk-2"])
def test_cmyk_equals_the_reference_of_a_browser(name: str) -> None:
    """CMYK files of the wild have the colours of their reference PNG, to one level."""
    read = pixels_of(shared("jpeg", "mozilla", f"{name}.jpg").read_bytes())
    reference = pixels_of(shared("jpeg", "mozilla", f"{name}.png").read_bytes())

    assert np.abs(read.astype(int) - reference[..., :3]).max() <= 1


def test_ycck_looks_like_its_rgb_twin() -> None:
    """The YCCK sample (Adobe transform 2) shows the same picture as the RGB sample."""
    ycck = pixels_of(shared("misc", "pil_sample_cmyk.jpg").read_bytes()).astype(int)
    rgb = pixels_of(shared("misc", "pil_sample_rgb.jpg").read_bytes()).astype(int)

    assert np.abs(ycck - rgb).mean() < 30
    assert np.corrcoef(ycck.ravel(), rgb.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bits", [12, 16])
def test_lossless_is_exact(samples: int, bits: int) -> None:
    """A lossless JPEG of 12 or 16 bits comes back bit for bit, grey and colour."""
    rng = np.random.default_rng(bits + samples)
    pixels = rng.integers(0, 2**bits, (7, 9, samples), dtype=np.uint16).squeeze()
    data = lossless(pixels, bits)

    header = header_of(data)

    assert (header.kind, header.bits) == ("lossless", bits)
    np.testing.assert_array_equal(pixels_of(data), pixels)


@pytest.mark.parametrize("name", [*(f"jpeg_lossless_sel{n}" for n in range(1, 8)), "lossless16bit"])
def test_lossless_files_equal_their_png(name: str) -> None:
    """Every predictor of lossless JPEG gives the pixels of the reference PNG."""
    read = pixels_of(shared("jpeg", f"{name}.jpg").read_bytes())

    np.testing.assert_array_equal(read, pixels_of(shared("jpeg", f"{name}.png").read_bytes()))


def test_12_bits_are_kept() -> None:
    """A 12-bit JPEG has values above 255, and is the 16-bit picture it was made from."""
    read = pixels_of(shared("misc", "monkey12.jpg").read_bytes()).astype(float)
    made_from = pixels_of(shared("misc", "monkey16.png").read_bytes()) / 16

    assert 255 < read.max() <= 4095
    assert np.abs(read - made_from).mean() < 60


def test_every_shared_variant_equals_its_png() -> None:
    """Restart markers, 16-bit tables, junk between segments and the like change nothing (to 2 levels)."""
    wrong_references = {
        "grayscale_16x24_sampling2x2",
        "grayscale_24x16_sampling2x2",
    }  # 16-bit PNG of another scale
    compared = 0
    for path in shared("jpeg").rglob("*.jpg"):
        reference = path.with_suffix(".png")
        if path.stem in wrong_references or not reference.exists() or path.stem == "jpg-size-6x6":
            continue
        read = pixels_of(path.read_bytes())
        expected = pixels_of(reference.read_bytes())[..., : read.shape[2] if read.ndim == 3 else None]
        compared += 1

        assert np.abs(read.astype(int) - expected).max() <= 2, path.name

    assert compared > 30


@pytest.mark.parametrize("orientation", range(2, 9))
def test_all_orientations_show_the_same_picture(orientation: int) -> None:
    """Eight photographs of one scene, held eight ways, come out the same way round."""
    first = pixels_of(shared("jpeg_exif", "Landscape_1.jpg").read_bytes())
    other = pixels_of(shared("jpeg_exif", f"Landscape_{orientation}.jpg").read_bytes())

    assert other.shape == first.shape
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] > 0.95  # mirrored ones stay below 0.5


@pytest.mark.parametrize("progressive", [False, True])
@given(st.integers(1, 600))
def test_a_truncated_file_is_refused_wherever_it_ends(progressive: bool, cut: int) -> None:
    """No byte can be missing at the end: never a grey half."""
    data = jpeg(progressive=progressive)

    with pytest.raises(IntegrityError, match="truncated"):
        header_of(data[: max(3, len(data) - cut)])


@given(st.integers(1, 60))
def test_a_truncated_lossless_file_is_refused(cut: int) -> None:
    """The same for what imagecodecs decodes, which by itself pads silently."""
    data = lossless(np.arange(256, dtype=np.uint16).reshape(16, 16), 16)

    with pytest.raises(IntegrityError, match="truncated"):
        header_of(data[:-cut])


def test_the_icc_profile_is_kept() -> None:
    """A profile of several segments is put together; one with a missing segment is none."""
    profile = bytes(range(256)) * 500
    data = jpeg(icc_profile=profile)
    last = data.rindex(b"ICC_PROFILE\0")

    assert header_of(data).icc_profile == profile
    assert header_of(data[:last] + b"x" + data[last + 1 :]).icc_profile is None
    assert header_of(jpeg()).icc_profile is None


@pytest.mark.parametrize(
    ("unit", "spacing"), [(1, (25.4 / 100, 25.4 / 200)), (2, (10 / 100, 10 / 200)), (0, None), (7, None)]
)
def test_the_print_density_is_told(unit: int, spacing: tuple[float, float] | None) -> None:
    """Dots per inch or centimetre become a distance of rows and of columns in mm; a ratio is none."""
    data = bytearray(jpeg(dpi=(200, 100)))
    assert data[6:11] == b"JFIF\0"
    data[13] = unit

    assert header_of(bytes(data)).print_spacing == spacing


def test_the_print_density_turns_with_the_picture() -> None:
    """Rows and columns change places where the picture is turned."""
    tags = Image.Exif()
    tags[0x0112] = 6
    header = header_of(jpeg(dpi=(200, 100), exif=tags))

    assert header.print_spacing == (25.4 / 200, 25.4 / 100)
    assert replace(header, upright=False).print_spacing == (25.4 / 100, 25.4 / 200)


@pytest.mark.parametrize("more", [b"\xff\xfe\0\2", b"\xff\xd0"])
def test_segments_without_end_are_refused(more: bytes) -> None:
    """Comments and markers by the hundred thousand are work, and no picture."""
    data = jpeg()

    with pytest.raises(LimitError, match="segments"):
        header_of(data[:2] + more * 2**16 + data[2:])


def test_scans_without_end_are_refused() -> None:
    """Each scan is work for the decoder on all pixels, however few bytes it has."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]

    header_of(data[:-2] + scan * 400 + data[-2:])
    with pytest.raises(LimitError, match="scans"):
        header_of(data[:-2] + scan * 500 + data[-2:])


def test_what_follows_the_end_is_ignored() -> None:
    """A second image or junk behind the end of the image changes nothing."""
    data = jpeg()

    np.testing.assert_array_equal(pixels_of(data + data[:300]), pixels_of(data))


@given(st.binary(max_size=400))
def test_junk_behind_the_start_is_always_a_typed_error(junk: bytes) -> None:
    """Whatever follows the start marker, the walk ends with one of our errors or a header."""
    try:
        header_of(b"\xff\xd8\xff" + junk)
    except LoadstoneError:
        return


def frame(marker: int, bits: int = 8, rows: int = 4, columns: int = 4, components: int = 1) -> bytes:
    payload = bytes([bits, *rows.to_bytes(2), *columns.to_bytes(2), components]) + b"\1\x11\0" * components
    segment = b"\xff" + bytes([marker]) + (len(payload) + 2).to_bytes(2) + payload
    return b"\xff\xd8" + segment + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 8 + b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (frame(0xF7), "JPEG-LS"),
        (frame(0xC5), "hierarchical"),
        (frame(0xCB), "lossless arithmetic"),
        (frame(0xC0, components=2), "2 components"),
        (frame(0xC1, bits=12, components=4), "4 components of 12 bits"),
        (frame(0xC0, bits=7), "7 bits"),
    ],
)
def test_what_cannot_be_decoded_is_refused_by_name(data: bytes, named: str) -> None:
    """Processes and numbers of components that no decoder here has are named."""
    with pytest.raises(UnsupportedError, match=named):
        header_of(data)


@pytest.mark.parametrize("data", [frame(0xC0, rows=0), frame(0xC0, columns=0), frame(0xC0, components=0)])
def test_a_frame_header_that_makes_no_sense_is_refused(data: bytes) -> None:
    """No rows, no columns, no components: refused by the header alone."""
    with pytest.raises(DecodeError):
        header_of(data)


def test_pixels_without_a_frame_header_are_refused() -> None:
    """A scan needs a frame."""
    with pytest.raises(DecodeError, match="frame header"):
        header_of(b"\xff\xd8\xff\xda\0\x02\0\xff\xd9")


@pytest.mark.parametrize("scan", [b"", b"\0\0\0\0", b"\1\7\0\0\x3f\0", b"\1\1\0", b"\xff" * 9])
def test_a_scan_header_that_makes_no_sense_is_refused(scan: bytes) -> None:
    """No components, one that the frame does not have, too short: refused before a decoder sees it."""
    data = frame(0xC0)
    at = data.index(b"\xff\xda")
    data = data[: at + 2] + (len(scan) + 2).to_bytes(2) + scan + data[at + 10 :]

    with pytest.raises(DecodeError, match="header of a scan"):
        header_of(data)
