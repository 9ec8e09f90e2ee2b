"""The body of an answer: where it ends, and whether all of it came."""

from __future__ import annotations

import re
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from loadstone.errors import IntegrityError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from io import BufferedReader

    from loadstone.settings import Settings
    from loadstone.transport.messages import Headers

__all__ = ["Body", "BrokenBodyError", "Gunzipped", "body_of", "gunzipped", "is_framed"]

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST_LINE: Final = 8192
_MOST_TRAILERS: Final = 100
_PIECE: Final = 65536


class BrokenBodyError(Exception):
    """The body ended too early, or is not framed as HTTP frames it."""


class Body(ABC):
    """Bytes until the end of the body."""

    __slots__ = ("_file", "done")

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.done = False
        """Whether its end was reached, so that the connection is free for the next request."""

    @property
    def length(self) -> int | None:
        """Bytes in all, if that was said beforehand."""
        return None

    @abstractmethod
    def readinto(self, view: memoryview) -> int:
        """Fill `view`, less only at the end; return how many bytes."""

    @abstractmethod
    def read1(self, size: int) -> bytes:
        """Return at most `size` bytes, as soon as there are any; none only at the end."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, less only at the end."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])


class _SizedBody(Body):
    """A body with a ``Content-Length``."""

    __slots__ = ("_left", "_length")

    def __init__(self, file: BufferedReader, length: int) -> None:
        super().__init__(file)
        self._length = self._left = length
        self.done = not length

    @property
    def length(self) -> int | None:
        return self._length

    def readinto(self, view: memoryview) -> int:
        wanted = min(len(view), self._left)
        self._took(count := self._file.readinto(view[:wanted]), wanted)
        return count

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)  # into the object that is returned: no copy
        self._took(len(data), wanted)
        return data

    def read1(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read1(wanted)
        self._took(len(data), min(wanted, 1))
        return data

    def _took(self, count: int, least: int) -> None:
        self._left -= count
        self.done = not self._left
        if count < least:
            raise BrokenBodyError(
                f"the connection ended after {self._length - self._left:,} of {self._length:,} bytes"
            )


class _ChunkedBody(Body):
    """A body in chunks; it is complete only when the last, empty one came."""

    __slots__ = ("_left", "_taken")

    def __init__(self, file: BufferedReader) -> None:
        super().__init__(file)
        self._left = 0
        self._taken = 0

    def readinto(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and self._in_chunk():
            wanted = min(len(view) - filled, self._left)
            self._took(count := self._file.readinto(view[filled : filled + wanted]), wanted)
            filled += count
        return filled

    def read1(self, size: int) -> bytes:
        if not self._in_chunk():
            return b""
        data = self._file.read1(min(size, self._left))
        self._took(len(data), 1)
        return data

    def _took(self, count: int, least: int) -> None:
        self._left -= count
        self._taken += count
        if count < least:
            raise self._broken("the connection ended")
        if not self._left and self._line() not in {b"\r\n", b"\n"}:
            raise self._broken("a chunk is longer than it said")

    def _in_chunk(self) -> bool:
        if self._left or self.done:
            return not self.done
        line = self._line()
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            # Without its line break a size is not a size: "0" may be what is left of "08000".
            raise self._broken("there is no chunk size" if line.endswith(b"\n") else "the connection ended")
        self._left = int(match[1], 16)
        if not self._left:
            self._skip_trailers()
            self.done = True
        return not self.done

    def _skip_trailers(self) -> None:
        for _ in range(_MOST_TRAILERS):
            # All data is there: a server that closes in place of the last empty line loses nothing.
            if self._line() in {b"\r\n", b"\n", b""}:
                return
        raise self._broken(f"more than {_MOST_TRAILERS} trailers came")

    def _line(self) -> bytes:
        return self._file.readline(_LONGEST_LINE)

    def _broken(self, what: str) -> BrokenBodyError:
        return BrokenBodyError(f"{what} after {self._taken:,} bytes of a chunked body")


class _EndlessBody(Body):
    """A body that ends where the connection ends: nobody but its content can tell whether all of it came."""

    __slots__ = ()

    def readinto(self, view: memoryview) -> int:
        count = self._file.readinto(view)
        self.done = count < len(view)
        return count

    def read1(self, size: int) -> bytes:
        data = self._file.read1(size)
        self.done = size > 0 and not data
        return data


def _is_bodiless(status: int, method: str | None) -> bool:
    return method == "HEAD" or status in {204, 304} or status < 200


def is_framed(status: int, headers: Headers, *, method: str | None) -> bool:
    """Return whether the body's end can be told, and in one way only."""
    announced = ("Transfer-Encoding" in headers) + ("Content-Length" in headers)
    return announced == 1 or (announced == 0 and _is_bodiless(status, method))


def body_of(file: BufferedReader, status: int, headers: Headers, *, method: str | None) -> Body:
    """
    Return the body that the header announces.

    Raises
    ------
    BrokenBodyError
        If the header says no length, or several.
    """
    if _is_bodiless(status, method):
        return _SizedBody(file, 0)
    coding = headers.get("Transfer-Encoding", "identity").strip().lower()
    if coding == "chunked":
        return _ChunkedBody(file)
    if coding != "identity":
        raise BrokenBodyError("the transfer encoding is not one that was asked for")
    if "Content-Length" not in headers:
        return _EndlessBody(file)
    lengths = {each.strip() for each in headers["Content-Length"].split(",")}
    if len(lengths) != 1 or not _DIGITS.fullmatch(text := lengths.pop()):
        raise BrokenBodyError("the Content-Length is no number")
    return _SizedBody(file, int(text))


def gunzipped(body: Body, headers: Headers, settings: Settings, *, accepted: bool) -> Body:
    """
    Return the body without its content encoding.

    Raises
    ------
    UnsupportedError
        If it has one that was not asked for.
    """
    codings = [each.strip().lower() for each in headers.get("Content-Encoding", "").split(",")]
    codings = [each for each in codings if each not in {"", "identity"}]
    if not codings or (body.done and body.length == 0):
        return body
    if not accepted or codings not in (["gzip"], ["x-gzip"]):
        raise UnsupportedError(
            f"the server compressed the answer ({len(codings)} content encodings) though it was not asked to",
            hint="Switch compression off at the server for this address; for pixels it only costs time.",
        )
    return Gunzipped(body, settings)


class Gunzipped(Body):
    """What a gzip body holds: never more than was asked for at a time, and no bomb."""

    __slots__ = ("_body", "_free", "_inflate", "_packed", "_pending", "_ratio", "_taken")

    def __init__(self, body: Body, settings: Settings) -> None:
        super().__init__(body._file)
        self._body = body
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._packed = 0
        self._taken = 0
        self._free = settings.free_ratio_bytes
        self._ratio = settings.max_ratio

    def readinto(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and (data := self.read1(len(view) - filled)):
            view[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def read1(self, size: int) -> bytes:
        while not self.done and size > 0:
            if self._inflate.eof:
                self._next_member()
                continue
            if not self._pending:
                self._refill()
            data = self._inflated(size)
            if data:
                return data
        return b""

    def _inflated(self, size: int) -> bytes:
        try:
            data = self._inflate.decompress(self._pending, min(size, _PIECE))
        except zlib.error as error:
            raise IntegrityError("the gzip body is damaged") from error
        self._pending = self._inflate.unconsumed_tail
        self._taken += len(data)
        if self._taken > self._free and self._taken > self._ratio * self._packed:
            raise LimitError(
                f"the answer expands more than {self._ratio} times",
                hint="If it is meant to, raise max_ratio (LOADSTONE_MAX_RATIO).",
            )
        return data

    def _refill(self) -> None:
        self._pending = self._body.read1(_PIECE)
        self._packed += len(self._pending)
        if not self._pending:
            raise BrokenBodyError(f"the gzip body ended after {self._taken:,} bytes of what it holds")

    def _next_member(self) -> None:
        self._pending = self._inflate.unused_data or self._body.read1(_PIECE)
        self._packed += 0 if self._inflate.unused_data else len(self._pending)
        self._inflate = zlib.decompressobj(wbits=31)
        self.done = not self._pending
