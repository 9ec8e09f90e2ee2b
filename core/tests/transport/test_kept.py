"""Requests over connections that have served before: the same bytes as over new ones, by a shorter way."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from core.tests.transport.builders import transport
from loadstone.errors import FetchError
from loadstone.transport import BasicAuth, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy"
HANG_UP = b""
NO_HTTP = b"nonsense\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxy"
LONG_WAYS: list[str] = []
"""Requests that went through all of urllib3."""


@pytest.fixture(autouse=True)
def _long_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note which requests go through urllib3; no proxy of the machine counts."""
    LONG_WAYS.clear()
    urlopen = urllib3.HTTPConnectionPool.urlopen

    def noted(pool: urllib3.HTTPConnectionPool, method: str, url: str, **options: Any) -> Any:
        LONG_WAYS.append(url)
        return urlopen(pool, method, url, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", noted)
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def recording(*answers: bytes) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Give these answers one after the other; note of each request its connection and its bytes."""
    asked: list[tuple[int, bytes]] = []
    left = list(answers)

    def serve(listener: socket.socket) -> None:
        number = 0
        while left:
            client, _ = listener.accept()
            number += 1
            with client:
                converse(client, number)

    def converse(client: socket.socket, number: int) -> None:
        while left:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                data = client.recv(65536)
                if not data:
                    return
                request += data
            asked.append((number, request))
            answer = left.pop(0)
            client.sendall(answer)
            if answer in {HANG_UP, CLOSING, NO_HTTP}:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    thread.join(5)


@pytest.mark.parametrize(
    ("target", "headers", "method"),
    [
        (
            "/studies/1.2/series/3/frames/1",
            {"Accept": 'multipart/related; type="a/b"; transfer-syntax=*'},
            "GET",
        ),
        ("/a?x=1&y=a,b;c:d@e!$'()*+", {}, "GET"),
        ("/a", {"X-Name": "M\xfcller", "accept": "*/*"}, "HEAD"),
    ],
    ids=["frame", "query", "Latin-1"],
)
def test_same_bytes_are_sent(target: str, headers: dict[str, str], method: str) -> None:
    """The second request, by the short way, is byte for byte the first, which urllib3 sent."""
    answer = OK if method == "GET" else OK.removesuffix(b"xy")
    with (
        recording(answer, answer) as (root, asked),
        transport(auth={root: BasicAuth("user", "secret")}) as door,
    ):
        request = HttpRequest(root + target, method, headers)

        bodies = [door.fetch(request).body for _ in range(2)]

        assert bodies == ([b"xy"] * 2 if method == "GET" else [b""] * 2)
        assert asked[0] == asked[1]
        assert [*LONG_WAYS] == [target]


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/a%2fb", {}), ("/a b", {}), ("/m\xfc", {}), ("/a|b", {}), ("/a", {"Host": "other.example.org"})],
    ids=["escape", "space", "not ASCII", "bar", "host of its own"],
)
def test_what_urllib3_changes_goes_through_it(target: str, headers: dict[str, str]) -> None:
    """A target that has to be encoded, and a Host of the caller's, are sent as they always were."""
    with recording(OK, OK) as (root, asked), transport() as door:
        for _ in range(2):
            door.fetch(root + target, headers=headers)

        assert asked[0] == asked[1]
        assert len(LONG_WAYS) == 2


def test_connection_that_the_server_closes_is_not_used_again() -> None:
    """An answer by the short way that says it is the last one is believed."""
    with recording(OK, CLOSING, OK) as (root, asked), transport() as door:
        for _ in range(3):
            assert door.fetch(f"{root}/a").body == b"xy"

        assert [number for number, _ in asked] == [1, 1, 2]


def test_connection_lost_while_idle_is_replaced() -> None:
    """A server that hangs up in place of an answer costs another connection, not an attempt."""
    with recording(OK, HANG_UP, OK) as (root, asked), transport(attempts=1) as door:
        for _ in range(2):
            assert door.fetch(f"{root}/a").body == b"xy"

        assert [number for number, _ in asked] == [1, 1, 2]


def test_answer_that_is_no_http_closes_the_connection() -> None:
    """What cannot be read by the short way is an error as by the long one; its connection is closed."""
    with recording(OK, NO_HTTP, OK) as (root, asked), transport(attempts=1) as door:
        door.fetch(f"{root}/a")

        with pytest.raises(FetchError, match="not HTTP"):
            door.fetch(f"{root}/a")
        assert door.fetch(f"{root}/a").body == b"xy"
        assert [number for number, _ in asked] == [1, 1, 2]
