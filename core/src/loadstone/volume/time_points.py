"""Which time points of a volume are complete."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from loadstone.image import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone.volume.assembly import Assembly

__all__ = ["TimePoints"]


class TimePoints:
    """
    Tells, once for each, when all slices of a time point have become final; nothing for a 3-D volume.

    Parameters
    ----------
    assembly
        The volume being put together.
    """

    def __init__(self, assembly: Assembly) -> None:
        plan = assembly.plan
        self._assembly = assembly
        self._slices = plan.slices
        self._lengths = plan.shape[: -len(plan.slice_shape) - 1]
        self._lock = threading.Lock()
        self._told: set[int] = set()

    def completed_by(self, index: int) -> tuple[int, ...] | None:
        """
        Return the place of the time point that an image has completed, or None.

        Parameters
        ----------
        index
            Of the image that has become final, over all leading axes.

        Returns
        -------
        tuple of int or None
            Its index on each axis in front of the slices.
        """
        if not self._lengths:
            return None
        time = index // self._slices
        start = time * self._slices
        if self._assembly.quality[start : start + self._slices].min() < Quality.FULL:
            return None
        with self._lock:
            if time in self._told:
                return None
            self._told.add(time)
        return tuple(int(each) for each in np.unravel_index(time, self._lengths))

    def completed_by_run(self, run: range) -> Iterator[tuple[int, ...]]:
        """Yield the place of each time point that images in a row have completed."""
        for start in range(run.start - run.start % self._slices, run.stop, self._slices):
            place = self.completed_by(min(start + self._slices, run.stop) - 1)
            if place is not None:
                yield place
