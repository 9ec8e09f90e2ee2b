"""One thread at a time for each key, without deadlocks between keys."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

__all__ = ["TurnCycleError", "Turns"]


class TurnCycleError(Exception):
    """Waiting would never end: what is waited for waits, directly or through others, for this thread."""


class Turns:
    """
    A lock for each key.

    A plugin that is being imported may use another one, so a thread can hold one key and wait for a second.
    Who would close a circle, or wait for himself, gets `TurnCycleError` in place of a deadlock.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owners: dict[Hashable, int] = {}
        self._waits: dict[int, Hashable] = {}

    @contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        """
        Hold the key for the block.

        Raises
        ------
        TurnCycleError
            If it would never be free.
        """
        me = threading.get_ident()
        with self._changed:
            self._waits[me] = key
            try:
                while key in self._owners:
                    self._raise_if_circular(me)
                    self._changed.wait()
            finally:
                del self._waits[me]
            self._owners[key] = me
        try:
            yield
        finally:
            with self._changed:
                del self._owners[key]
                self._changed.notify_all()

    def held_here(self) -> bool:
        """Whether this thread holds a key."""
        if not self._owners:
            return False
        with self._changed:
            return threading.get_ident() in self._owners.values()

    def _raise_if_circular(self, me: int) -> None:
        """Follow who waits for what from here on; the last to join a circle sees it closed."""
        waiter = me
        while waiter in self._waits and self._waits[waiter] in self._owners:
            waiter = self._owners[self._waits[waiter]]
            if waiter == me:
                raise TurnCycleError
