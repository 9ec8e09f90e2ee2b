"""A volume as a `SimpleITK.Image`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone import geometry
from loadstone.errors import GeometryError, UnsupportedError
from loadstone.interop.needing import needing
from loadstone.interop.time_axis import regular_step

if TYPE_CHECKING:
    import SimpleITK

    from loadstone.volume import Volume

__all__ = ["to_simpleitk"]

_ORTHOGONAL: Final = math.sin(math.radians(0.1))
"""Most cosine between two axes: what is less than a tilt. ITK reckons with the matrix as it is."""
_MOST_AXES: Final = 4


def to_simpleitk(volume: Volume) -> SimpleITK.Image:
    """
    Return a copy of the voxels as SimpleITK knows them; see `Volume.to_simpleitk`.

    Raises
    ------
    GeometryError
        If the place in space is unknown, or its axes are not orthogonal, which SimpleITK cannot express.
    UnsupportedError
        If it has more than four axes, or a dtype that SimpleITK does not have, or that is not installed.
    """
    with needing("simpleitk"):
        import SimpleITK as sitk  # noqa: N813 - as everybody calls it

    affine = volume.affine()
    direction, spacing = geometry.direction_and_spacing(affine)
    _refuse_shear(volume, direction)
    colour = volume.axes[-1] in {"rgb", "rgba"}
    axes = volume.array.ndim - colour
    if axes > _MOST_AXES:
        raise UnsupportedError(
            f"SimpleITK images have at most {_MOST_AXES} axes, the volume has {volume.axes}",
            source=volume.volume_id,
            hint="Hand over a part of its array.",
        )
    try:
        image = sitk.GetImageFromArray(volume.array, isVector=colour)
    except (KeyError, TypeError) as error:
        raise UnsupportedError(
            f"SimpleITK has no voxels of {volume.dtype}", source=volume.volume_id, hint="Load it with dtype=."
        ) from error
    # Behind i, j, k a fourth axis stands for itself.
    matrix = np.eye(axes)
    matrix[:3, :3] = direction.T
    start, step = regular_step(volume)
    image.SetSpacing((*spacing, step or 1.0)[:axes])  # type: ignore[no-untyped-call]
    image.SetOrigin((*affine[:3, 3].tolist(), start)[:axes])  # type: ignore[no-untyped-call]
    image.SetDirection(matrix.ravel().tolist())  # type: ignore[no-untyped-call]
    return image


def _refuse_shear(volume: Volume, direction: npt.NDArray[Any]) -> None:
    cosines = np.abs(direction @ direction.T - np.eye(3))
    # What rounding of positions explains is no tilt either, however far it leans.
    if cosines.max() <= _ORTHOGONAL or volume.geometry.regular:
        return
    lean = float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
    raise GeometryError(
        f"the axes lean against each other by {lean:.3g} degrees, which SimpleITK cannot express",
        source=volume.volume_id,
        hint="Resample it first, or hand it to nibabel, whose affine can be sheared.",
        report=volume.geometry,
    )
