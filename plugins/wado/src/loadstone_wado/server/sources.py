"""Where the bytes of a stored object are, and how a piece of them is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias

from loadstone_wado.server.errors import DamagedObjectError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["FileSource", "MemorySource", "Segment", "Source", "Span", "segment_bytes", "total_length"]


class Source(Protocol):
    """Bytes that can be read anywhere, from any thread."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def open(self) -> BinaryIO:
        """Open at the first byte; the caller closes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes from `offset` on."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file, as it was when it was indexed."""

    path: Path
    """Where it is; never said to a client."""
    size: int
    """Number of bytes."""
    modified_ns: int
    """Time of the last modification, in nanoseconds."""

    @classmethod
    def of(cls, path: Path) -> FileSource:
        """Describe the file at `path`.

        Raises
        ------
        OSError
            If it cannot be looked at.
        """
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def open(self) -> BinaryIO:
        """Open at the first byte; the caller closes.

        Raises
        ------
        DamagedObjectError
            If the file is gone or was changed since it was indexed.
        """
        return self._open(buffering=-1)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes from `offset` on.

        Raises
        ------
        DamagedObjectError
            If the file is gone, was changed since it was indexed, or ends before.
        """
        with self._open(buffering=0) as file:
            file.seek(offset)
            data = file.read(length)
        if len(data) != length:
            raise DamagedObjectError(f"the stored object ends {length - len(data)} bytes too early")
        return data

    def _open(self, buffering: int) -> BinaryIO:
        try:
            file: BinaryIO = self.path.open("rb", buffering)
        except OSError as error:
            raise DamagedObjectError(f"the stored object cannot be opened: {error.strerror}") from error
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified_ns):
            file.close()
            raise DamagedObjectError("the stored object was changed after the server indexed it")
        return file


@dataclass(frozen=True, slots=True)
class MemorySource:
    """An object in memory."""

    data: bytes
    """All of it."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Open at the first byte; the caller closes."""
        return BytesIO(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes from `offset` on.

        Raises
        ------
        DamagedObjectError
            If the object ends before.
        """
        data = self.data[offset : offset + length]
        if len(data) != length:
            raise DamagedObjectError(f"the stored object ends {length - len(data)} bytes too early")
        return data


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a source that is read when it is sent."""

    source: Source
    """What it is a piece of."""
    offset: int
    """Its first byte."""
    length: int
    """Its number of bytes."""

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, window: slice) -> Span:
        start, stop, _ = window.indices(self.length)
        return Span(self.source, self.offset + start, max(stop - start, 0))


Segment: TypeAlias = bytes | Span
"""A piece of a body: bytes, or where they are."""


def segment_bytes(segments: Iterable[Segment]) -> bytes:
    """Read and join `segments`.

    Raises
    ------
    DamagedObjectError
        If one of them cannot be read.
    """
    return b"".join(
        segment if isinstance(segment, bytes) else segment.source.read(segment.offset, segment.length)
        for segment in segments
    )


def total_length(segments: Iterable[Segment]) -> int:
    """Add up the numbers of bytes of `segments`."""
    return sum(len(segment) for segment in segments)
