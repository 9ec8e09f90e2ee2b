"""Things opened once per session from which many images come: a file, a JSON document, a gzip stream."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from loadstone.cache import Cache

__all__ = ["Lease", "Source", "Sources"]


class Source(Protocol):
    """Something that can be opened, costs memory, and must be closed."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds now; charged to the budget."""
        ...

    def close(self) -> object:
        """Free what it holds."""
        ...


S = TypeVar("S", bound=Source)


@dataclass(frozen=True, slots=True)
class _Key:
    """Keeps the keys of sources apart from those of images and volumes."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Lease:
    """One user's hold on a source."""

    release: Callable[[], object]
    """Ends it."""


class Sources:
    """The open sources of one session, kept in its cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._opening: dict[_Key, threading.Lock] = {}

    def lease(self, key: Hashable, open_source: Callable[[], S]) -> tuple[S, Lease]:
        """
        Return the source of that key, opened at most once at a time, and a lease that holds it open.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        """
        entry = _Key(key)
        source = cast("S | None", self._cache.get(entry))
        if source is not None and self._cache.pin(entry, source):
            return source, self._leased(entry, source)
        with self._lock:
            opening = self._opening.setdefault(entry, threading.Lock())
        with opening:
            source = cast("S | None", self._cache.get(entry))
            if source is None or not self._cache.pin(entry, source):
                source = self._opened(entry, open_source)
        with self._lock:
            self._opening.pop(entry, None)
        return source, self._leased(entry, source)

    def _opened(self, entry: _Key, open_source: Callable[[], S]) -> S:
        source = open_source()
        try:
            reservation = self._cache.reserve(source.nbytes)
        except BaseException:
            source.close()
            raise
        reservation.commit(entry, source, pins=1, dropped=source.close)
        return source

    def _leased(self, entry: _Key, source: Source) -> Lease:
        return Lease(lambda: self._cache.unpin(entry, source))
