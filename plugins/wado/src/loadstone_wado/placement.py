"""Where frames lie in objects that say so in a way of their own: RT dose, nuclear medicine, ultrasound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np

from loadstone_wado import tags

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements

__all__ = ["ENHANCED_US", "RT_DOSE", "Vector3", "Vector6", "detector", "dose_position", "slice_position"]

Vector3 = tuple[float, float, float]
Vector6 = tuple[float, float, float, float, float, float]

RT_DOSE: Final = "1.2.840.10008.5.1.4.1.1.481.2"
ENHANCED_US: Final = "1.2.840.10008.5.1.4.1.1.6.2"
_NUCLEAR_MEDICINE: Final = "1.2.840.10008.5.1.4.1.1.20"
_SAME: Final = 0.01
"""mm up to which two coordinates that were rounded differently are one."""


def dose_position(
    first: Vector3, orientation: Vector6 | None, elements: Elements, number: int
) -> Vector3 | None:
    """
    Place a frame of an RT dose by GridFrameOffsetVector (DICOM PS3.3 C.8.8.3.2).

    Parameters
    ----------
    first
        Position of the first frame, LPS, mm.
    orientation
        Unit vectors along a row and along a column.
    elements
        The attributes.
    number
        The frame, from 1.
    """
    offsets = elements.numbers(tags.GRID_FRAME_OFFSET_VECTOR)
    if number == 1:
        return first
    if number > len(offsets) or orientation is None:
        return None
    if offsets[0] == 0:
        return _along(first, orientation, offsets[number - 1])
    # Else the offsets are the z coordinates themselves, of which the first is known.
    return (first[0], first[1], offsets[number - 1]) if abs(offsets[0] - first[2]) < _SAME else None


def detector(elements: Elements, number: int) -> Elements | None:
    """
    Return what places a frame of nuclear medicine: the item of its detector (DICOM PS3.3 C.8.4.11).

    Parameters
    ----------
    elements
        The attributes.
    number
        The frame, from 1.
    """
    if elements.text(tags.SOP_CLASS_UID) != _NUCLEAR_MEDICINE:
        return None
    items = elements.items(tags.DETECTOR_INFORMATION_SEQUENCE)
    which = elements.numbers(tags.DETECTOR_VECTOR)
    place = int(which[number - 1]) if number <= len(which) else 1
    return items[place - 1] if 1 <= place <= len(items) else None


def slice_position(
    first: Vector3, orientation: Vector6 | None, elements: Elements, number: int
) -> Vector3 | None:
    """
    Place a slice that was reconstructed in nuclear medicine; parameters as for `dose_position`.

    Slices follow each other along the normal, or against it where their spacing is negative (DICOM PS3.3
    C.8.4.15). What was not reconstructed are projections, all of which lie where their detector is.
    """
    kinds = elements.texts(tags.IMAGE_TYPE)
    if len(kinds) < 3 or not kinds[2].startswith("RECON"):
        return first
    slices = elements.numbers(tags.SLICE_VECTOR)
    place = slices[number - 1] if number <= len(slices) else number
    if place == 1:
        return first
    spacing = elements.number(tags.SPACING_BETWEEN_SLICES)
    if not spacing or orientation is None or (slices and number > len(slices)):
        return None
    return _along(first, orientation, spacing * (place - 1))


def _along(first: Vector3, orientation: Vector6, distance: float) -> Vector3:
    """Go along the normal of a plane."""
    step = np.cross(orientation[:3], orientation[3:]) * distance
    return cast("Vector3", tuple((np.array(first) + step).tolist()))
