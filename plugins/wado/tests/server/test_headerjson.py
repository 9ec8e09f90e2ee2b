"""The quick way to DICOM JSON gives what the slow one gives, and is quick."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone_wado.server.headerjson import HeaderWriter
from loadstone_wado.server.index import build_archive
from loadstone_wado.server.links import Links
from loadstone_wado.server.metadata import Documents
from loadstone_wado.server.plainheader import plain_header
from loadstone_wado.walk import UnusualHeaderError
from plugins.wado.tests.builders import BUNDLED, bundled, shared_data
from plugins.wado.tests.server.builders import make_dataset, part10

if TYPE_CHECKING:
    from loadstone_wado.server.index import Archive, Content, Instance

LINKS = Links('http://127.0.0.1:1/"dicomweb"')


def slow_json(instances: list[Instance]) -> bytes:
    """Return what pydicom makes of whole headers."""
    documents = Documents(LINKS)
    return json.dumps([documents.attributes(each) for each in instances], separators=(",", ":")).encode()


def quick_json(instances: list[Instance]) -> bytes:
    """Return what the server answers."""
    return Documents(LINKS).document(("1",), instances, compressed=False)


def count_plain(archive: Archive) -> int:
    """Count the instances that pydicom does not read as a whole."""
    count = 0
    for each in archive.instances.values():
        try:
            data, implicit = plain_header(each)
            HeaderWriter("x").attributes(data, implicit=implicit)
            count += 1
        except UnusualHeaderError:
            pass
    return count


def check(content: Content, *, plain: float) -> None:
    """Compare the ways, and how many instances the quick one can be taken for."""
    archive = build_archive(content)
    for each in archive.instances.values():
        assert quick_json([each]) == slow_json([each]), each.source

    assert count_plain(archive) >= plain * len(archive.instances)


@pytest.mark.filterwarnings("ignore")
def test_each_file_of_the_wheel() -> None:
    """Whatever a header holds: bytes of any character set, private elements, sequences, damaged values."""
    check(BUNDLED, plain=0.9)


@pytest.mark.filterwarnings("ignore")
def test_each_file_of_the_test_data() -> None:
    """The same for files of real scanners; every fourth, for pydicom takes its time."""
    files = sorted(path for path in (shared_data() / "dicom").rglob("*") if path.is_file())
    check(files[::4], plain=0.95)


TAGS = st.sampled_from(
    [0x00080008, 0x00080020, 0x00081030, 0x00090010, 0x00091001, 0x0009AAAA, 0x00100010, 0x00101030,
     0x00181088, 0x00189087, 0x00200013, 0x00280106, 0x00280120, 0x00281101, 0x00283006, 0x60003000]
)  # fmt: skip
VRS = st.sampled_from(b"AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SS ST TM UI UL UN US UT".split())
VALUES = st.sampled_from(
    [b"", b"1.5", b"1\\2\\-3", b" 7", b"12 ", b"1e5", b"1.2.3\0", b"A\\B ", b"\\", b"\\\\A", b"  ", b"NaN",
     b"\xc4rger", b"Doe^Jane=X", b'a"b\x7f', b"1" * 20, b"\0\0\xc0\x7f", b"a\x1b$B0!", b"SIEMENS CSA HEADER",
     b"\xff\xff", b"\0" * 8, b"x" * 1030]
)  # fmt: skip
ELEMENTS = st.lists(st.tuples(TAGS, VRS, VALUES | st.binary(max_size=24)), max_size=8)
SETS = st.sampled_from(
    [None, b"ISO_IR 100", b"ISO_IR 192", b"ISO 2022 IR 6\\ISO 2022 IR 87", b"ISO_IR 13", b"X"]
)
LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
Header = tuple[bytes | None, list[tuple[int, bytes, bytes]], list[list[tuple[int, bytes, bytes]]]]


def written(tag: int, vr: bytes, value: bytes, *, implicit: bool) -> bytes:
    """Return an element, of an even length."""
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", len(value)) + value
    if vr in LONG:
        return head + vr + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + vr + struct.pack("<H", len(value)) + value


def header_of(header: Header, *, implicit: bool) -> bytes:
    """Return an object without pixels: a character set, elements, and a sequence of items of elements."""
    character_set, elements, items = header
    dataset = make_dataset(PixelRepresentation=1)
    data = part10(dataset, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    if character_set is not None:
        elements = [(0x00080005, b"CS", character_set), *elements]
    rest = b"".join(written(*each, implicit=implicit) for each in elements)
    inner = [b"".join(written(*each, implicit=implicit) for each in item) for item in items]
    sequence = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in inner)
    return data + rest + written(0x00081115, b"SQ", sequence, implicit=implicit)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(SETS, ELEMENTS, st.lists(ELEMENTS, max_size=2)), min_size=1, max_size=3),
)
def test_whatever_elements_hold(implicit: bool, headers: list[Header]) -> None:
    """Headers of one document may share elements of other meanings: each is what it is by itself."""
    data = [header_of(each, implicit=implicit).replace(b"1.2.3.1", b"1.2.3.2") for each in headers]

    # What pydicom converts it keeps, so that a header that the index holds is not the same twice.
    slow, quick = ([one for each in data for one in build_archive(each).instances.values()] for _ in range(2))

    assert quick_json(quick) == slow_json(slow)


def test_a_series_is_quick() -> None:
    """The first metadata of a series take a fifth of pydicom's time, at most."""
    dataset = dcmread(bundled("CT_small.dcm"), stop_before_pixels=True)
    series: list[Any] = []
    for number in range(60):
        dataset.SOPInstanceUID = UID(f"1.2.3.{number}")
        dataset.InstanceNumber, dataset.ImagePositionPatient = number, [-150.5, -120, 2.5 * number]
        series.append(part10(dataset))
    instances = list(build_archive(series).instances.values())
    started = time.process_time()
    slow = slow_json(instances)
    between = time.process_time()
    quick = quick_json(instances)
    ended = time.process_time()

    assert quick == slow
    assert ended - between < (between - started) / 5
