"""The body of an answer while it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, Self

from loadstone.errors import LimitError
from loadstone.transport.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone.transport._body import Body
    from loadstone.transport.messages import Headers

__all__ = ["HttpStream"]

_PIECE: Final = 65536


class HttpStream:
    """
    An answer whose body is read as it comes; a context manager, and iterable over chunks as they arrive.

    A body that ends before its ``Content-Length`` or before its last chunk is an error, however politely the
    server closes. Where a server announces neither, only the content can tell.

    Every read may raise `FetchError` (its ``retryable`` says whether a new request may help), `LimitError`,
    `IntegrityError` (a damaged gzip body) or `LoadCancelled`; after that, and after its end, it is closed.
    """

    __slots__ = ("_body", "_end", "_explain", "_limit", "headers", "length", "received", "status", "url")

    def __init__(
        self,
        *,
        status: int,
        headers: Headers,
        url: str,
        body: Body,
        limit: int | None,
        explain: Callable[[Exception], Exception],
        end: Callable[[bool], None],
    ) -> None:
        self.status = status
        """HTTP status: 2xx."""
        self.headers = headers
        """Fields of the answer."""
        self.url = url
        """Where it comes from after redirects, without user and password."""
        self.length = body.length
        """Bytes of the body; None when the server did not say, or compressed it."""
        self.received = 0
        """Bytes read so far."""
        self._body: Body | None = body
        self._limit = limit
        self._explain = explain
        self._end = end
        if limit is not None and self.length is not None and self.length > limit:
            self.close()
            raise self._too_large(f"{self.length:,} bytes")
        if body.done:
            self._finish(reusable=True)

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end; a negative size means all that is left."""
        if size >= 0:
            return b"" if self._body is None else self._taken(self._body, self._body.read, size)
        # A length is only a word until the bytes are there: memory grows with what came.
        from io import BytesIO

        pieces = BytesIO()
        while piece := self.read(4 * _PIECE):
            pieces.write(piece)
        return pieces.getvalue()

    def read1(self, size: int = _PIECE) -> bytes:
        """Return at most `size` bytes as soon as some are there; none only at the end."""
        return b"" if self._body is None else self._taken(self._body, self._body.read1, size)

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill `buffer`, less only at the end, without a copy where possible; return how many bytes."""
        body = self._body
        if body is None:
            return 0
        try:
            count = body.readinto(memoryview(buffer).cast("B"))
        except Exception as error:  # noqa: BLE001 - explained and raised
            self._fail(error)
        self._account(body, count)
        return count

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body in chunks as they arrive."""
        while chunk := self.read1():
            yield chunk

    def close(self) -> None:
        """Let the connection go; one in the middle of a body is closed. May be called again."""
        self._finish(reusable=False)

    def _taken(self, body: Body, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            data = read(size)
        except Exception as error:  # noqa: BLE001 - explained and raised
            self._fail(error)
        self._account(body, len(data))
        return data

    def _account(self, body: Body, count: int) -> None:
        self.received += count
        if body.done:
            self._finish(reusable=True)
        if self._limit is not None and self.received > self._limit:
            self.close()
            raise self._too_large("more bytes")

    def _fail(self, error: Exception) -> NoReturn:
        explained = self._explain(error)
        self.close()
        raise explained

    def _too_large(self, size: str) -> LimitError:
        return LimitError(
            f"the answer has {size}, the limit is {self._limit:,}",
            source=redact(self.url),
            hint="If that is right, raise the limit (max_bytes, or max_response_bytes of the settings).",
        )

    def _finish(self, *, reusable: bool) -> None:
        if self._body is not None:
            self._body = None
            self._end(reusable)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        size = "" if self.length is None else f" of {self.length:,}"
        return f"HttpStream({self.status}, {self.received:,}{size} bytes, {redact(self.url)})"
