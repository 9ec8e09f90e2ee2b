from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

import loadstone
from loadstone_wado.demo.samples import nifti_sample
from loadstone_wado.demo.series import write_series

if TYPE_CHECKING:
    from pathlib import Path


def test_series_is_the_volume_that_it_was_made_from(tmp_path: Path) -> None:
    """Every voxel is where nibabel says, with the value that nibabel reads."""
    write_series(tmp_path)
    original: Any = nibabel.load(nifti_sample("example4d.nii.gz"))

    with loadstone.Session() as session:
        volume = session.load_volume(f"dicomfile:{tmp_path}")

    indices = np.indices(volume.shape).reshape(3, -1)[::-1]
    to_original = np.linalg.inv(original.affine) @ volume.affine("RAS")
    where = to_original[:3, :3] @ indices + to_original[:3, 3:]
    assert np.abs(where - where.round()).max() < 1e-3
    values = np.asarray(original.dataobj)[(*where.round().astype(int), 0)]
    np.testing.assert_array_equal(volume.array.reshape(-1), values)
