"""
Files on http(s) servers: of those that give byte ranges (RFC 9110, 14), only the bytes that are needed.

Ranges of one file must come from one version of it. A server that names versions (a strong ETag, else
Last-Modified) is asked for a range of that version only, and answers with the whole file when it has another.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Final

from loadstone.transport import redact
from loadstone_nifti.places import Opened, written_anew

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

    from loadstone.context import LoadContext
    from loadstone.transport import Headers, HttpStream
    from loadstone_nifti.places import RawBytes

__all__ = ["RemoteFile"]

_PARTIAL: Final = 206
_FIRST_BYTES: Final = 2**16
"""Asked for to read the header: nearly always enough, and little even on a slow network."""
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, slots=True)
class _Version:
    """What a server said of a file when it gave a range of it."""

    length: int
    """Bytes of the whole file."""
    validator: str
    """A strong ETag or a date, for ``If-Range``; empty where the server gave neither."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on an http(s) server."""

    url: str
    """Its URL."""
    version: _Version | None = None
    """Which version its first bytes are of; None before they are there, and where there are no ranges."""

    @property
    def key(self) -> Hashable:
        """The URL, and the version."""
        return ("nifti", self.url, self.version)

    @property
    def label(self) -> str:
        """The id without secrets."""
        return f"nifti:{redact(self.url)}"

    @property
    def gives_parts(self) -> bool:
        """Whether the server gives byte ranges, and says how long the file is."""
        return self.version is not None

    @contextmanager
    def begun(self, context: LoadContext) -> Iterator[Opened]:
        """Ask for the first bytes; see `LoadContext.stream` for the errors."""
        with context.stream(self.url, headers=_range(0, _FIRST_BYTES)) as stream:
            version = _version(stream, 0)
            if version is None:
                yield Opened(stream, stream.length, self)
                return
            start = stream.read(_FIRST_BYTES)
        place = replace(self, version=version)
        yield Opened(_ReadOn(start, _Ranges(place, context, len(start))), version.length, place)

    @contextmanager
    def opened(self, context: LoadContext) -> Iterator[Opened]:
        """
        Ask for the file.

        Raises
        ------
        IntegrityError
            If the server has another version by now.
        LoadstoneError
            See `LoadContext.stream`.
        """
        with context.stream(self.url) as stream:
            if self.version is not None and self.version.validator != _validator(stream.headers):
                raise written_anew(self.label)
            yield Opened(stream, stream.length, self)

    @contextmanager
    def resumed(self, context: LoadContext, start: int) -> Iterator[Opened]:
        """Ask for a range whenever bytes are read; see `read_at` for the errors."""
        yield Opened(_Ranges(self, context, start), self._length, self)

    @property
    def _length(self) -> int:
        return 0 if self.version is None else self.version.length

    def read_at(self, offset: int, buffer: memoryview, context: LoadContext) -> int:
        """
        Ask for a range.

        Raises
        ------
        IntegrityError
            If the server has another version by now.
        LoadstoneError
            See `LoadContext.stream`.
        """
        wanted = buffer[: max(0, self._length - offset)]
        if not wanted:
            return 0
        headers = _range(offset, len(wanted))
        if self.version is not None and self.version.validator:
            headers["If-Range"] = self.version.validator
        with context.stream(self.url, headers=headers) as stream:
            if _version(stream, offset) != self.version:
                raise written_anew(self.label)
            return stream.readinto(wanted)

    def working(self, context: LoadContext, *, computes: bool) -> AbstractContextManager[None]:
        """Hold nothing: a request has a permit of its own, and inflating waits for the network."""
        return nullcontext()


class _Ranges:
    """The bytes of a file from some place on; every read asks for its own."""

    __slots__ = ("_context", "_place", "_position")

    def __init__(self, place: RemoteFile, context: LoadContext, start: int) -> None:
        self._place = place
        self._context = context
        self._position = start

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer, less only at the end."""
        count = self._place.read_at(self._position, buffer, self._context)
        self._position += count
        return count


class _ReadOn:
    """The first bytes of a file, and for whoever needs more of them the others."""

    __slots__ = ("_rest", "_start")

    def __init__(self, start: bytes, rest: RawBytes) -> None:
        self._start = BytesIO(start)
        self._rest = rest

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer, perhaps in part."""
        return self._start.readinto(buffer) or self._rest.readinto(buffer)


def _range(start: int, size: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{start + size - 1}"}


def _version(stream: HttpStream, start: int) -> _Version | None:
    """Return which version an answer is a range of, or None if it is none that begins at `start`."""
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", ""))
    if stream.status != _PARTIAL or found is None or int(found[1]) != start:
        return None
    return _Version(int(found[3]), _validator(stream.headers))


def _validator(headers: Headers) -> str:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")
