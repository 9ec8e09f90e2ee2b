"""urllib3's connections with two additions: any thread can cut them off, and their answers are our own."""

from __future__ import annotations

import errno
import http.client
import logging
import os
import socket
import threading
from collections import deque
from contextlib import contextmanager
from functools import partial
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_write

from loadstone.transport._response import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone.transport._flight import Call, Flight

__all__ = ["HttpPool", "HttpsPool", "airborne", "shut_down"]

_GLANCE_SECONDS: Final = 0.1
"""How often a connection that is not there yet looks whether it is still wanted."""


class _Here(threading.local):
    """The flight of this thread, while urllib3 works for it: its connections have no other way to know."""

    flight: Flight | None = None


_here = _Here()


@contextmanager
def airborne(flight: Flight) -> Iterator[None]:
    """Let urllib3's connections on this thread know their flight."""
    _here.flight = flight
    try:
        yield
    finally:
        _here.flight = None


def _current() -> Flight:
    if _here.flight is None:
        raise RuntimeError("a connection of the transport was used without it")
    return _here.flight


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return _here.flight is None


# urllib3 logs paths with their queries, where patients' names are. What others do with it stays logged.
for _name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_is_not_ours)


class _HttpConnection(HTTPConnection):
    """A connection that tells its flight which socket it blocks on."""

    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        _made(self.sock)

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as above it
        _begin(self)
        super().request(*args, **options)

    def getresponse(self) -> Response:  # type: ignore[override]
        return _answer(self)


class _HttpsConnection(HTTPSConnection):
    """The same over TLS."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock = _connected(self)
        # The handshake takes the socket object over; a second handle can still be shut down.
        self._handle = sock.dup()
        _hold(self._handle)
        return sock

    def connect(self) -> None:
        self.response_class = partial(Response, flight=_current())  # type: ignore[assignment]  # for CONNECT
        try:
            super().connect()
            _made(self.sock)
        finally:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as above it
        _begin(self)
        super().request(*args, **options)

    def getresponse(self) -> Response:  # type: ignore[override]
        return _answer(self)


def _begin(connection: HTTPConnection) -> None:
    connection.response_class = partial(Response, flight=_current())  # type: ignore[assignment]
    if connection.sock is not None:
        _hold(connection.sock)


def _made(sock: Any) -> None:  # noqa: ANN401 - as below it
    _current().is_connecting = False
    _hold(sock)


def _hold(sock: Any) -> None:  # noqa: ANN401 - a socket, or what stands in for one
    _current().call.hold(partial(shut_down, sock))


def _answer(connection: HTTPConnection) -> Response:
    if connection.sock is None:
        # urllib3 overlooks a reset of the connection that it was making, and would wait for an answer.
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return cast("Response", http.client.HTTPConnection.getresponse(connection))


def shut_down(sock: Any) -> None:  # noqa: ANN401 - a socket, or what stands in for one
    """End what a socket is doing, from any thread."""
    while not isinstance(sock, socket.socket):  # TLS within TLS wraps a socket
        sock = sock.socket
    # Not SSLSocket's own shutdown: it would take the TLS layer from under the thread that reads.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError as error:
        if error.errno not in {errno.ENOTCONN, errno.EBADF}:  # it is closed already
            raise


def _connected(connection: HTTPConnection) -> socket.socket:
    """Return a socket connected to the first address of the host that answers."""
    flight = _current()
    flight.is_fresh = flight.is_connecting = True
    timeout = connection.timeout
    deadline = monotonic() + (timeout if isinstance(timeout, int | float) else 0)
    failure: OSError = OSError("the host has no address")
    host = connection._dns_host.strip("[]")  # as urllib3's own method does: with a trailing dot
    addresses = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            # An address that swallows packets (broken IPv6) leaves half of the time to those after it.
            left = deadline - monotonic()
            _connect(sock, address, left if number == len(addresses) else left / 2, flight.call)
            sock.settimeout(max(deadline - monotonic(), 0.001))
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure


def _connect(sock: socket.socket, address: tuple[object, ...], seconds: float, call: Call) -> None:
    """Connect without blocking for long: a connection that is being made cannot be shut down everywhere."""
    until = monotonic() + seconds
    sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    code = sock.connect_ex(address)
    while code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
        call.raise_if_aborted()
        left = until - monotonic()
        if left <= 0:
            raise TimeoutError
        if wait_for_write(sock, timeout=min(_GLANCE_SECONDS, left)):
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


class _Stack:
    """
    Idle connections, the last used first; stands in for `queue.LifoQueue`.

    It has no lock, which a fork could copy while it is held, and no size: permits bound how many there are.
    """

    def __init__(self, _size: int = 0) -> None:
        self._items: deque[object] = deque()

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        if item is not None:
            self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> object:  # noqa: FBT001, FBT002
        try:
            return self._items.pop()
        except IndexError:
            raise Empty from None


class HttpPool(urllib3.HTTPConnectionPool):
    """Connections to one origin, or to a proxy."""

    ConnectionCls = _HttpConnection  # type: ignore[assignment]
    QueueCls = _Stack  # type: ignore[assignment]


class HttpsPool(urllib3.HTTPSConnectionPool):
    """Connections to one origin over TLS."""

    ConnectionCls = _HttpsConnection  # type: ignore[assignment]
    QueueCls = _Stack  # type: ignore[assignment]
