"""The step of the time axis, for formats that know no more of it than a start and a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from loadstone.volume import Volume

__all__ = ["regular_step"]

_TIME: Final = "t"
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_REGULAR: Final = 1e-4
"""Most deviation of a point from the line, as a part of the step."""


def regular_step(volume: Volume) -> tuple[float, float | None]:
    """Return start and step of the time axis in seconds; (0, None) where it has no regular step."""
    axis = volume.coordinates.get(_TIME)
    if axis is None or axis.units not in _SECONDS or len(axis) < 2:
        return 0.0, None
    points = np.asarray(axis.values, np.float64) * _SECONDS[axis.units]
    step = float(points[-1] - points[0]) / (len(points) - 1)
    line = points[0] + step * np.arange(len(points))
    if step <= 0 or np.abs(points - line).max() > _REGULAR * step:
        return 0.0, None
    return float(points[0]), step
