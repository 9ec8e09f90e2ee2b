"""The planes of many images as arrays: built once, so that thousands of slices cost milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

import numpy as np
import numpy.typing as npt

from loadstone.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.metadata import ImagePlane

__all__ = ["PlaneTable", "is_length", "rows_of"]

FloatArray = npt.NDArray[np.float64]

_LARGEST_MM: Final = 1e9
"""No position or spacing of a patient is larger: such a number is damage, and its square would overflow."""
_SMALLEST_MM: Final = 1e-9
"""No pixel spacing or distance of slices is smaller."""
_SKEW: Final = 1e-3
"""How far orientation vectors may be from perpendicular unit vectors: three decimals of text."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneTable:
    """One row for each image; a row that is unknown, damaged or absurd is NaN throughout."""

    positions: FloatArray
    """``(n, 3)``: centre of the first pixel, LPS, mm."""
    orientations: FloatArray
    """``(n, 6)``: unit vectors along a row and along a column, as recorded."""
    pixel_spacings: FloatArray
    """``(n, 2)``: distance of rows, of columns, mm."""
    frames_of_reference: npt.NDArray[np.intp]
    """``(n,)``: equal numbers for equal UIDs."""
    position_decimals: int | None
    """Most decimals in the text of a position; None where no position was text."""

    @classmethod
    def of(cls, planes: Sequence[ImagePlane]) -> PlaneTable:
        """
        Gather the planes.

        Raises
        ------
        MetadataError
            If a value is no tuple of the right number of numbers.
        """
        positions = rows_of([plane.image_position_patient for plane in planes], 3, "image_position_patient")
        orientations = rows_of(
            [plane.image_orientation_patient for plane in planes], 6, "image_orientation_patient"
        )
        spacings = rows_of([plane.pixel_spacing for plane in planes], 2, "pixel_spacing")
        near: npt.NDArray[np.bool_] = np.abs(positions) <= _LARGEST_MM
        plausible: npt.NDArray[np.bool_] = (spacings >= _SMALLEST_MM) & (spacings <= _LARGEST_MM)
        # Trailing zeros are often left out of the text, so that the longest one tells the precision of all.
        decimals = [plane.position_decimals for plane in planes if plane.position_decimals is not None]
        return cls(
            positions=_only(positions, near),
            orientations=_only(orientations, _perpendicular_units(orientations)),
            pixel_spacings=_only(spacings, plausible),
            frames_of_reference=_numbered([plane.frame_of_reference_uid for plane in planes]),
            position_decimals=max(decimals) if decimals else None,
        )


def is_length(value: float | None) -> TypeGuard[float]:
    """Whether a value is known and, whatever its sign, a distance that can be."""
    return value is not None and _SMALLEST_MM <= abs(value) <= _LARGEST_MM


def rows_of(values: Sequence[tuple[float, ...] | None], width: int, name: str) -> FloatArray:
    """Return ``(n, width)``; a row of NaN for None."""
    unknown = (np.nan,) * width
    try:
        rows = np.array([unknown if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"{name} of an image is not {width} numbers ({error})", hint=_HINT) from error
    rows = rows.reshape(0, width) if not values else rows
    if rows.shape != (len(values), width):
        raise MetadataError(f"{name} has the shape {rows.shape[1:]}, not ({width},)", hint=_HINT)
    return rows


_HINT: Final = "Leave it None where it is not known."


def _only(rows: FloatArray, good: npt.NDArray[np.bool_]) -> FloatArray:
    """Keep the rows of which every entry is good."""
    return rows if good.all() else np.where(good.all(axis=1, keepdims=True), rows, np.nan)


def _perpendicular_units(orientations: FloatArray) -> npt.NDArray[np.bool_]:
    # Components of unit vectors: clipped, so that damage cannot overflow. NaN compares false.
    vectors = np.clip(orientations, -2, 2).reshape(-1, 2, 3)
    units = (np.abs((vectors**2).sum(axis=2) - 1) <= 2 * _SKEW).all(axis=1)
    good: npt.NDArray[np.bool_] = units & (np.abs((vectors[:, 0] * vectors[:, 1]).sum(axis=1)) <= _SKEW)
    return good[:, np.newaxis]


def _numbered(values: Sequence[str | None]) -> npt.NDArray[np.intp]:
    numbers: dict[str | None, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.intp)
