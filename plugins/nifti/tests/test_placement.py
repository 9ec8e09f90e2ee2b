from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loadstone_nifti.placement import Placement, placement_of
from plugins.nifti.tests.builders import AFFINE, NibabelImage, header_of, nifti

RAS_TO_LPS = np.diag([-1, -1, 1, 1])


def placed(**fields: Any) -> Placement:
    header = header_of(nifti(**fields))
    return placement_of(header.fields, header.dims)


def qform_only(**fields: Any) -> Placement:
    """Place a file whose qform is the AFFINE without its shear, and which has no sform."""
    image = NibabelImage(np.zeros((4, 3, 2), np.int16), AFFINE)
    image.set_qform(AFFINE, code=1)
    names = (
        "qform_code",
        "quatern_b",
        "quatern_c",
        "quatern_d",
        "qoffset_x",
        "qoffset_y",
        "qoffset_z",
        "pixdim",
    )
    qform: dict[str, Any] = {name: image.header[name] for name in names}
    return placed(**{**qform, "sform_code": 0, **fields})


def kinds(placement: Placement) -> list[str]:
    return [str(finding.kind) for finding in placement.findings]


def test_the_sform_is_the_affine_in_lps() -> None:
    """The sform is read as it is, x and y turned."""
    placement = placed()

    assert placement.affine is not None
    np.testing.assert_array_equal(placement.affine, RAS_TO_LPS @ AFFINE)
    assert placement.spacing == pytest.approx(np.linalg.norm(AFFINE[:3, :3], axis=0))
    assert not placement.findings


def test_the_qform_is_used_without_an_sform() -> None:
    """The qform equals nibabel's."""
    image = NibabelImage(np.zeros((4, 3, 2), np.int16), AFFINE)
    image.set_qform(AFFINE, code=1)

    placement = qform_only()

    assert placement.affine is not None
    np.testing.assert_allclose(placement.affine, RAS_TO_LPS @ image.get_qform(), atol=1e-6)


def test_a_qfac_of_0_counts_as_1() -> None:
    """As the standard says of a pixdim[0] that should not occur."""
    one, zero = qform_only(pixdim={0: 1}), qform_only(pixdim={0: 0})

    assert one.affine is not None
    assert zero.affine is not None
    np.testing.assert_array_equal(one.affine, zero.affine)


def test_a_difference_between_the_forms_is_found() -> None:
    """When sform and qform disagree the sform is used, and the finding says by how many mm."""
    placement = placed(qform_code=1, qoffset_x=95, quatern_b=0, quatern_c=0, quatern_d=1)
    finding = next(each for each in placement.findings if each.kind == "sform_qform_differ")

    assert placement.affine is not None
    np.testing.assert_array_equal(placement.affine, RAS_TO_LPS @ AFFINE)
    assert finding.distances[0] > 5


def test_forms_that_agree_are_no_finding() -> None:
    """Rounding of the quaternion is no difference."""
    image = NibabelImage(np.zeros((200, 200, 150), np.uint8), None)
    c, s = math.cos(0.3), math.sin(0.3)
    affine = np.array([[c, -s, 0, -90], [s, c, 0, 20], [0, 0, 1.5, -30], [0, 0, 0, 1]])
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")

    assert not placement_of(image.header, (200, 200, 150)).findings


def test_without_codes_the_place_is_unknown_and_the_spacing_known() -> None:
    """Nothing is invented."""
    placement = placed(sform_code=0, qform_code=0, pixdim={1: 2, 2: 3, 3: 4.5})

    assert placement.affine is None
    assert placement.spacing == pytest.approx((2, 3, 4.5))
    assert placement.slice_plane(0) is None
    assert kinds(placement) == ["unknown_position"]


@pytest.mark.parametrize("value", [0, -0.0, math.nan, math.inf])
def test_spacing_that_makes_no_sense_is_unknown(value: float) -> None:
    """A spacing of 0 or NaN is no spacing."""
    placement = placed(sform_code=0, qform_code=0, pixdim={1: 2, 2: value, 3: 4})

    assert placement.spacing == (2, None, 4)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"srow_x": math.nan}, "not finite"),
        ({"srow_y": [0, math.inf, 0, 0]}, "not finite"),
        ({"srow_x": 0, "srow_y": 0, "srow_z": 0}, "length 0 along i, j, k"),
        ({"srow_x": [1, 1, 0, 0], "srow_y": [1, 1, 0, 0], "srow_z": [0, 0, 1, 0]}, "one plane"),
    ],
)
def test_an_sform_that_is_no_place_is_found(rows: dict[str, Any], why: str) -> None:
    """Singular and NaN affines: no affine, and a finding that says why."""
    placement = placed(**rows)

    assert placement.affine is None
    assert why in placement.findings[0].message


@pytest.mark.parametrize(
    "fields",
    [
        {"quatern_b": 0.9, "quatern_c": 0.9, "quatern_d": 0.9},
        {"quatern_b": math.nan},
        {"pixdim": {0: 3}},
        {"pixdim": {1: 0}},
        {"pixdim": {2: math.nan}},
        {"qoffset_z": math.inf},
    ],
)
def test_a_qform_that_is_no_place_is_found(fields: dict[str, Any]) -> None:
    """An impossible quaternion, qfac, spacing or offset: no affine, and a finding."""
    placement = qform_only(**fields)

    assert placement.affine is None
    assert "unknown_position" in kinds(placement)


@pytest.mark.parametrize(("code", "scale"), [(1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_of_length_are_applied(code: int, scale: float) -> None:
    """Metres and micrometres become mm, in the affine and in the spacing."""
    placement = placed(xyzt_units=code | 8)
    unplaced = placed(xyzt_units=code, sform_code=0, qform_code=0, pixdim={1: 2, 2: 3, 3: 4})

    assert placement.affine is not None
    np.testing.assert_allclose(placement.affine[:3], (RAS_TO_LPS @ AFFINE)[:3] * scale)
    assert unplaced.spacing == pytest.approx([2 * scale, 3 * scale, 4 * scale])


@pytest.mark.parametrize("code", [0, 8, 5, 7])
def test_an_unknown_unit_is_mm_and_recorded(code: int) -> None:
    """No unit of length, or one that does not exist, is taken as mm, and the report says so."""
    placement = placed(xyzt_units=code)

    assert placement.affine is not None
    np.testing.assert_array_equal(placement.affine, RAS_TO_LPS @ AFFINE)
    assert kinds(placement) == ["units_assumed"]


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-100, 100, width=32)), st.integers(0, 5))
def test_the_plane_of_a_slice_is_where_the_affine_puts_it(rows: npt.NDArray[np.float64], k: int) -> None:
    """Position, orientation and spacing of a slice give the same points as the affine."""
    placement = placed(srow_x=rows[0], srow_y=rows[1], srow_z=rows[2])
    plane = placement.slice_plane(k)
    if plane is None or placement.affine is None:
        return
    i, j = 3, 2
    along_row, along_column = np.array(plane.orientation).reshape(2, 3)

    point = (
        plane.position + i * plane.pixel_spacing[1] * along_row + j * plane.pixel_spacing[0] * along_column
    )

    np.testing.assert_allclose(point, (placement.affine @ (i, j, k, 1))[:3], atol=1e-3)
    assert plane.slice_distance >= 0


@given(st.binary(min_size=100, max_size=100), st.integers(-2, 4), st.integers(-2, 4))
def test_any_fields_give_a_placement(junk: bytes, sform_code: int, qform_code: int) -> None:
    """Whatever stands in the fields of the place, it is an affine or a finding, never an exception."""
    data = bytearray(nifti())
    data[252:328] = junk[:76]
    data[76:92] = junk[76:92]
    header = header_of(bytes(data))
    header.fields["sform_code"], header.fields["qform_code"] = sform_code, qform_code

    placement = placement_of(header.fields, header.dims)

    assert placement.affine is not None or placement.findings
