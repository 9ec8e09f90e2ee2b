"""Slices of a tilted gantry, moved within their planes until they lie straight above each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from loadstone import geometry

__all__ = ["Shear"]

_BAND: Final = 64
"""Rows that are moved at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Shear:
    """
    How far each slice is moved, in pixels, and the rows and columns that are added for it.

    A pixel is the mean of its two or four neighbours, weighted by distance (linear interpolation); what no
    image covers gets the smallest value of its slice.
    """

    rows: float
    """Rows by which each slice lies further down than the one before."""
    columns: float
    """Columns by which each lies further to the right."""
    slices: int
    """How many there are."""
    affine: npt.NDArray[np.float64]
    """``(4, 4)``: of the volume without the shear; LPS, mm."""

    @classmethod
    def of(cls, affine: npt.NDArray[np.float64], slices: int) -> Shear:
        """
        Work out what makes an affine straight.

        Parameters
        ----------
        affine
            ``(4, 4)`` of the tilted volume.
        slices
            How many it has.
        """
        direction, spacing = geometry.direction_and_spacing(affine)
        columns, rows = (float(affine[:3, 2] @ direction[axis]) / spacing[axis] for axis in (0, 1))
        straight = affine.copy()
        normal = np.cross(direction[0], direction[1])
        straight[:3, 2] = normal * (affine[:3, 2] @ normal)
        # The first row and column of the result lie where the slice that is moved furthest has its own.
        first = _first(columns, slices), _first(rows, slices)
        straight[:3, 3] = affine[:3, :2] @ first + affine[:3, 3]
        straight.flags.writeable = False
        return cls(rows, columns, slices, straight)

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """Return the rows and columns of the result, for images of a size."""
        return rows + _added(self.rows, self.slices), columns + _added(self.columns, self.slices)

    def move(self, image: npt.NDArray[Any], k: int, out: npt.NDArray[Any]) -> None:
        """
        Put a slice where it belongs.

        Parameters
        ----------
        image
            ``(rows, columns)`` or with samples behind.
        k
            Which slice it is.
        out
            Takes the result.
        """
        down = k * self.rows - _first(self.rows, self.slices)
        right = k * self.columns - _first(self.columns, self.slices)
        smallest = image.min(axis=(0, 1))
        # Band by band: whole images of float64, several a thread, are more than a load may take.
        for start in range(0, out.shape[0], _BAND):
            band = out[start : start + _BAND]
            above = min(max(math.floor(start - down) - 1, 0), image.shape[0])
            below = max(math.ceil(start + len(band) - down) + 1, above)
            near = image[above:below].astype(np.float64)
            moved = _moved(near, down + above - start, 0, len(band))
            moved = _moved(moved, right, 1, out.shape[1])
            filled = np.where(np.isnan(moved), smallest, moved)
            band[...] = filled if out.dtype.kind == "f" else np.rint(filled)


def _first(step: float, slices: int) -> float:
    """Return where the result begins, in pixels of the first slice."""
    return min(0.0, step * (slices - 1))


def _added(step: float, slices: int) -> int:
    """Return how many pixels the result has more than an image; one for a fraction."""
    return math.ceil(abs(step) * (slices - 1) - 1e-6)


def _moved(image: npt.NDArray[np.float64], by: float, axis: int, length: int) -> npt.NDArray[np.float64]:
    """Move an image along an axis by pixels, to a new length; NaN where it does not reach."""
    whole = math.floor(by + 1e-6)
    part = max(by - whole, 0.0)
    if part < 1e-6:
        return _placed(image, whole, axis, length)
    near, far = _placed(image, whole, axis, length), _placed(image, whole + 1, axis, length)
    return near * (1 - part) + far * part


def _placed(image: npt.NDArray[np.float64], at: int, axis: int, length: int) -> npt.NDArray[np.float64]:
    """Put an image at a whole pixel, which may lie outside; NaN where it does not reach."""
    shape = list(image.shape)
    shape[axis] = length
    out = np.full(shape, np.nan)
    start, stop = min(max(at, 0), length), max(min(at + image.shape[axis], length), 0)
    into = [slice(None)] * image.ndim
    taken = list(into)
    into[axis], taken[axis] = slice(start, max(start, stop)), slice(start - at, max(start, stop) - at)
    out[tuple(into)] = image[tuple(taken)]
    return out
