from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import normal_of, rigid_orientations
from loadstone.errors import GeometryError
from loadstone.geometry import (
    affine_from,
    axis_codes,
    checked_affine,
    corner_centres,
    direction_and_spacing,
    index_order,
    lps_to_ras,
    ras_to_lps,
    slice_distance,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@st.composite
def affines(draw: st.DrawFn, *, shear: float = 0.5) -> Matrix:
    """Any orientation, spacing, origin and, along the slices, shear."""
    orientation = draw(rigid_orientations())
    third = normal_of(orientation) + draw(st.floats(-shear, shear)) * np.array(orientation[3:])
    if draw(st.booleans()):
        third = -third
    direction = np.array([orientation[:3], orientation[3:], third / np.linalg.norm(third)])
    spacing = draw(st.tuples(*[st.floats(1e-3, 100)] * 3))
    return affine_from(direction, spacing, draw(st.tuples(*[st.floats(-1e4, 1e4)] * 3)))


@given(affines())
def test_taken_apart_and_put_together_is_the_same(affine: Matrix) -> None:
    """`affine_from` is the inverse of `direction_and_spacing`."""
    direction, spacing = direction_and_spacing(affine)

    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1)
    np.testing.assert_allclose(affine_from(direction, spacing, affine[:3, 3]), affine, rtol=1e-12, atol=1e-12)


def test_direction_has_one_row_an_axis() -> None:
    """`direction[n]` is the unit vector of axis n, `spacing[n]` the length of its step."""
    direction, spacing = direction_and_spacing(
        np.array([[0, 0, 3, 7], [0.5, 0, 0, 8], [0, -2, 0, 9], [0, 0, 0, 1]])
    )

    np.testing.assert_array_equal(direction, [[0, 1, 0], [0, 0, -1], [1, 0, 0]])
    assert spacing == (0.5, 2.0, 3.0)


@given(affines())
def test_lps_and_ras_are_each_other_s_inverse(affine: Matrix) -> None:
    """Twice is nothing, and only x and y of the world change their sign."""
    ras = lps_to_ras(affine)

    np.testing.assert_array_equal(ras[:2], -affine[:2])
    np.testing.assert_array_equal(ras[2:], affine[2:])
    np.testing.assert_array_equal(lps_to_ras(ras), affine)
    np.testing.assert_array_equal(ras_to_lps(ras), affine)


@given(affines(), st.tuples(*[st.integers(0, 50)] * 3))
def test_index_order_names_the_same_point(affine: Matrix, index: tuple[int, int, int]) -> None:
    """(k, j, i) through the one is (i, j, k) through the other."""
    i, j, k = index

    np.testing.assert_allclose(index_order(affine, "kji") @ (k, j, i, 1), affine @ (i, j, k, 1), atol=1e-9)
    np.testing.assert_array_equal(index_order(affine, "ijk"), affine)


@given(affines(shear=0.0))
def test_slices_of_a_rectangular_grid_are_a_step_apart(affine: Matrix) -> None:
    """Without a shear the perpendicular distance is the step."""
    assert slice_distance(affine) == pytest.approx(direction_and_spacing(affine)[1][2])


def test_slice_distance_of_a_shear_is_perpendicular() -> None:
    """With a shear it is shorter than the step."""
    affine = [[1, 0, 0, 0], [0, 1, 4, 0], [0, 0, 3, 0], [0, 0, 0, 1]]

    assert slice_distance(affine) == pytest.approx(3)
    assert direction_and_spacing(affine)[1][2] == pytest.approx(5)


@given(affines(), st.tuples(*[st.integers(1, 40)] * 3))
def test_corners_are_the_extreme_indices(affine: Matrix, shape: tuple[int, int, int]) -> None:
    """The first is the origin, the last the far end, i changes fastest; a time axis does not matter."""
    corners = corner_centres(affine, shape)
    k, j, i = (size - 1 for size in shape)

    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners[0], affine[:3, 3])
    np.testing.assert_allclose(corners[1], (affine @ (i, 0, 0, 1))[:3], atol=1e-9)
    np.testing.assert_allclose(corners[7], (affine @ (i, j, k, 1))[:3], atol=1e-9)
    np.testing.assert_array_equal(corner_centres(affine, (5, *shape)), corners)


@pytest.mark.parametrize(
    ("columns", "codes"),
    [
        ([(1, 0, 0), (0, 1, 0), (0, 0, 1)], ("L", "P", "S")),
        ([(-1, 0, 0), (0, -1, 0), (0, 0, -1)], ("R", "A", "I")),
        ([(0, 1, 0), (0, 0, -1), (-1, 0, 0)], ("P", "I", "R")),
        ([(0.9, 0.1, 0), (-0.1, 0.9, 0), (0.2, 0.6, 0.7)], ("L", "P", "S")),
    ],
)
def test_axis_codes_name_where_indices_grow(
    columns: list[tuple[float, ...]], codes: tuple[str, str, str]
) -> None:
    """Letters are those of the body, in LPS and, for the same volume, in RAS."""
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(columns)

    assert axis_codes(affine) == codes
    assert axis_codes(lps_to_ras(affine), "RAS") == codes


@given(affines())
def test_axis_codes_name_each_body_axis_once(affine: Matrix) -> None:
    """However oblique, i, j and k get three different axes of the body."""
    codes = axis_codes(affine)

    assert sorted("LPS"["LPSRAI".index(code) % 3] for code in codes) == ["L", "P", "S"]


SINGULAR: dict[str, npt.ArrayLike] = {
    "no step": np.diag([1.0, 0.0, 1.0, 1.0]),
    "two axes alike": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    "not a number": np.diag([1.0, np.nan, 1.0, 1.0]),
    "infinite origin": np.array([[1, 0, 0, np.inf], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "perspective": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]],
    "3 x 3": np.eye(3),
    "text": [["a"] * 4] * 4,
}
HELPERS: list[Callable[[Any], object]] = [
    checked_affine,
    direction_and_spacing,
    slice_distance,
    lps_to_ras,
    ras_to_lps,
    axis_codes,
    lambda affine: index_order(affine, "kji"),
    lambda affine: corner_centres(affine, (2, 2, 2)),
]


@pytest.mark.parametrize("affine", SINGULAR.values(), ids=SINGULAR)
@pytest.mark.parametrize("helper", HELPERS)
def test_what_spans_no_space_is_refused(helper: Callable[[Any], object], affine: npt.ArrayLike) -> None:
    """A singular, infinite or otherwise impossible affine never gives numbers."""
    with pytest.raises(GeometryError, match="affine") as caught:
        helper(affine)

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("scale", [1e-6, 1e-160, 1e160])
def test_size_alone_makes_nothing_singular(scale: float) -> None:
    """Whether axes span space is a matter of angles: micrometres and nonsense lengths pass alike."""
    direction, spacing = direction_and_spacing(np.diag([scale, scale, scale, 1.0]))

    np.testing.assert_array_equal(direction, np.eye(3))
    assert spacing == (scale, scale, scale)


def test_wrong_words_are_refused_with_the_right_ones() -> None:
    """Orders, spaces and shapes that do not exist say which do."""
    with pytest.raises(GeometryError, match='"ijk" or "kji"'):
        index_order(np.eye(4), "jik")  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match='"LPS" or "RAS"'):
        axis_codes(np.eye(4), "MNI")  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="no corners"):
        corner_centres(np.eye(4), (4, 4))


def test_result_is_a_copy() -> None:
    """Whoever changes a result does not change what it came from."""
    affine = np.eye(4)
    for result in (checked_affine(affine), lps_to_ras(affine), index_order(affine, "ijk")):
        result[0, 0] = 7

    np.testing.assert_array_equal(affine, np.eye(4))
