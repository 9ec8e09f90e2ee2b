"""Folders of DICOM files: what is in them, found by the bytes of the files and not by their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import scandir
from pathlib import Path
from typing import TYPE_CHECKING

from loadstone import FetchError, IntegrityError, LoadstoneError
from loadstone_wado.series import LeftOut
from loadstone_wado.sources.file import StoredObject, known_objects
from loadstone_wado.sources.scanning import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import DirEntry

    from loadstone import LoadContext
    from loadstone.files import FileState
    from loadstone_wado.sources.scanning import Found

__all__ = ["Folder", "nothing_found", "scan_folder"]

_PIECE = 2**20


@dataclass(slots=True, eq=False)
class Folder:
    """What a folder holds; a source, so that the headers are kept while there is room."""

    objects: list[StoredObject] = field(default_factory=list)
    """The images, by path."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """What is there beside them."""
    conflicts: dict[str, IntegrityError] = field(default_factory=dict)
    """For the path of each file of which the instance is in another file too, but differs: what is wrong."""

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return sum(each.nbytes for each in self.objects)

    def take(self, found: Iterable[Found]) -> None:
        """Sort what files are into images and the rest."""
        for each in found:
            if each is None:
                self.left_out.not_dicom += 1
            elif isinstance(each, LoadstoneError):
                self.left_out.damaged.append(each)
            elif self.left_out.admits(each.instance):
                self.objects.append(each)

    def settle(self, context: LoadContext) -> None:
        """Leave out copies, note files that only claim to be one, and let others find the headers here."""
        self._leave_out_copies()
        known = known_objects(context)
        for each in self.objects:
            known[each.state.path] = each

    def _leave_out_copies(self) -> None:
        by_uid: dict[str, StoredObject] = {}
        kept = []
        for each in self.objects:
            uid = each.instance.sop_instance_uid
            first = by_uid.setdefault(uid, each) if uid else each
            if first is not each and _equal(first.state, each.state):
                self.left_out.duplicates += 1
                continue
            kept.append(each)
            if first is not each:
                self._note_conflict(first.state.path, each.state.path)
        self.objects = kept

    def _note_conflict(self, one: str, other: str) -> None:
        error = IntegrityError(
            "two files claim to be the same instance and differ",
            source=f"{one} and {other}",
            hint="Remove one of them.",
        )
        self.conflicts.setdefault(one, error)
        self.conflicts[other] = error

    def close(self) -> None:
        """Close the files."""
        for each in self.objects:
            each.close()


def scan_folder(path: str, context: LoadContext) -> Folder:
    """
    Read the headers of all DICOM files below a folder, those already known from memory.

    Hidden files and DICOMDIR are passed over; a folder that is reached twice is read once.

    Raises
    ------
    FetchError
        If the folder cannot be listed, or holds no DICOM image.
    IntegrityError
        If nothing there can be read.
    """
    folder = Folder()
    paths = [entry.path for entry in _entries_below(path, folder.left_out, context)]
    folder.take(read_headers(paths, context))
    if not folder.objects:
        raise nothing_found(path, folder.left_out)
    folder.settle(context)
    return folder


def _entries_below(path: str, left_out: LeftOut, context: LoadContext) -> Iterator[DirEntry[str]]:
    """Yield what may be a file, folder by folder; a folder that cannot be listed counts as damaged."""
    waiting = [path]
    seen: set[tuple[int, int]] = set()
    while waiting:
        folder = waiting.pop()
        try:
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            # A file that is added or taken away changes the folder.
            context.depends_on(folder, status)
            with scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            unreadable = FetchError(f"the folder cannot be listed: {error.strerror}", source=folder)
            if folder == path:
                raise unreadable from error
            left_out.damaged.append(unreadable)
            continue
        folders = []
        for entry in entries:
            if _is_passed_over(entry.name):
                continue
            if _is_folder(entry):
                folders.append(entry.path)
            else:
                yield entry
        waiting += reversed(folders)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.upper() == "DICOMDIR"


def _is_folder(entry: DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A symbolic link to itself: whoever opens it says so.
        return False


def nothing_found(path: str, left_out: LeftOut) -> LoadstoneError:
    """Return the error for a place without a single image; it names what is damaged."""
    if left_out.damaged:
        return IntegrityError(f"it holds no readable DICOM image ({left_out})", source=path)
    return FetchError(f"it holds no DICOM image ({left_out})", source=path, hint="Check the path.")


def _equal(one: FileState, other: FileState) -> bool:
    if one.signature[0] != other.signature[0]:
        return False
    with Path(one.path).open("rb") as first, Path(other.path).open("rb") as second:
        while chunk := first.read(_PIECE):
            if chunk != second.read(len(chunk)):
                return False
    return True
