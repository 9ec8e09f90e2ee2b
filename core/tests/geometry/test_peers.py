"""The same geometry as SimpleITK and nibabel, where these are right: regular series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import (
    EIGHT,
    ORIENTATIONS,
    arranged,
    generic_orientations,
    rigid_orientations,
    series,
)
from loadstone.geometry import axis_codes, direction_and_spacing, index_order, lps_to_ras

if TYPE_CHECKING:
    from pathlib import Path

    from loadstone.metadata import ImagePlane


def write_series(folder: Path, planes: list[ImagePlane]) -> None:
    """Write planes as CT images whose file names and instance numbers run against their positions."""
    pydicom = pytest.importorskip("pydicom")
    for index, plane in enumerate(reversed(planes)):
        data = pydicom.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.4.{index + 1}"
        data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
        data.Modality, data.InstanceNumber = "CT", index + 1
        data.Rows = data.Columns = 16
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.PixelSpacing = [repr(value) for value in plane.pixel_spacing or ()]
        data.ImagePositionPatient = [f"{value:.10g}" for value in plane.image_position_patient or ()]
        data.ImageOrientationPatient = list(plane.image_orientation_patient or ())
        data.PixelData = np.full((16, 16), index, np.uint16).tobytes()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        data.save_as(folder / f"{index}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_series_reader_of_simpleitk_agrees(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    """Order, origin, direction and spacing of a regular series are those that ITK reads from files."""
    sitk: Any = pytest.importorskip("SimpleITK")
    planes = series(orientation=orientation)
    write_series(tmp_path, planes)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    peer = sitk.ReadImage(names)
    stack = arranged(planes)
    assert stack.direction is not None
    # ITK's direction has the axes as columns; ours as rows.
    direction = np.reshape(peer.GetDirection(), (3, 3)).T

    np.testing.assert_allclose(peer.GetOrigin(), stack.origin or (), atol=1e-6)
    np.testing.assert_allclose(peer.GetSpacing(), np.array(stack.spacing, dtype=float), atol=1e-6)
    np.testing.assert_allclose(direction, stack.direction, atol=1e-6)
    # File n holds the value n and the plane 7 - n: ascending positions are descending values.
    np.testing.assert_array_equal(sitk.GetArrayFromImage(peer)[:, 0, 0], 7 - np.array(stack.order))


@given(rigid_orientations(), st.tuples(*[st.integers(0, 15)] * 2, st.integers(0, 7)))
def test_points_are_those_of_simpleitk(orientation: tuple[float, ...], index: tuple[int, int, int]) -> None:
    """An index lies where an ITK image with our origin, direction and spacing puts it."""
    sitk: Any = pytest.importorskip("SimpleITK")
    stack = arranged(series(EIGHT, orientation))
    assert stack.affine_lps is not None
    direction, spacing = direction_and_spacing(stack.affine_lps)
    peer = sitk.Image(16, 16, 8, sitk.sitkUInt8)
    peer.SetOrigin(stack.origin)
    peer.SetSpacing(spacing)
    peer.SetDirection(direction.T.ravel().tolist())

    np.testing.assert_allclose(
        peer.TransformIndexToPhysicalPoint(index), (stack.affine_lps @ (*index, 1))[:3], atol=1e-8
    )


@given(generic_orientations(), st.sampled_from((0.0, 20.0)))
def test_axis_codes_and_voxel_sizes_are_those_of_nibabel(orientation: tuple[float, ...], tilt: float) -> None:
    """In RAS, as nibabel has it, the letters and the lengths agree, sheared or not."""
    nibabel: Any = pytest.importorskip("nibabel")
    stack = arranged(series(EIGHT, orientation, tilt=tilt))
    assert stack.affine_lps is not None
    ras = lps_to_ras(stack.affine_lps)

    assert axis_codes(ras, "RAS") == axis_codes(stack.affine_lps) == nibabel.aff2axcodes(ras)
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(ras), np.array(stack.spacing, dtype=float))


def test_world_points_are_those_of_nibabel() -> None:
    """The affine that nibabel wants for the reversed array is ours in RAS."""
    nibabel: Any = pytest.importorskip("nibabel")
    stack = arranged(series(orientation=ORIENTATIONS["oblique"], tilt=15))
    assert stack.affine_lps is not None
    array = np.zeros((8, 16, 16), np.uint8)
    image = nibabel.Nifti1Image(array.T, lps_to_ras(stack.affine_lps))
    point = nibabel.affines.apply_affine(image.affine, (3, 5, 7))

    np.testing.assert_allclose(point * (-1, -1, 1), (stack.affine_lps @ (3, 5, 7, 1))[:3])
    np.testing.assert_allclose(point * (-1, -1, 1), (index_order(stack.affine_lps, "kji") @ (7, 5, 3, 1))[:3])
