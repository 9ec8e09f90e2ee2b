"""Series made at random, read by SimpleITK and, from what it writes, by nibabel."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loadstone
from tests.builders import rotation, write_ct
from tests.second_opinions.peers import affine_of, by_simpleitk, in_ijk, simpleitk

ANGLES = st.tuples(*3 * [st.floats(-3.1, 3.1)])
SPACINGS = st.tuples(*3 * [st.floats(0.3, 6.0)])
ORIGINS = st.tuples(*3 * [st.floats(-500.0, 500.0)])


@settings(max_examples=12)
@given(angles=ANGLES, spacing=SPACINGS, origin=ORIGINS, seed=st.integers(0, 2**16))
def test_a_series_equals_simpleitk_and_nibabel(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    seed: int,
) -> None:
    """
    A shuffled oblique CT series has the order, HU, origin, spacing and direction that SimpleITK reads, and
    the RAS affine that nibabel reads from what SimpleITK writes.
    """
    with TemporaryDirectory() as name, loadstone.Session() as session:
        folder = Path(name) / "series"
        folder.mkdir()
        stored = write_ct(folder, axes=rotation(*angles), spacing=spacing, origin=origin, seed=seed)
        peer = by_simpleitk(folder)
        simpleitk.WriteImage(peer, f"{name}/peer.nii")
        third: Any = nibabel.load(f"{name}/peer.nii")

        volume = session.load_volume(folder)
        converted = session.load_volume(f"{name}/peer.nii")

        np.testing.assert_array_equal(volume.array, stored.astype(np.int16) - 1024)
        np.testing.assert_array_equal(volume.array, simpleitk.GetArrayFromImage(peer))
        np.testing.assert_allclose(volume.affine(), affine_of(peer), atol=1e-6)
        assert volume.direction is not None
        assert volume.spacing == pytest.approx(peer.GetSpacing(), abs=1e-6)
        assert volume.origin == pytest.approx(peer.GetOrigin(), abs=1e-6)
        # ITK has the unit vectors of the axes as columns, Loadstone as rows.
        np.testing.assert_allclose(volume.direction.T.ravel(), peer.GetDirection(), atol=1e-6)
        np.testing.assert_array_equal(in_ijk(volume), third.get_fdata())
        # A NIfTI header has single precision.
        np.testing.assert_allclose(volume.affine("RAS"), third.affine, atol=2e-4)
        np.testing.assert_array_equal(converted.array, volume.array)
        np.testing.assert_allclose(converted.affine(), volume.affine(), atol=2e-4)


def test_slices_are_in_the_order_of_their_positions(tmp_path: Path) -> None:
    """Whatever files and instances are called, slices ascend along row x column, and each knows its place."""
    write_ct(tmp_path, axes=rotation(0.3, -0.2, 0.1), seed=3)

    volume = loadstone.load_volume(tmp_path)

    affine = volume.affine()
    for k, image_id in enumerate(volume.image_ids):
        header = volume.header(k)
        normal = np.cross(header.ImageOrientationPatient[:3], header.ImageOrientationPatient[3:])

        assert header.SOPInstanceUID == loadstone.load_image(image_id).header().SOPInstanceUID
        np.testing.assert_allclose(affine @ (0, 0, k, 1), [*header.ImagePositionPatient, 1], atol=1e-6)
        assert normal @ affine[:3, 2] > 0
