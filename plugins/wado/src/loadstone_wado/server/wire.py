"""HTTP/1.1 on a socket: a request read, an answer written, with few system calls and copies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qsl, unquote

from loadstone_wado.server.errors import (
    BadRequestError,
    DamagedObjectError,
    RangeNotSatisfiableError,
    RequestRefusedError,
)
from loadstone_wado.server.sources import Segment, Span, total_length

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

__all__ = ["Request", "Response", "ResponseWriter", "message", "narrow", "read_request"]

REASONS = {int(status): status.phrase for status in HTTPStatus}

LINE_BYTES = 65536
HEADER_LINES = 100
READ_BYTES = 2**16
"""Spans up to this size are read and sent together with what is around them. Larger ones go from file to
socket within the kernel, which doubles the frames of 512 kB a second over loopback."""
GATHERED_PIECES = 512
"""How many pieces one system call takes; Linux allows 1024."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    method: str
    """GET, HEAD, …"""
    target: str
    """Path and query as they were sent."""
    headers: dict[str, str] = field(repr=False)
    """By name in lower case; repeated ones joined by commas."""
    keep_alive: bool
    """Whether another request may follow on this connection."""
    has_body: bool = False
    """Whether a body follows, which this server never reads."""
    is_http_1_0: bool = False
    """Whether the client may not know the chunked encoding."""

    @property
    def path(self) -> tuple[str, ...]:
        """The path in its pieces, decoded."""
        return tuple(unquote(piece) for piece in self.target.partition("?")[0].split("/")[1:])

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the query, decoded, in their order."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    """HTTP status."""
    content_type: str
    """Media type of the body, with parameters."""
    body: Iterable[Segment] = ()
    """The body in pieces, each made or read when it is sent."""
    length: int | None = 0
    """Bytes of the body; None when nobody knows before all is made."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields."""

    @classmethod
    def of(
        cls,
        status: int,
        content_type: str,
        body: tuple[Segment, ...],
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        """Make an answer whose body is at hand."""
        return cls(status, content_type, body, total_length(body), headers)


def read_request(stream: BinaryIO) -> Request | None:
    """Read a request up to the end of its header.

    Returns
    -------
    Request or None
        None when the client closed the connection instead.

    Raises
    ------
    BadRequestError
        If it is not HTTP/1.
    RequestRefusedError
        If its header is too long.
    """
    line = stream.readline(LINE_BYTES)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(LINE_BYTES)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError("this is not a request in HTTP/1.1")
    method, target, version = words
    headers = _read_headers(stream)
    is_1_0 = version == "HTTP/1.0"
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    stays = "close" not in headers.get("connection", "").lower()
    # A client of HTTP/1.0 can only tell the end of a body of unknown length by the end of the connection.
    return Request(method, target, headers, stays and not (has_body or is_1_0), has_body, is_1_0)


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(HEADER_LINES):
        line = stream.readline(LINE_BYTES)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not line.endswith(b"\n"):
            break
        key, value = name.lower(), value.strip()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    raise RequestRefusedError(
        "the header is too long or has a malformed line", status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    )


def narrow(response: Response, asked: str | None, *, later: int = 0) -> Response:
    """Return the part of a body that a ``Range`` header asks for.

    Parameters
    ----------
    response
        The whole; its length is known.
    asked
        The header. Several ranges, other units and malformed ones are answered by the whole, as RFC 9110
        allows.
    later
        By how many bytes the part begins too late.

    Raises
    ------
    RangeNotSatisfiableError
        If the range begins behind the end.
    """
    whole = replace(response, headers=(*response.headers, ("Accept-Ranges", "bytes")))
    length = response.length
    if asked is None or length is None:
        return whole
    window = _byte_range(asked, length)
    if window is None:
        return whole
    window = window[later:]
    if window.start >= min(window.stop, length):
        raise RangeNotSatisfiableError(length)
    content_range = ("Content-Range", f"bytes {window.start}-{window.stop - 1}/{length}")
    return replace(
        whole,
        status=HTTPStatus.PARTIAL_CONTENT,
        body=tuple(_cut(response.body, window)),
        length=len(window),
        headers=(*whole.headers, content_range),
    )


def _byte_range(asked: str, length: int) -> range | None:
    unit, _, window = asked.partition("=")
    first, dash, last = window.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not (first + last).isdigit() or len(first + last) > 36:
        return None
    if not first:
        return range(max(length - int(last), 0), length if int(last) else 0)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, length) if last else length)


def _cut(segments: Iterable[Segment], window: range) -> Iterator[Segment]:
    position = 0
    for segment in segments:
        start, stop = max(window.start - position, 0), min(window.stop - position, len(segment))
        position += len(segment)
        if start < stop:
            yield segment[start:stop]


def message(request: Request | None, response: Response) -> Iterator[Segment]:
    """Yield the head and the body of an answer.

    Parameters
    ----------
    request
        What is answered; None when it could not be read.
    response
        The answer.
    """
    keep_alive = request is not None and request.keep_alive
    lines = [
        f"HTTP/1.1 {response.status} {REASONS.get(response.status, '')}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    chunks = response.length is None and request is not None and not request.is_http_1_0
    if chunks:
        lines.append("Transfer-Encoding: chunked")
    elif response.length is not None and response.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {response.length}")
    yield ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    if (request is None or request.method != "HEAD") and response.status != HTTPStatus.NO_CONTENT:
        yield from _chunked(response.body) if chunks else response.body


def _chunked(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        if len(segment):
            yield f"{len(segment):x}\r\n".encode("ascii")
            yield segment
            yield b"\r\n"
    yield b"0\r\n\r\n"


class ResponseWriter:
    """Writes segments to a socket and counts what went out.

    Parameters
    ----------
    connection
        Connected, blocking.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.sent = 0
        """Bytes handed to the kernel."""

    def write(self, segments: Iterable[Segment]) -> None:
        """Write all of `segments`.

        Raises
        ------
        DamagedObjectError
            If a span cannot be read.
        OSError
            If the client is gone.
        """
        for segment in segments:
            if isinstance(segment, bytes):
                self._write_bytes(segment)
            elif segment.length <= READ_BYTES:
                self._write_bytes(segment.source.read(segment.offset, segment.length))
            else:
                self._write_file(segment)
        self._flush()

    def _write_bytes(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > READ_BYTES or len(self._waiting) == GATHERED_PIECES:
            self._flush()

    def _write_file(self, span: Span) -> None:
        with span.source.open() as file:
            self._flush()
            count = self._connection.sendfile(file, span.offset, span.length)
        self.sent += count
        if count != span.length:
            raise DamagedObjectError(f"the stored object ends {span.length - count} bytes too early")

    def _flush(self) -> None:
        views = [memoryview(data) for data in self._waiting]
        self._waiting, self._waiting_bytes = [], 0
        while views:
            count = self._gather(views)
            self.sent += count
            while views and count >= len(views[0]):
                count -= len(views.pop(0))
            if views:
                views[0] = views[0][count:]

    def _gather(self, views: list[memoryview]) -> int:
        if hasattr(self._connection, "sendmsg"):
            return self._connection.sendmsg(views)
        return self._connection.send(views[0])  # Windows
