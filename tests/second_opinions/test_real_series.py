"""Series of scanners: volumes equal those that dcm2niix, dicom2nifti and SimpleITK make of them."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest

import loadstone
from loadstone_wado.server import DicomWebServer
from tests.builders import real_data
from tests.second_opinions.peers import affine_of, by_simpleitk, canonical, corners, in_ijk, simpleitk

if TYPE_CHECKING:
    import numpy.typing as npt

# Regular series and what dcm2niix or dicom2nifti made of them; REFMAP.csv has the other pairs.
GENERATED = ["ct_abdomen8", "ct_torchio17", "mr_daikon19", "pet_ct_rsna2"]
REGULAR = [
    *GENERATED,
    "d2n_compressed_j2k",
    "d2n_ge_anat",
    "d2n_hyperfine_enhanced",
    "d2n_non_isotropic",
    "d2n_rgb",
]

# The reference takes its step from the first two slices, Loadstone from the first and the last one.
STEP_OF_FIRST_TWO = ["mr_daikon19"]

# Series in time, with what their time axis is; the last three have no attribute that tells time points apart.
IN_TIME = {
    "d2n_siemens_dwi": ("DiffusionBValue", "s/mm2", (0.0, 1000.0)),
    "d2n_philips_enhanced_fmri": ("TemporalPositionIndex", "", (1.0, 2.0, 3.0, 4.0)),
    "siemens_mosaic": ("AcquisitionNumber", "", (1.0, 2.0)),
    "philips_epi": ("TemporalPositionIdentifier", "", (1.0, 2.0, 3.0)),
    "d2n_ge_dti": ("InstanceNumber", "", (0.0, 1.0, 2.0, 3.0)),
    "d2n_philips_fmri": ("InstanceNumber", "", (0.0, 1.0, 2.0, 3.0)),
    "ge_fmri_4d": ("InstanceNumber", "", tuple(map(float, range(10)))),
}

# Three series in one folder, of the same three slices.
SEVERAL = "legacy_mf_pair"


def reference_of(name: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return voxels (i, j, k) and RAS affine of the reference for a series."""
    with real_data("REFMAP.csv").open(encoding="utf-8", newline="") as file:
        pairs = {Path(row["input_dir"]).name: row["ref_file"] for row in csv.DictReader(file)}
    image: Any = nibabel.load(real_data(pairs.get(name, f"ref_generated/{name}.nii.gz")))
    voxels = np.asanyarray(image.dataobj)
    if name == "philips_epi":
        voxels = voxels * precise_slope(name)
    if voxels.dtype.names:
        voxels = np.stack([voxels[channel] for channel in "RGB"], axis=-1)
    return voxels, image.affine


def precise_slope(name: str) -> float:
    """
    Return what turns the floating-point values of Philips, which dcm2niix prefers, into rescaled ones.

    They are (stored × RescaleSlope + RescaleIntercept) / (RescaleSlope × ScaleSlope), the last one private.
    """
    header = loadstone.load_volume(real_data("dicom", "series", name)).header()
    return float(header.RescaleSlope) * float(header[0x2005, 0x100E].value)


@pytest.mark.parametrize("name", [*REGULAR, *IN_TIME])
def test_a_series_equals_its_reference(name: str) -> None:
    """Voxels are equal after flips, and the eight corners of the volume lie where the reference has them."""
    expected, expected_affine = canonical(*reference_of(name))

    volume = loadstone.load_volume(real_data("dicom", "series", name))
    array, affine = canonical(in_ijk(volume), volume.affine("RAS"))

    assert array.shape == expected.shape
    if array.dtype.kind == "f":
        np.testing.assert_allclose(array, expected, rtol=2e-6)
    else:
        np.testing.assert_array_equal(array, expected)
    if name not in STEP_OF_FIRST_TWO:
        most = max(0.02, 0.01 * min(np.linalg.norm(affine[:3, :3], axis=0)))
        away = np.linalg.norm(corners(array.shape, affine) - corners(array.shape, expected_affine), axis=1)

        assert away.max() <= most


@pytest.mark.parametrize("name", STEP_OF_FIRST_TWO)
def test_a_reference_that_steps_as_the_first_two_slices(name: str) -> None:
    """Where the reference lies elsewhere its step is that of the first two slices; ours reaches the last."""
    folder = real_data("dicom", "series", name)
    _, reference = reference_of(name)

    volume = loadstone.load_volume(folder)

    positions = [np.array(volume.header(k).ImagePositionPatient, float) for k in range(volume.shape[0])]
    steps = [float(np.linalg.norm(after - before)) for before, after in pairwise(positions)]
    away = np.linalg.norm(volume.affine() @ (0, 0, len(steps), 1) - [*positions[-1], 1])

    assert np.linalg.norm(reference[:3, 2]) == pytest.approx(steps[0], abs=1e-5)
    assert max(steps) - min(steps) > 0.01
    assert away < 1e-6


@pytest.mark.parametrize(("name", "axis"), IN_TIME.items(), ids=IN_TIME)
def test_time_points_have_the_values_of_what_tells_them_apart(name: str, axis: tuple[Any, ...]) -> None:
    """The time axis names the attribute and its values; where only the order tells, the report says so."""
    volume = loadstone.load_volume(real_data("dicom", "series", name))
    time = volume.coordinates["t"]

    assert volume.axes == ("t", "k", "j", "i")
    assert (time.source, time.units, time.values) == axis
    assert ("in the order of InstanceNumber" in str(volume.geometry)) == (time.source == "InstanceNumber")


@pytest.mark.parametrize("name", ["siemens_mosaic", "philips_epi", "d2n_philips_enhanced_fmri"])
def test_a_server_gives_the_same_volume(name: str) -> None:
    """Over WADO-RS a series in time has the voxels, the place and the time points that it has on disk."""
    folder = real_data("dicom", "series", name)
    stored = loadstone.load_volume(folder)
    header = stored.header()
    with DicomWebServer(folder) as server:
        place = f"studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
        served = loadstone.load_volume(f"wadors:{server.url}/{place}")

    np.testing.assert_array_equal(served.array, stored.array)
    np.testing.assert_allclose(served.affine(), stored.affine())
    assert served.coordinates == stored.coordinates


@pytest.mark.parametrize("name", REGULAR)
def test_a_real_series_equals_simpleitk(name: str) -> None:
    """SimpleITK reads the same voxels at the same place, though its slices may come the other way round."""
    folder = real_data("dicom", "series", name)
    peer = by_simpleitk(folder)

    volume = loadstone.load_volume(folder)

    voxels, affine = canonical(in_ijk(volume), volume.affine())
    theirs, their_affine = canonical(np.swapaxes(simpleitk.GetArrayFromImage(peer), 0, 2), affine_of(peer))
    np.testing.assert_allclose(voxels, theirs, rtol=1e-6)
    away = np.linalg.norm(corners(voxels.shape, affine) - corners(theirs.shape, their_affine), axis=1)

    assert away.max() <= 0.02


def test_every_series_of_the_test_data_is_told_of() -> None:
    """No folder is left out: each has a reference, or is compared with itself."""
    folders = {path.name for path in real_data("dicom", "series").iterdir() if path.is_dir()}

    assert folders == {*REGULAR, *IN_TIME, SEVERAL}


def test_single_frames_equal_the_multi_frame_object_made_of_them() -> None:
    """A folder of several series lists their ids; the same slices, stored in two ways, are equal volumes."""
    folder = real_data("dicom", "series", SEVERAL)
    with pytest.raises(loadstone.InvalidIdError) as caught:
        loadstone.load_volume(folder)

    volumes = loadstone.load_volumes(folder)
    singles, multiple = (volume for volume in volumes if volume.header().Modality == "CT")

    assert all(volume.volume_id in str(caught.value) for volume in volumes)
    assert {len(volume.image_ids) for volume in volumes} == {3}
    np.testing.assert_array_equal(singles.array, multiple.array)
    np.testing.assert_allclose(singles.affine(), multiple.affine(), atol=1e-6)
