"""Things opened once per session from which many images come: a file, a JSON document, a gzip stream."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from loadstone.boundary import run_isolated
from loadstone.errors import CacheFullError, PluginContractError
from loadstone.events import SourceClosed, SourceOpened
from loadstone.permits import permits_given_back
from loadstone.waiting import Strand, current_strand, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from loadstone.cache import Cache
    from loadstone.events import Events

__all__ = ["HeldSources", "Lease", "Source", "Sources", "charge_of_opening"]

_opening = threading.local()


def charge_of_opening() -> Callable[[int], None] | None:
    """Return what charges bytes to the source that the calling thread opens, or None if it opens none."""
    charge: Callable[[int], None] | None = getattr(_opening, "charge", None)
    return charge


@contextmanager
def _charging(charge: Callable[[int], None]) -> Iterator[None]:
    """Charge what the calling thread fetches meanwhile to the source that it opens."""
    outer, _opening.charge = charge_of_opening(), charge
    try:
        yield
    finally:
        _opening.charge = outer


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


class _Open(Generic[S]):
    """An open source; closed when the cache has dropped it and nobody uses it."""

    # No weak references: an evicted source must not be found again.
    __slots__ = ("_closed", "_lock", "_users", "source")

    def __init__(self, source: S, closed: Callable[[], object]) -> None:
        self.source = source
        self._closed = closed
        self._lock = threading.Lock()
        self._users = 1  # the cache

    def enter(self) -> bool:
        """Add a user; False if it is closed already."""
        with self._lock:
            if self._users:
                self._users += 1
            return self._users > 0

    def leave(self) -> None:
        """Take a user away; the last one closes it."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            run_isolated("closing a source", [self.source.close, self._closed])


class _Opening:
    """The right to open the source of one key."""

    __slots__ = ("lock", "opener", "users")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.opener: Strand | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """One user's hold on a source."""

    release: Callable[[], object]
    """Ends it."""
    forget: Callable[[], object]
    """Lets whoever asks next open it anew; who holds it keeps it."""


class Sources:
    """The open sources of one session, kept in its cache."""

    def __init__(self, cache: Cache, events: Events) -> None:
        self._cache = cache
        self._events = events
        self._lock = threading.Lock()
        self._openings: dict[_Key, _Opening] = {}

    def lease(self, key: Hashable, open_source: Callable[[], S], nbytes: int = 0) -> tuple[S, Lease]:
        """
        Return the source of that key, opened at most once at a time, and a lease that holds it open.

        `nbytes` are reserved before it is opened.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        LoadCycleError
            If opening it waits, directly or not, for itself.
        """
        entry = _Key(key)
        return self._present(entry) or self._opened(entry, open_source, nbytes)

    def forget(self, key: Hashable) -> None:
        """Let whoever asks next for the source of that key open it anew."""
        self._cache.remove(_Key(key))

    def _present(self, entry: _Key) -> tuple[S, Lease] | None:
        kept = cast("_Open[S] | None", self._cache.get(entry))
        if kept is None or not kept.enter():
            return None
        return kept.source, self._leased(entry, kept)

    def _opened(self, entry: _Key, open_source: Callable[[], S], nbytes: int) -> tuple[S, Lease]:
        with self._lock:
            opening = self._openings.setdefault(entry, _Opening())
            opening.users += 1
        try:
            _take_turn(opening)
            try:
                return self._present(entry) or self._open(entry, open_source, nbytes)
            finally:
                opening.opener = None
                opening.lock.release()
        finally:
            with self._lock:
                opening.users -= 1
                if not opening.users:
                    del self._openings[entry]

    def _open(self, entry: _Key, open_source: Callable[[], S], nbytes: int) -> tuple[S, Lease]:
        reservation = self._cache.reserve(nbytes)
        try:
            with _charging(reservation.grow):
                source = open_source()
            size = _size_of(source)
            opened = _Open(source, lambda: self._events.emit(SourceClosed(size)))
            self._events.emit(SourceOpened(size))
            opened.enter()
            try:
                reservation.resize(size)
                if not reservation.commit(entry, opened, dropped=opened.leave):
                    opened.leave()
            except BaseException:
                opened.leave()
                opened.leave()
                raise
        except BaseException:
            reservation.release()
            raise
        return opened.source, self._leased(entry, opened)

    def _leased(self, entry: _Key, kept: _Open[S]) -> Lease:
        pinned = self._cache.pin(entry, kept)

        def release() -> None:
            if pinned:
                self._cache.unpin(entry, kept)
            kept.leave()

        return Lease(release, lambda: self._cache.remove(entry, kept))


class HeldSources:
    """
    The sources that one load holds until it ends.

    Parameters
    ----------
    sources
        Those of the session.
    anew
        Whether the load was asked to read everything again: what others opened before it is not used.
    charged
        Whether the budget bounds the load; if not, what it cannot hold is opened for the load alone.
    """

    def __init__(self, sources: Sources, *, anew: bool, charged: bool) -> None:
        self._sources = sources
        self._anew = anew
        self._charged = charged
        self._own: dict[Hashable, Source] = {}
        self._lock = threading.Lock()
        self._asked: set[Hashable] = set()
        self._leases: list[Lease] = []

    def take(self, key: Hashable, open_source: Callable[[], S], nbytes: int = 0) -> S:
        """Return the source of that key, and hold it."""
        if self._anew:
            with self._lock:  # until it is forgotten: no other thread of this load may get the old one
                if key not in self._asked:
                    self._sources.forget(key)
                    self._asked.add(key)
        try:
            source, lease = self._sources.lease(key, open_source, nbytes)
        except CacheFullError:
            if self._charged:
                raise
            return self._opened_alone(key, open_source)
        with self._lock:
            self._leases.append(lease)
        return source

    def _opened_alone(self, key: Hashable, open_source: Callable[[], S]) -> S:
        with self._lock:
            if key not in self._own:
                source = self._own[key] = open_source()
                self._leases.append(
                    Lease(partial(run_isolated, "closing a source", [source.close]), lambda: None)
                )
            return cast("S", self._own[key])

    def forget(self) -> None:
        """Let whoever asks next open them anew, because they may be why the load failed."""
        for lease in self._leases:
            lease.forget()

    def release(self) -> None:
        """Hold them no longer."""
        self._own.clear()
        while self._leases:
            self._leases.pop().release()


def _size_of(source: Source) -> int:
    """Return what a source is charged; a negative number would let everything else exceed the budget."""
    size: Any = getattr(source, "nbytes", None)
    if not hasattr(size, "__index__") or size < 0:
        raise PluginContractError(
            f"{type(source).__name__}.nbytes of a source is {size!r}, no number of bytes"
        )
    if not callable(getattr(source, "close", None)):
        raise PluginContractError(f"a source has to be closed, but {type(source).__name__} has no close()")
    return index(size)


def _take_turn(opening: _Opening) -> None:
    """Wait for whoever opens the source now, without holding what that one may need."""
    strand = current_strand()
    if not opening.lock.acquire(blocking=False):
        opener = opening.opener
        with waiting(strand, opener) if strand and opener else nullcontext(), permits_given_back():
            opening.lock.acquire()
    opening.opener = strand
