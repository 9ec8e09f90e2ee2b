"""Tilted slices made straight."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.builders import Stack, make_session, plane
from loadstone import GeometryPolicy
from loadstone.geometry import direction_and_spacing
from loadstone.metadata import ImagePixel, ModuleSet
from loadstone.volume.shear import Shear

STEPS = st.floats(-3.0, 3.0)


def tilted(columns: float, rows: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the affine of slices that advance by so many columns and rows, 3 mm apart."""
    affine = np.diag([0.5, 2.0, 3.0, 1.0])
    affine[:3, 2] += (columns * 0.5, rows * 2.0, 0)
    affine[:3, 3] = (-30, 20, 10)
    return affine


@given(columns=STEPS, rows=STEPS, slices=st.integers(2, 6))
def test_what_is_linear_in_space_stays_so(columns: float, rows: float, slices: int) -> None:
    """A ramp has, at each voxel that a slice covers, the value of its place; axes are at right angles."""
    affine = tilted(columns, rows)
    shear = Shear.of(affine, slices)
    shape = shear.shape(5, 6)
    direction, _ = direction_and_spacing(shear.affine)

    np.testing.assert_allclose(direction @ direction.T, np.eye(3), atol=1e-9)
    for k in range(slices):
        j, i = np.indices((5, 6))
        x, y, _ = np.moveaxis(np.stack([i, j, np.full_like(i, k), np.ones_like(i)], -1) @ affine.T, -1, 0)[:3]
        out = np.zeros(shape)
        shear.move(7 * x - 2 * y, k, out)
        to_source = np.linalg.inv(affine) @ shear.affine
        rows_out, columns_out = np.indices(shape)
        places = np.stack([columns_out, rows_out, np.full_like(rows_out, k), np.ones_like(rows_out)], -1)
        source, world = places @ to_source.T, places @ shear.affine.T
        covered = ((source[..., :2] >= 0) & (source[..., :2] <= (5, 4))).all(axis=-1)
        expected = 7 * world[..., 0] - 2 * world[..., 1]

        assert covered.sum() >= 4 * 5
        np.testing.assert_allclose(out[covered], expected[covered], atol=1e-3)


class Tilted(Stack):
    """Slices whose rows wander by a row and a half each."""

    def modules(self, number: int) -> ModuleSet:
        """Return what is known about a slice."""
        x, y, z = 0.0, 1.5 * 0.5 * number, 3.0 * number
        pixel = ImagePixel(self.shape[0], self.shape[1], self.dtype)
        where = plane(z)
        return ModuleSet(
            type(where)(where.pixel_spacing, (x, y, z), where.image_orientation_patient),
            pixel,
            self.scaling(number),
        )


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_volume_of_moved_slices(dtype: str) -> None:
    """It has more rows, a straight affine, no image ids, and slices that know their new place."""
    slices = Tilted([5, 6, 7], dtype=dtype)
    with make_session({"slices": slices.loader()}) as session:
        volume = session.load_volume(
            "streaming:all", image_ids=slices.ids, geometry=GeometryPolicy(tilt="resample")
        )
        again = session.load_image("slices:1")

    assert volume.shape == (3, slices.shape[0] + 3, slices.shape[1])
    assert volume.dtype == np.dtype(dtype)
    # Flat slices stay flat: what nothing covers has their smallest value too.
    assert [np.unique(each).tolist() for each in volume.array] == [[5], [6], [7]]
    assert volume.affine()[:3, 2].tolist() == [0, 0, 3]
    assert volume.image_ids == ()
    assert volume.image(2).plane.image_position_patient == (0.0, 0.0, 6.0)
    assert again.pixels.shape == slices.shape


@given(rows=st.floats(-40.0, 40.0), length=st.integers(1, 200), slices=st.integers(2, 4))
def test_bands_of_rows_leave_no_seams(rows: float, length: int, slices: int) -> None:
    """However far a slice is moved, each column is its own values, interpolated; beyond them the smallest."""
    shear = Shear(rows, 0.0, slices, np.eye(4))
    column = np.random.default_rng(length).integers(0, 4000, length)
    image = np.repeat(column[:, np.newaxis], 2, axis=1).astype(np.uint16)
    for k in range(slices):
        out = np.zeros(shear.shape(length, 2))
        shear.move(image, k, out)
        places = np.arange(len(out)) - (k * rows - min(0.0, rows * (slices - 1)))
        inside = (places >= 0.001) & (places <= length - 1.001)
        outside = (places < -1.001) | (places > length + 0.001)

        np.testing.assert_allclose(
            out[inside, 0], np.interp(places[inside], np.arange(length), column), atol=0.1
        )
        assert (out[outside] == column.min()).all()


def test_moving_takes_little_memory_beside_the_slice() -> None:
    """Many threads do it at a time, and a load may take 64 MiB beside its volume."""
    shear = Shear(1.5, 0.5, 3, np.eye(4))
    image = np.ones((2048, 512), np.uint16)
    out = np.zeros(shear.shape(*image.shape), np.uint16)
    tracemalloc.start()
    try:
        shear.move(image, 1, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3 * 2**20
