from __future__ import annotations

import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import ExplicitVRLittleEndian

from loadstone import DecodeError, IntegrityError, LoadstoneError, UnsupportedError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.codecs import CODECS
from loadstone_wado.codecs.codestream import inspect_jpeg, inspect_jpeg2000
from loadstone_wado.codecs.swallowed import raising_swallowed_errors
from loadstone_wado.decode import decode_frame
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.instance import Instance
from loadstone_wado.native import keep_low_bits
from plugins.wado.tests.builders import SETTINGS, image

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from pydicom.dataset import Dataset

Encode = "Callable[[npt.NDArray[Any]], bytes]"


def decoded(dataset: Dataset, data: bytes, uid: str, *, scaled: bool = False) -> npt.NDArray[Any]:
    """Decode one frame that came from anywhere."""
    instance = Instance.from_dataset(dataset, SETTINGS, source="made.dcm")
    return decode_frame(instance, 1, EncodedFrame(data, uid), scaled=scaled).pixels


def jpeg_lossless(pixels: npt.NDArray[Any]) -> bytes:
    bits = pixels.dtype.itemsize * 8
    return bytes(imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=bits))


def rle(pixels: npt.NDArray[Any]) -> bytes:
    """Encode with pydicom's own encoder."""
    dataset = image(pixels)
    return RLELosslessEncoder.encode(dataset, index=0)


def unsigned(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return pixels.view(f"u{pixels.dtype.itemsize}")


LOSSLESS: dict[str, Callable[[npt.NDArray[Any]], bytes]] = {
    ts.JPEG_LOSSLESS: lambda pixels: jpeg_lossless(unsigned(pixels)),
    ts.JPEG_LOSSLESS_SV1: lambda pixels: jpeg_lossless(unsigned(pixels)),
    ts.JPEG_LS_LOSSLESS: lambda pixels: bytes(imagecodecs.jpegls_encode(unsigned(pixels))),
    ts.JPEG_2000_LOSSLESS: lambda pixels: bytes(
        imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k")
    ),
    ts.HTJ2K_LOSSLESS: lambda pixels: bytes(imagecodecs.htj2k_encode(pixels)),
    ts.HTJ2K: lambda pixels: bytes(imagecodecs.htj2k_encode(pixels)),
    ts.JPEG_XL_LOSSLESS: lambda pixels: bytes(imagecodecs.jpegxl_encode(unsigned(pixels), lossless=True)),
    ts.RLE_LOSSLESS: rle,
    ts.ENCAPSULATED_UNCOMPRESSED: lambda pixels: pixels.tobytes(),
    ts.DEFLATED_IMAGE_FRAME: lambda pixels: zlib.compress(pixels.tobytes(), wbits=-15),
    ExplicitVRLittleEndian: lambda pixels: pixels.tobytes(),
}


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i1", "i2"])
def test_lossless_encodings_give_the_same_values_back(uid: str, dtype: str) -> None:
    """All values of a sample survive, the signs too."""
    info = np.iinfo(dtype)
    pixels = np.random.default_rng(3).integers(info.min, info.max + 1, (40, 30)).astype(dtype)
    pixels[0, :2] = info.min, info.max
    found = decoded(image(pixels), LOSSLESS[uid](pixels), uid)

    assert found.dtype == dtype
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless_colours_come_back_interleaved(uid: str) -> None:
    """Three samples are the last axis, whatever the encoding did."""
    pixels = np.random.default_rng(3).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    found = decoded(image(pixels), LOSSLESS[uid](pixels), uid, scaled=True)

    assert np.array_equal(found, pixels)


@given(
    words=hnp.arrays(np.uint16, (6, 7)),
    uid=st.sampled_from([uid for uid in LOSSLESS if uid != ts.HTJ2K]),
    bits=st.integers(1, 16),
    signed=st.booleans(),
)
def test_lossless_twins_are_equal_whatever_the_high_bits_hold(
    words: npt.NDArray[np.uint16], uid: str, bits: int, signed: bool
) -> None:
    """Retired overlays above BitsStored never show, and signs are extended, as in the uncompressed image."""
    pixels = words.view(np.int16) if signed else words
    dataset = image(pixels, BitsStored=bits, HighBit=bits - 1)
    plain = decoded(dataset, words.tobytes(), ExplicitVRLittleEndian)
    whole = decoded(dataset, LOSSLESS[uid](pixels), uid)

    assert np.array_equal(whole, plain)
    assert whole.dtype == pixels.dtype


@pytest.mark.parametrize(
    "uid", [ts.JPEG_LS_LOSSLESS, ts.JPEG_LOSSLESS_SV1, ts.JPEG_XL_LOSSLESS, ts.RLE_LOSSLESS]
)
def test_low_bits_alone_carry_the_sign(uid: str) -> None:
    """Encoders cleared what stands above BitsStored: the sign is the highest bit that is stored."""
    pixels = np.random.default_rng(3).integers(-2048, 2048, (16, 16)).astype(np.int16)
    low = (pixels & 0x0FFF).astype(np.int16)
    found = decoded(image(pixels, BitsStored=12, HighBit=11), LOSSLESS[uid](low), uid)

    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    "uid",
    [ts.JPEG_LOSSLESS, ts.JPEG_LS_LOSSLESS, ts.JPEG_2000_LOSSLESS, ts.HTJ2K_LOSSLESS, ts.JPEG_XL_LOSSLESS],
)
def test_values_of_a_byte_in_words_may_be_encoded_as_bytes(uid: str) -> None:
    """A codestream is as wide as its values, whatever BitsAllocated is."""
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16)).astype(np.uint8)
    dataset = image(pixels.astype(np.uint16), BitsStored=8, HighBit=7)

    assert np.array_equal(decoded(dataset, LOSSLESS[uid](pixels), uid), pixels)


@pytest.mark.parametrize("bits", [20, 24, 25, 26])
def test_wide_samples_are_exact_or_refused(bits: int) -> None:
    """Beyond 24 bits OpenJPEG gives other values without an error."""
    pixels = np.random.default_rng(3).integers(0, 1 << bits, (24, 20)).astype(np.uint32)
    dataset = image(pixels, BitsStored=bits, HighBit=bits - 1)
    data = bytes(
        imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k", bitspersample=bits)
    )
    if bits <= 24:
        assert np.array_equal(decoded(dataset, data, ts.JPEG_2000_LOSSLESS), pixels)
    else:
        with pytest.raises(UnsupportedError, match=f"{bits} bits a sample"):
            decoded(dataset, data, ts.JPEG_2000_LOSSLESS)

    exact = decoded(dataset, bytes(imagecodecs.htj2k_encode(pixels)), ts.HTJ2K_LOSSLESS)

    assert np.array_equal(exact, pixels)


def test_what_quantisation_pushes_over_the_end_does_not_wrap_around() -> None:
    """In lossy codestreams values above BitsStored are values, not overlays."""
    pixels = np.full((16, 16), 1030, np.uint16)
    data = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k"))
    found = decoded(image(pixels, BitsStored=10, HighBit=9), data, ts.JPEG_2000)

    assert np.array_equal(found, pixels)


SECOND: dict[str, Callable[[bytes], Any]] = {
    ts.JPEG_LOSSLESS_SV1: imagecodecs.ljpeg_decode,
    ts.HTJ2K_LOSSLESS: imagecodecs.jpeg2k_decode,
}
"""Decoders by others: lossless JPEG without libjpeg, HTJ2K with OpenJPEG."""


@pytest.mark.parametrize("uid", SECOND)
@given(pixels=hnp.arrays(np.uint16, st.tuples(st.integers(2, 20), st.integers(2, 20))))
def test_two_decoders_agree(uid: str, pixels: npt.NDArray[np.uint16]) -> None:
    """What one decoder makes of a lossless codestream, one by other people makes too."""
    data = LOSSLESS[uid](pixels)

    assert np.array_equal(decoded(image(pixels), data, uid), SECOND[uid](data))


@given(
    array=hnp.arrays(st.sampled_from(["u1", "u2", "i1", "i2", "i4"]), (3, 4)),
    bits=st.integers(1, 8),
)
def test_low_bits_are_what_shifting_both_ways_leaves(array: npt.NDArray[Any], bits: int) -> None:
    """Bits above the stored ones never matter (DICOM PS3.5 8.1.1)."""
    shift = array.dtype.itemsize * 8 - bits
    expected = array << array.dtype.type(shift) >> array.dtype.type(shift)
    keep_low_bits(array, bits)

    assert np.array_equal(array, expected)


@pytest.mark.parametrize("uid", [uid for uid in LOSSLESS if uid not in ts.NATIVE])
@pytest.mark.parametrize("shape", [(41, 30), (40, 31), (40, 30, 3)])
def test_codestreams_of_another_size_are_refused(uid: str, shape: tuple[int, ...]) -> None:
    """The attributes and the codestream must describe one image; neither is believed alone."""
    pixels = np.random.default_rng(3).integers(0, 255, (40, 30), dtype=np.uint8)
    described = image(np.zeros(shape, np.uint8))
    if uid in {ts.ENCAPSULATED_UNCOMPRESSED, ts.DEFLATED_IMAGE_FRAME, ts.RLE_LOSSLESS}:
        # These do not say what they are, but have too few bytes.
        pixels = pixels[:20]
    with pytest.raises(IntegrityError, match=r"made\.dcm"):
        decoded(described, LOSSLESS[uid](pixels), uid)


def test_codestreams_with_more_bits_than_a_sample_holds_are_refused() -> None:
    """16 bits do not fit into BitsAllocated 8."""
    pixels = np.zeros((8, 8), np.uint16)
    for uid in (ts.JPEG_LOSSLESS, ts.JPEG_LS_LOSSLESS, ts.JPEG_2000_LOSSLESS, ts.HTJ2K_LOSSLESS):
        with pytest.raises(IntegrityError, match="16 bits"):
            decoded(image(np.zeros((8, 8), np.uint8)), LOSSLESS[uid](pixels), uid)


@pytest.mark.parametrize("uid", [uid for uid in LOSSLESS if uid not in ts.NATIVE])
@given(data=st.data())
def test_damaged_codestreams_give_an_array_or_a_typed_error(uid: str, data: st.DataObject) -> None:
    """Cut or changed anywhere: right-sized pixels or a typed error, and nothing is left undefined."""
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    whole = LOSSLESS[uid](pixels)
    cut = data.draw(st.integers(0, len(whole)))
    damaged = whole[:cut] if data.draw(st.booleans()) else whole[: cut - 1] + b"\x55" + whole[cut:]
    try:
        found = decoded(image(pixels), damaged, uid)
    except LoadstoneError:
        return

    assert found.shape == (8, 8)


def test_short_rle_segments_leave_nothing_undefined() -> None:
    """A segment that ends early is an error: the decoder leaves what it does not write as it was."""
    short = struct.pack("<16I", 1, 64, *[0] * 14) + bytes([0xFB, 7])
    with pytest.raises(IntegrityError, match="6 of 64 bytes"):
        decoded(image(np.zeros((8, 8), np.uint8)), short, ts.RLE_LOSSLESS)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("padding", [1, 2, 9])
def test_padded_rle_segments_give_what_they_hold(dtype: str, padding: int) -> None:
    """Zeros behind a segment are no pixels, however many a writer appends."""
    pixels = np.random.default_rng(1).integers(0, 3, (7, 13)).astype(dtype)
    whole = rle(pixels)
    count, *starts = struct.unpack_from("<16I", whole)
    ends = [*starts[1:count], len(whole)]
    segments = [whole[start:end] + bytes(padding) for start, end in zip(starts, ends, strict=False)]
    starts = [64 + sum(map(len, segments[:place])) for place in range(count)]
    padded = struct.pack("<16I", count, *starts, *[0] * (15 - count)) + b"".join(segments)

    assert np.array_equal(decoded(image(pixels), padded, ts.RLE_LOSSLESS), pixels)


@pytest.mark.parametrize(
    "offsets",
    [(65,), (64, 70), (), (10**9,)],
    ids=["not behind the header", "too many", "none", "behind the end"],
)
def test_rle_headers_are_checked(offsets: tuple[int, ...]) -> None:
    """Number and places of segments must fit the image and the bytes."""
    header = struct.pack("<16I", len(offsets), *offsets, *[0] * (15 - len(offsets)))
    with pytest.raises(IntegrityError, match="RLE"):
        decoded(image(np.zeros((8, 8), np.uint8)), header + bytes([0xC1, 7]), ts.RLE_LOSSLESS)


def test_decoder_failures_are_chained() -> None:
    """What the codec said is kept as the cause, and the message names transfer syntax and object."""
    pixels = np.random.default_rng(3).integers(0, 255, (40, 30), dtype=np.uint8)
    whole = LOSSLESS[ts.JPEG_XL_LOSSLESS](pixels)
    with pytest.raises(DecodeError, match=r"made.dcm: .*1\.2\.840\.10008\.1\.2\.4\.110") as caught:
        decoded(image(pixels), whole[: len(whole) // 2], ts.JPEG_XL_LOSSLESS)

    assert isinstance(caught.value.__cause__, imagecodecs.JpegxlError)


def test_errors_that_the_htj2k_decoder_drops_are_raised() -> None:
    """A damaged codestream of the right length is an error, not an array of zeros."""
    pixels = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)
    whole = bytearray(LOSSLESS[ts.HTJ2K_LOSSLESS](pixels))
    whole[-28] = 0x55
    with pytest.raises(DecodeError, match="ojph"):
        decoded(image(pixels), bytes(whole), ts.HTJ2K_LOSSLESS)


def test_watching_a_decoder_leaves_the_hook_as_it_was() -> None:
    """Other dropped errors go where they went before, and nothing stays behind."""
    before = sys.unraisablehook
    seen: list[sys.UnraisableHookArgs] = []

    class Fails:
        def __del__(self) -> None:
            raise RuntimeError("in a finaliser")

    sys.unraisablehook = seen.append
    try:
        with raising_swallowed_errors("imagecodecs"):
            Fails()
        during = sys.unraisablehook
    finally:
        sys.unraisablehook = before

    assert [str(each.exc_value) for each in seen] == ["in a finaliser"]
    assert during == seen.append


@pytest.mark.parametrize("uid", LOSSLESS)
def test_truncated_codestreams_are_never_filled_up(uid: str) -> None:
    """Cut anywhere, a frame is an error or complete: no decoder's grey or zeros get through."""
    pixels = (np.arange(64 * 64).reshape(64, 64) * 7 % 251).astype(np.uint8)
    whole = LOSSLESS[uid](pixels)
    for length in range(0, len(whole), 29):
        try:
            found = decoded(image(pixels), whole[:length], uid)
        except LoadstoneError:
            continue

        assert np.array_equal(found, pixels)


def test_unknown_encodings_are_unsupported() -> None:
    """A server may answer in any encoding; the name is in the message."""
    with pytest.raises(UnsupportedError, match=r"1\.2\.3"):
        decoded(image(), b"", "1.2.3")


def test_every_transfer_syntax_has_a_decoder() -> None:
    """What is called readable can be read."""
    assert set(CODECS) == ts.NATIVE | ts.ENCAPSULATED


def jpeg(colours: npt.NDArray[Any], marker: bytes) -> bytes:
    """Return a JPEG that stores `colours` as they are, with `marker` in place of the encoder's own."""
    data = bytes(imagecodecs.jpeg8_encode(colours, level=100, colorspace="RGB", outcolorspace="RGB"))
    start = data.index(b"\xff\xdb")
    plain = b"\xff\xd8" + marker + data[start:]
    # Component identifiers 1, 2, 3 say nothing about the colour space.
    frame = plain.index(b"\xff\xc0")
    ids = bytes(plain[frame + 10 + 3 * each] for each in range(3))
    for number, old in enumerate(ids):
        plain = plain[: frame + 10 + 3 * number] + bytes([number + 1]) + plain[frame + 11 + 3 * number :]
        scan = plain.index(b"\xff\xda") + 5 + 2 * number
        assert plain[scan] == old
        plain = plain[:scan] + bytes([number + 1]) + plain[scan + 1 :]
    return plain


ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0"
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\0\0\x01\0\x01\0\0"


@pytest.mark.parametrize(
    ("marker", "recorded", "expected"),
    [
        (b"", "RGB", "RGB"),
        (b"", "YBR_FULL_422", "YBR_FULL"),
        (ADOBE + b"\0", "YBR_FULL_422", "RGB"),
        (ADOBE + b"\1", "RGB", "YBR_FULL"),
        (JFIF, "RGB", "YBR_FULL"),
        (JFIF + ADOBE + b"\0", "YBR_FULL", "RGB"),
    ],
)
def test_the_markers_of_a_jpeg_decide_about_its_colours(marker: bytes, recorded: str, expected: str) -> None:
    """Adobe's marker, then JFIF's, then the attribute says what components are; raw values never change."""
    colours = np.full((16, 16, 3), (200, 90, 60), np.uint8)
    dataset = image(colours, PhotometricInterpretation=recorded)
    instance = Instance.from_dataset(dataset, SETTINGS)
    encoded = EncodedFrame(jpeg(colours, marker), ts.JPEG_BASELINE)
    raw = decode_frame(instance, 1, encoded, scaled=False)
    shown = decode_frame(instance, 1, encoded, scaled=True)

    assert raw.photometric_interpretation == expected
    assert np.abs(raw.pixels.astype(int) - colours).max() <= 2
    assert shown.photometric_interpretation == "RGB"
    assert np.array_equal(shown.pixels, raw.pixels) == (expected == "RGB")


def test_jpeg_inspection_skips_fill_bytes_and_restart_markers() -> None:
    """Fill bytes before a marker are legal (ISO/IEC 10918-1 B.1.1.2)."""
    data = jpeg(np.zeros((16, 16, 3), np.uint8), b"\xff\xff\xfe\x00\x04ab")

    assert inspect_jpeg(data).rows == 16


@given(st.binary(max_size=60))
def test_inspection_gives_a_codestream_or_an_integrity_error(data: bytes) -> None:
    """No bytes make it raise anything else."""
    for inspect, start in ((inspect_jpeg, b"\xff\xd8"), (inspect_jpeg2000, b"\xff\x4f\xff\x51")):
        for each in (data, start + data):
            with pytest.raises(IntegrityError) if each == data else _maybe():
                inspect(each)


class _maybe:  # noqa: N801 - reads like a word
    """Allow an integrity error."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, IntegrityError)


def test_lossy_htj2k_is_clamped_not_wrapped() -> None:
    """Quantisation pushes values over the ends; they stay there."""
    pixels = np.zeros((64, 64), np.uint8)
    pixels[::2, ::3] = 255
    data = bytes(imagecodecs.htj2k_encode(pixels, reversible=False, level=0.02))
    found = decoded(image(pixels), data, ts.HTJ2K)

    assert np.abs(found.astype(int) - pixels).max() < 100
