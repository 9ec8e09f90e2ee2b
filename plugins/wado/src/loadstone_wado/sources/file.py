"""Part-10 files on disk: each header is read once as long as somebody uses it, each frame on its own."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from loadstone import FetchError, IntegrityError, InvalidIdError, StashKey
from loadstone.files import FileState
from loadstone_wado.blobs import FileBlob, HeadBlob, open_descriptor, read_descriptor, unreadable
from loadstone_wado.frames import FrameReader
from loadstone_wado.headers import read_dataset
from loadstone_wado.instance import Instance

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from loadstone import LoadContext, Settings
    from loadstone_wado.likeness import Likeness

__all__ = ["StoredObject", "file_status", "is_dicomdir", "known_objects", "stored_object"]

_SEPARATORS = frozenset({"", "/", os.sep})


def is_dicomdir(path: str) -> bool:
    """Say whether a file is a DICOMDIR, which always has this name (DICOM PS3.10 8.6)."""
    return path[-8:].upper() == "DICOMDIR" and path[-9:-8] in _SEPARATORS


def open_unchanged(state: FileState) -> FileBlob:
    """
    Open a file that is still as it was.

    Raises
    ------
    FetchError
        If it cannot be opened.
    IntegrityError
        If it was written anew.
    """
    blob = FileBlob(state.path)
    if not state.is_of(blob.status):
        blob.close()
        raise _written_anew(state)
    return blob


def _written_anew(state: FileState) -> IntegrityError:
    return IntegrityError(
        "the file was written anew while it was being loaded", source=state.path, hint="Load it again."
    )


class ClosedFile:
    """A file that is opened for each read, and costs no descriptor in between; a `Blob`."""

    __slots__ = ("_state", "size", "source")

    def __init__(self, state: FileState) -> None:
        self._state = state
        self.size = state.signature[0]
        self.source = state.path

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; raises as `open_unchanged`."""
        with open_unchanged(self._state) as blob:
            return blob.read(offset, length)

    def readinto(self, offset: int, target: memoryview) -> int:
        """Read from `offset` on into `target`; raises as `open_unchanged`."""
        state = self._state
        descriptor = open_descriptor(state.path)
        try:
            if not state.is_of(os.fstat(descriptor)):
                raise _written_anew(state)
            return read_descriptor(descriptor, offset, target)
        except OSError as error:
            raise unreadable(error, state.path) from error
        finally:
            os.close(descriptor)


class StoredObject:
    """
    A Part-10 file.

    Attributes
    ----------
    instance : Instance
        What its header says.
    state : FileState
        The file when the header was read.
    """

    __slots__ = ("__weakref__", "_lock", "_reader", "instance", "state")

    def __init__(self, instance: Instance, state: FileState) -> None:
        self.instance = instance
        self.state = state
        self._lock = threading.Lock()
        self._reader: FrameReader | None = None

    @classmethod
    def read(cls, path: str, settings: Settings) -> StoredObject:
        """
        Read the header of a file.

        Raises
        ------
        LoadstoneError
            As `Instance.from_blob`.
        """
        with FileBlob(path) as blob:
            return cls.of(blob, settings)

    @classmethod
    def of(
        cls, blob: FileBlob | HeadBlob, settings: Settings, likeness: Likeness | None = None
    ) -> StoredObject:
        """Read the header of an open file; errors as `read`."""
        path = blob.source

        def dataset() -> Dataset:
            with FileBlob(path) as again:
                return read_dataset(again)

        instance = Instance.from_blob(blob, settings, dataset=dataset, likeness=likeness)
        return cls(instance, FileState.of(path, blob.status))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.instance.nbytes

    @property
    def frames(self) -> FrameReader:
        """
        A reader of its frames; the file of a multi-frame object stays open, with the index of its frames.

        Raises
        ------
        FetchError, IntegrityError
            If the file is gone, or was written anew since its header was read; so do its methods.
        """
        if self._reader is None:
            with self._lock:
                if self._reader is None:
                    several = self.instance.number_of_frames > 1
                    blob = open_unchanged(self.state) if several else ClosedFile(self.state)
                    self._reader = FrameReader(self.instance, blob)
        return self._reader

    def close(self) -> None:
        """Close the file, if it is open."""
        with self._lock:
            self._reader = None


_KNOWN: StashKey[WeakValueDictionary[str, StoredObject]] = StashKey()


def known_objects(context: LoadContext) -> WeakValueDictionary[str, StoredObject]:
    """Return the files of this session whose headers somebody holds."""
    return context.session.stash.setdefault(_KNOWN, WeakValueDictionary)


def stored_object(path: str, context: LoadContext) -> StoredObject:
    """
    Return a file whose header is read once for all that use it at a time.

    Raises
    ------
    FetchError
        If there is no such file.
    InvalidIdError
        If it is a folder or a DICOMDIR.
    LoadstoneError
        As `Instance.from_blob`.
    """
    known = known_objects(context)
    found = known.get(path)
    if found is not None and found.state == context.noted(path):
        context.depends_on(path)
        return found
    status = file_status(path)
    if stat.S_ISDIR(status.st_mode):
        raise _several("folder", path)
    if is_dicomdir(path):
        raise _several("DICOMDIR", path)
    state = context.depends_on(path, status)
    if found is not None and found.state == state:
        return found
    found = context.source(("dicomfile", state), lambda: StoredObject.read(path, context.settings))
    known[path] = found
    return found


def _several(what: str, path: str) -> InvalidIdError:
    return InvalidIdError(
        f"this is a {what}, not an image",
        source=path,
        hint="Use load_volume or load_volumes, or image_ids() for the ids of its images.",
    )


def file_status(path: str) -> os.stat_result:
    """
    Look at a file or folder.

    Raises
    ------
    FetchError
        If there is none.
    """
    try:
        return os.stat(path)  # noqa: PTH116 - once for every file of a folder
    except OSError as error:
        what = f"it cannot be read: {error.strerror}"
        raise FetchError(what, source=path, hint="Check the path.") from error
    except ValueError as error:
        raise FetchError("this is no path", source=repr(path)) from error
