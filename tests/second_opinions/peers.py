"""How other readers read the same data, and how to compare."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import SimpleITK

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    import loadstone

# Without their types, which are incomplete.
simpleitk: Any = SimpleITK
orientations: Any = nibabel.orientations


def affine_of(image: Any) -> npt.NDArray[np.float64]:
    """Return SimpleITK's origin, spacing and direction as a matrix from (i, j, k) to LPS, time left out."""
    axes = image.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (axes, axes))[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return affine


def by_simpleitk(folder: Path) -> Any:
    """Read a series as SimpleITK's users do: the one file of an enhanced object, or all files, sorted."""
    names = simpleitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return simpleitk.ReadImage(names if len(names) > 1 else names[0])


def canonical(
    array: npt.NDArray[Any], affine: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Flip and permute the first three axes (i, j, k) of an array to come nearest to RAS."""
    orientation = orientations.io_orientation(affine)
    flips = orientations.inv_ornt_aff(orientation, array.shape[:3])
    return orientations.apply_orientation(array, orientation), affine @ flips


def corners(shape: tuple[int, ...], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the centres of the eight corner voxels, in mm."""
    indices = np.array(list(product(*((0, length - 1) for length in shape[:3]))))
    return indices @ affine[:3, :3].T + affine[:3, 3]


def in_ijk(volume: loadstone.Volume) -> npt.NDArray[Any]:
    """Return the array of a volume with its first three axes as (i, j, k); time or samples last."""
    return volume.array.T if "t" in volume.axes else np.swapaxes(volume.array, 0, 2)
