"""Beginnings of frames that an earlier stage has fetched, kept until a later one asks for the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from weakref import ReferenceType, ref

from loadstone import CacheFullError, StashKey

if TYPE_CHECKING:
    from loadstone import LoadContext
    from loadstone_wado.dicomweb.ranges import Fetched

__all__ = ["Beginnings", "beginnings_of", "kept_beginning"]

_MOST_BYTES: Final = 16 * 2**20
"""Of all frames together: 256 beginnings of 64 KiB each."""
_SHARE: Final = 16
"""What part of the budget it may be."""
_NAME: Final = "beginnings of frames"
_LATEST: StashKey[ReferenceType[Beginnings]] = StashKey()


class Beginnings:
    """
    What is there of frames, the oldest dropped first; a source of the session, thread-safe.

    Parameters
    ----------
    nbytes
        How much it may hold, which the budget is charged as long as it exists.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Fetched] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> Fetched | None:
        """Return what is there of a frame, or None."""
        return self._kept.get(name)

    def put(self, name: str, fetched: Fetched) -> None:
        """Keep what is there of a frame, in place of what was."""
        self.drop(name)
        with self._lock:
            self._kept[name] = fetched
            self._size += len(fetched.body)
            while self._size > self.nbytes:
                self._size -= len(self._kept.popitem(last=False)[1].body)

    def drop(self, name: str) -> None:
        """Forget a frame."""
        with self._lock:
            before = self._kept.pop(name, None)
            self._size -= len(before.body) if before is not None else 0

    def __len__(self) -> int:
        """Return how many frames it knows something of."""
        return len(self._kept)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._size = 0


def beginnings_of(context: LoadContext) -> Beginnings:
    """Return those of the session; empty ones that keep nothing where the budget has no room."""
    nbytes = min(_MOST_BYTES, context.settings.cache_bytes // _SHARE)
    try:
        found = context.source(_NAME, lambda: Beginnings(nbytes), nbytes=nbytes)
    except CacheFullError:
        return Beginnings(0)
    context.session.stash[_LATEST] = ref(found)
    return found


def kept_beginning(name: str, context: LoadContext) -> Fetched | None:
    """Return what earlier stages have fetched of a frame, or None; costs nothing where there were none."""
    stash = context.session.stash
    found = stash[_LATEST]() if _LATEST in stash else None
    return found.get(name) if found is not None else None
