"""Images turned as a radiologist expects them, whatever the order of their rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone.metadata import ImagePlane

__all__ = ["upright"]

_DOWNWARDS = np.array([1, 1, -1])
"""Which way along L, P, S goes down or to the right: left and back do, the head is at the top."""


def upright(shades: npt.NDArray[Any], plane: ImagePlane) -> tuple[npt.NDArray[Any], float]:
    """
    Turn and mirror an image so that the patient's left is on the right, the front or head at the top.

    Parameters
    ----------
    shades
        ``(rows, columns)`` or ``(rows, columns, samples)``.
    plane
        Where the image lies; without an orientation it stays as it is.

    Returns
    -------
    shades
        The same, turned by multiples of 90 degrees and mirrored only.
    aspect
        Height of a pixel over its width.
    """
    aspect = plane.pixel_spacing[0] / plane.pixel_spacing[1] if plane.pixel_spacing else 1.0
    if plane.image_orientation_patient is None:
        return shades, aspect
    right, down = np.reshape(plane.image_orientation_patient, (2, 3))
    across, along = int(np.abs(right).argmax()), int(np.abs(down).argmax())
    if across > along:
        shades, aspect = shades.swapaxes(0, 1), 1 / aspect
        right, down, across, along = down, right, along, across
    if right[across] * _DOWNWARDS[across] < 0:
        shades = shades[:, ::-1]
    if down[along] * _DOWNWARDS[along] < 0:
        shades = shades[::-1]
    return shades, aspect
