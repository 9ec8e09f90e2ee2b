"""
Reading the headers of many files: one after the other, or many at a time where the disk makes one wait.

Headers in the page cache cost computing only, and threads that compute take turns. A network disk answers
after milliseconds, but many questions at a time: which of both it is shows while the first files are read.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from loadstone import LoadstoneError
from loadstone_wado.blobs import FileBlob, HeadBlob
from loadstone_wado.headers import FIRST_BYTES
from loadstone_wado.likeness import Likeness
from loadstone_wado.sources.file import StoredObject, known_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone import LoadContext

__all__ = ["Found", "read_headers"]

Found: TypeAlias = StoredObject | LoadstoneError | None
"""The header of a file, why it could not be read, or None: it is no DICOM object."""

_FIRST_GROUPS: Final = (b"\x02\x00", b"\x08\x00")
"""How a data set without preamble begins, little endian."""

TRIAL: Final = 8
"""Files after which it is looked at again whether the disk makes one wait."""
BATCH: Final = 16
"""Files that a worker reads in a row where it does."""
SLOW_SECONDS: Final = 0.0005
"""Time to wait for a file from which on more workers help: opening and reading a cached one takes a tenth."""
MOSTLY: Final = 0.6
"""Share of the time that is waited then."""


def read_headers(paths: Sequence[str], context: LoadContext) -> Iterator[Found]:
    """
    Yield what each file is, in the order of `paths`; those already known come from memory.

    Parameters
    ----------
    paths
        The files.
    context
        Of the load.

    Raises
    ------
    LoadCancelled
        If nobody waits for it any more.
    """
    reader = _HeaderReader(context)
    position = 0
    while position < len(paths):
        piece = paths[position : position + TRIAL]
        position += len(piece)
        found, is_slow = _timed(piece, reader)
        yield from found
        if is_slow:
            yield from _read_side_by_side(paths[position:], reader, context)
            return


def _timed(paths: Sequence[str], reader: _HeaderReader) -> tuple[list[Found], bool]:
    """Read some headers, and say whether most of them had to be waited for; a busy machine delays a few."""
    found: list[Found] = []
    clock = time.perf_counter
    computed, moments = time.thread_time(), [clock()]
    for path in paths:
        found.append(reader.read(path))
        moments.append(clock())
    taken = moments[-1] - moments[0]
    waited = taken - (time.thread_time() - computed)
    slow = sum([behind - before > SLOW_SECONDS for before, behind in pairwise(moments)])
    return found, 2 * slow > len(paths) and waited > MOSTLY * taken


def _read_side_by_side(paths: Sequence[str], reader: _HeaderReader, context: LoadContext) -> Iterator[Found]:
    jobs = [
        context.submit(reader.read_all, paths[start : start + BATCH], computes=False)
        for start in range(0, len(paths), BATCH)
    ]
    for job in jobs:
        yield from job.result()


class _HeaderReader:
    """Reads headers, and looks only once at what they have in common; may be used by several threads."""

    __slots__ = ("_context", "_known", "_likeness", "_settings")

    def __init__(self, context: LoadContext) -> None:
        self._context = context
        self._settings = context.settings
        self._known = known_objects(context)
        self._likeness = Likeness()

    def read_all(self, paths: Sequence[str]) -> list[Found]:
        """Say what each file is."""
        return [self.read(path) for path in paths]

    def read(self, path: str) -> Found:
        """Say what a file is."""
        context = self._context
        context.raise_if_cancelled()
        known = self._known.get(path)
        if known is not None and known.state.current():
            context.note(known.state)
            return known
        try:
            with FileBlob(path) as file:
                blob = HeadBlob(file, FIRST_BYTES)
                if not _looks_like_dicom(blob.head):
                    return None
                found = StoredObject.of(blob, self._settings, self._likeness)
        except LoadstoneError as error:
            return error
        context.note(found.state)
        return found


def _looks_like_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM" or head[:2] in _FIRST_GROUPS
