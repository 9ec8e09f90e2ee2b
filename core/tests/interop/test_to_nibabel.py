from __future__ import annotations

import io
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.interop.builders import (
    AFFINE,
    DTYPES,
    SHAPES,
    counting,
    orthogonal_affines,
    sheared_affines,
    volume_of,
)
from loadstone import Axis, GeometryError, UnsupportedError, Volume
from loadstone.geometry import lps_to_ras

RAS = lps_to_ras(AFFINE)


def written(image: Any) -> Any:
    """Write and read it."""
    return type(image).from_bytes(image.to_bytes())


def header_of(volume: Volume) -> Any:
    """Return the header that it is written with."""
    return volume.to_nibabel().header


@given(SHAPES, DTYPES, st.one_of(orthogonal_affines(), sheared_affines()))
def test_voxels_and_affine_come_back(
    shape: tuple[int, int, int], dtype: str, affine: npt.NDArray[np.float64]
) -> None:
    """Oblique, left-handed, sheared, anisotropic: what is written and read anew is the same, in its dtype."""
    volume = volume_of(counting(shape, dtype), affine)
    image: Any = volume.to_nibabel()
    back = written(image)

    np.testing.assert_array_equal(np.asanyarray(back.dataobj), volume.array.T)
    assert back.get_data_dtype() == volume.dtype
    np.testing.assert_allclose(image.affine, lps_to_ras(affine), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(back.affine, lps_to_ras(affine), rtol=1e-6, atol=1e-4)


def test_the_voxels_are_not_copied() -> None:
    """The image of nibabel is a view."""
    volume = volume_of(counting((2, 3, 4)))

    assert np.shares_memory(np.asanyarray(volume.to_nibabel().dataobj), volume.array)


@given(orthogonal_affines())
def test_both_forms_say_where_it_lies(affine: npt.NDArray[np.float64]) -> None:
    """Both agree, in coordinates of the scanner, in mm."""
    header = header_of(volume_of(counting((2, 3, 4)), affine))

    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), rtol=1e-4, atol=1e-3)


@given(sheared_affines())
def test_a_sheared_volume_has_no_quaternion(affine: npt.NDArray[np.float64]) -> None:
    """Only the sform can express axes that lean."""
    header = header_of(volume_of(counting((2, 3, 4)), affine))

    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)


def test_time_is_the_fourth_axis_with_its_step() -> None:
    """Start and step of the time axis, in seconds, are in the header."""
    times = Axis("t", (500.0, 2500.0, 4500.0), "ms", "TriggerTime")
    volume = volume_of(counting((3, 2, 4, 5)), AFFINE, ("t", "k", "j", "i"), coordinates=(times,))
    back = written(volume.to_nibabel())

    assert back.shape == (5, 4, 2, 3)
    assert back.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(back.header.get_zooms(), (0.5, 0.75, 3.0, 2.0))
    assert float(back.header["toffset"]) == 0.5
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), volume.array.T)


@pytest.mark.parametrize(
    "times", [Axis("t", (0.0, 1.0, 5.0), "s"), Axis("t", (0.0, 1.0, 2.0)), Axis("t", ("a", "b", "c"))]
)
def test_a_step_that_is_none_is_not_made_up(times: Axis) -> None:
    """Irregular points, counts and labels are no seconds."""
    volume = volume_of(counting((3, 2, 4, 5)), AFFINE, ("t", "k", "j", "i"), coordinates=(times,))

    assert header_of(volume).get_xyzt_units() == ("mm", "unknown")


@pytest.mark.parametrize("samples", ["rgb", "rgba"])
def test_colour_is_one_value_a_voxel(samples: str) -> None:
    """RGB24 and RGBA32."""
    volume = volume_of(counting((2, 3, 4, len(samples)), "u1"), AFFINE, ("k", "j", "i", samples))
    back = written(volume.to_nibabel())

    voxels = np.asanyarray(back.dataobj)
    assert voxels.shape == (4, 3, 2)
    for number, name in enumerate(voxels.dtype.names or ()):
        np.testing.assert_array_equal(voxels[name].T, volume.array[..., number])


@pytest.mark.parametrize("dtype", ["f2", "u2"])
def test_what_nifti_has_no_voxels_for_is_refused(dtype: str) -> None:
    """Half floats, and colour of 16 bits."""
    axes, shape = (("k", "j", "i"), (2, 3, 4)) if dtype == "f2" else (("k", "j", "i", "rgb"), (2, 3, 4, 3))

    with pytest.raises(UnsupportedError, match="NIfTI"):
        volume_of(counting(shape, dtype), AFFINE, axes).to_nibabel()


def test_a_long_axis_takes_nifti_2() -> None:
    """NIfTI-1 has axes of up to 32,767."""
    volume = volume_of(counting((1, 1, 32_768), "u2"))
    back = written(volume.to_nibabel())

    assert isinstance(back, nibabel.nifti2.Nifti2Image)
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), volume.array.T)


def own_header(affine: npt.NDArray[np.float64] | None, **fields: Any) -> Any:
    """Return the header of a NIfTI file."""
    image: Any = nibabel.Nifti1Image(np.zeros((4, 3, 2), "u2"), affine)  # type: ignore[no-untyped-call]
    for name, value in fields.items():
        image.header[name] = value
    return image.header


def test_the_header_of_a_nifti_file_is_kept() -> None:
    """Description, intent, extensions and a qform that differs from the sform stay as they were."""
    header = own_header(RAS, descrip=b"made up", intent_code=1001, sform_code=4)
    header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
    header.set_qform(np.diag([2.0, 2, 2, 1]), 2)
    volume = volume_of(counting((2, 3, 4)), AFFINE, header=lambda: header)
    back = written(volume.to_nibabel())

    assert back.header["descrip"].item() == b"made up"
    assert (int(back.header["sform_code"]), int(back.header["qform_code"])) == (4, 2)
    assert [each.get_content() for each in back.header.extensions] == [b"a comment"]
    np.testing.assert_allclose(back.header.get_qform(), np.diag([2.0, 2, 2, 1]))
    np.testing.assert_allclose(back.affine, RAS)


def test_a_nifti_header_in_other_units_is_written_in_mm() -> None:
    """A file in micrometres is loaded in mm, and written so."""
    header = own_header(np.diag([500.0, 750, 3000, 1]))
    header.set_xyzt_units("micron")
    volume = volume_of(counting((2, 3, 4)), AFFINE, header=lambda: header)
    back = written(volume.to_nibabel())

    assert back.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(back.affine, RAS, atol=1e-5)


def test_a_nifti_file_that_lies_nowhere_is_written_as_one() -> None:
    """Neither form: codes 0 and 0, and the spacing."""
    volume = volume_of(counting((2, 3, 4)), None, spacing=(0.5, 0.75, 3.0), header=lambda: own_header(None))
    back = written(volume.to_nibabel())

    assert (int(back.header["sform_code"]), int(back.header["qform_code"])) == (0, 0)
    np.testing.assert_allclose(back.header.get_zooms(), (0.5, 0.75, 3.0))


def test_an_analyze_file_is_written_as_one_that_lies_nowhere() -> None:
    """It has a spacing, and words, and no place in space: codes 0 and 0."""
    header: Any = nibabel.AnalyzeHeader()  # type: ignore[no-untyped-call]
    header["descrip"], header["cal_max"] = b"by a scanner", 40
    volume = volume_of(counting((2, 3, 4)), None, spacing=(0.5, 0.75, 3.0), header=lambda: header)
    back = written(volume.to_nibabel())

    assert (int(back.header["sform_code"]), int(back.header["qform_code"])) == (0, 0)
    assert (back.header["descrip"].item(), float(back.header["cal_max"])) == (b"by a scanner", 40)
    np.testing.assert_allclose(back.header.get_zooms(), (0.5, 0.75, 3.0))


@pytest.mark.parametrize("header", [None, own_header(RAS)])
def test_what_lies_nowhere_else_is_refused(header: Any) -> None:
    """As nibabel would invent a place; the message says how to give one."""
    volume = volume_of(counting((2, 3, 4)), None, header=lambda: header)

    with pytest.raises(GeometryError, match="your_affine"):
        volume.to_nibabel()


def test_the_header_that_was_loaded_is_not_changed() -> None:
    """The image has a copy."""
    header = own_header(RAS)
    before = header.copy()
    turned = AFFINE[:, [1, 2, 0, 3]]
    volume = volume_of(counting((2, 3, 4)), turned, header=lambda: header)

    image: Any = volume.to_nibabel()
    image.to_file_map({"image": nibabel.FileHolder(fileobj=io.BytesIO())})

    assert header == before
