from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from loadstone import DecodeError, IntegrityError, LimitError, LoadstoneError, Settings, UnsupportedError
from loadstone_wado import tags
from loadstone_wado.blobs import FileBlob, MemoryBlob
from loadstone_wado.elements import DatasetElements, Elements, RawElements
from loadstone_wado.headers import Header, read_dataset, read_header
from plugins.wado.tests.builders import (
    SETTINGS,
    bundled,
    bundled_files,
    identity,
    image,
    item,
    part10,
    prefixes,
    shared_data,
)

if TYPE_CHECKING:
    from pathlib import Path

_SEQUENCES = [tag for tag in tags.ATTRIBUTES.values() if tag.vr == "SQ"]
_BINARY = [tag for tag in tags.ATTRIBUTES.values() if tag.vr in {"OW", "OV"} and tag != tags.PIXEL_DATA]
_PLAIN = [
    tag
    for tag in tags.ATTRIBUTES.values()
    if tag.vr not in {"SQ", "OW", "OV", "OF", "OD"} and tag != tags.TRANSFER_SYNTAX_UID
]


def described(elements: Elements) -> dict[str, Any]:
    """Return everything that the attributes of `tags` say, or the error that asking raises."""
    found: dict[str, Any] = {}
    for tag in _PLAIN:
        value: Any = elements.values(tag)
        if tag.vr in {"DS", "IS"}:
            try:
                value = elements.numbers(tag)
            except LoadstoneError:
                value = "damaged"
        if value:
            found[repr(tag)] = value
    found |= {repr(tag): words for tag in _BINARY if (words := elements.words(tag).tolist())}
    for tag in _SEQUENCES:
        items = elements.items(tag)
        if len(items):
            found[repr(tag)] = [described(each) for each in items]
    return found


def slow(blob: FileBlob | MemoryBlob) -> dict[str, Any]:
    """Return the same, read by pydicom."""
    dataset = read_dataset(blob)
    return described(DatasetElements(dataset, little_endian=bool(dataset.original_encoding[1])))


def header_of(data: bytes) -> Header:
    return read_header(MemoryBlob(data, "made"), SETTINGS)


def assert_same_as_pydicom(path: Path) -> bool:
    """Compare a file with pydicom's reading of it; say whether the fast way was taken."""
    with warnings.catch_warnings(), FileBlob(path) as blob:
        # pydicom warns of what it repairs.
        warnings.simplefilter("ignore")
        try:
            header = read_header(blob, SETTINGS)
        except LoadstoneError:
            return False
        if not isinstance(header.elements, RawElements) or header.inflated is not None:
            return False

        assert described(header.elements) == slow(blob)
        dataset = pydicom.dcmread(path, force=True)
        if header.pixels and header.pixels.tag in dataset:
            value = dataset[header.pixels.tag]
            assert value.is_undefined_length == (header.pixels.length is None)
            assert blob.read(header.pixels.offset, 64)[: len(value.value)] == value.value[:64]
    return True


def test_the_tag_table_has_the_representations_of_the_standard() -> None:
    """Every attribute of the standard has the VR of pydicom's dictionary."""
    from pydicom.datadict import dictionary_VR

    for tag in (each for each in tags.ATTRIBUTES.values() if not each >> 16 & 1):
        expected = dictionary_VR(int(tag)).replace(" or ", "/").replace("OB/OW", "OW").replace("US/OW", "OW")

        assert tag.vr == expected, tag


def test_every_bundled_file_reads_as_with_pydicom() -> None:
    """The fast walk gives what pydicom gives, for every file in its wheel, and takes most of them."""
    fast = [path.name for path in bundled_files() if assert_same_as_pydicom(path)]

    assert len(fast) > 100


def test_every_shared_file_reads_as_with_pydicom() -> None:
    """The same for real scanners' files."""
    folder = shared_data() / "dicom"
    fast = [path for path in sorted(folder.rglob("*")) if path.is_file() and assert_same_as_pydicom(path)]

    assert len(fast) > 300


_TEXT = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=10)
_DECIMALS = st.lists(
    st.floats(-1e4, 1e4, allow_nan=False).map(lambda value: f"{value:.4f}"), min_size=1, max_size=6
)


_VALUES = {
    **dict.fromkeys(
        ("ImagePositionPatient", "WindowCenter", "PixelSpacing", "KVP", "GridFrameOffsetVector"), _DECIMALS
    ),
    **dict.fromkeys(("SeriesDescription", "PatientID", "RescaleType", "StudyID"), _TEXT),
    **dict.fromkeys(("Rows", "BitsAllocated"), st.integers(0, 65535)),
    "PixelRepresentation": st.integers(0, 1),
}


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """Data sets with wanted, unwanted and private elements and nested sequences."""
    dataset = identity() if depth == 2 else Dataset()
    for name in draw(st.sets(st.sampled_from(sorted(_VALUES)))):
        setattr(dataset, name, draw(_VALUES[name]))
    if draw(st.booleans()):
        dataset.private_block(0x29, "TEST", create=True).add_new(1, "OB", draw(st.binary(max_size=50)) * 2)
    if depth:
        names = ("VOILUTSequence", "PixelMeasuresSequence", "ReferencedImageSequence")
        for name in draw(st.lists(st.sampled_from(names), unique=True)):
            items = draw(st.lists(datasets(depth=depth - 1), max_size=2))
            for each in items:
                each.is_undefined_length_sequence_item = draw(st.booleans())
            setattr(dataset, name, Sequence(items))
            dataset[name].is_undefined_length = draw(st.booleans())
    return dataset


@given(
    dataset=datasets(),
    uid=st.sampled_from(
        [
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            DeflatedExplicitVRLittleEndian,
            ExplicitVRBigEndian,
        ]
    ),
    pixels=st.booleans(),
)
def test_generated_headers_read_as_with_pydicom(dataset: Dataset, uid: str, *, pixels: bool) -> None:
    """Whatever the nesting, lengths and encoding: the same values, and the pixel data where it is."""
    if pixels:
        dataset.add_new(0x7FE00010, "OW", b"ab" * 20)
    data = part10(dataset, uid)
    header = header_of(data)

    assert described(header.elements) == slow(MemoryBlob(data, "made"))
    assert header.transfer_syntax_uid == uid
    assert (header.pixels is not None) == pixels
    if header.pixels:
        source = data if header.inflated is None else header.inflated
        assert source[header.pixels.offset :][: header.pixels.length] == b"ab" * 20


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("size", [10, 16000, 16380, 70000, 300000])
def test_headers_longer_than_the_first_read_are_read_on(size: int, uid: str) -> None:
    """A large element before the pixel data is skipped, one that is wanted is read whole."""
    dataset = image(RescaleType="HU", SeriesDescription="x")
    dataset.private_block(0x0009, "TEST", create=True).add_new(1, "OB", bytes(size))
    table = item(LUTDescriptor=[size // 2 % 65536, 0, 16], LUTData=bytes(range(250)) * (size // 250))
    table["LUTData"].VR = "OW"
    dataset.VOILUTSequence = Sequence([table])
    dataset["VOILUTSequence"].is_undefined_length = True
    data = part10(dataset, uid)
    header = header_of(data)

    assert isinstance(header.elements, RawElements)
    assert header.elements.integer(tags.ROWS) == 3
    assert header.pixels is not None
    assert data[header.pixels.offset :][:24] == dataset.PixelData


def test_skipped_elements_are_not_read() -> None:
    """A huge private element costs neither reading nor memory."""

    class Counting(MemoryBlob):
        count = 0

        def read(self, offset: int, length: int) -> bytes:
            self.count += length
            return super().read(offset, length)

    dataset = image()
    dataset.private_block(0x0009, "TEST", create=True).add_new(1, "OB", bytes(8_000_000))
    blob = Counting(part10(dataset), "made")
    header = read_header(blob, SETTINGS)

    assert header.pixels is not None
    assert blob.count < 200_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_truncated_headers_end_with_what_is_there_or_a_typed_error(uid: str) -> None:
    """Cut anywhere, a header never hangs, never raises anything but a typed error, never invents pixels."""
    whole = part10(image(VOILUTSequence=Sequence([item(LUTExplanation="x")])), uid)
    offset = header_of(whole).pixels
    assert offset is not None
    for data in prefixes(whole[: offset.offset - 12], 7):
        try:
            header = header_of(data)
        except LoadstoneError as error:
            assert isinstance(error, DecodeError | IntegrityError | UnsupportedError)  # noqa: PT017 - one of many outcomes
        else:
            assert header.pixels is None


@pytest.mark.filterwarnings("ignore")
@given(place=st.integers(132, 700), byte=st.integers(0, 255))
def test_damaged_headers_give_a_typed_error_or_what_pydicom_gives(place: int, byte: int) -> None:
    """A changed byte never leads to anything but values or a typed error."""
    data = bytearray(part10(image(VOILUTSequence=Sequence([item(LUTExplanation="x")]))))
    data[place % len(data)] = byte
    try:
        found = described(header_of(bytes(data)).elements)
    except LoadstoneError:
        return

    assert all(found.values())


@pytest.mark.parametrize("data", [b"", b"x", b"DICM", b"\x89PNG\r\n\x1a\n" + bytes(500), b"text " * 100])
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_dicom_says_so(data: bytes) -> None:
    """Other files get a typed error that names them."""
    with pytest.raises((DecodeError, IntegrityError, UnsupportedError), match="made"):
        header_of(data)


def test_a_length_that_claims_gigabytes_allocates_nothing() -> None:
    """The walk compares a length with the file before it believes it."""
    data = part10(image())
    place = data.index(b"\x08\x00\x18\x00UI")
    claimed = data[:place] + b"\x09\x00\x10\x00UN\0\0" + struct.pack("<I", 2**31 - 10) + data[place:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = header_of(claimed)
        except LoadstoneError:
            return

        assert header.pixels is None


def test_a_deflated_bomb_is_stopped() -> None:
    """Inflation ends at the limit of the settings."""
    dataset = image(np.zeros((1000, 1000), np.uint16))
    data = part10(dataset, DeflatedExplicitVRLittleEndian)
    settings = Settings(free_ratio_bytes=100_000, max_ratio=10)
    with pytest.raises(LimitError, match="max_ratio"):
        read_header(MemoryBlob(data, "made"), settings)


def test_a_truncated_deflated_data_set_is_short() -> None:
    """Deflated bytes that end too early are named so."""
    data = part10(image(), DeflatedExplicitVRLittleEndian)
    with pytest.raises(IntegrityError, match="truncated"):
        header_of(data[:-20])


def test_text_is_decoded_by_its_character_set() -> None:
    """Names in other alphabets come out as with pydicom, from explicit and implicit headers."""
    dataset = image(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Ö ä µ")
    for uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        header = header_of(part10(dataset, uid))

        assert header.elements.text(tags.SERIES_DESCRIPTION) == "Ö ä µ"


def test_sequences_of_unknown_representation_are_implicit() -> None:
    """A sequence recorded as UN with undefined length is walked in implicit VR (DICOM PS3.5 6.2.2)."""
    inner = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x28\x00\x50\x10\x02\x00\x00\x0040\xfe\xff\x0d\xe0" + bytes(4)
    element = b"\x28\x00\x32\x91UN\0\0\xff\xff\xff\xff" + inner + b"\xfe\xff\xdd\xe0" + bytes(4)
    data = part10(image())
    place = data.index(b"\xe0\x7f\x10\x00OW")
    header = header_of(data[:place] + element + data[place:])
    found = header.elements.item(tags.FRAME_VOI_LUT_SEQUENCE)

    assert found is not None
    assert found.number(tags.WINDOW_CENTER) == 40
    assert header.pixels is not None


def test_the_pixel_data_is_found_where_pydicom_recovers() -> None:
    """A file that says explicit and is implicit still tells where its pixel data is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = read_header(FileBlob(bundled("SC_rgb_jpeg.dcm")), SETTINGS)

    assert header.pixels is not None
    assert header.pixels.length is None


def test_explicit_elements_under_an_implicit_syntax_are_read_as_they_are() -> None:
    """The pixels begin behind their 12 bytes of header, not 4 bytes early."""
    whole = part10(image())
    old, new = (
        b"\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
        for uid in (b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0")
    )
    swapped = whole.replace(old, new)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = read_header(MemoryBlob(swapped, "x"), SETTINGS)

    assert header.pixels is not None
    assert header.pixels.length == 24
    assert header.pixels.offset == len(swapped) - 24


def test_the_full_header_comes_from_pydicom() -> None:
    """`read_dataset` gives everything but the pixels."""
    dataset = image(PatientName="A^B")
    found = read_dataset(MemoryBlob(part10(dataset), "made"))

    assert found.PatientName == "A^B"
    assert "PixelData" not in found
