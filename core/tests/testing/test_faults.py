"""The server that fails as told does so, and ends."""

from __future__ import annotations

import socket
import threading
from time import monotonic

import pytest

from loadstone.testing.faults import Answer, FaultServer, gzipped_zeros, many_headers, redirect

REQUEST = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-One: 1\r\n\r\n"


def ask(server: FaultServer, request: bytes = REQUEST) -> bytes:
    """Send a request and return all that comes until the server closes or says nothing for a while."""
    data = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as sock:
        sock.sendall(request)
        try:
            while more := sock.recv(65536):
                data += more
        except TimeoutError:
            pass
    return data


def test_plans_follow_one_another_and_the_last_repeats() -> None:
    """Each request for a path takes the next plan; other paths are not found."""
    with FaultServer() as server:
        server.plan(
            "/a",
            Answer(body=b"1", end="close"),
            lambda it: Answer(body=it.headers["x-one"].encode() * 2, end="close"),
        )

        assert [ask(server)[-2:] for _ in range(3)] == [b"\n1", b"11", b"11"]
        assert ask(server, REQUEST.replace(b"/a", b"/b")).startswith(b"HTTP/1.1 404")


def test_requests_and_closings_are_recorded() -> None:
    """What came is kept, and when the client was gone."""
    with FaultServer() as server:
        ask(server)

        assert server.wait_for(lambda it: it.connections[0].closed_at is not None)
        request = server.requests[0]
        assert (request.method, request.target, request.path) == ("GET", "/a?b=c", "/a")
        assert (server.connections[0].closed_at or 0) >= request.at


def test_framings_and_cuts() -> None:
    """Bodies are framed as told and cut where told."""
    with FaultServer() as server:
        server.plan(
            "/a",
            Answer(body=b"abcdef", framing="chunked", chunk=4),
            Answer(body=b"abcdef", framing="close"),
            Answer(body=b"abcdef", body_cut=2, end="close"),
            Answer(header_cut=4, end="close"),
            Answer(raw=b"anything", end="close"),
        )
        answers = [ask(server) for _ in range(5)]

        assert answers[0].endswith(b"\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n")
        assert b"Connection: close" in answers[1]
        assert answers[2].endswith(b"Content-Length: 6\r\n\r\nab")
        assert answers[3:] == [b"HTTP", b"anything"]


def test_reset_resets() -> None:
    """A reset is one, not a polite end."""
    with FaultServer() as server:
        server.plan("/a", Answer(header_cut=0, end="reset"))

        with pytest.raises(ConnectionResetError):
            ask(server)


def test_refused_until_listening() -> None:
    """Before `listen` and after `refuse` connections are refused, on one port."""
    server = FaultServer()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            ask(server)
        server.listen()
        assert ask(server)
        server.refuse()
    server.close()


def test_everything_ends() -> None:
    """Stalls and drips end with the server's time, or with the server."""
    with FaultServer(most_seconds=0.3) as server:
        server.plan("/a", Answer(body=bytes(1000), drip=0.05))
        started = monotonic()
        ask(server)

        assert monotonic() - started < 2
    before = threading.active_count()
    with FaultServer() as server:
        server.plan("/a", Answer(end="stall", header_cut=0))
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(REQUEST)
        assert server.wait_for(lambda it: len(it.requests) == 1)
    sock.close()

    assert threading.active_count() == before


def test_ready_made_answers() -> None:
    """Redirects, bombs and endless headers are what they are called."""
    assert redirect("/b", 307) == Answer(status=307, headers={"Location": "/b"})
    assert len(gzipped_zeros(10**6).body) < 2000
    assert len(many_headers(5).headers) == 5
