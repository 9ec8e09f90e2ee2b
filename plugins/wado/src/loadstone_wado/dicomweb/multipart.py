"""``multipart/related`` answers (RFC 2046, 2387), read as they arrive, with every truncation noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError, LimitError
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.media import MediaType
from loadstone_wado.dicomweb.parts import PIECE, EndlessPart, OnlyPart, Part, SizedPart, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import Settings
    from loadstone_wado.dicomweb.bodies import Readable
    from loadstone_wado.dicomweb.parts import OpenPart

__all__ = ["header_fields", "open_parts", "parts_of"]

MAX_HEADER: Final = 16 * 1024
"""
Bytes of the header of a part, and of what may stand before the first one.

Also what is read at a time where a header is expected: what belongs to the body is copied once more.
"""
MAX_PADDING: Final = 256
"""Spaces that may follow a boundary on its line."""


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
        yield OnlyPart(stream, content_type, length, settings.max_response_bytes, source)
        return
    boundary = media.parameters.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise IntegrityError("the multipart answer names no boundary", source=source)
    yield from _Parser(stream, boundary, settings, source).parts()


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
            return EndlessPart(self, headers, self._settings.max_response_bytes)
        # The first 19 digits are beyond any limit.
        size = int(length[:19])
        if size > self._settings.max_response_bytes:
            raise too_large("a part", self._settings.max_response_bytes, self._source)
        return SizedPart(self, headers, size)

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
                raise too_large(what, limit, self._source)
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


def header_fields(block: bytes | memoryview) -> dict[str, str]:
    """Return the fields of a part's header by lower-case name."""
    lines = bytes(block).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
