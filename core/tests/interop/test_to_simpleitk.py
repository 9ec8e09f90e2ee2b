from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from hypothesis import given

from core.tests.interop.builders import (
    AFFINE,
    DTYPES,
    SHAPES,
    counting,
    orthogonal_affines,
    sheared_affines,
    volume_of,
)
from loadstone import Axis, GeometryError, UnsupportedError


@given(SHAPES, DTYPES, orthogonal_affines())
def test_voxels_and_places_come_back(
    shape: tuple[int, int, int], dtype: str, affine: npt.NDArray[np.float64]
) -> None:
    """Oblique, left-handed, anisotropic: every corner lies where it lay, in LPS."""
    volume = volume_of(counting(shape, dtype), affine)
    image: Any = volume.to_simpleitk()

    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.array)
    last = [size - 1 for size in reversed(shape)]
    for corner in ([0, 0, 0], last, [last[0], 0, 0], [0, last[1], 0], [0, 0, last[2]]):
        place = image.TransformIndexToPhysicalPoint(corner)
        np.testing.assert_allclose(place, (affine @ (*corner, 1))[:3], atol=1e-6)


@given(sheared_affines())
def test_axes_that_lean_are_refused(affine: npt.NDArray[np.float64]) -> None:
    """SimpleITK has a rotation and spacings: a tilted gantry would be lost silently."""
    with pytest.raises(GeometryError, match="lean"):
        volume_of(counting((2, 3, 4)), affine).to_simpleitk()


def test_axes_that_hardly_lean_are_no_tilt() -> None:
    """What the report calls regular is handed over, and every voxel lies where it lay."""
    affine = AFFINE.copy()
    affine[:3, 2] += 0.0017 * np.linalg.norm(affine[:3, 2]) * affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    image: Any = volume_of(counting((2, 3, 4)), affine).to_simpleitk()

    place = image.TransformIndexToPhysicalPoint([3, 2, 1])
    np.testing.assert_allclose(place, (affine @ (3, 2, 1, 1))[:3], atol=1e-9)


def test_what_lies_nowhere_is_refused() -> None:
    """SimpleITK would invent a place."""
    with pytest.raises(GeometryError, match="place in space"):
        volume_of(counting((2, 3, 4)), None).to_simpleitk()


def test_time_is_the_fourth_axis() -> None:
    """With its start and step in seconds; the voxels stay in their order."""
    times = Axis("t", (0.5, 2.5, 4.5), "s")
    volume = volume_of(counting((3, 2, 4, 5)), AFFINE, ("t", "k", "j", "i"), coordinates=(times,))
    image: Any = volume.to_simpleitk()

    assert image.GetSize() == (5, 4, 2, 3)
    assert image.GetSpacing() == (0.5, 0.75, 3, 2)
    assert image.GetOrigin() == (10, -20, 30, 0.5)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.array)


@pytest.mark.parametrize("samples", ["rgb", "rgba"])
def test_colour_is_a_vector(samples: str) -> None:
    """One component a sample."""
    volume = volume_of(counting((2, 3, 4, len(samples)), "u1"), AFFINE, ("k", "j", "i", samples))
    image: Any = volume.to_simpleitk()

    assert (image.GetDimension(), image.GetNumberOfComponentsPerPixel()) == (3, len(samples))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.array)


def test_what_simpleitk_does_not_have_is_refused() -> None:
    """Half floats, and five axes."""
    with pytest.raises(UnsupportedError, match="float16"):
        volume_of(counting((2, 3, 4), "f2")).to_simpleitk()
    with pytest.raises(UnsupportedError, match="at most 4 axes"):
        volume_of(counting((1, 2, 2, 3, 4)), AFFINE, ("v", "t", "k", "j", "i")).to_simpleitk()
