"""One load's cancel switch, seen by everything that works for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from loadstone.boundary import run_isolated
from loadstone.errors import LoadCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CancelToken"]


class CancelToken:
    """
    Set once, never reset.

    Callbacks run on the thread that cancels, once, without a lock held; one that is added too late runs at
    once.
    """

    __slots__ = ("_callbacks", "_cancelled", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], object]] = {}

    @property
    def cancelled(self) -> bool:
        """Whether it is set."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `LoadCancelled` if it is set."""
        if self._cancelled:
            raise LoadCancelled

    def cancel(self) -> None:
        """Set it and run the callbacks; one that raises is logged and does not stop the others."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        run_isolated("a cancel callback", callbacks)

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` when it is set; return a function that takes the callback back."""
        key = object()
        with self._lock:
            late = self._cancelled
            if not late:
                self._callbacks[key] = callback
        if late:
            run_isolated("a cancel callback", [callback])

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return remove
