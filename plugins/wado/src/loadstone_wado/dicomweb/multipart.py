"""``multipart/related`` answers (RFC 2046, 2387), read as they arrive, with every truncation noticed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from loadstone import IntegrityError, LimitError
from loadstone_wado.dicomweb.media import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import Settings

__all__ = ["OpenPart", "Part", "Readable", "Received", "header_fields", "open_parts", "parts_of"]

PIECE: Final = 256 * 1024
"""Bytes that are read at a time where the length of the body is not known."""
BELIEVED: Final = 1024 * 1024
"""Bytes that are allocated because the header of a part says so."""
MAX_HEADER: Final = 16 * 1024
"""
Bytes of the header of a part, and of what may stand before the first one.

Also what is read at a time where a header is expected: what belongs to the body is copied once more.
"""
MAX_PADDING: Final = 256
"""Spaces that may follow a boundary on its line."""


class Readable(Protocol):
    """A body: an `HttpStream` as it comes, or `Received`."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes as soon as there are any; none only at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer`, less only at the end."""
        ...


class Received:
    """
    A body that is there already: a `Readable` whose parts are views of it.

    Parameters
    ----------
    body
        All of it.
    """

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)
        self._position = 0

    def read1(self, size: int, /) -> bytes:
        """Return the next bytes."""
        piece = bytes(self._body[self._position : self._position + size])
        self._position += len(piece)
        return piece

    def readinto(self, buffer: memoryview, /) -> int:
        """Copy the next bytes."""
        piece = self._body[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def view(self, ahead: int, length: int) -> memoryview:
        """Return `length` bytes from `ahead` before where reading stands, without a copy; go on there."""
        start = self._position - ahead
        view = self._body[start : start + length]
        self._position = max(self._position, start + len(view))
        return view


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer."""

    headers: dict[str, str]
    """Fields by lower-case name."""
    body: memoryview
    """The bytes."""


class OpenPart(Protocol):
    """One part of an answer while it arrives; whatever of it is not read is passed over."""

    headers: dict[str, str]
    """Fields by lower-case name."""

    @property
    def left(self) -> int | None:
        """Bytes that are not read yet; None where only the end of the part will tell."""
        ...

    def readinto(self, target: memoryview) -> int:
        """Fill `target` without a copy in between, less only at the end; for a part that says its length."""
        ...

    def read(self) -> memoryview:
        """Return all that is not read yet, once the end of the part was seen behind it."""
        ...

    def close(self) -> None:
        """Make sure that the part ends where it said; a second time does nothing."""
        ...


def parts_of(stream: Readable, content_type: str, settings: Settings, *, source: str) -> Iterator[Part]:
    """Yield the parts of an answer, each when all of it is there; parameters and errors as `open_parts`."""
    for part in open_parts(stream, content_type, settings, source=source):
        yield Part(part.headers, part.read())


def open_parts(
    stream: Readable, content_type: str, settings: Settings, *, source: str, length: int | None = None
) -> Iterator[OpenPart]:
    """
    Yield the parts of an answer as they arrive; an answer that is not multipart is its own only part.

    What is read of a part is worth nothing until it is closed: only then is it sure that it ends there.
    A part that says its length is complete when its bytes are there: servers that forget the last boundary
    lose nothing. Any other part ends only where a boundary follows.

    Parameters
    ----------
    stream
        The body.
    content_type
        Of the answer.
    settings
        Limits.
    source
        Where it comes from, for messages.
    length
        Bytes of the body, if `stream` makes sure that it has as many.

    Raises
    ------
    IntegrityError
        If the answer ends early, or a part has not the length that its header says.
    LimitError
        If there are too many parts, or one is too large.
    """
    media = MediaType.of(content_type)
    if not media.name.startswith("multipart/"):
        yield _OnlyPart(stream, content_type, length, settings.max_response_bytes, source)
        return
    boundary = media.parameters.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise IntegrityError("the multipart answer names no boundary", source=source)
    yield from _Parser(stream, boundary, settings, source).parts()


class _OnlyPart:
    """An answer that is not multipart."""

    def __init__(
        self, stream: Readable, content_type: str, length: int | None, limit: int, source: str
    ) -> None:
        self.headers = {"content-type": content_type}
        self.left = length
        self._stream = stream
        self._limit = limit
        self._source = source
        if length is not None and length > limit:
            raise _too_large("the answer", limit, source)

    def readinto(self, target: memoryview) -> int:
        count = self._stream.readinto(target[: self.left])
        self.left = None if self.left is None else self.left - count
        return count

    def read(self) -> memoryview:
        body = bytearray()
        while piece := self._stream.read1(PIECE):
            body += piece
            if len(body) > self._limit:
                raise _too_large("the answer", self._limit, self._source)
        self.left = 0
        return memoryview(body)

    def close(self) -> None:
        while self._stream.read1(PIECE):
            pass


def _too_large(what: str, limit: int, source: str) -> LimitError:
    return LimitError(
        f"{what} is longer than {limit:,} bytes",
        source=source,
        hint="If that is right, raise max_response_bytes (LOADSTONE_MAX_RESPONSE_BYTES).",
    )


class _Parser:
    """Reads ahead in pieces; what was read and not used waits in a buffer."""

    def __init__(self, stream: Readable, boundary: bytes, settings: Settings, source: str) -> None:
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary
        self._settings = settings
        self._source = source
        # The first delimiter may stand at the very start, without a line end before it.
        self._buffer = bytearray(b"\r\n")
        self._ended = False

    def parts(self) -> Iterator[OpenPart]:
        """Yield all parts."""
        self.until_boundary(MAX_HEADER, "what stands before the first part")
        for _ in range(self._settings.max_parts):
            if self._is_over():
                return
            part = self._part()
            yield part
            part.close()
        if not self._is_over():
            raise LimitError(
                f"the answer has more than {self._settings.max_parts} parts",
                source=self._source,
                hint="If that is right, raise max_parts (LOADSTONE_MAX_PARTS).",
            )

    def _is_over(self) -> bool:
        """Step over what follows a boundary on its line; say whether it was the last one."""
        if self._ended:
            return True
        self._fill(2, "a boundary")
        if self._buffer.startswith(b"--"):
            return True
        self._until(b"\r\n", MAX_HEADER, "the line of a boundary")
        # A part without a header begins with an empty line: its end is found with the line end put back.
        self._buffer[:0] = b"\r\n"
        return False

    def _part(self) -> OpenPart:
        headers = header_fields(self._until(b"\r\n\r\n", MAX_HEADER, "the header of a part"))
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdecimal():
            return _EndlessPart(self, headers, self._settings.max_response_bytes)
        # The first 19 digits are beyond any limit.
        size = int(length[:19])
        if size > self._settings.max_response_bytes:
            raise _too_large("a part", self._settings.max_response_bytes, self._source)
        return _SizedPart(self, headers, size)

    def take_into(self, target: memoryview) -> int:
        """Fill memory with what comes next, less only at the end of the answer."""
        filled = min(len(target), len(self._buffer))
        target[:filled] = self._buffer[:filled]
        del self._buffer[:filled]
        return filled + (self._stream.readinto(target[filled:]) if filled < len(target) else 0)

    def take(self, length: int) -> memoryview | None:
        """Return what comes next without a copy; None where that cannot be, or is not there."""
        if not isinstance(self._stream, Received):
            return None
        view = self._stream.view(len(self._buffer), length)
        del self._buffer[: len(view)]
        return view if len(view) == length else None

    def short(self, what: str) -> IntegrityError:
        """Return the error for an answer that ends too early."""
        return IntegrityError(f"the answer ends within {what}", source=self._source, hint="Try again.")

    def expect_boundary(self, length: int) -> None:
        """Take the boundary behind a part whose length is known."""
        size = len(self._delimiter)
        while len(self._buffer) < size and self._more():
            pass
        if self._buffer.startswith(self._delimiter):
            del self._buffer[:size]
        elif len(self._buffer) < size and self._delimiter.startswith(self._buffer):
            self._ended = True
        else:
            raise IntegrityError(
                f"no boundary follows the {length:,} bytes that the header of a part announces",
                source=self._source,
            )

    def until_boundary(self, limit: int, what: str) -> memoryview:
        """Take what stands before the next boundary, and the boundary with it."""
        start = 0
        while not self._is_boundary(found := self._find(self._delimiter, start, limit, what), what):
            start = found + 1
        return self._taken(found, len(self._delimiter))

    def _is_boundary(self, position: int, what: str) -> bool:
        """Say whether a delimiter is alone on its line; pixels may hold what only begins like one."""
        after = position + len(self._delimiter)
        for end in range(after, after + MAX_PADDING):
            self._fill(end + 2, what)
            if self._buffer[end] not in b" \t":
                return bytes(self._buffer[end : end + 2]) in {b"\r\n", b"--"}
        return False

    def _until(self, mark: bytes, limit: int, what: str) -> memoryview:
        """Take what stands before `mark`, and the mark with it."""
        return self._taken(self._find(mark, 0, limit, what), len(mark))

    def _taken(self, length: int, mark: int) -> memoryview:
        taken = self._buffer[:length]
        del self._buffer[: length + mark]
        return memoryview(taken)

    def _find(self, mark: bytes, start: int, limit: int, what: str) -> int:
        while (found := self._buffer.find(mark, start)) < 0:
            start = max(start, len(self._buffer) - len(mark) + 1)
            if start > limit:
                raise _too_large(what, limit, self._source)
            if not self._more(min(limit, PIECE)):
                raise self.short(what)
        return found

    def _fill(self, size: int, what: str) -> None:
        while len(self._buffer) < size:
            if not self._more():
                raise self.short(what)

    def _more(self, size: int = MAX_HEADER) -> bool:
        data = self._stream.read1(size)
        self._buffer += data
        return bool(data)


class _SizedPart:
    """A part that says its length; it is complete when a boundary follows."""

    def __init__(self, parser: _Parser, headers: dict[str, str], size: int) -> None:
        self.headers = headers
        self.left = size
        self._size = size
        self._parser = parser
        self._is_closed = False

    def readinto(self, target: memoryview) -> int:
        target = target[: self.left]
        if self._parser.take_into(target) < len(target):
            raise self._parser.short(f"a part of {self._size:,} bytes")
        self.left -= len(target)
        return len(target)

    def read(self) -> memoryview:
        length = self.left
        if (view := self._parser.take(length)) is not None:
            self.left = 0
            self.close()
            return view
        body = bytearray(min(length, BELIEVED))
        filled = self.readinto(memoryview(body))
        while filled < length:
            # Grown by what is there, never by what the header of the part promises.
            body += bytes(min(length - filled, filled))
            filled += self.readinto(memoryview(body)[filled:])
        self.close()
        return memoryview(body)

    def close(self) -> None:
        if self._is_closed:
            return
        passed_over = memoryview(bytearray(min(self.left, PIECE)))
        while self.left:
            self.readinto(passed_over)
        self._parser.expect_boundary(self._size)
        self._is_closed = True


class _EndlessPart:
    """A part of which only the boundary tells where it ends."""

    left = None

    def __init__(self, parser: _Parser, headers: dict[str, str], limit: int) -> None:
        self.headers = headers
        self._parser = parser
        self._limit = limit
        self._is_closed = False

    def readinto(self, target: memoryview) -> int:
        raise io.UnsupportedOperation(f"{len(target)} bytes of a part whose end is not known")

    def read(self) -> memoryview:
        self._is_closed = True
        return self._parser.until_boundary(self._limit, "a part")

    def close(self) -> None:
        if not self._is_closed:
            self.read()


def header_fields(block: bytes | memoryview) -> dict[str, str]:
    """Return the fields of a part's header by lower-case name."""
    lines = bytes(block).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
