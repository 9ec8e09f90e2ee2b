"""Planes of made-up series: 16 × 16 pixels, rows 0.5 mm and columns 2.0 mm apart, as in no real scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from loadstone.geometry import StackGeometry, arrange
from loadstone.metadata import ImagePlane

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from loadstone.geometry import GeometryPolicy

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}

ORIGIN = (-64.0, -60.5, 10.25)
EIGHT = tuple(3.0 * index for index in range(8))


def normal_of(orientation: Iterable[float]) -> npt.NDArray[np.float64]:
    """Return row × column."""
    row, column = np.reshape(list(orientation), (2, 3))
    return np.cross(row, column)


def series(
    offsets: Iterable[float] = EIGHT,
    orientation: tuple[float, ...] = AXIAL,
    *,
    tilt: float = 0.0,
    decimals: int | None = None,
    **fields: Any,
) -> list[ImagePlane]:
    """
    Build planes at distances (mm) along their normal.

    A tilted gantry shifts each along its columns; `decimals` rounds the positions as text would.
    """
    along = normal_of(orientation) + np.tan(np.radians(tilt)) * np.array(orientation[3:])
    known: dict[str, Any] = {
        "pixel_spacing": (0.5, 2.0),
        "image_orientation_patient": orientation,
        "position_decimals": decimals,
        "frame_of_reference_uid": "1.2.3",
    }
    planes = []
    for offset in offsets:
        position = np.array(ORIGIN) + offset * along
        if decimals is not None:
            position = position.round(decimals)
        x, y, z = position.tolist()
        planes.append(ImagePlane(**(known | {"image_position_patient": (x, y, z)} | fields)))
    return planes


def arranged(planes: list[ImagePlane], policy: GeometryPolicy | None = None) -> StackGeometry:
    """Arrange planes of 16 rows and 16 columns."""
    return arrange(planes, 16, 16) if policy is None else arrange(planes, 16, 16, policy)


def turned(quaternion: npt.ArrayLike) -> tuple[float, ...]:
    """Return the orientation that a quaternion turns the axial one to."""
    w, x, y, z = (np.asarray(quaternion) / np.linalg.norm(quaternion)).tolist()
    row = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    column = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    return row + column


def rigid_orientations() -> st.SearchStrategy[tuple[float, ...]]:
    """Any orientation, simple ones first."""
    return st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda parts: np.linalg.norm(parts) > 0.1).map(turned)


def generic_orientations() -> st.SearchStrategy[tuple[float, ...]]:
    """Orientations of which no two components are equal, as there is no right answer then."""
    return st.integers(0, 2**32 - 1).map(lambda seed: turned(np.random.default_rng(seed).normal(size=4)))
