"""Volumes of real files arrive in nibabel and SimpleITK as those libraries read the files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel.testing import data_path
from pydicom.data import get_testdata_file

import loadstone
from tests.builders import real_data

if TYPE_CHECKING:
    from collections.abc import Iterator

# Without their types, which are incomplete.
nifti: Any = nibabel
simpleitk: Any = SimpleITK

BUNDLED = ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"]


@pytest.fixture
def session() -> Iterator[loadstone.Session]:
    with loadstone.Session() as session:
        yield session


def assert_same_file(volume: loadstone.Volume, path: Path) -> None:
    """Write a volume with nibabel and compare what was written with the file that it came from."""
    image: Any = volume.to_nibabel()
    written = type(image).from_bytes(image.to_bytes())
    original = nifti.load(path)
    voxels, expected = (np.asanyarray(each.dataobj) for each in (written, original))

    if voxels.dtype.names is None:
        np.testing.assert_allclose(voxels, expected.reshape(voxels.shape), rtol=1e-5)
    else:
        np.testing.assert_array_equal(voxels, expected.reshape(voxels.shape))
    np.testing.assert_allclose(written.affine, original.affine, atol=1e-3)
    if "sform_code" not in original.header:  # Analyze 7.5 has neither form
        return
    for name in ("sform_code", "qform_code", "descrip", "intent_code"):
        assert written.header[name] == original.header[name]
    steps = original.header.get_zooms()
    np.testing.assert_allclose(written.header.get_zooms()[: len(steps)], steps, atol=1e-4)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_nifti_file_goes_through_unchanged(session: loadstone.Session, name: str) -> None:
    """Voxels, affine, both codes, steps and description are those of the file."""
    path = Path(str(data_path)) / name

    assert_same_file(session.load_volume(f"nifti:{path}"), path)


def test_every_nifti_file_that_loads_goes_through_unchanged() -> None:
    """The same for all kinds of NIfTI files in the test data; what nothing places is refused."""
    paths = [*real_data("nifti").rglob("*.nii"), *real_data("nifti").rglob("*.nii.gz")]
    through = 0
    for path in paths:
        with loadstone.Session() as session:
            try:
                image_of = session.load_volume(f"nifti:{path}")
                image_of.to_nibabel()
            except loadstone.LoadstoneError:
                continue
            assert_same_file(image_of, path)
            through += 1

    assert through > 40


def test_a_series_goes_to_simpleitk_as_simpleitk_reads_it(session: loadstone.Session) -> None:
    """A CT folder: voxels, origin, spacing and direction."""
    slice_of_it = get_testdata_file("dicomdirtests/98892001/CT5N/2062")
    assert slice_of_it is not None
    folder = Path(str(slice_of_it)).parent
    ours: Any = session.load_volume(f"dicomfile:{folder}").to_simpleitk()
    reader = simpleitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()

    np.testing.assert_array_equal(simpleitk.GetArrayFromImage(ours), simpleitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(ours.GetSpacing(), theirs.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["siemens_mosaic", "philips_epi", "d2n_rgb", "ct_abdomen8", "d2n_siemens_dwi"]
)
def test_dicom_comes_back_from_nifti(session: loadstone.Session, tmp_path: Path, name: str) -> None:
    """Series in time, mosaics, colour: written with nibabel and loaded again they are the same volume."""
    volumes = session.load_volumes(f"dicomfile:{real_data('dicom', 'series', name)}")

    assert volumes
    for number, volume in enumerate(volumes):
        path = tmp_path / f"{number}.nii"
        image: Any = volume.to_nibabel()
        image.to_filename(path)
        back = session.load_volume(f"nifti:{path}")

        np.testing.assert_array_equal(back.array, volume.array)
        np.testing.assert_allclose(back.affine(), volume.affine(), atol=1e-3)
