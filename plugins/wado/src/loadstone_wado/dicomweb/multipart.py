"""``multipart/related`` answers (RFC 2046, 2387), read as they arrive, with every truncation noticed."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import Settings
    from loadstone.transport import HttpStream

__all__ = ["Part", "media_type", "parts_of"]

PIECE: Final = 256 * 1024
MAX_HEADER: Final = 16 * 1024
"""Bytes of the header of a part."""
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer."""

    headers: dict[str, str]
    """Fields by lower-case name."""
    body: bytes | memoryview
    """The bytes."""


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """
    Take a Content-Type apart: the type in lower case, and its parameters unquoted, by lower-case name.

    Parameters that some servers put inside the quoted ``type`` parameter are found too.
    """
    message = Message()
    message["Content-Type"] = content_type
    parameters = {name.lower(): str(value) for name, value in (message.get_params() or [])[1:]}
    inner = parameters.get("type", "")
    if ";" in inner:
        kind, found = media_type(inner)
        parameters = {**found, **parameters, "type": kind}
    return message.get_content_type(), parameters


def parts_of(stream: HttpStream, settings: Settings) -> Iterator[Part]:
    """
    Yield the parts of an answer as they arrive; an answer that is not multipart is its own only part.

    Raises
    ------
    IntegrityError
        If the answer ends early, or a part has not the length that its header says.
    LimitError
        If there are too many parts, or one is too large.
    """
    content_type = stream.headers.get("Content-Type", "")
    kind, parameters = media_type(content_type)
    if not kind.startswith("multipart/"):
        yield Part({"content-type": content_type}, stream.read())
        return
    boundary = parameters.get("boundary", "")
    if not boundary:
        raise IntegrityError("the multipart answer names no boundary", source=stream.url)
    yield from _Parser(stream, boundary.encode("latin-1"), settings).parts()


class _Parser:
    """Reads ahead in pieces; what was read and not used waits in a buffer."""

    def __init__(self, stream: HttpStream, boundary: bytes, settings: Settings) -> None:
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary
        self._settings = settings
        # The first delimiter may stand at the very start, without a line end before it.
        self._buffer = bytearray(b"\r\n")

    def parts(self) -> Iterator[Part]:
        """Yield all parts."""
        self._take_until(self._delimiter, MAX_HEADER, "the first boundary")
        count = 0
        while not self._at_end():
            count += 1
            if count > self._settings.max_parts:
                raise LimitError(
                    f"the answer has more than {self._settings.max_parts} parts", source=self._stream.url
                )
            yield self._part()

    def _at_end(self) -> bool:
        """Step over what follows a delimiter; say whether it was the last."""
        self._fill(2)
        after = bytes(self._buffer[:2])
        if after == b"--":
            return True
        padding = self._take_until(b"\r\n", MAX_HEADER, "the end of a boundary line")
        if padding.strip():
            raise IntegrityError("a boundary line goes on behind the boundary", source=self._stream.url)
        # The header block may be empty: then its end is found with the line end put back.
        self._buffer[:0] = b"\r\n"
        return False

    def _part(self) -> Part:
        headers = _fields(self._take_until(_END, MAX_HEADER, "the header of a part"))
        length = headers.get("content-length", "")
        if length.isascii() and length.isdecimal():
            return Part(headers, memoryview(self._exactly(int(length))))
        body = self._take_until(self._delimiter, self._settings.max_response_bytes, "a part")
        return Part(headers, memoryview(body))

    def _exactly(self, length: int) -> bytearray:
        """Take the body of a part whose length is known, and the delimiter behind it."""
        if length > self._settings.max_response_bytes:
            raise LimitError(
                f"a part of {length:,} bytes is larger than max_response_bytes", source=self._stream.url
            )
        body = self._buffer[:length]
        del self._buffer[:length]
        while len(body) < length:
            # Grown by what is there, never by what the header of the part promises.
            start = len(body)
            size = min(length - start, max(PIECE, start))
            body += bytes(size)
            view = memoryview(body)
            count = self._stream.readinto(view[start:])
            view.release()
            if count < size:
                raise self._short(f"a part of {length:,} bytes")
        self._fill(len(self._delimiter))
        if not self._buffer.startswith(self._delimiter):
            raise IntegrityError(
                f"no boundary follows the {length:,} bytes that the header of a part announces",
                source=self._stream.url,
            )
        del self._buffer[: len(self._delimiter)]
        return body

    def _take_until(self, mark: bytes, most: int, what: str) -> bytearray:
        """Take what stands before `mark`, and the mark with it."""
        searched = 0
        while (found := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > most + len(mark):
                raise LimitError(f"{what} is longer than {most:,} bytes", source=self._stream.url)
            searched = max(0, len(self._buffer) - len(mark) + 1)
            if not self._more():
                raise self._short(what)
        taken = self._buffer[:found]
        del self._buffer[: found + len(mark)]
        return taken

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            if not self._more():
                raise self._short("a boundary")

    def _more(self) -> bool:
        data = self._stream.read1(PIECE)
        self._buffer += data
        return bool(data)

    def _short(self, what: str) -> IntegrityError:
        return IntegrityError(f"the answer ends within {what}", source=self._stream.url)


def _fields(block: bytearray) -> dict[str, str]:
    fields = {}
    for line in bytes(block).decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields
