from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone_wado.server.errors import BadRequestError, RangeNotSatisfiableError, RequestRefusedError
from loadstone_wado.server.sources import MemorySource, Span, segment_bytes
from loadstone_wado.server.wire import Response, message, narrow, read_request


def test_a_request_in_its_pieces() -> None:
    """Path and query are decoded, names of headers lower-cased, repeated ones joined."""
    request = read_request(
        BytesIO(b"GET /a%2Fb/c?x=1&x=%32&y= HTTP/1.1\r\nHost: h\r\nAccept: a/b\r\naccept: c/d\r\n\r\n")
    )

    assert request is not None
    assert request.path == ("a/b", "c")
    assert request.parameters == [("x", "1"), ("x", "2"), ("y", "")]
    assert request.headers == {"host": "h", "accept": "a/b, c/d"}
    assert request.keep_alive


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", False),
        (b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_when_a_connection_stays(head: bytes, keep_alive: bool) -> None:
    """A connection stays open unless the client says otherwise, is of HTTP/1.0, or sends a body."""
    request = read_request(BytesIO(head))

    assert request is not None
    assert request.keep_alive is keep_alive


def test_the_end_of_a_connection() -> None:
    """A client that closes between requests asks nothing."""
    assert read_request(BytesIO(b"")) is None


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"hello\r\n\r\n", BadRequestError),
        (b"GET / HTTP/2.0\r\n\r\n", BadRequestError),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", RequestRefusedError),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", RequestRefusedError),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", RequestRefusedError),
        (b"GET /" + b"b" * 70_000 + b" HTTP/1.1\r\n\r\n", BadRequestError),
    ],
)
def test_what_is_no_request(head: bytes, error: type[RequestRefusedError]) -> None:
    """What is not HTTP/1, or has no end of headers, is refused without being read to the end."""
    with pytest.raises(error):
        read_request(BytesIO(head))


@given(st.binary(max_size=40), st.integers(0, 40), st.integers(0, 45), st.integers(0, 40))
def test_a_range_is_a_slice(data: bytes, cut: int, first: int, last: int) -> None:
    """A range of a body in pieces is the slice of the whole."""
    pieces = (data[:cut], Span(MemorySource(data), min(cut, len(data)), len(data[cut:])))
    whole = Response.of(200, "a/b", pieces)
    if last < first:
        assert narrow(whole, f"bytes={first}-{last}").status == 200
    elif first >= len(data):
        with pytest.raises(RangeNotSatisfiableError):
            narrow(whole, f"bytes={first}-{last}")
    else:
        part = narrow(whole, f"bytes={first}-{last}")
        assert segment_bytes(part.body) == data[first : last + 1]
        assert part.length == len(data[first : last + 1])


@pytest.mark.parametrize(
    ("asked", "expected"), [("bytes=-3", b"789"), ("bytes=7-", b"789"), ("bytes=-99", b"0123456789")]
)
def test_open_ranges(asked: str, expected: bytes) -> None:
    """A range may lack its first or its last byte."""
    assert segment_bytes(narrow(Response.of(200, "a/b", (b"0123456789",)), asked).body) == expected


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes", "bytes=" + "9" * 5000 + "-"]
)
def test_other_ranges_are_ignored(asked: str) -> None:
    """Several ranges, other units and malformed ones are answered by the whole."""
    assert narrow(Response.of(200, "a/b", (b"0123456789",)), asked).status == 200


def test_a_body_of_unknown_length_is_chunked() -> None:
    """A body of unknown length is sent in chunks; to a client of HTTP/1.0 it ends with the connection."""
    response = Response(200, "a/b", iter((b"abc", b"", b"defg")), None)
    request = read_request(BytesIO(b"GET / HTTP/1.1\r\n\r\n"))

    assert segment_bytes(message(request, response)).endswith(b"\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")

    response = Response(200, "a/b", iter((b"abc", b"defg")), None)
    old = read_request(BytesIO(b"GET / HTTP/1.0\r\n\r\n"))
    sent = segment_bytes(message(old, response))
    assert sent.endswith(b"\r\n\r\nabcdefg")
    assert b"Connection: close" in sent
