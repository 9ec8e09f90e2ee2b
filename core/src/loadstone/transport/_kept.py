"""The next request over a connection that has served before, without the layers that make connections."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from loadstone.transport._response import Response
from loadstone.transport._wire import shut_down

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import HTTPConnectionPool
    from urllib3.connection import HTTPConnection

    from loadstone.transport._flight import Flight
    from loadstone.transport.messages import HttpRequest
    from loadstone.transport.urls import HttpUrl

__all__ = ["asked_again"]

_AS_IT_IS: Final = re.compile(r"/[A-Za-z0-9/._~?=&,:;@!$'()*+-]*")
"""A target that urllib3 sends unchanged; others it encodes."""
_PLAIN_HOST: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-]|\[[0-9a-f:.]+\]")
"""A host that urllib3 names unchanged in ``Host``; it takes final dots and IPv6 zones off."""


def asked_again(
    pool: HTTPConnectionPool, request: HttpRequest, url: HttpUrl, headers: Mapping[str, str], flight: Flight
) -> bool:
    """
    Send a request over an idle connection and read the header of its answer.

    What urllib3 adds to that is for connections that have to be made, for proxies and for bodies, and takes
    longer than sending the request. The bytes that are sent are the same.

    Returns
    -------
    bool
        False where nothing was sent: no connection is idle, or the request is not as simple as that.

    Raises
    ------
    OSError, http.client.HTTPException
        As `urllib3.HTTPConnectionPool.urlopen`, not wrapped.
    """
    if pool.proxy is not None or not _is_sent_unchanged(url, headers):
        return False
    # It also looks whether the connection was closed meanwhile.
    connection = cast("HTTPConnection", pool._get_conn())
    if connection.sock is None:
        pool._put_conn(connection)
        return False
    try:
        _send(connection, _head(request, url, headers), flight)
        response = _answer(connection, request, flight)
    except BaseException:
        connection.close()
        pool._put_conn(connection)
        raise
    response._connection, response._pool = connection, pool
    return True


def _is_sent_unchanged(url: HttpUrl, headers: Mapping[str, str]) -> bool:
    return bool("Host" not in headers and _AS_IT_IS.fullmatch(url.target) and _PLAIN_HOST.fullmatch(url.host))


def _head(request: HttpRequest, url: HttpUrl, headers: Mapping[str, str]) -> bytes:
    """Return what is sent; `HttpRequest` and `HttpUrl` let no line break get here."""
    lines = [f"{request.method} {url.target} HTTP/1.1\r\nHost: {url.authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    return "".join((*lines, "\r\n")).encode("latin-1")


def _send(connection: HTTPConnection, head: bytes, flight: Flight) -> None:
    sock = connection.sock
    flight.call.hold(partial(shut_down, sock))
    patience = flight.patience()
    if sock.gettimeout() != patience:
        sock.settimeout(patience)
    sock.sendall(head)


def _answer(connection: HTTPConnection, request: HttpRequest, flight: Flight) -> Response:
    response = Response(connection.sock, flight=flight, method=request.method)
    try:
        response.begin()
    except BaseException:
        response.close()  # it holds the socket open as well
        raise
    return response
