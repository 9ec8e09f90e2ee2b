from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import IntegrityError, LimitError, Settings
from loadstone_wado.dicomweb.arriving import ArrivingBlob
from loadstone_wado.dicomweb.multipart import open_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(250)) * 4
MULTIPART = "multipart/related; boundary=b"


def message(*bodies: bytes, lengths: bool = True) -> bytes:
    text = b""
    for body in bodies:
        length = b"Content-Length: %d\r\n" % len(body) if lengths else b""
        text += b"\r\n--b\r\n" + length + b"\r\n" + body
    return text + b"\r\n--b--\r\n"


def arriving(
    text: bytes, content_type: str = MULTIPART, *, cut: int | None = None, **settings: int
) -> Iterator[ArrivingBlob]:
    stream, limits = BytesIO(text[:cut]), Settings(**settings)  # type: ignore[arg-type]
    for part in open_parts(stream, content_type, limits, source="x", length=len(text)):
        yield ArrivingBlob(part, "x")


def read_into(blob: ArrivingBlob, offset: int, length: int) -> bytes:
    target = bytearray(length)
    return bytes(target[: blob.readinto(offset, memoryview(target))])


@given(
    reads=st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 600), st.sampled_from(["read", "into"]))),
    lengths=st.booleans(),
    keeps_all=st.booleans(),
)
def test_any_reads_while_all_is_kept(
    reads: list[tuple[int, int, str]], lengths: bool, keeps_all: bool
) -> None:
    """Read anywhere, in any order and again, an object has the bytes that were sent; the next one follows."""
    blobs = arriving(message(CONTENT, b"next", lengths=lengths))
    blob = next(blobs)
    for offset, length, way in reads:
        found = blob.read(offset, length) if way == "read" else read_into(blob, offset, length)

        assert found == CONTENT[offset : offset + length]
    if keeps_all:
        blob.keep_all()
    blob.close()

    assert blob.size == len(CONTENT)
    assert [each.read(0, 9) for each in blobs] == [b"next"]


@given(head=st.integers(0, 1100), cuts=st.lists(st.integers(0, 1100)), lengths=st.booleans())
def test_reads_in_order_once_nothing_is_kept(head: int, cuts: list[int], lengths: bool) -> None:
    """After the header, ranges that follow each other are read with whatever is left out between them."""
    blobs = arriving(message(CONTENT, b"next", lengths=lengths))
    blob = next(blobs)
    blob.read(0, head)
    blob.let_go()
    ends = iter(sorted(cuts))
    for start, stop in zip(ends, ends, strict=False):
        assert read_into(blob, start, stop - start) == CONTENT[start:stop]
    blob.close()

    assert [each.read(0, 9) for each in blobs] == [b"next"]


def test_what_is_gone_is_not_made_up() -> None:
    """Bytes that went into memory and were not kept cannot be had again."""
    blob = next(arriving(message(CONTENT)))
    blob.let_go()
    read_into(blob, 0, 500)

    with pytest.raises(ValueError, match="twice"):
        read_into(blob, 100, 500)


@pytest.mark.parametrize("length", [999, 1001, 1004, 10**6])
def test_a_length_that_lies_is_noticed_at_the_end(length: int) -> None:
    """However much was read, closing tells that the part is not what it said."""
    text = message(CONTENT, CONTENT).replace(b"Length: 1000", b"Length: %d" % length, 1)
    blob = next(arriving(text))
    blob.let_go()
    read_into(blob, 0, 900)

    with pytest.raises(IntegrityError):
        blob.close()


def test_an_answer_that_is_the_object() -> None:
    """An answer that is not multipart is read in the same way, and is no larger than an answer may be."""
    (blob,) = arriving(CONTENT, "application/dicom")
    blob.let_go()

    assert blob.size == 1000
    assert read_into(blob, 400, 500) == CONTENT[400:900]
    with pytest.raises(LimitError):
        next(arriving(CONTENT, "application/dicom", max_response_bytes=999))


@pytest.mark.parametrize("content_type", [MULTIPART, "application/dicom"])
def test_a_connection_that_ended_stays_at_its_end(content_type: str) -> None:
    """Whatever is read behind the end of what came is an error, each time."""
    blob = next(arriving(message(CONTENT), content_type, cut=600))
    blob.let_go()

    for offset in (0, 500, 900):
        with pytest.raises(IntegrityError):
            read_into(blob, offset, 700)
    with pytest.raises(IntegrityError):
        blob.keep_all()
    with pytest.raises(IntegrityError):
        blob.close()
