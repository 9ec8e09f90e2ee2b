from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import data as pydicom_data
from pydicom import dcmread
from pydicom.encaps import encapsulate_extended, get_frame
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from loadstone_wado.server.errors import DamagedObjectError, NotFoundError
from loadstone_wado.server.frames import FrameReader
from loadstone_wado.server.index import Instance, build_archive
from loadstone_wado.server.sources import segment_bytes
from plugins.wado.tests.server.builders import encapsulated, make_dataset, native, part10

BUNDLED = Path(pydicom_data.__file__).parent / "test_files"
FILES = sorted(path for path in BUNDLED.iterdir() if path.suffix == ".dcm")
WITH_PIXELS = [
    (path, instance)
    for path in FILES
    for instance in build_archive(path).instances.values()
    if instance.pixels is not None
]


def only(content: bytes | Path) -> Instance:
    (instance,) = build_archive(content).instances.values()
    return instance


def frame(instance: Instance, number: int) -> bytes:
    return segment_bytes(FrameReader().frame(instance, number))


@pytest.mark.parametrize(("path", "instance"), WITH_PIXELS, ids=[path.name for path, _ in WITH_PIXELS])
def test_frames_are_those_of_pydicom(path: Path, instance: Instance) -> None:
    """Every frame of every bundled file equals, byte for byte, what pydicom finds in the whole file."""
    assert instance.pixels is not None
    with warnings.catch_warnings(action="ignore"):
        dataset = dcmread(path)
    value = dataset[int(instance.pixels.tag, 16)].value
    size = instance.pixels.frame_bits // 8

    for index in range(instance.pixels.frames):
        if dataset["PixelData"].is_undefined_length:
            expected = get_frame(value, index, number_of_frames=instance.pixels.frames)
        else:
            expected = value[index * size : (index + 1) * size]
            if len(expected) < size:
                with pytest.raises(DamagedObjectError):
                    frame(instance, index + 1)
                continue
        assert frame(instance, index + 1) == expected


def test_frames_of_single_bits_begin_with_a_whole_byte() -> None:
    """A frame of 15 bits, packed behind others, is shifted to the beginning of a byte."""
    bits = np.random.default_rng(0).integers(0, 2, (3, 15), np.uint8)
    dataset = make_dataset(Rows=3, Columns=5, BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=3)
    dataset.PixelData = np.packbits(bits, bitorder="little").tobytes()
    dataset["PixelData"].VR = "OB"
    instance = only(part10(dataset))

    for index in range(3):
        unpacked = np.unpackbits(np.frombuffer(frame(instance, index + 1), np.uint8), bitorder="little")
        assert unpacked[:15].tolist() == bits[index].tolist()


def test_a_deflated_dataset_has_frames() -> None:
    """Frames of a deflated file come inflated."""
    assert frame(only(native(3, DeflatedExplicitVRLittleEndian)), 2) == b"\x02\x00" * 24


@pytest.mark.parametrize("offsets", [True, False])
def test_one_fragment_a_frame(offsets: bool) -> None:
    """With a basic offset table, or without one, fragment n is frame n."""
    instance = only(encapsulated([b"one.", b"twotwo"], frames=2, offsets=offsets))

    assert [frame(instance, number) for number in (1, 2)] == [b"one.", b"twotwo"]


def test_fragments_without_a_table_end_at_the_end_marker() -> None:
    """Without an offset table, several fragments belong to the frame that ends with them."""
    instance = only(encapsulated([b"aaaa", b"bb\xff\xd9", b"cccc", b"dddd", b"e\xff\xd9\x00"], frames=2))

    assert frame(instance, 1) == b"aaaabb\xff\xd9"
    assert frame(instance, 2) == b"ccccdddde\xff\xd9\x00"


def test_a_single_frame_takes_all_fragments() -> None:
    """One frame in several fragments is put together."""
    assert frame(only(encapsulated([b"aa", b"bb", b"cc"], frames=1)), 1) == b"aabbcc"


def test_a_wrong_basic_offset_table_is_not_followed() -> None:
    """Offsets that point between fragments are ignored when the fragments tell the frames."""
    content = encapsulated([b"one.", b"twotwo"], frames=2, offsets=True)
    wrong = content.replace(
        (12).to_bytes(4, "little") + b"\xfe\xff\x00\xe0", (6).to_bytes(4, "little") + b"\xfe\xff\x00\xe0"
    )

    assert wrong != content
    assert frame(only(wrong), 2) == b"twotwo"


def test_the_extended_offset_table_is_used() -> None:
    """An extended offset table gives each frame its place and exact length."""
    dataset = make_dataset(NumberOfFrames=2)
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
        [b"odd", b"even"]
    )
    dataset.ExtendedOffsetTableLengths = struct.pack("<QQ", 3, 4)  # pydicom counts the padding
    dataset["PixelData"].VR = "OB"
    instance = only(part10(dataset, JPEGBaseline8Bit))

    assert [frame(instance, number) for number in (1, 2)] == [b"odd", b"even"]


@pytest.mark.parametrize("number", [0, 3])
def test_a_frame_that_is_not_there(number: int) -> None:
    """Frames count from 1 to their number; others are not found."""
    with pytest.raises(NotFoundError, match="frames 1 to 2"):
        frame(only(native(2)), number)


def test_truncated_pixel_data() -> None:
    """A frame that ends too early is an error, and the frames before it are served."""
    instance = only(native(2)[:-4])

    assert frame(instance, 1) == b"\x01\x00" * 24
    with pytest.raises(DamagedObjectError, match="frame 2"):
        frame(instance, 2)


def test_a_truncated_fragment() -> None:
    """A fragment that ends after the file is an error, and no shorter frame."""
    instance = only(encapsulated([b"a" * 40], frames=1)[:-30])

    with pytest.raises(DamagedObjectError):
        frame(instance, 1)


def test_a_file_written_anew_is_not_served(tmp_path: Path) -> None:
    """A file that changed after it was indexed is an error: its offsets mean nothing any more."""
    path = tmp_path / "a.dcm"
    path.write_bytes(native())
    instance = only(path)
    path.write_bytes(native(2))

    with pytest.raises(DamagedObjectError, match="changed"):
        frame(instance, 1)
