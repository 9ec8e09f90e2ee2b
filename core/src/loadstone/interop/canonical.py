"""The same voxels with axes that point where a reader expects them, by flips and permutations only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from loadstone import geometry
from loadstone.errors import GeometryError

if TYPE_CHECKING:
    from loadstone.volume import Volume

__all__ = ["Canonical", "to_canonical"]

_WORLD: Final = {"RAS": ("RL", "AP", "SI"), "LPS": ("LR", "PA", "SI")}
"""For x, y, z of a space the codes of an axis that grows and of one that falls along it."""


@dataclass(frozen=True, slots=True, eq=False)
class Canonical:
    """Voxels whose axes point, as nearly as flips and permutations allow, along those of a space."""

    array: npt.NDArray[Any]
    """A read-only view of the volume's array, its axes named by `axes`; as a rule not C-contiguous."""
    affine: npt.NDArray[np.float64]
    """``(4, 4)``: ``affine @ (i, j, k, 1)`` is the centre of that voxel in mm of `space`."""
    axes: tuple[str, ...]
    """As those of the volume: i grows along x of `space`, j along y, k along z, as nearly as may be."""
    space: Literal["RAS", "LPS"]
    """Coordinate system of `affine`, and where the axes point to."""


def to_canonical(volume: Volume, space: Literal["RAS", "LPS"] = "RAS") -> Canonical:
    """
    Return the voxels with i, j, k along x, y, z of a space; see `Volume.to_canonical`.

    Raises
    ------
    GeometryError
        If the place in space is unknown, or the space is neither.
    """
    if space not in _WORLD:
        raise GeometryError(f"unknown space {space!r}", hint='Use "LPS" or "RAS".')
    affine = volume.affine(space)
    codes = geometry.axis_codes(affine, space)
    # For each axis of the result the axis of the volume that lies along it.
    sources = [next(n for n, code in enumerate(codes) if code in ends) for ends in _WORLD[space]]
    flipped = [codes[source] == ends[1] for source, ends in zip(sources, _WORLD[space], strict=True)]
    last = volume.array.ndim - 1 - (volume.axes[-1] in {"rgb", "rgba"})
    sizes = [volume.shape[last - n] for n in range(3)]
    moved = np.eye(4)
    moved[:3, :3] = 0
    for target, (source, flip) in enumerate(zip(sources, flipped, strict=True)):
        moved[source, target] = -1 if flip else 1
        moved[source, 3] = sizes[source] - 1 if flip else 0
    return Canonical(_moved(volume.array, last, sources, flipped), affine @ moved, volume.axes, space)


def _moved(array: npt.NDArray[Any], last: int, sources: list[int], flipped: list[bool]) -> npt.NDArray[Any]:
    """Return the view; axis n of (i, j, k) is axis ``last - n`` of the array."""
    order = list(range(array.ndim))
    steps = [slice(None)] * array.ndim
    for target, (source, flip) in enumerate(zip(sources, flipped, strict=True)):
        order[last - target] = last - source
        steps[last - target] = slice(None, None, -1 if flip else None)
    return array.transpose(order)[tuple(steps)]
