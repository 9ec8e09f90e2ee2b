"""Folders of DICOM files: what is in them, found by the bytes of the files and not by their names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loadstone import FetchError, IntegrityError, LoadstoneError, UnsupportedError
from loadstone_wado.blobs import FileBlob
from loadstone_wado.sources.file import StoredObject, known_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import LoadContext
    from loadstone.files import FileState

__all__ = ["Folder", "scan_folder"]

_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""How a data set without preamble begins, little endian."""


@dataclass(slots=True, eq=False)
class Folder:
    """What a folder holds; a source, so that the headers are kept while there is room."""

    objects: list[StoredObject] = field(default_factory=list)
    """The images, by path."""
    not_dicom: int = 0
    """Files that are no DICOM objects."""
    not_images: int = 0
    """DICOM objects that are no images."""
    damaged: list[LoadstoneError] = field(default_factory=list)
    """Why DICOM files could not be read."""
    duplicates: int = 0
    """Files left out because another one is equal, byte for byte."""

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return sum(each.nbytes for each in self.objects)

    def close(self) -> None:
        """Close the files."""
        for each in self.objects:
            each.close()


def scan_folder(path: str, context: LoadContext) -> Folder:
    """
    Read the headers of all DICOM files below a folder, those already known from memory.

    Hidden files and DICOMDIR are left out; a folder that is reached twice is read once.

    Raises
    ------
    FetchError
        If the folder cannot be listed, or holds no DICOM image.
    IntegrityError
        If two files are the same instance and differ.
    """
    folder = Folder()
    known = known_objects(context)
    for file in _files_below(path, set()):
        context.raise_if_cancelled()
        _take(folder, file, known.get(file.path), context)
    if not folder.objects:
        raise _nothing_found(path, folder)
    folder.objects = _without_duplicates(folder)
    for each in folder.objects:
        known[each.state.path] = each
    return folder


def _files_below(path: str, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise FetchError(f"the folder cannot be listed: {error.strerror}", source=path) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "DICOMDIR":
            continue
        if not entry.is_dir():
            yield entry
            continue
        status = entry.stat()
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield from _files_below(entry.path, seen)


def _take(folder: Folder, file: os.DirEntry[str], known: StoredObject | None, context: LoadContext) -> None:
    """Read the header of a file, and count it if it is no image."""
    try:
        if known is None or not known.state.current():
            with FileBlob(file.path) as blob:
                if not _looks_like_dicom(blob.read(0, 132)):
                    folder.not_dicom += 1
                    return
                known = StoredObject.of(blob, context.settings)
        _ = known.instance.layout
    except UnsupportedError:
        folder.not_images += 1
    except LoadstoneError as error:
        folder.damaged.append(error)
    else:
        folder.objects.append(known)


def _looks_like_dicom(head: bytes) -> bool:
    return head[128:] == b"DICM" or head[:2] in _FIRST_GROUPS


def _nothing_found(path: str, folder: Folder) -> LoadstoneError:
    counts = f"{folder.not_dicom} files are no DICOM, {folder.not_images} are DICOM without an image"
    if folder.damaged:
        error = folder.damaged[0]
        return IntegrityError(
            f"it holds no readable DICOM image ({counts}, {len(folder.damaged)} are damaged: {error})",
            source=path,
        )
    return FetchError(f"it holds no DICOM image ({counts})", source=path, hint="Check the path.")


def _without_duplicates(folder: Folder) -> list[StoredObject]:
    """Leave out files that are copies of others."""
    by_uid: dict[str, StoredObject] = {}
    kept = []
    for each in folder.objects:
        uid = each.instance.sop_instance_uid
        first = by_uid.setdefault(uid, each) if uid else each
        if first is each:
            kept.append(each)
        elif _equal(first.state, each.state):
            folder.duplicates += 1
        else:
            raise IntegrityError(
                "two files claim to be the same instance and differ",
                source=f"{first.state.path} and {each.state.path}",
                hint="Remove one of them.",
            )
    return kept


def _equal(one: FileState, other: FileState) -> bool:
    if one.signature[0] != other.signature[0]:
        return False
    with Path(one.path).open("rb") as first, Path(other.path).open("rb") as second:
        while chunk := first.read(2**20):
            if chunk != second.read(len(chunk)):
                return False
    return True
