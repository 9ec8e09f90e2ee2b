from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.metadata import ImagePlane
from loadstone_wado.demo.upright import upright

if TYPE_CHECKING:
    import numpy.typing as npt

PICTURE = np.arange(6, dtype=np.uint8).reshape(2, 3)
STANDARD = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


def plane(
    right: npt.NDArray[np.float64], down: npt.NDArray[np.float64], spacing: tuple[float, float]
) -> ImagePlane:
    """Return a plane with that orientation."""
    return ImagePlane(pixel_spacing=spacing, image_orientation_patient=(*right, *down))


@pytest.mark.parametrize("view", STANDARD)
@given(
    mirrored=st.booleans(),
    upside_down=st.booleans(),
    turned=st.booleans(),
    tilt=st.floats(-0.6, 0.6),
)
def test_however_it_is_stored_it_is_shown_alike(
    view: str, mirrored: bool, upside_down: bool, turned: bool, tilt: float
) -> None:
    """Rows and columns may run in any direction, oblique up to 35 degrees: the same picture is shown."""
    right, down = (np.array(each, float) for each in STANDARD[view])
    normal = np.cross(right, down)
    down = np.cos(tilt) * down + np.sin(tilt) * normal
    stored, spacing = PICTURE, (2.0, 1.0)
    if mirrored:
        stored, right = stored[:, ::-1], -right
    if upside_down:
        stored, down = stored[::-1], -down
    if turned:
        stored, spacing, right, down = stored.T, spacing[::-1], down, right

    shown, aspect = upright(stored, plane(right, down, spacing))

    np.testing.assert_array_equal(shown, PICTURE)
    assert aspect == 2.0


def test_unknown_orientation_stays_as_it_is() -> None:
    """Nothing is turned on a guess."""
    shown, aspect = upright(PICTURE, ImagePlane())

    assert shown is PICTURE
    assert aspect == 1.0
