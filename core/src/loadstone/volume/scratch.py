"""What is on the way to the slices of a volume beside its block, charged to the budget while it lives."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadstone.cache import Cache

__all__ = ["Scratch"]


class Scratch:
    """
    Bytes in flight, by image: bodies, stored values that do not fit into the slice, a loader's own arrays.

    Parameters
    ----------
    cache
        Whose budget is charged; None: nobody's.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._lock = threading.Lock()
        self._reservation = None if cache is None else cache.reserve(0)
        self._bytes: Counter[str | None] = Counter()

    def charge(self, nbytes: int, image_id: str | None) -> None:
        """
        Charge bytes until the image has arrived or failed; those of no image until all have.

        Raises
        ------
        CacheFullError
            If they cannot be had.
        """
        if self._reservation is None:
            return
        with self._lock:
            self._reservation.grow(nbytes)
            self._bytes[image_id] += nbytes

    def cover(self, nbytes: int, image_id: str) -> None:
        """
        Have at least so many bytes charged for an image, because its loader made its array itself.

        They are there already, and go as soon as they are copied: room is made for them, but the image does
        not fail for want of it.
        """
        if self._reservation is not None:
            with self._lock:
                missing = nbytes - self._bytes[image_id]
                if missing > 0 and self._reservation.grow_if_free(missing):
                    self._bytes[image_id] += missing

    def free(self, image_id: str) -> None:
        """Give back what was charged for an image."""
        if self._reservation is not None and image_id in self._bytes:
            with self._lock:
                self._reservation.shrink(self._bytes.pop(image_id, 0))

    def clear(self) -> None:
        """Give everything back: nothing is on the way any more."""
        if self._reservation is not None:
            with self._lock:
                self._bytes.clear()
                self._reservation.shrink(self._reservation.nbytes)
