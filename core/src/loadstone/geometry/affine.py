"""
Affines: 4 x 4 matrices from voxel indices to millimetres.

``world = affine @ (i, j, k, 1)``: the columns are the steps of i (columns of the image), j (rows) and k
(slices) and the *centre* of voxel (0, 0, 0). World is LPS (x grows to the patient's left, y to the back, z to
the head) unless a function says otherwise; NIfTI and nibabel use RAS.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Affine",
    "affine_from",
    "axis_codes",
    "checked_affine",
    "corner_centres",
    "direction_and_spacing",
    "index_order",
    "lps_to_ras",
    "ras_to_lps",
    "slice_distance",
]

Affine: TypeAlias = npt.NDArray[np.float64]
"""``(4, 4)`` float64."""

_FLIP_XY: Final = np.array([-1.0, -1.0, 1.0, 1.0])[:, np.newaxis]
_SINGULAR: Final = 1e-9
"""Volume of the cell of three unit vectors below which they count as lying in one plane."""


def checked_affine(affine: npt.ArrayLike) -> Affine:
    """
    Return an affine as a new float64 array.

    Raises
    ------
    GeometryError
        If it is not 4 x 4, not finite, its last row is not 0 0 0 1, or its axes do not span space.
    """
    try:
        matrix = np.array(affine, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise GeometryError(f"the affine is no matrix of numbers ({error})", hint=_HINT) from error
    if matrix.shape != (4, 4):
        raise GeometryError(f"the affine has the shape {matrix.shape}, not (4, 4)", hint=_HINT)
    if not np.isfinite(matrix).all():
        raise GeometryError("the affine has entries that are not finite", hint=_HINT)
    if not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise GeometryError(
            f"the last row of the affine is {matrix[3].tolist()}, not [0, 0, 0, 1]", hint=_HINT
        )
    lengths = _lengths(matrix)
    if not lengths.all() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < _SINGULAR:
        raise GeometryError(
            f"the affine is singular: steps of {lengths.tolist()} mm that do not span space", hint=_HINT
        )
    return matrix


_HINT: Final = "Voxels have no place in space; check the header, or use the array alone."


def _lengths(affine: Affine) -> npt.NDArray[np.float64]:
    """Return the lengths of the steps of i, j, k, safe from overflow and underflow of squares."""
    largest = np.abs(affine[:3, :3]).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    lengths: npt.NDArray[np.float64] = np.linalg.norm(affine[:3, :3] / scale, axis=0) * largest
    return lengths


def affine_from(direction: npt.ArrayLike, spacing: npt.ArrayLike, origin: npt.ArrayLike) -> Affine:
    """
    Build an affine from its parts.

    Parameters
    ----------
    direction
        ``(3, 3)``: ``direction[n]`` is the unit vector of axis n (i, j, k); need not be orthogonal.
    spacing
        Length of a step of i, j, k in mm.
    origin
        Centre of voxel (0, 0, 0) in mm.

    Raises
    ------
    GeometryError
        If the result is singular or not finite.

    Examples
    --------
    >>> affine_from([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0.5, 0.5, 3], [-64, -64, 10]).tolist()
    [[0.5, 0.0, 0.0, -64.0], [0.0, 0.5, 0.0, -64.0], [0.0, 0.0, 3.0, 10.0], [0.0, 0.0, 0.0, 1.0]]
    """
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(direction) * np.asarray(spacing, dtype=np.float64)
    affine[:3, 3] = origin
    return checked_affine(affine)


def direction_and_spacing(
    affine: npt.ArrayLike,
) -> tuple[npt.NDArray[np.float64], tuple[float, float, float]]:
    """
    Take an affine apart.

    Returns
    -------
    direction : numpy.ndarray
        ``(3, 3)``: ``direction[n]`` is the unit vector of axis n; not orthogonal when the affine is sheared.
    spacing : tuple of float
        Length of a step of each axis in mm.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite.
    """
    matrix = checked_affine(affine)
    lengths = _lengths(matrix)
    i, j, k = lengths.tolist()
    return (matrix[:3, :3] / lengths).T, (i, j, k)


def slice_distance(affine: npt.ArrayLike) -> float:
    """
    Return the perpendicular distance of the planes of two successive k, in mm.

    It is shorter than the step of k when the affine is sheared.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite.
    """
    direction, spacing = direction_and_spacing(affine)
    normal = np.cross(direction[0], direction[1])
    return float(abs(direction[2] @ normal) / np.linalg.norm(normal) * spacing[2])


def lps_to_ras(affine: npt.ArrayLike) -> Affine:
    """
    Return the affine to RAS for one to LPS: x and y change their sign.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite.
    """
    flipped: Affine = checked_affine(affine) * _FLIP_XY + 0.0  # no negative zeros
    return flipped


def ras_to_lps(affine: npt.ArrayLike) -> Affine:
    """
    Return the affine to LPS for one to RAS: x and y change their sign.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite.
    """
    flipped: Affine = checked_affine(affine) * _FLIP_XY + 0.0  # no negative zeros
    return flipped


def index_order(affine: npt.ArrayLike, index: Literal["ijk", "kji"]) -> Affine:
    """
    Return the affine for indices in another order.

    Parameters
    ----------
    affine
        For (i, j, k).
    index
        ``"kji"`` for indices as they stand in ``array[k, j, i]``; ``"ijk"`` changes nothing.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite, or the order is neither.
    """
    matrix = checked_affine(affine)
    if index == "ijk":
        return matrix
    if index == "kji":
        return matrix[:, [2, 1, 0, 3]]
    raise GeometryError(f"unknown order of indices {index!r}", hint='Use "ijk" or "kji".')


def axis_codes(affine: npt.ArrayLike, space: Literal["LPS", "RAS"] = "LPS") -> tuple[str, str, str]:
    """
    Say where i, j and k point to, each by the nearest anatomical direction.

    Parameters
    ----------
    affine
        To millimetres of `space`.
    space
        Coordinate system of the affine.

    Returns
    -------
    tuple of str
        One of L, R, A, P, S (head), I (feet) for i, j, k; each body axis occurs once.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite, or the space is neither.

    Examples
    --------
    >>> axis_codes([[0, 0, 3, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    ('P', 'I', 'L')
    """
    if space not in _ENDS:
        raise GeometryError(f"unknown space {space!r}", hint='Use "LPS" or "RAS".')
    direction, _ = direction_and_spacing(affine)
    # The nearest rotation: with a shear, plain components would favour the axis that leans.
    left, _, right = np.linalg.svd(direction)
    rotation = left @ right
    codes = ["", "", ""]
    # Rounded, so that a tie is broken by the order of the axes and not by noise.
    free = np.abs(rotation).round(9)
    # The axis that is surest chooses first.
    for axis in np.argsort(-free.max(axis=1), kind="stable").tolist():
        world = int(np.argmax(free[axis]))
        codes[axis] = _ENDS[space][world][int(rotation[axis, world] < 0)]
        free[:, world] = -1
    return codes[0], codes[1], codes[2]


_ENDS: Final = {"LPS": ("LR", "PA", "SI"), "RAS": ("RL", "AP", "SI")}
"""Letters for growing and falling x, y, z."""


def corner_centres(affine: npt.ArrayLike, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """
    Return the centres of the eight corner voxels.

    Parameters
    ----------
    affine
        For (i, j, k).
    shape
        Of the array: its last three axes are k, j, i.

    Returns
    -------
    numpy.ndarray
        ``(8, 3)`` in mm, i changing fastest.

    Raises
    ------
    GeometryError
        If the affine is singular or not finite, or the shape has no three axes.
    """
    if len(shape) < 3 or min(shape[-3:]) < 1:
        raise GeometryError(
            f"the shape {tuple(shape)} has no corners", hint="Give (…, k, j, i), each at least 1."
        )
    kji = np.array(list(product(*((0, size - 1) for size in shape[-3:]))), dtype=np.float64)
    matrix = checked_affine(affine)
    corners: npt.NDArray[np.float64] = kji[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]
    return corners
