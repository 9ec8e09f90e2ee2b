from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate_extended
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from loadstone import IntegrityError, InvalidIdError, LimitError, MetadataError, Settings, UnsupportedError
from loadstone_wado.decode import load_frame
from loadstone_wado.part10 import Part10
from plugins.wado.tests.builders import SETTINGS, encapsulated, image, items_of, opened, part10

if TYPE_CHECKING:
    from pathlib import Path

    from loadstone_wado.frames import FrameReader

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def reader_of(pixel_data: bytes, frames: int, uid: str = JPEGBaseline8Bit) -> FrameReader:
    """Return a reader over exactly this encapsulated pixel data."""
    dataset = image(np.zeros((frames, 2, 2), np.uint8), frames=frames)
    return Part10.from_bytes(encapsulated(dataset, uid, pixel_data), SETTINGS, source="made.dcm").frames


def read(reader: FrameReader, number: int) -> bytes:
    return bytes(reader.read(number).data)


@pytest.mark.parametrize("uid", NATIVE)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_each_native_frame_is_its_own(uid: str, dtype: str) -> None:
    """Frame n of a native object holds the n-th samples, in every byte order; sizes may be odd."""
    pixels = np.random.default_rng(1).integers(0, 100, (5, 3, 5)).astype(dtype)
    dataset = image(pixels, frames=5)
    if uid == ExplicitVRBigEndian:
        dataset.PixelData = pixels.astype(f">{dtype}").tobytes() + b"\0" * (pixels.nbytes % 2)
    with opened(dataset, uid) as part:
        for number in range(1, 6):
            found = load_frame(part.frames, number, scaled=False).pixels

            assert found.dtype == dtype
            assert found.tolist() == pixels[number - 1].tolist()


def test_big_endian_bytes_in_words_are_swapped() -> None:
    """8-bit samples in big-endian words come in order, in odd frames too (DICOM PS3.5 8.1.2)."""
    pixels = np.arange(30, dtype=np.uint8).reshape(2, 3, 5)
    dataset = image(pixels, frames=2)
    dataset.PixelData = np.frombuffer(pixels.tobytes(), ">u2").astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    with opened(dataset, ExplicitVRBigEndian) as part:
        found = [load_frame(part.frames, number).pixels.tolist() for number in (1, 2)]

    assert found == pixels.tolist()


@given(
    bits=st.integers(1, 5).flatmap(
        lambda frames: st.lists(
            st.lists(st.booleans(), min_size=15, max_size=15), min_size=frames, max_size=frames
        )
    )
)
def test_single_bits_need_not_begin_on_a_byte(bits: list[list[bool]]) -> None:
    """Frames of single bits follow each other without a gap (DICOM PS3.5 8.1.1)."""
    pixels = np.array(bits, np.uint8).reshape(len(bits), 3, 5)
    dataset = image(pixels, frames=len(bits), BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    with opened(dataset) as part:
        found = [load_frame(part.frames, number + 1, scaled=False).pixels for number in range(len(bits))]

    assert np.array_equal(np.stack(found), pixels)


def test_a_file_is_read_straight_into_the_given_memory(tmp_path: Path) -> None:
    """The array that `allocate` gives is the one that comes back, with the frame in it."""
    pixels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = tmp_path / "a.dcm"
    path.write_bytes(part10(image(pixels, frames=2)))
    memory = np.full((3, 4), -1, np.int16)
    with Part10.open(path, SETTINGS) as part:
        found = load_frame(part.frames, 2, allocate=lambda *_: memory)

    assert found.pixels is memory
    assert memory.tolist() == pixels[1].tolist()


def test_truncated_native_pixels_name_both_sizes() -> None:
    """What is missing is said; the frames that are there load."""
    data = part10(image(np.zeros((3, 2, 2), np.uint16), frames=3))
    with Part10.from_bytes(data[:-3], SETTINGS, source="made.dcm") as part:
        assert load_frame(part.frames, 2).pixels.shape == (2, 2)
        with pytest.raises(IntegrityError, match=r"made.dcm: .*frame 3.* 24 bytes are needed, 21 are there"):
            part.frames.read(3)


def test_excess_bytes_are_no_frames() -> None:
    """Bytes behind the last frame are ignored, and do not make more frames."""
    dataset = image(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), frames=2)
    dataset.PixelData += bytes(16)
    with opened(dataset) as part:
        assert load_frame(part.frames, 2).pixels.tolist() == [[4, 5], [6, 7]]
        with pytest.raises(InvalidIdError, match="no frame 3"):
            part.frames.read(3)


@pytest.mark.parametrize("number", [0, -1, 3])
def test_frames_that_do_not_exist_are_refused(number: int) -> None:
    """Frames are numbered from 1 to NumberOfFrames."""
    with opened(image(np.zeros((2, 2, 2), np.uint8), frames=2)) as part, pytest.raises(InvalidIdError):
        part.frames.read(number)


FRAMES = (b"\xff\xd8\xff one\xff\xd9", b"\xff\xd8\xff second\xff\xd9", b"\xff\xd8\xff third!\xff\xd9 ")


@pytest.mark.parametrize("delimiter", [True, False])
def test_fragments_are_frames_without_a_table(delimiter: bool) -> None:
    """As many fragments as frames: one each, with or without the delimiter at the end."""
    reader = reader_of(items_of(*FRAMES, delimiter=delimiter), 3)

    assert [read(reader, number) for number in (3, 1, 2)] == [FRAMES[2], FRAMES[0], FRAMES[1]]


def test_one_frame_takes_all_fragments() -> None:
    """A single frame may lie in any number of fragments, with a table or without."""
    for table in ((), (0,)):
        reader = reader_of(items_of(b"ab", b"cd", b"ef", table=table), 1)

        assert read(reader, 1) == b"abcdef"


def test_the_basic_table_joins_fragments() -> None:
    """The basic offset table says which fragments are a frame's."""
    reader = reader_of(items_of(b"ab", b"cd", b"ef", b"gh", table=(0, 10, 30)), 3)

    assert [read(reader, number) for number in (2, 3, 1)] == [b"cdef", b"gh", b"ab"]


def test_codestreams_are_split_at_their_beginnings() -> None:
    """More fragments than frames without a table: a frame begins where a codestream does."""
    parts = [part for frame in FRAMES for part in (frame[:6], frame[6:])]
    reader = reader_of(items_of(*parts), 3)

    assert [read(reader, number) for number in (1, 2, 3)] == list(FRAMES)


def test_fragments_that_cannot_be_split_are_refused() -> None:
    """Without table and beginnings nothing says whose a fragment is."""
    with pytest.raises(IntegrityError, match="cannot be split"):
        reader_of(items_of(b"ab", b"cd", b"ef"), 2).read(1)


def test_missing_frames_are_named_and_the_others_load() -> None:
    """Fewer fragments than frames: those that are there load."""
    reader = reader_of(items_of(*FRAMES[:2]), 3)

    assert read(reader, 2) == FRAMES[1]
    with pytest.raises(IntegrityError, match="2 of 3 frames"):
        reader.read(3)


@pytest.mark.parametrize("table", [(0, 11, 30), (0, 30, 10), (0, 8, 30), (0, 10, 10**9), (10, 20, 30)])
def test_wrong_tables_are_integrity_errors(table: tuple[int, ...]) -> None:
    """A table that does not lead to items is refused, never followed into other bytes."""
    reader = reader_of(items_of(b"ab", b"cd", b"ef", b"gh", table=table), 3)
    with pytest.raises(IntegrityError):
        _ = [reader.read(number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "table", [(8, 22, 40), (0, 11, 30), (0, 0, 0), (10**9, 10**9, 10**9), (22, 40, 56), (0, 16), (0,)]
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_wrong_tables_do_no_harm_where_the_fragments_leave_no_doubt(
    table: tuple[int, ...], pieces: int
) -> None:
    """As many fragments, or beginnings of codestreams, as frames: those are the frames."""
    parts = [part for frame in FRAMES for part in ((frame,) if pieces == 1 else (frame[:6], frame[6:]))]
    reader = reader_of(items_of(*parts, b"", table=table), 3)

    assert [read(reader, number) for number in (3, 1, 2)] == [FRAMES[2], FRAMES[0], FRAMES[1]]


def test_a_short_table_loads_what_it_names() -> None:
    """Frames beyond the table are missing, the others load."""
    reader = reader_of(items_of(b"ab", b"cd", b"ef", b"gh", table=(0, 10)), 3)

    assert read(reader, 1) == b"ab"
    with pytest.raises(IntegrityError, match="2 entries"):
        reader.read(3)


def test_the_extended_table_is_followed() -> None:
    """The extended offset table finds frames (DICOM PS3.3 C.7.6.3.1.8)."""
    data, offsets, lengths = encapsulate_extended([b"ab", b"cdef", b"gh"])
    dataset = image(np.zeros((3, 2, 2), np.uint8), frames=3)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
    reader = Part10.from_bytes(encapsulated(dataset, JPEGBaseline8Bit, data), SETTINGS).frames

    assert [read(reader, number) for number in (3, 2, 1)] == [b"gh", b"cdef", b"ab"]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_truncated_fragment_is_an_integrity_error(frames: int) -> None:
    """The last frame of a truncated object fails, with the sizes; the others load."""
    reader = reader_of(items_of(*FRAMES[:frames], delimiter=False)[:-4], frames)
    with pytest.raises(IntegrityError, match=f"frame {frames} is truncated"):
        reader.read(frames)
    if frames > 1:
        assert read(reader, 1) == FRAMES[0]


@given(data=st.binary(max_size=80), frames=st.integers(1, 3), number=st.integers(1, 3))
def test_any_pixel_data_gives_bytes_or_a_typed_error(data: bytes, frames: int, number: int) -> None:
    """Whatever stands in the place of items: no other error, no hang."""
    reader = reader_of(data, frames)
    try:
        found = read(reader, number)
    except (IntegrityError, InvalidIdError, MetadataError, LimitError):
        return

    assert len(found) <= len(data)


@given(st.lists(st.integers(0, 60), max_size=4), st.integers(1, 4))
def test_any_table_gives_a_frame_or_a_typed_error(table: list[int], number: int) -> None:
    """Whatever a table says: bytes of whole fragments, or a typed error."""
    parts = (b"ab", b"cdef", b"gh", b"ij")
    reader = reader_of(items_of(*parts, table=tuple(table)), 4)
    try:
        found = read(reader, number)
    except IntegrityError:
        return

    assert found
    assert found in b"".join(parts)


def test_endless_fragments_are_stopped() -> None:
    """A file full of empty fragments ends at a limit."""
    dataset = image(np.zeros((2, 2), np.uint8))
    data = encapsulated(dataset, JPEGBaseline8Bit, items_of(*[b""] * 2000))
    with (
        Part10.from_bytes(data, Settings(max_parts=100)) as part,
        pytest.raises(LimitError, match="fragments"),
    ):
        part.frames.read(1)


def test_native_pixels_in_a_compressed_syntax_are_refused() -> None:
    """A defined length where fragments must be, and fragments where samples must be, are named."""
    with (
        Part10.from_bytes(
            part10(image()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"), SETTINGS
        ) as part,
        pytest.raises(IntegrityError, match="not encapsulated"),
    ):
        part.frames.read(1)
    reader = reader_of(items_of(b"ab"), 1, ExplicitVRLittleEndian)
    with pytest.raises(IntegrityError, match="encapsulated"):
        reader.read(1)


def test_unknown_transfer_syntaxes_are_named() -> None:
    """The message has the UID."""
    reader = reader_of(items_of(b"ab"), 1, "1.2.840.10008.1.2.4.94")
    with pytest.raises(UnsupportedError, match=r"1\.2\.840\.10008\.1\.2\.4\.94"):
        reader.read(1)


def test_full_size_pixels_are_not_read_as_subsampled() -> None:
    """YBR_FULL_422 with bytes for all chrominances is refused, as by pydicom."""
    dataset = image(np.zeros((2, 2, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    with opened(dataset) as part, pytest.raises(IntegrityError, match="YBR_FULL_422"):
        part.frames.read(1)


def test_compressed_frames_name_their_transfer_syntax() -> None:
    """What is read says how it is encoded."""
    assert reader_of(items_of(b"ab"), 1, RLELossless).read(1).transfer_syntax_uid == RLELossless
    assert reader_of(items_of(b"ab"), 1, JPEG2000Lossless).read(1).transfer_syntax_uid == JPEG2000Lossless
