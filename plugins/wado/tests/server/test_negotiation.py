from __future__ import annotations

import pytest

from loadstone_wado.server.behaviour import AcceptKind
from loadstone_wado.server.errors import BadRequestError, NotAcceptableError
from loadstone_wado.server.negotiation import (
    EXPLICIT,
    OCTET_STREAM,
    accept_kinds,
    choose_frame_form,
    choose_instance_form,
    parse_accept,
)

IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
MPEG = "1.2.840.10008.1.2.4.100"


@pytest.mark.parametrize(
    "header",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="application/octet-stream; transfer-syntax=*"',
        'multipart/related;type="application/octet-stream";transfer-syntax="*"',
        'Multipart/Related; Type="Application/Octet-Stream"; Transfer-Syntax=*',
    ],
)
def test_ways_to_write_one_range(header: str) -> None:
    """The type in quotes or not, the syntax within the quotes or not, upper or lower case: all the same."""
    (one,) = parse_accept(header)

    assert (one.media_type, one.multipart, one.transfer_syntax) == (OCTET_STREAM, True, "*")


def test_ranges_are_sorted_by_quality() -> None:
    """The preferred comes first, equal ones as they were written, and what has no quality is not accepted."""
    ranges = parse_accept('image/png;q=0.5, a/b, multipart/related; type="c/d, e", x/y;q=0')

    assert [one.media_type for one in ranges] == ["a/b", "c/d, e", "image/png"]


@pytest.mark.parametrize("header", ["", "*/*", " , "])
def test_no_header_accepts_anything(header: str) -> None:
    """An empty header is the same as one that accepts anything."""
    assert [one.is_anything for one in parse_accept(header)] == [True]


def test_a_quality_that_is_no_number() -> None:
    """A malformed quality is a bad request."""
    with pytest.raises(BadRequestError):
        parse_accept("a/b;q=high")


@pytest.mark.parametrize(
    ("accept", "stored", "sent"),
    [
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', JPEG, JPEG),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*', IMPLICIT, IMPLICIT),
        ('multipart/related; type="application/octet-stream"', IMPLICIT, EXPLICIT),
        ('multipart/related; type="application/octet-stream"', BIG_ENDIAN, EXPLICIT),
        ('multipart/related; type="application/octet-stream"', RLE, EXPLICIT),
        (f"multipart/related; type=application/octet-stream; transfer-syntax={RLE}", RLE, RLE),
        (f"application/octet-stream; transfer-syntax={EXPLICIT}", RLE, EXPLICIT),
        ("multipart/related; type=image/jpeg", JPEG, JPEG),
        ("*/*", JPEG, JPEG),
        ("*/*", IMPLICIT, EXPLICIT),
        ("image/png, */*;q=0.1", MPEG, MPEG),
    ],
)
def test_the_syntax_of_frames(accept: str, stored: str, sent: str) -> None:
    """Stored where that was asked for or anything goes, explicit little endian where nothing was said."""
    assert choose_frame_form(parse_accept(accept), stored).transfer_syntax == sent


@pytest.mark.parametrize(
    ("accept", "stored"),
    [
        ('multipart/related; type="application/octet-stream"', MPEG),
        (f'multipart/related; type="application/octet-stream"; transfer-syntax={JPEG}', RLE),
        ("multipart/related; type=image/jpeg", RLE),
        ("text/html", EXPLICIT),
    ],
)
def test_what_frames_cannot_be(accept: str, stored: str) -> None:
    """What cannot be made of what is stored is refused, and the refusal names what is stored."""
    with pytest.raises(NotAcceptableError, match=stored):
        choose_frame_form(parse_accept(accept), stored)


def test_one_instance_may_be_sent_alone() -> None:
    """A plain application/dicom is for one instance; several need multipart."""
    ranges = parse_accept("application/dicom; transfer-syntax=*")

    assert not choose_instance_form(ranges, JPEG, single=True).multipart
    with pytest.raises(NotAcceptableError, match="multipart"):
        choose_instance_form(ranges, JPEG, single=False)


@pytest.mark.parametrize(
    ("accept", "kinds"),
    [
        ("", {AcceptKind.ANYTHING}),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax=*',
            {AcceptKind.QUOTED_TYPE, AcceptKind.TRANSFER_SYNTAX, AcceptKind.OCTET_STREAM},
        ),
        (
            "multipart/related; type=application/dicom",
            {AcceptKind.UNQUOTED_TYPE, AcceptKind.NO_TRANSFER_SYNTAX, AcceptKind.DICOM},
        ),
        (
            "application/dicom, */*",
            {AcceptKind.SINGLE_PART, AcceptKind.DICOM, AcceptKind.ANYTHING, AcceptKind.SEVERAL},
        ),
    ],
)
def test_kinds(accept: str, kinds: set[AcceptKind]) -> None:
    """Each way of writing that a server may refuse is recognised."""
    assert accept_kinds(parse_accept(accept)) == kinds
