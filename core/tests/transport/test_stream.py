from __future__ import annotations

import pytest

from core.tests.transport.builders import transport
from loadstone.errors import FetchError, LimitError
from loadstone.testing.faults import Answer, FaultServer

BODY = bytes(range(256)) * 4096
FRAMINGS = {
    "length": Answer(body=BODY),
    "chunked": Answer(body=BODY, framing="chunked", chunk=10_007),
    "close": Answer(body=BODY, framing="close"),
}


@pytest.mark.parametrize("answer", FRAMINGS.values(), ids=FRAMINGS)
def test_body_can_be_read_in_every_way(answer: Answer) -> None:
    """Reading into memory, by size, as it arrives and by iteration give the same body."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", answer)
        target = bytearray(len(BODY))
        with door.stream(url) as stream:
            assert stream.status == 200
            assert stream.length == (len(BODY) if answer.framing == "length" else None)
            assert stream.readinto(memoryview(target)) == len(BODY)
            assert stream.readinto(bytearray(1)) == 0
        with door.stream(url) as stream:
            by_iteration = b"".join(stream)
        with door.stream(url) as stream:
            by_size = stream.read(1000) + stream.read1(10) + stream.read()
            assert stream.read(1) == stream.read1() == stream.read() == b""

        assert target == by_iteration == by_size == BODY


def test_failure_up_to_the_header_is_retried() -> None:
    """A stream survives faults until its header is there."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(status=503), Answer(header_cut=5, end="reset"), Answer(body=b"x"))

        with door.stream(url) as stream:
            assert stream.read() == b"x"


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_short_body_is_an_error_that_may_be_retried(framing: str, end: str) -> None:
    """A body that ends early raises, however politely, and says that asking again may help."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=BODY, framing=framing, body_cut=30_000, end=end))  # type: ignore[arg-type]

        with door.stream(url) as stream, pytest.raises(FetchError) as caught:
            stream.read(len(BODY))

        assert caught.value.retryable
        assert caught.value.source == url
        assert stream.read() == b""


def test_short_body_says_how_much_came() -> None:
    """The message has the bytes that came and those that were announced."""
    with FaultServer() as server, transport(attempts=1) as door:
        url = server.plan("/a", Answer(body=bytes(300_154), body_cut=150_000, end="close"))

        with pytest.raises(FetchError, match="after 150,000 of 300,154 bytes"):
            door.fetch(url)


def test_stream_that_is_left_closes_its_connection() -> None:
    """Leaving a stream in the middle closes the connection; one that was read to its end is used again."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=BODY * 16))
        with door.stream(url) as stream:
            stream.read(10)
        with door.stream(url) as stream:
            stream.read()
        with door.stream(url) as stream:
            stream.read()

        assert [each.connection for each in server.requests] == [0, 1, 1]
        assert server.wait_for(lambda it: it.connections[0].closed_at is not None)


def test_announced_size_beyond_the_limit_is_refused_unread() -> None:
    """A Content-Length beyond the limit is an error before a byte is read; the limit itself is allowed."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=bytes(1000)))

        assert len(door.fetch(url, max_bytes=1000).body) == 1000
        with pytest.raises(LimitError, match="1,000 bytes, the limit is 999"):
            door.fetch(url, max_bytes=999)
        with pytest.raises(LimitError):
            door.stream(url, max_bytes=999)


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_unannounced_size_beyond_the_limit_is_stopped(framing: str) -> None:
    """Without a length, reading stops at the limit; that is not retried."""
    with FaultServer() as server, transport(max_response_bytes=100_000) as door:
        url = server.plan("/a", Answer(body=BODY, framing=framing))  # type: ignore[arg-type]

        with pytest.raises(LimitError, match="limit is 100,000"):
            door.fetch(url)
        with door.stream(url, max_bytes=5) as stream, pytest.raises(LimitError):
            list(stream)

        assert len(server.requests) == 2


def test_stream_shows_what_it_is() -> None:
    """The representation has status, bytes so far and a redacted URL."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=b"abc"))

        with door.stream(url + "?n=CANARY") as stream:
            stream.read(2)

            assert repr(stream) == f"HttpStream(200, 2 of 3 bytes, {url}?n=***)"
