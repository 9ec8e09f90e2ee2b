"""DICOMDIR: the list of what is on a medium (DICOM PS3.3 F, PS3.10 8.6); never followed out of its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadstone import FetchError, IntegrityError, LoadstoneError, SecurityError
from loadstone_wado.blobs import FileBlob
from loadstone_wado.headers import read_dataset, read_header
from loadstone_wado.sources.folder import Folder, nothing_found
from loadstone_wado.sources.scanning import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom.dataset import Dataset

    from loadstone import LoadContext, Settings

__all__ = ["scan_dicomdir"]

_RECORD_IN_USE_FLAG: Final = 0x00041410
"""0 in a record that counts as deleted."""
_REFERENCED_FILE_ID: Final = 0x00041500
"""Names of folders and of the file, with backslashes between."""


def scan_dicomdir(path: str, context: LoadContext) -> Folder:
    """
    Read the headers of the files that a DICOMDIR names; those that are missing or elsewhere are left out.

    Raises
    ------
    FetchError
        If it cannot be read.
    DecodeError, IntegrityError
        If it is damaged, or no file that it names is an image.
    """
    context.depends_on(path)
    folder = Folder()
    medium = _Medium(str(Path(path).parent))
    paths: dict[str, None] = {}
    for names in _referenced(path, context.session.settings):
        try:
            paths[medium.find(names)] = None
        except LoadstoneError as error:
            folder.left_out.damaged.append(error)
    folder.take(read_headers(list(paths), context))
    if not folder.objects:
        raise nothing_found(path, folder.left_out)
    folder.settle(context)
    return folder


def _referenced(path: str, settings: Settings) -> Iterator[Sequence[str]]:
    """Yield where each file is: the names of folders from the root of the medium, and its own."""
    with FileBlob(path) as blob:
        # A record that is cut off would be a file that nobody misses.
        read_header(blob, settings)
        dataset = read_dataset(blob)
    try:
        records: Any = dataset.get("DirectoryRecordSequence")
    except Exception as error:
        # pydicom decodes a sequence when it is first looked at, and raises whatever its parts raise.
        raise IntegrityError("its directory records are damaged", source=path) from error
    if records is None:
        raise IntegrityError("it is no DICOMDIR: it has no directory records", source=path)
    for record in records:
        in_use = _bytes_of(record, _RECORD_IN_USE_FLAG)
        names = _bytes_of(record, _REFERENCED_FILE_ID).decode("utf-8", "surrogateescape")
        if names and (not in_use or any(in_use)):
            yield [name.strip("\0 ") for name in names.split("\\")]


def _bytes_of(record: Dataset, tag: int) -> bytes:
    """Return a value as it is stored: pydicom would warn of every lower-case name."""
    value = getattr(record.get_item(tag), "value", None) if tag in record else None
    return value if isinstance(value, bytes) else b""


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        # A name that is too long, or a folder that may not be looked into.
        return False


class _Medium:
    """The folder of a DICOMDIR, in which names are found whatever their case: discs have upper-case ones."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._listings: dict[str, dict[str, str]] = {}

    def find(self, names: Sequence[str]) -> str:
        """Return the path of a file, or say that it is missing or not on the medium."""
        place = self._root
        for name in (piece for each in names for piece in each.split("/") if piece):
            if name in {".", ".."} or "\0" in name or os.sep in name:
                raise self._outside(names)
            found = self._listed(place).get(name.casefold(), name)
            place = str(Path(place, found))
        real = os.path.realpath(place)
        if os.path.commonpath([self._root, real]) != self._root:
            raise self._outside(names)
        if not _is_file(real):
            raise FetchError(
                "the file that the DICOMDIR names is missing", source=place, hint="Copy the whole medium."
            )
        return place

    def _listed(self, folder: str) -> dict[str, str]:
        """Return the names in a folder by their case-folded form; none if it cannot be listed."""
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError:
                names = []
            self._listings[folder] = {name.casefold(): name for name in names}
        return self._listings[folder]

    def _outside(self, names: Sequence[str]) -> SecurityError:
        return SecurityError(
            "the DICOMDIR names a file outside of its own folder",
            source=str(Path(self._root, "DICOMDIR")),
            hint=f"{'/'.join(names)!r} was not read.",
        )
