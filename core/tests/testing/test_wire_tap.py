from __future__ import annotations

import http.client
import socket
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from loadstone import FetchError, Session
from loadstone.testing import WireTap
from loadstone.testing.faults import Answer, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 400


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        server.plan("/a", Answer(body=BODY))
        yield server


@pytest.fixture
def tap(server: FaultServer) -> Iterator[WireTap]:
    with WireTap(server.url("")) as tap:
        yield tap


def test_what_passes_is_unchanged_and_counted(server: FaultServer, tap: WireTap) -> None:
    """Clients get the server's answers; each request is counted, also several over one connection."""
    client = http.client.HTTPConnection("127.0.0.1", tap.port)
    bodies = []
    for _ in range(2):
        client.request("GET", "/a?x=1")
        bodies.append(client.getresponse().read())
    client.close()

    assert bodies == [BODY, BODY]
    assert tap.requests == ["GET /a?x=1 HTTP/1.1"] * 2
    assert len(server.requests) == 2
    assert len(tap.connections) == 1
    assert tap.passed > 2 * len(BODY)
    assert tap.wait_for(lambda tap: tap.connections[0].closed_at is not None)


def test_the_path_of_the_server_is_kept(server: FaultServer) -> None:
    """`url` leads to the same place through the tap."""
    with WireTap(server.url("/a")) as tap, urllib.request.urlopen(tap.url) as answer:
        assert answer.read() == BODY


def test_a_request_in_pieces_counts_once(tap: WireTap) -> None:
    """How a client cuts its header into packets does not matter."""
    with socket.create_connection(("127.0.0.1", tap.port)) as client:
        for piece in (b"GET /a HT", b"TP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
            client.sendall(piece)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(client.recv(65536)) == 65536:
            pass

        assert tap.wait_for(lambda tap: tap.requests == ["GET /a HTTP/1.1"])


def read_until_silence(client: socket.socket) -> bytes:
    """Read until nothing has come for as long as the socket waits."""
    received = b""
    with suppress(TimeoutError):
        while True:
            received += client.recv(65536)
    return received


def test_answers_are_held_back(tap: WireTap) -> None:
    """After so many bytes nothing comes any more, and the client's close is seen."""
    tap.hold_after(1000)
    with socket.create_connection(("127.0.0.1", tap.port)) as client:
        client.settimeout(0.2)
        client.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        received = read_until_silence(client)

        assert len(received) == 1000
        assert tap.connections[0].holds
        assert tap.connections[0].closed_at is None

    assert tap.wait_for(lambda tap: tap.connections[0].closed_at is not None)


def test_a_server_that_refuses_is_passed_on(server: FaultServer, tap: WireTap) -> None:
    """A client learns that the server is gone by its connection being closed."""
    server.refuse()
    with Session(attempts=1) as session:
        session.registry.register_image_loader(
            "tapped", lambda image_id, context: context.fetch(image_id.rest)
        )
        with pytest.raises(FetchError):
            session.load_image(f"tapped:{tap.url}/a")
