"""How good each image of a volume is now, who writes to its slice, and who waits for it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.image import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

__all__ = ["FULL", "Qualities"]

FULL: Final = int(Quality.FULL)
"""As a plain number: comparing an enum member with numpy's numbers takes microseconds."""


class Qualities:
    """
    The quality of each image, which only ever rises; thread-safe.

    Parameters
    ----------
    count
        Number of images.
    final
        Indices of those that are final from the start.

    Attributes
    ----------
    array : numpy.ndarray
        uint8, one `Quality` for each image; 0 where nothing has arrived.
    """

    def __init__(self, count: int, final: Iterable[int] = ()) -> None:
        self.array: npt.NDArray[np.uint8] = np.zeros(count, np.uint8)
        self.array[[*final]] = FULL
        self._done = int(np.count_nonzero(self.array))
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._claimed: set[int] = set()
        self._writers = 0
        self._waiters = 0

    @property
    def done(self) -> int:
        """How many images are final."""
        return self._done

    def claim_empty(self, index: int) -> bool:
        """Let a loader write straight into a slice, and nobody else, if it holds nothing yet."""
        with self._lock:
            if self.array[index]:
                return False
            self._claimed.add(index)
            return True

    def claim(self, index: int, quality: int) -> bool:
        """Let an image of that quality be written into its slice, if it is no worse than what is there."""
        with self._lock:
            if quality < self.array.item(index):
                return False
            self._claimed.add(index)
            return True

    def free(self, index: int) -> None:
        """Take back a claim."""
        with self._lock:
            self._claimed.discard(index)

    def reach(self, index: int, quality: int = FULL) -> None:
        """Note that an image is in its slice, and tell who waits for it."""
        with self._lock:
            self._claimed.discard(index)
            if self.array.item(index) >= quality:
                return
            self.array[index] = quality
            if quality == FULL:
                self._done += 1
                if self._waiters:
                    self._changed.notify_all()

    def reach_full(self, run: range) -> None:
        """Note that images are final, and tell who waits for them."""
        part = slice(run.start, run.stop)
        with self._changed:
            self._claimed.difference_update(run)
            self._done += len(run) - int(np.count_nonzero(self.array[part] == FULL))
            self.array[part] = FULL
            if self._waiters:
                self._changed.notify_all()

    def stand_in(self, index: int, quality: int, copy: Callable[[], object]) -> bool:
        """Copy something into a slice that has nothing as good and no writer; say whether that was done."""
        with self._changed:
            if index in self._claimed or self.array[index] >= quality:
                return False
            copy()
            self.array[index] = quality
            return True

    def restart(self) -> None:
        """Forget what has arrived."""
        with self._changed:
            self.array[:] = 0
            self._done = 0

    @contextmanager
    def being_filled(self) -> Iterator[None]:
        """Surround an attempt to fill the volume; who waits for a slice that it did not bring is woken."""
        with self._changed:
            self._writers += 1
        try:
            yield
        finally:
            with self._changed:
                self._writers -= 1
                self._claimed.clear()
                self._changed.notify_all()

    def wait(self, indices: Any, timeout: float | None) -> bool:  # noqa: ANN401 - whatever indexes the array
        """
        Wait until some images are final, or nobody loads them any more; say whether they are final.

        Raises
        ------
        TimeoutError
            If neither happens within `timeout` seconds.
        """

        def final() -> bool:
            return bool(np.all(self.array[indices] == FULL))

        with self._changed:
            self._waiters += 1
            try:
                if not self._changed.wait_for(lambda: final() or not self._writers, timeout):
                    raise TimeoutError("the slice is not loaded yet")
            finally:
                self._waiters -= 1
            return final()
