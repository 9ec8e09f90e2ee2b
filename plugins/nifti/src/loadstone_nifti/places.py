"""Where the bytes of a NIfTI file are: on this machine or on a server."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Protocol

from loadstone.errors import FetchError, IntegrityError
from loadstone.files import FileState
from loadstone.ids import path_of
from loadstone.transport import redact
from loadstone_nifti.pairs import is_url

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from loadstone.context import LoadContext

__all__ = ["Place", "RawBytes", "place_of", "written_anew"]


class RawBytes(Protocol):
    """The bytes of a file as they are stored, from the start."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer, perhaps in part; 0 means the end."""
        ...


class Place(Protocol):
    """Where a file is."""

    @property
    def key(self) -> Hashable:
        """Names the file in its present state."""
        ...

    @property
    def label(self) -> str:
        """For messages."""
        ...

    def opened(self, context: LoadContext) -> AbstractContextManager[tuple[RawBytes, int | None]]:
        """Open it: its bytes, and how many there are if that is known."""
        ...


def place_of(locator: str, context: LoadContext) -> Place:
    """
    Return the place that a path or URL names.

    Raises
    ------
    InvalidIdError
        If a ``file:`` URL names another machine.
    FetchError
        If there is no such local file.
    """
    if is_url(locator):
        return RemoteFile(locator)
    path = path_of(locator)
    try:
        status = os.stat(path)  # noqa: PTH116 - the path is text, also where it is no path
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for somebody to write
        raise FetchError("this is a folder or a device, not a file", source=f"nifti:{path}")
    return LocalFile(context.depends_on(path, status))


def written_anew(label: str) -> IntegrityError:
    """Return the error for a file that is not what it was when the load began."""
    return IntegrityError(
        "the file was written anew while it was loaded", source=label, hint="Load it again."
    )


def _unreadable(path: str, error: OSError) -> FetchError:
    return FetchError(
        f"the file cannot be read: {error.strerror or error}",
        source=f"nifti:{path}",
        hint="Check the path and its permissions.",
    )


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine."""

    state: FileState
    """Its path, and its state when the load began."""

    @property
    def key(self) -> Hashable:
        """Path, size, time and inode: a file written anew is another one."""
        return ("nifti", self.state)

    @property
    def label(self) -> str:
        """The id of the whole file."""
        return f"nifti:{self.state.path}"

    @contextmanager
    def opened(self, context: LoadContext) -> Iterator[tuple[RawBytes, int | None]]:
        """
        Open the file.

        Raises
        ------
        FetchError
            If it cannot be opened or read.
        IntegrityError
            If it is not the file any more that it was when the load began.
        """
        with self._open() as file:
            yield file, self.state.signature[0]

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Fill the buffer from a place in the file, less only at its end; see `opened` for the errors."""
        with self._open() as file:
            file.seek(offset)
            got = 0
            while got < len(buffer) and (count := file.readinto(buffer[got:])):
                got += count
        return got

    def _open(self) -> FileIO:
        try:
            file = FileIO(self.state.path)
        except OSError as error:
            raise _unreadable(self.state.path, error) from error
        if FileState.of(self.state.path, os.fstat(file.fileno())) != self.state:
            file.close()
            raise written_anew(self.label)
        return file


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on an http(s) server."""

    url: str
    """Its URL."""

    @property
    def key(self) -> Hashable:
        """The URL."""
        return ("nifti", self.url)

    @property
    def label(self) -> str:
        """The id without secrets."""
        return f"nifti:{redact(self.url)}"

    @contextmanager
    def opened(self, context: LoadContext) -> Iterator[tuple[RawBytes, int | None]]:
        """Ask for the file; see `LoadContext.stream` for the errors."""
        with context.stream(self.url) as stream:
            yield stream, stream.length
