"""NIfTI files, read by nibabel and SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.testing import data_path

import loadstone
from tests.second_opinions.peers import affine_of, simpleitk

NIFTI_FILES = [
    "anatomical.nii",
    "example4d.nii.gz",
    "example_nifti2.nii.gz",
    "functional.nii",
    "resampled_anat_moved.nii",
    "standard.nii.gz",
]


@pytest.mark.parametrize("name", NIFTI_FILES)
def test_a_nifti_volume_equals_nibabel(name: str) -> None:
    """Voxels and affine are nibabel's, axes reversed, numbers rounded to the volume's dtype."""
    path = Path(str(data_path)) / name
    image: Any = nibabel.load(path)

    volume = loadstone.load_volume(path)

    np.testing.assert_array_equal(volume.array, np.asanyarray(image.dataobj).T.astype(volume.dtype))
    np.testing.assert_allclose(volume.affine("RAS"), image.affine, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NIFTI_FILES if "nifti2" not in name])
def test_a_nifti_volume_equals_simpleitk(name: str) -> None:
    """Voxels and geometry are those that SimpleITK reads; it has 0 for NaN, and does not know NIfTI-2."""
    path = Path(str(data_path)) / name
    peer = simpleitk.ReadImage(str(path))

    volume = loadstone.load_volume(path)

    np.testing.assert_allclose(np.nan_to_num(volume.array), simpleitk.GetArrayFromImage(peer), rtol=1e-6)
    np.testing.assert_allclose(volume.affine(), affine_of(peer), atol=1e-4)
