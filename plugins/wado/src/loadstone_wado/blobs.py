"""Bytes that can be read at any place: a file, or memory."""

from __future__ import annotations

import io
import os
import stat
import threading
from typing import TYPE_CHECKING, Final, Protocol

from loadstone.errors import FetchError

if TYPE_CHECKING:
    from typing import BinaryIO, Self

__all__ = [
    "Blob",
    "FileBlob",
    "HeadBlob",
    "MemoryBlob",
    "StreamBlob",
    "as_stream",
    "open_descriptor",
    "read_descriptor",
    "unreadable",
]

_HAS_POSITIONED_READS = hasattr(os, "preadv")
_OPEN: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Without waiting: a named pipe would block until somebody writes into it."""


class Blob(Protocol):
    """Bytes of known size that can be read at any place, from several threads."""

    source: str
    """What it is, for messages."""
    size: int
    """Number of bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; fewer at the end."""
        ...

    def readinto(self, offset: int, target: memoryview) -> int:
        """Read from `offset` on into `target`; return how many bytes there were."""
        ...


class MemoryBlob:
    """
    Bytes in memory.

    Parameters
    ----------
    data
        The bytes.
    source
        What they are, for messages.
    """

    __slots__ = ("data", "size", "source")

    def __init__(self, data: bytes | bytearray | memoryview, source: str = "") -> None:
        self.data = data
        self.size = len(data)
        self.source = source

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        return bytes(memoryview(self.data)[offset : offset + length])

    def readinto(self, offset: int, target: memoryview) -> int:
        """Copy from `offset` on into `target`."""
        part = memoryview(self.data)[offset : offset + len(target)]
        target[: len(part)] = part
        return len(part)


def open_descriptor(path: str) -> int:
    """
    Open a file to be read.

    Raises
    ------
    FetchError
        If it cannot be opened.
    """
    try:
        return os.open(path, _OPEN)
    except OSError as error:
        raise unreadable(error, path) from error


def read_descriptor(descriptor: int, offset: int, target: memoryview) -> int:
    """Read an open file from `offset` on into `target`, by as many reads as it takes; return how much."""
    done = 0
    while done < len(target):
        count = _read_once(descriptor, offset + done, target[done:] if done else target)
        if not count:
            break
        done += count
    return done


def _read_once(descriptor: int, offset: int, target: memoryview) -> int:
    if _HAS_POSITIONED_READS:
        return os.preadv(descriptor, [target], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(target))
    target[: len(data)] = data
    return len(data)


class FileBlob:
    """
    An open file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FetchError
        If it cannot be opened or is no file.
    """

    __slots__ = ("_descriptor", "_lock", "size", "source", "status")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.source = os.fspath(path)
        self._lock = threading.Lock()
        self._descriptor = -1
        self._descriptor = open_descriptor(self.source)
        self.status = os.fstat(self._descriptor)
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise FetchError("it is no regular file", source=self.source, hint="Check the path.")
        self.size = self.status.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        # Never more than the file has, whatever the caller computed from a header.
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        try:
            if _HAS_POSITIONED_READS:
                data = os.pread(self._descriptor, length, offset)
                return data if len(data) == length else self._read_rest(data, offset, length)
            return self._read_rest(b"", offset, length)
        except OSError as error:
            raise unreadable(error, self.source) from error

    def _read_rest(self, data: bytes, offset: int, length: int) -> bytes:
        """Go on after a short read (a network disk, a signal, more than 2 GiB)."""
        buffer = bytearray(length)
        buffer[: len(data)] = data
        more = self.readinto(offset + len(data), memoryview(buffer)[len(data) :])
        return bytes(buffer[: len(data) + more])

    def readinto(self, offset: int, target: memoryview) -> int:
        """Read from `offset` on into `target`, without a copy in between."""
        try:
            if _HAS_POSITIONED_READS:
                return read_descriptor(self._descriptor, offset, target)
            with self._lock:
                return read_descriptor(self._descriptor, offset, target)
        except OSError as error:
            raise unreadable(error, self.source) from error

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        """Close it when nobody did: a load that fails half-way must not keep descriptors."""
        self.close()


class HeadBlob:
    """
    An open file whose first bytes are at hand, so that nobody reads them again.

    Parameters
    ----------
    file
        The file.
    length
        How many bytes are read at once.
    """

    __slots__ = ("_file", "head", "size", "source", "status")

    def __init__(self, file: FileBlob, length: int) -> None:
        self._file = file
        self.head = file.read(0, length)
        self.size = file.size
        self.source = file.source
        self.status = file.status

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        if offset + length <= len(self.head) or len(self.head) == self.size:
            return self.head[offset : offset + length]
        return self._file.read(offset, length)

    def readinto(self, offset: int, target: memoryview) -> int:
        """Read from `offset` on into `target`."""
        return self._file.readinto(offset, target)


class StreamBlob:
    """
    A file object that somebody else opened and keeps open.

    Parameters
    ----------
    stream
        The file object; it can be sought.
    source
        What it is, for messages.
    """

    __slots__ = ("_lock", "_stream", "size", "source")

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.source = source
        try:
            self.size = stream.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:
            raise _lost(error, source) from error

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        pieces = []
        try:
            with self._lock:
                self._stream.seek(offset)
                while length > 0 and (piece := self._stream.read(length)):
                    pieces.append(piece)
                    length -= len(piece)
        except (OSError, ValueError) as error:
            raise _lost(error, self.source) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, offset: int, target: memoryview) -> int:
        """Copy from `offset` on into `target`."""
        data = self.read(offset, len(target))
        target[: len(data)] = data
        return len(data)


def _lost(error: OSError | ValueError, source: str) -> FetchError:
    return FetchError(
        f"the file object cannot be read: {error}", source=source, hint="Keep it open until it is released."
    )


def unreadable(error: OSError, source: str) -> FetchError:
    """Return the error for what the system says of a file."""
    return FetchError(
        error.strerror or str(error), source=source, hint="Check the path and the permission to read it."
    )


class _Stream(io.RawIOBase):
    """A blob as a file object, for libraries that want one."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._position = 0
        self.name = blob.source  # pydicom asks every file object for it

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._blob.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._blob.readinto(self._position, memoryview(buffer).cast("B"))
        self._position += count
        return count


class _BoundedReader(io.BufferedReader):
    """Allocates for a read no more than there is, whatever length a header claims."""

    def __init__(self, blob: Blob) -> None:
        super().__init__(_Stream(blob), 65536)
        self._size = blob.size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 65536:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)


def as_stream(blob: Blob) -> io.BufferedReader:
    """Return a blob as a file object that starts at its first byte."""
    return _BoundedReader(blob)
