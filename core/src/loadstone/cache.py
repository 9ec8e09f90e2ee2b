"""
One memory budget for images, sources and volumes.

What the cache keeps and what is in flight never exceed the budget, at any instant: memory is reserved before
it is allocated. A reservation evicts the least recently used entries that are not pinned, or raises
`CacheFullError` at once; it never waits, and evicts nothing when the space would not suffice anyway.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadstone.boundary import run_isolated
from loadstone.errors import CacheFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from loadstone.files import FileState

__all__ = ["Cache", "CacheStats", "Reservation"]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """A cache at one moment; counters since it was made."""

    budget: int
    """Bytes that may be used."""
    kept: int
    """Bytes of the entries."""
    pinned: int
    """Bytes of the entries that may not be evicted now."""
    reserved: int
    """Bytes in flight."""
    entries: int
    """Number of entries."""
    hits: int
    """Look-ups that found something."""
    misses: int
    """Look-ups that found nothing."""
    evictions: int
    """Entries evicted to make room."""


@dataclass(slots=True, eq=False)
class _Entry:
    value: Any
    nbytes: int
    files: Sequence[FileState]
    dropped: Callable[[], object]
    pins: int = 0
    loose: bool = False


class Reservation:
    """
    Bytes of the budget for something that is being made.

    End it with `commit` (it becomes an entry) or `release` (it failed, or is the caller's own); both only
    once, and `release` after `commit` does nothing.
    """

    __slots__ = ("_cache", "nbytes")

    def __init__(self, cache: Cache, nbytes: int) -> None:
        self._cache: Cache | None = cache
        self.nbytes = nbytes

    def grow(self, nbytes: int) -> None:
        """
        Reserve `nbytes` more.

        Raises
        ------
        CacheFullError
            If they cannot be had; what was reserved before stays.
        """
        if self._cache is not None and nbytes > 0:
            self._cache._take(nbytes, None)
            self.nbytes += nbytes

    def grow_if_free(self, nbytes: int) -> bool:
        """Reserve `nbytes` more, for what is there already; False if they cannot be had."""
        try:
            self.grow(nbytes)
        except CacheFullError:
            return False
        return True

    def shrink(self, nbytes: int) -> None:
        """Give `nbytes` back."""
        if self._cache is not None:
            self._cache._give_back(nbytes)
            self.nbytes -= nbytes

    def resize(self, nbytes: int) -> None:
        """
        Reserve `nbytes` in all.

        Raises
        ------
        CacheFullError
            If they cannot be had; what was reserved before stays.
        """
        self.grow(nbytes - self.nbytes)
        self.shrink(self.nbytes - nbytes)

    def commit(
        self,
        key: Hashable,
        value: object,
        *,
        files: Sequence[FileState] = (),
        dropped: Callable[[], object] = lambda: None,
        pins: int = 0,
        loose: bool = False,
        wanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """
        Make it the entry of a key, in place of an older one.

        Parameters
        ----------
        key, value
            The entry.
        files
            What it was read from; written anew, the entry is dropped at the next look-up.
        dropped
            Runs when the entry leaves, for whatever reason.
        pins
            Protections that it starts with, beside those that `Cache.get_pinned` has promised.
        loose
            Whether it is kept only while it is protected; else it is found as long as somebody holds it.
        wanted
            Asked at the very moment; False gives the bytes back instead.

        Returns
        -------
        bool
            Whether it is kept.
        """
        if self._cache is None:
            return False
        cache, self._cache = self._cache, None
        return cache._put(key, _Entry(value, self.nbytes, files, dropped, pins, loose), wanted)

    def release(self) -> None:
        """Give all of it back."""
        if self._cache is not None:
            cache, self._cache = self._cache, None
            cache._give_back(self.nbytes)


class Cache:
    """
    The memory of one session.

    Parameters
    ----------
    budget
        Bytes for entries and reservations together.
    """

    def __init__(self, budget: int) -> None:
        self._lock = threading.Lock()
        self._budget = budget
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._evicted: weakref.WeakValueDictionary[Hashable, Any] = weakref.WeakValueDictionary()
        self._evicted_files: weakref.WeakKeyDictionary[Any, Sequence[FileState]] = weakref.WeakKeyDictionary()
        self._promised: Counter[Hashable] = Counter()
        self._kept = self._reserved = self._pinned = 0
        self._hits = self._misses = self._evictions = 0
        self._closed = False

    def get(self, key: Hashable, elsewhere: Callable[[Hashable], Any] = lambda _: None) -> Any | None:  # noqa: ANN401 - the key's maker knows the type
        """
        Return what is kept under `key` and mark it as used, or what is found `elsewhere`, or None.

        An entry whose local files have changed since is dropped. An evicted one that somebody still holds is
        found.
        """
        with self._lock:
            value, files = self._find(key)
            if value is not None and not files:
                self._hits += 1
                return value
        if not all(state.current() for state in files):
            self.remove(key, value)
            value = None
        if value is None:
            value = elsewhere(key)
        with self._lock:
            if value is None:
                self._misses += 1
            else:
                self._hits += 1
        return value

    def _find(self, key: Hashable) -> tuple[Any, Sequence[FileState]]:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            return entry.value, entry.files
        value = self._evicted.get(key)
        return value, () if value is None else self._evicted_files.get(value, ())

    def get_pinned(self, key: Hashable) -> Any | None:  # noqa: ANN401 - as get
        """
        Return what `get` would and protect it from eviction, or None.

        None promises the protection to what will be put there next; `unpromise` takes that back.
        """
        value = self.get(key)
        if value is not None and self.pin(key, value):
            return value
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._promised[key] += 1
                return None
            self._pin(entry)
            return entry.value

    def _pin(self, entry: _Entry) -> None:
        entry.pins += 1
        if entry.pins == 1:
            self._pinned += entry.nbytes

    def unpromise(self, key: Hashable) -> bool:
        """Take back a promise of `get_pinned`, because nothing came of it; False if it was kept."""
        with self._lock:
            if key not in self._promised:
                return False
            self._promised[key] -= 1
            if not self._promised[key]:
                del self._promised[key]
            return True

    def promises(self, key: Hashable) -> int:
        """Take over all promises of a key, to keep them under another."""
        with self._lock:
            return self._promised.pop(key, 0)

    def peek(self, key: Hashable) -> Any | None:  # noqa: ANN401 - as get
        """Return what is kept under `key`, looking no further and counting nothing."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def touch(self, key: Hashable) -> None:
        """Mark an entry as used, if there is one."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)

    def keys(self, kind: str) -> list[Any]:
        """Return the keys that are tuples which begin with `kind`, least recently used first."""
        with self._lock:
            return [key for key in self._entries if isinstance(key, tuple) and key[0] == kind]

    def __contains__(self, key: Hashable) -> bool:
        """Say whether there is an entry, without marking it as used."""
        return key in self._entries

    def reserve(self, nbytes: int, *, last: Callable[[Hashable], bool] | None = None) -> Reservation:
        """
        Reserve bytes, evicting if necessary, entries whose key satisfies `last` after all others.

        Raises
        ------
        CacheFullError
            If they cannot be had; nothing was evicted then.
        """
        self._take(nbytes, last)
        return Reservation(self, nbytes)

    def reserve_free(self, nbytes: int) -> Reservation | None:
        """Reserve bytes if that many are free; evict nothing."""
        with self._lock:
            if self._kept + self._reserved + nbytes > self._budget:
                return None
            self._reserved += nbytes
        return Reservation(self, nbytes)

    def is_cacheable(self, nbytes: int) -> bool:
        """Say whether `nbytes` could be reserved now."""
        return nbytes <= max(0, self._budget - self._reserved - self._pinned)

    def _take(self, nbytes: int, last: Callable[[Hashable], bool] | None) -> None:
        with self._lock:
            if not self.is_cacheable(nbytes):
                raise CacheFullError(
                    nbytes, max(0, self._budget - self._reserved - self._pinned), self._budget
                )
            victims = self._victims(nbytes, last)
            self._reserved += nbytes
        _tell(victims)

    def _victims(self, nbytes: int, last: Callable[[Hashable], bool] | None) -> list[_Entry]:
        """Take out entries, oldest first, until `nbytes` are free."""
        victims: list[_Entry] = []
        missing = self._kept + self._reserved + nbytes - self._budget
        if missing <= 0:
            return victims
        candidates = [key for key, entry in self._entries.items() if not entry.pins]
        if last is not None:
            candidates.sort(key=last)
        for key in candidates:
            if missing <= 0:
                break
            entry = self._take_out(key)
            missing -= entry.nbytes
            self._evictions += 1
            self._remember(key, entry)
            victims.append(entry)
        return victims

    def _remember(self, key: Hashable, entry: _Entry) -> None:
        try:
            self._evicted[key] = entry.value
            self._evicted_files[entry.value] = entry.files
        except TypeError:  # a value that cannot be weakly referenced is simply gone
            return

    def _take_out(self, key: Hashable) -> _Entry:
        entry = self._entries.pop(key)
        self._kept -= entry.nbytes
        if entry.pins:
            self._pinned -= entry.nbytes
        return entry

    def _give_back(self, nbytes: int) -> None:
        with self._lock:
            self._reserved -= nbytes

    def _put(self, key: Hashable, entry: _Entry, wanted: Callable[[], bool]) -> bool:
        with self._lock:
            self._reserved -= entry.nbytes
            if self._closed or not wanted():
                return False
            older = [self._take_out(key)] if key in self._entries else []
            entry.pins += self._promised.pop(key, 0)
            if entry.loose and not entry.pins:
                self._remember(key, entry)
            else:
                self._keep(key, entry)
            victims = self._victims(0, None)  # the budget may be lower than when it was reserved
        _tell(older + victims)
        return True

    def _keep(self, key: Hashable, entry: _Entry) -> None:
        self._kept += entry.nbytes
        if entry.pins:
            self._pinned += entry.nbytes
        self._entries[key] = entry
        self._evicted.pop(key, None)

    def pin(self, key: Hashable, value: object) -> bool:
        """Protect the entry from eviction once more, if it still is `value`."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.value is not value:
                return False
            self._pin(entry)
            return True

    def unpin(self, key: Hashable, value: object) -> bool:
        """Take one protection back, if the entry still is `value` and has one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.value is not value or not entry.pins:
                return False
            entry.pins -= 1
            if entry.pins:
                return True
            self._pinned -= entry.nbytes
            victims = self._victims(0, None)  # as in `_put`
        _tell(victims)
        return True

    def withdraw(self, key: Hashable, value: object) -> Reservation | None:
        """
        Take one protection back, and drop the entry if it has none left.

        Returns
        -------
        Reservation
            Its bytes, until whoever withdrew it lets go of them; None if it is not dropped.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.value is not value:
                return None
            if entry.pins > 1:
                entry.pins -= 1
                return None
            self._take_out(key)
            self._reserved += entry.nbytes
        _tell([entry])
        return Reservation(self, entry.nbytes)

    def remove(self, key: Hashable, value: object = None) -> bool:
        """Drop the entry, pinned or not; with `value`, only if it still is that one. False if it is not."""
        with self._lock:
            if value is None or self._evicted.get(key) is value:
                self._evicted.pop(key, None)
            entry = self._entries.get(key)
            if entry is None or (value is not None and entry.value is not value):
                return False
            self._take_out(key)
        _tell([entry])
        return True

    def close(self) -> None:
        """Drop everything, pinned or not, and keep nothing from now on."""
        with self._lock:
            self._closed = True
        self.purge(pinned=True)

    def purge(self, *, pinned: bool = False) -> int:
        """Drop everything that is not pinned (with `pinned`, everything); return the bytes freed."""
        with self._lock:
            dropped = [
                self._take_out(key) for key, entry in list(self._entries.items()) if pinned or not entry.pins
            ]
            self._evicted.clear()
        _tell(dropped)
        return sum(entry.nbytes for entry in dropped)

    @property
    def budget(self) -> int:
        """Bytes that may be used; setting it lower evicts at once."""
        return self._budget

    @budget.setter
    def budget(self, budget: int) -> None:
        with self._lock:
            self._budget = budget
            victims = self._victims(0, None)
        _tell(victims)

    def stats(self) -> CacheStats:
        """Count everything at one instant."""
        with self._lock:
            return CacheStats(
                self._budget,
                self._kept,
                self._pinned,
                self._reserved,
                len(self._entries),
                self._hits,
                self._misses,
                self._evictions,
            )


def _tell(entries: Sequence[_Entry]) -> None:
    run_isolated("closing an evicted entry", [entry.dropped for entry in entries])
