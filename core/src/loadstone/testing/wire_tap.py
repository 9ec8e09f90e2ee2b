"""Stand between a server and its clients: count requests, hold answers back, see connections close."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["TappedConnection", "WireTap"]

_GLANCE_SECONDS: Final = 0.02
_PIECE: Final = 2**16
_END_OF_HEADER: Final = b"\r\n\r\n"


@dataclass(slots=True)
class TappedConnection:
    """A connection of a client through the tap."""

    holds: bool = False
    """Whether a part of an answer is held back from it."""
    closed_at: float | None = None
    """When its client was seen to have closed it, on the monotonic clock."""


@dataclass(slots=True)
class _State:
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: list[str] = field(default_factory=list)
    connections: list[TappedConnection] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    passed: int = 0
    most: int | None = None


class WireTap:
    """
    Passes on what clients and an HTTP server say to each other; a context manager.

    Parameters
    ----------
    url
        Of the server, ``http`` only. Its path is kept in `url`.

    Examples
    --------
    >>> with server, WireTap(server.url) as tap:  # doctest: +SKIP
    ...     session.load_image(f"acme:{tap.url}/1")
    ...     assert len(tap.requests) == 1
    """

    def __init__(self, url: str) -> None:
        self._origin = urlsplit(url)
        self._state = _State()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(_GLANCE_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        """The port that it listens on."""

    @property
    def url(self) -> str:
        """The URL of the server through the tap."""
        return self._origin._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    @property
    def requests(self) -> list[str]:
        """The first line of each request so far."""
        with self._state.lock:
            return list(self._state.requests)

    @property
    def connections(self) -> list[TappedConnection]:
        """The connections so far."""
        with self._state.lock:
            return list(self._state.connections)

    @property
    def passed(self) -> int:
        """How many bytes of answers clients have got so far, headers included."""
        return self._state.passed

    def hold_after(self, nbytes: int) -> None:
        """From now on let so many more bytes of answers pass, and then none any more."""
        with self._state.lock:
            self._state.most = self._state.passed + nbytes

    def wait_for(self, condition: Callable[[Self], bool], seconds: float = 5.0) -> bool:
        """Wait until something holds; return whether it does."""
        until = monotonic() + seconds
        while not (held := condition(self)) and monotonic() < until:
            self._stopped.wait(_GLANCE_SECONDS)
        return held

    def close(self) -> None:
        """Stop; close everything."""
        self._stopped.set()
        for thread in list(self._state.threads):
            thread.join(5)
        self._listener.close()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="wire-tap", daemon=True)
        with self._state.lock:
            self._state.threads = [each for each in self._state.threads if each.is_alive()] + [thread]
            thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection = TappedConnection()
            with self._state.lock:
                self._state.connections.append(connection)
            self._start(self._serve, client, connection)

    def _serve(self, client: socket.socket, connection: TappedConnection) -> None:
        address = (self._origin.hostname or "127.0.0.1", self._origin.port or 80)
        # An OSError means that one side is gone: the other one learns it by its connection being closed.
        with client, suppress(OSError), socket.create_connection(address, timeout=5) as server:
            self._pass_on(client, server, connection)

    def _pass_on(self, client: socket.socket, server: socket.socket, connection: TappedConnection) -> None:
        asked = _RequestLines()
        while not self._stopped.is_set():
            watched = [client] if connection.holds else [client, server]
            readable, _, _ = select.select(watched, [], [], _GLANCE_SECONDS)
            if client in readable:
                data = _received(client)
                if not data:
                    connection.closed_at = monotonic()
                    return
                with self._state.lock:
                    self._state.requests += asked.add(data)
                server.sendall(data)
            if server in readable:
                data = server.recv(_PIECE)
                if not data:
                    return
                connection.holds = not self._let_pass(client, data)

    def _let_pass(self, client: socket.socket, data: bytes) -> bool:
        """Give the client what it may have; return whether that is all of it."""
        with self._state.lock:
            most = self._state.most
            allowed = len(data) if most is None else min(len(data), max(0, most - self._state.passed))
            self._state.passed += allowed
        client.sendall(data[:allowed])
        return allowed == len(data)


def _received(sock: socket.socket) -> bytes:
    """Return what has come; nothing when the other side has closed, however it did."""
    try:
        return sock.recv(_PIECE)
    except ConnectionError:
        return b""


class _RequestLines:
    """Finds the first lines of requests without bodies in what a client sends."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[str]:
        *headers, self._rest = (self._rest + data).split(_END_OF_HEADER)
        return [header.partition(b"\r\n")[0].decode("latin-1") for header in headers]
