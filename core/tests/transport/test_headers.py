"""The header of an answer, and what is wrong with some."""

from __future__ import annotations

import contextlib
import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.transport.builders import transport
from loadstone.errors import FetchError, LimitError, LoadstoneError, UnsupportedError
from loadstone.testing.faults import Answer, FaultServer, gzipped_zeros, many_headers


def test_header_is_read_as_it_is_sent() -> None:
    """Fields are found in any case, repeated ones are joined, folded ones unfolded."""
    raw = b"HTTP/1.1 200 OK\r\nX-One: 1\r\nSet: a\r\nSet: b\r\nLong: c\r\n  d\r\nContent-Length : 2\r\n\r\nxy"
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(raw=raw))

        response = door.fetch(url)

        assert response.body == b"xy"
        assert dict(response.headers) == {"X-One": "1", "Set": "a, b", "Long": "c d", "Content-Length": "2"}


def test_interim_answers_are_skipped() -> None:
    """100 Continue and 103 Early Hints come before the answer, and are not it."""
    raw = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    )
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(raw=raw))

        assert door.fetch(url).body == b"x"


def test_endless_interim_answers_end() -> None:
    """A server that only promises answers is an error."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(raw=b"HTTP/1.1 102 Processing\r\n\r\n" * 1000))

        with pytest.raises(FetchError, match="not HTTP"):
            door.fetch(url)


@pytest.mark.parametrize(
    "answer",
    [many_headers(20_000), Answer(headers={"X-Long": "x" * 100_000})],
    ids=["20,000 fields", "a field of 100 kB"],
)
def test_header_without_end_is_refused(answer: Answer) -> None:
    """Too many fields, or too long ones, are a limit error after one request."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", answer)

        with pytest.raises(LimitError, match="header"):
            door.fetch(url)

        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 304, 404])
def test_answer_without_a_body_frees_its_connection(status: int) -> None:
    """Where no body can come, or an empty one does, none is waited for."""
    with FaultServer() as server, transport(stall_seconds=0.3) as door:
        raw = f"HTTP/1.1 {status} X\r\n" + ("Content-Length: 0\r\n" if status == 404 else "") + "\r\n"
        url = server.plan("/a", Answer(raw=raw.encode()), Answer(body=b"x"))
        with suppress(FetchError):
            assert door.fetch(url).body == b""
        assert door.fetch(url).body == b"x"
        assert {each.connection for each in server.requests} == {0}


def test_connection_that_will_close_is_not_used_again() -> None:
    """``Connection: close``, HTTP/1.0 and a body framed twice end a connection, and lose nothing."""
    chunked = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"
    closing = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx"
    kept = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", *(Answer(raw=raw) for raw in (closing, chunked, old, kept, kept)))

        assert [door.fetch(url).body for _ in range(5)] == [b"x"] * 5
        assert [each.connection for each in server.requests] == [0, 1, 2, 3, 3]


def test_gzip_is_unpacked_on_request() -> None:
    """What was asked for compressed arrives as it was before, and its length was not known."""
    body = b'{"a": 1}' * 1000
    packed = Answer(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", packed)

        assert door.fetch(url, accept_gzip=True).body == body
        with door.stream(url, accept_gzip=True) as stream:
            assert stream.length is None
            assert stream.read() == body
        assert {each.connection for each in server.requests} == {0}


def test_unwanted_compression_is_refused() -> None:
    """A server that compresses though it was told not to is an error that says so."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", gzipped_zeros(1000))

        with pytest.raises(UnsupportedError, match="compressed") as caught:
            door.fetch(url)

        assert caught.value.source == url


def test_gzip_bombs_are_stopped() -> None:
    """What expands too much is stopped by the ratio, and by the limit of the caller, whichever is first."""
    with FaultServer() as server, transport(free_ratio_bytes=2**20) as door:
        url = server.plan("/a", gzipped_zeros(2**24))

        with pytest.raises(LimitError, match="expands more than 200 times"):
            door.fetch(url, accept_gzip=True)
        with pytest.raises(LimitError, match="limit is 1,000"):
            door.fetch(url, accept_gzip=True, max_bytes=1000)


@given(st.binary(max_size=200))
def test_no_answer_hangs_or_crashes(raw: bytes) -> None:
    """Whatever bytes a server sends, the outcome is a body or an error of ours."""
    with FaultServer() as server, transport(attempts=1, stall_seconds=1.0) as door:
        url = server.plan("/a", Answer(raw=b"HTTP/1.1 200 OK\r\n" + raw, end="close"))
        with contextlib.suppress(LoadstoneError):
            assert raw.endswith(door.fetch(url).body)
