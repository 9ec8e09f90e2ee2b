"""Small things that a plugin keeps per session, each under a typed key, as in pytest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Stash", "StashKey"]

T = TypeVar("T")


class StashKey(Generic[T]):
    """A key of its own identity; make one at module level."""

    __slots__ = ()


class Stash:
    """What plugins keep with one session, never in a module."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._values: dict[StashKey[Any], Any] = {}

    def __getitem__(self, key: StashKey[T]) -> T:
        """Return the value, or raise `KeyError`."""
        return cast("T", self._values[key])

    def __setitem__(self, key: StashKey[T], value: T) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value

    def __contains__(self, key: StashKey[Any]) -> bool:
        """Say whether there is a value."""
        return key in self._values

    def setdefault(self, key: StashKey[T], make: Callable[[], T]) -> T:
        """Return the value, made once if there is none."""
        with self._lock:  # one thread may be here twice: what is made may need another thing
            if key not in self._values:
                self._values[key] = make()
            return cast("T", self._values[key])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
