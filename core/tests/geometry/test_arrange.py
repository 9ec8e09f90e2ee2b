from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import (
    AXIAL,
    EIGHT,
    ORIENTATIONS,
    ORIGIN,
    arranged,
    normal_of,
    rigid_orientations,
    series,
)
from loadstone import geometry
from loadstone.errors import GeometryError, MetadataError
from loadstone.geometry import GeometryPolicy, arrange
from loadstone.geometry.arrange import _median
from loadstone.metadata import ImagePlane

if TYPE_CHECKING:
    import random

    from loadstone.geometry import StackGeometry


def affine_of(stack: StackGeometry) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the affine, which must be known."""
    assert stack.affine_lps is not None
    return stack.affine_lps


def test_public_names_are_sorted_and_exist() -> None:
    """`__all__` is exactly the public surface."""
    names = {name for name in vars(geometry) if not name.startswith("_") and name.islower()}
    modules = {"affine", "axis", "grid", "policy", "report", "stacks", "annotations"}

    assert list(geometry.__all__) == sorted(geometry.__all__)
    assert names - modules <= set(geometry.__all__)
    assert all(hasattr(geometry, name) for name in geometry.__all__)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_regular_series_lies_where_its_planes_say(name: str) -> None:
    """Axes, spacing and origin follow the planes, whatever the orientation."""
    orientation = ORIENTATIONS[name]
    stack = arranged(series(orientation=orientation))

    assert stack.report.regular
    assert stack.order == tuple(range(8))
    assert stack.shape == (8, 16, 16)
    assert stack.spacing == pytest.approx((2.0, 0.5, 3.0))
    assert stack.slice_distance == pytest.approx(3.0)
    assert stack.z_source == "positions"
    assert stack.origin == pytest.approx(ORIGIN)
    assert stack.direction is not None
    np.testing.assert_allclose(stack.direction.ravel(), [*orientation, *normal_of(orientation)], atol=1e-12)


def test_non_square_pixels_are_not_swapped() -> None:
    """A step of i is the distance of columns (the second number), of j the distance of rows."""
    affine = affine_of(arranged(series(pixel_spacing=(0.5, 2.0))))

    np.testing.assert_array_equal(affine[:3, 0], (2.0, 0.0, 0.0))
    np.testing.assert_array_equal(affine[:3, 1], (0.0, 0.5, 0.0))


def test_reversed_series_ascends_along_the_normal() -> None:
    """InstanceNumber may run either way: position decides."""
    stack = arranged(series(reversed(EIGHT)))

    assert stack.order == tuple(range(7, -1, -1))
    np.testing.assert_array_equal(affine_of(stack), affine_of(arranged(series())))


@given(st.sampled_from(sorted(ORIENTATIONS)), st.sampled_from((0.0, 15.0)), st.randoms(use_true_random=False))
def test_any_permutation_gives_the_same_affine(name: str, tilt: float, chance: random.Random) -> None:
    """The order of files never matters, to the last bit."""
    planes = series(orientation=ORIENTATIONS[name], tilt=tilt)
    indices = list(range(len(planes)))
    chance.shuffle(indices)
    stack = arranged([planes[index] for index in indices])

    assert [indices[index] for index in stack.order] == list(range(8))
    np.testing.assert_array_equal(affine_of(stack), affine_of(arranged(planes)))


@given(
    orientation=rigid_orientations(),
    step=st.floats(0.05, 20),
    pixel_spacing=st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)),
    count=st.integers(2, 60),
    tilt=st.floats(-30, 30),
)
def test_index_to_world_gives_the_positions_back(
    orientation: tuple[float, ...],
    step: float,
    pixel_spacing: tuple[float, float],
    count: int,
    tilt: float,
) -> None:
    """The centre of voxel (0, 0, k) is the position of slice k, and a step of i or j is that of the plane."""
    planes = series(
        [step * index for index in range(count)], orientation, tilt=tilt, pixel_spacing=pixel_spacing
    )
    stack = arranged(planes)
    affine = affine_of(stack)
    origins = np.array([planes[index].image_position_patient for index in stack.order])
    indices = np.zeros((count, 4))
    indices[:, 2], indices[:, 3] = np.arange(count), 1

    np.testing.assert_allclose((indices @ affine.T)[:, :3], origins, atol=1e-8)
    np.testing.assert_allclose(affine[:3, 0], pixel_spacing[1] * np.array(orientation[:3]), atol=1e-9)
    np.testing.assert_allclose(affine[:3, 1], pixel_spacing[0] * np.array(orientation[3:]), atol=1e-9)
    assert stack.slice_distance == pytest.approx(step)


@given(
    step=st.floats(0.2, 10),
    count=st.integers(2, 80),
    decimals=st.integers(1, 6),
    orientation=rigid_orientations(),
)
def test_rounded_text_stays_regular(
    step: float, count: int, decimals: int, orientation: tuple[float, ...]
) -> None:
    """What rounding to the text's own decimals does is no irregularity (slices further apart than it)."""
    planes = series([step * index for index in range(count)], orientation, decimals=decimals)
    stack = arranged(planes)

    assert stack.report.get("regular") or stack.report.get("tilt")
    assert not stack.report.kinds & {"irregular", "gap", "duplicate"}


def test_jitter_of_a_micrometre_is_regular() -> None:
    """Scanners jitter; the step is the mean one."""
    jitter = (0, 0.001, -0.001, 0.001, 0, -0.001, 0.001, 0)
    stack = arranged(series(np.add(EIGHT, jitter)))

    assert stack.report.regular
    assert stack.spacing[2] == pytest.approx(3.0, abs=1e-12)


def test_step_is_last_minus_first_over_count() -> None:
    """The step is not that of the first two slices, so that no error adds up."""
    stack = arranged(series([0, 3.02, 6.0, 9.0, 12.01]))

    assert stack.spacing[2] == pytest.approx(12.01 / 4)


def test_recorded_spacing_never_overrides_positions() -> None:
    """SpacingBetweenSlices and SliceThickness lose against positions, and a contradiction is named."""
    stack = arranged(series(spacing_between_slices=3.3, slice_thickness=5.0))
    finding = stack.report.get("spacing_differs")

    assert stack.spacing[2] == pytest.approx(3.0)
    assert stack.report.regular
    assert finding is not None
    assert finding.distances == pytest.approx((3.3, 3.0))


@pytest.mark.parametrize("recorded", [3.0, -3.0, 3.02, 0.0, float("nan"), None])
def test_recorded_spacing_that_agrees_or_says_nothing_is_not_named(recorded: float | None) -> None:
    """Negative values (nuclear medicine) and rounded ones agree; zero and NaN are no values."""
    assert arranged(series(spacing_between_slices=recorded)).report.kinds == {"regular"}


@pytest.mark.parametrize(
    ("fields", "extent", "source"),
    [
        ({"spacing_between_slices": 4.0, "slice_thickness": 5.0}, 4.0, "spacing_between_slices"),
        ({"spacing_between_slices": -4.0}, 4.0, "spacing_between_slices"),
        ({"spacing_between_slices": 0.0, "slice_thickness": 5.0}, 5.0, "slice_thickness"),
        ({"slice_thickness": 5.0}, 5.0, "slice_thickness"),
    ],
)
def test_single_slice_takes_its_extent_from_the_header(
    fields: dict[str, Any], extent: float, source: str
) -> None:
    """One slice: SpacingBetweenSlices, else SliceThickness, and which is said."""
    stack = arranged(series([0.0], **fields))

    assert stack.spacing == (2.0, 0.5, extent)
    assert stack.z_source == source
    assert stack.origin == ORIGIN
    np.testing.assert_array_equal(affine_of(stack)[:3, 2], (0.0, 0.0, extent))
    assert stack.report.kinds == {"single_slice"}


@pytest.mark.parametrize("thickness", [None, 0.0, float("inf")])
def test_single_slice_without_extent_has_no_affine(thickness: float | None) -> None:
    """Nothing is made up where nothing is recorded, and that is no error."""
    stack = arranged(series([0.0], slice_thickness=thickness))

    assert stack.affine_lps is None
    assert stack.spacing == (2.0, 0.5, None)
    assert stack.z_source is None


def test_images_without_positions_keep_their_order_and_have_no_geometry() -> None:
    """Radiographs and screenshots load as given: unknown is None, not an error."""
    stack = arranged([ImagePlane(pixel_spacing=(0.5, 2.0))] * 3)

    assert stack.order == (0, 1, 2)
    assert (stack.affine_lps, stack.origin, stack.direction, stack.slice_distance) == (None,) * 4
    assert stack.spacing == (2.0, 0.5, None)
    assert stack.report.kinds == {"unknown_position", "unknown_orientation"}
    assert not stack.report.regular


def test_unknown_pixel_spacing_still_sorts() -> None:
    """Order and step of k need positions only; the affine needs the pixel spacing too."""
    stack = arranged(series(reversed(EIGHT), pixel_spacing=None))

    assert stack.order == tuple(range(7, -1, -1))
    assert stack.spacing[:2] == (None, None)
    assert stack.spacing[2] == pytest.approx(3.0)
    assert stack.affine_lps is None
    assert "unknown_spacing" in stack.report.kinds


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"image_orientation_patient": (0.0,) * 6}, "unknown_orientation"),
        ({"image_orientation_patient": (1.0, 0, 0, 1.0, 0, 0)}, "unknown_orientation"),
        ({"image_orientation_patient": (1e300, 0, 0, 0, 1e300, 0)}, "unknown_orientation"),
        ({"image_position_patient": (0.0, float("nan"), 0.0)}, "unknown_position"),
        ({"image_position_patient": (0.0, 1e200, 0.0)}, "unknown_position"),
        ({"pixel_spacing": (0.0, 1.0)}, "unknown_spacing"),
        ({"pixel_spacing": (-1.0, 1.0)}, "unknown_spacing"),
        ({"pixel_spacing": (float("inf"), 1.0)}, "unknown_spacing"),
    ],
)
def test_damaged_values_are_unknown(fields: dict[str, Any], kind: str) -> None:
    """Vectors that are none, and lengths that cannot be, count as not recorded."""
    stack = arranged(series(**fields))

    assert kind in stack.report.kinds
    assert stack.affine_lps is None


@pytest.mark.parametrize(
    "fields", [{"image_position_patient": (1.0, 2.0)}, {"image_position_patient": ("a", "b", "c")}]
)
def test_what_is_no_vector_is_a_typed_error(fields: dict[str, Any]) -> None:
    """A plugin that hands over nonsense is told which attribute is wrong."""
    with pytest.raises(MetadataError, match="image_position_patient"):
        arranged(series(**fields))


def test_no_images_is_a_typed_error() -> None:
    """Nothing cannot be arranged."""
    with pytest.raises(GeometryError, match="no images") as caught:
        arranged([])

    assert caught.value.report is not None


def test_affine_is_read_only_float64_and_pickles() -> None:
    """The geometry is a value: nobody changes it, and processes can exchange it."""
    stack = arranged(series())
    copy = pickle.loads(pickle.dumps(stack))

    assert affine_of(stack).dtype == np.float64
    assert not affine_of(stack).flags.writeable
    assert copy.report == stack.report
    np.testing.assert_array_equal(copy.affine_lps, affine_of(stack))


@pytest.mark.parametrize(
    ("between", "expected"),
    [((3.0, 3.0), 3.0), ((3.0, 4.0), None), ((3.0, None), None), ((-3.0, -3.0), 3.0)],
)
def test_slices_without_positions_keep_the_distance_that_all_of_them_record(
    between: tuple[float | None, float | None], expected: float | None
) -> None:
    """The spacing is known where all agree on it; where the slices lie stays unknown."""
    stack = arranged([ImagePlane((0.5, 2.0), spacing_between_slices=each) for each in between])

    assert stack.spacing == (2.0, 0.5, expected)
    assert stack.affine_lps is None


def test_orientation_within_tolerance_is_the_median() -> None:
    """Orientations that differ by less than 1e-4 are one; a single odd one does not lean the volume."""
    planes = series(EIGHT[:-1]) + series(EIGHT[-1:], (1.0, 5e-5, 0.0, -5e-5, 1.0, 0.0))
    affine = affine_of(arranged(planes))

    np.testing.assert_array_equal(affine[:3, 0], (2.0, 0.0, 0.0))


def test_orientation_text_is_made_unit_vectors() -> None:
    """Three decimals of an orientation change neither the spacing nor whether it is known."""
    stack = arranged(series(orientation=(0.707, 0.707, 0.0, -0.707, 0.707, 0.0)))

    assert stack.direction is not None
    np.testing.assert_allclose(np.linalg.norm(stack.direction, axis=1), 1.0, atol=1e-15)
    assert np.linalg.norm(affine_of(stack)[:3, 0]) == pytest.approx(2.0, abs=1e-15)


def test_ten_thousand_slices_in_any_order() -> None:
    """Size changes nothing: each slice finds its place."""
    offsets = np.random.default_rng(7).permutation(10_000) * 0.5
    stack = arrange(series(offsets), 512, 512, GeometryPolicy())

    assert stack.report.regular
    np.testing.assert_array_equal(np.argsort(offsets), stack.order)
    np.testing.assert_allclose(affine_of(stack)[:3, 2], normal_of(AXIAL) * 0.5)


@given(st.integers(1, 9), st.integers(1, 4), st.data())
def test_the_median_is_that_of_numpy(rows: int, columns: int, data: st.DataObject) -> None:
    """Column by column, the middle or the mean of the two in the middle; NaN where one is."""
    numbers = st.sampled_from([0.0, -0.5, 1 / 3, 7.25, np.nan])
    row = st.lists(numbers, min_size=columns, max_size=columns)
    values = np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)))

    assert np.array_equal(_median(values), np.median(values, axis=0), equal_nan=True)
