from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone import LoadstoneError
from loadstone_wado.blobs import MemoryBlob
from loadstone_wado.headers import FIRST_BYTES, read_header
from loadstone_wado.likeness import Likeness
from loadstone_wado.walk import Known, UnusualHeaderError, walk, whole_elements
from plugins.wado.tests.builders import SETTINGS, bundled_files, item, part10
from plugins.wado.tests.studies import ct_series, ct_slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone_wado.headers import Header
    from loadstone_wado.walk import Found


def told(data: bytes, likeness: Likeness | None = None) -> tuple[object, ...] | str:
    """Return everything that a header says, or which error reading it raises."""
    try:
        header: Header = read_header(MemoryBlob(data), SETTINGS, likeness)
    except LoadstoneError as error:
        return str(error)
    found = getattr(header.elements, "_found", None)
    return header.transfer_syntax_uid, header.pixels, header.inflated, found or str(header.elements)[:20]


def objects(syntax: str = ExplicitVRLittleEndian) -> list[bytes]:
    """Return a series whose headers have long texts and sequences in common."""
    datasets = ct_series(12, ImageComments="no comment " * 40, SeriesDescription="head")
    for dataset in datasets:
        dataset.ReferencedImageSequence = [item(ReferencedSOPInstanceUID="1.2.3")]
    return [part10(dataset, syntax) for dataset in datasets]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_series_is_read_the_same(syntax: str) -> None:
    """What headers have in common changes nothing of what each of them says, in both kinds of encoding."""
    likeness = Likeness()
    series = objects(syntax)

    assert [told(each, likeness) for each in series] == [told(each) for each in series]


def test_most_of_a_header_is_compared() -> None:
    """From the third header on, most of it is known, and the values are the same objects."""
    likeness = Likeness()
    series = objects()
    headers = [read_header(MemoryBlob(each), SETTINGS, likeness) for each in series]
    known = Known(likeness.runs(implicit=False))
    start = series[5].index(b"\x08\x00\x16\x00UI")
    found: Found = {}
    walk(series[5], start, found, implicit=False, known=known)

    assert known.covered > 500
    first, last = (each.elements._found for each in headers[-2:])  # type: ignore[attr-defined]
    assert sum(first[tag] is last.get(tag) for tag in first) >= 5


def test_all_files_one_after_the_other() -> None:
    """Files that have nothing in common, damaged ones too, are read as they are by themselves."""
    likeness = Likeness()
    data = [path.read_bytes() for path in bundled_files()]

    for each in [*data, *reversed(data)]:
        assert told(each, likeness) == told(each)


def test_two_series_in_turn() -> None:
    """Another series is learnt in its turn, and neither is taken for the other."""
    other = [part10(ct_slice(number, SeriesDescription="neck", Manufacturer="Acme")) for number in range(12)]
    mixed = [each for pair in zip(objects(), other, strict=True) for each in pair]
    likeness = Likeness()

    for each in [*objects(), *other, *mixed]:
        assert told(each, likeness) == told(each)


@given(data=st.data())
def test_damaged_headers_are_read_the_same(data: st.DataObject) -> None:
    """A wrong byte, or a cut, gives the same elements or the same error with and without a likeness."""
    likeness = Likeness()
    series = objects()
    for each in series[:3]:
        told(each, likeness)
    damaged = bytearray(data.draw(st.sampled_from(series)))
    place = data.draw(st.integers(132, len(damaged) - 1))
    damaged[place] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(place, len(damaged)))])

    assert told(cut, likeness) == told(cut)


def test_unlike_headers_are_learnt_from_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that have nothing in common do not cost a second walk each."""
    learnt: list[int] = []

    def counting(data: bytes, position: int, *, implicit: bool) -> object:
        learnt.append(position)
        return whole_elements(data, position, implicit=implicit)

    monkeypatch.setattr("loadstone_wado.likeness.whole_elements", counting)
    likeness = Likeness()
    for number in range(64):
        told(part10(ct_slice(number, **dict(_unlike(number)))), likeness)

    assert 2 <= len(learnt) <= 64 // 8 + 2


def _unlike(number: int) -> Sequence[tuple[str, str]]:
    names = ("Manufacturer", "StationName", "StudyID", "PatientName", "SeriesDescription", "ProtocolName")
    return [(name, f"{name} {number}") for name in names]


def test_runs_end_with_the_bytes() -> None:
    """A run that reaches over the end of the bytes at hand is no run: the walk asks for the rest."""
    likeness = Likeness()
    series = objects()
    for each in series[:4]:
        told(each, likeness)
    start = series[4].index(b"\x08\x00\x16\x00UI")
    for end in itertools.chain(range(start, start + 900, 7), [FIRST_BYTES]):
        window = series[4][:end]
        results: list[object] = []
        for known in (None, Known(likeness.runs(implicit=False))):
            found: Found = {}
            try:
                position, needed, pixels = walk(window, start, found, implicit=False, known=known)
            except UnusualHeaderError:
                results.append(None)
            else:
                results.append((position, needed, pixels and pixels.start, found))

        assert results[0] == results[1]
