"""
Files on this machine.

They are read, not mapped: a file that is truncated under a map ends the process by SIGBUS, a map of a network
disk does so when the network fails, and its pages are in nobody's budget. A read says what happened instead,
goes straight into the memory that the core reserved, and for one slice takes no longer than touching its map.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING

from loadstone.errors import FetchError
from loadstone.files import FileState
from loadstone.ids import path_of
from loadstone_nifti.places import Opened, written_anew

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from contextlib import AbstractContextManager

    from loadstone.context import LoadContext

__all__ = ["LocalFile", "local_file"]


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

    @property
    def gives_parts(self) -> bool:
        """Always."""
        return True

    def begun(self, context: LoadContext) -> AbstractContextManager[Opened]:
        """Open the file; see `resumed`."""
        return self.resumed(context, 0)

    def opened(self, context: LoadContext) -> AbstractContextManager[Opened]:
        """Open the file; see `resumed`."""
        return self.resumed(context, 0)

    @contextmanager
    def resumed(self, context: LoadContext, start: int) -> Iterator[Opened]:
        """
        Open the file.

        Raises
        ------
        FetchError
            If it cannot be opened.
        IntegrityError
            If it is not the file any more that it was when the load began.
        """
        with self._open() as file:
            file.seek(start)
            yield Opened(file, self.state.signature[0], self)

    def read_at(self, offset: int, buffer: memoryview, context: LoadContext) -> int:
        """Fill the buffer from a place in the file; see `resumed` for the errors."""
        with context.reading(), self._open() as file:
            file.seek(offset)
            got = 0
            while got < len(buffer) and (count := file.readinto(buffer[got:])):
                got += count
        return got

    def working(self, context: LoadContext, *, computes: bool) -> AbstractContextManager[None]:
        """Hold a permit to decode, or one to read files."""
        return context.computing() if computes else context.reading()

    def _open(self) -> FileIO:
        try:
            file = FileIO(self.state.path)
        except OSError as error:
            raise _unreadable(self.state.path, error) from error
        if FileState.of(self.state.path, os.fstat(file.fileno())) != self.state:
            file.close()
            raise written_anew(self.label)
        return file


def local_file(locator: str, context: LoadContext) -> LocalFile:
    """
    Return the file that a path or ``file:`` URL names.

    Raises
    ------
    InvalidIdError
        If a ``file:`` URL names another machine.
    FetchError
        If there is no such file.
    """
    path = path_of(locator)
    try:
        status = os.stat(path)  # noqa: PTH116 - the path is text, also where it is no path
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for somebody to write
        raise FetchError(
            "this is a folder or a device, not a file",
            source=f"nifti:{path}",
            hint="Name one file: each NIfTI file is a volume of its own.",
        )
    return LocalFile(context.depends_on(path, status))


def _unreadable(path: str, error: OSError) -> FetchError:
    return FetchError(
        f"the file cannot be read: {error.strerror or error}",
        source=f"nifti:{path}",
        hint="Check the path and its permissions.",
    )
