"""The same slices at several time points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import EIGHT, SAGITTAL, arranged, series
from loadstone import GeometryError, PluginContractError
from loadstone.geometry import GeometryPolicy, GridGeometry, arrange_grid
from loadstone.metadata import ImagePlane

if TYPE_CHECKING:
    from collections.abc import Sequence


def grid(
    planes: Sequence[ImagePlane],
    places: Sequence[tuple[int, ...]],
    lengths: tuple[int, ...],
    **policy: Any,
) -> GridGeometry:
    """Arrange planes of 16 rows and 16 columns; ``sparse`` is no policy."""
    sparse = policy.pop("sparse", False)
    return arrange_grid(planes, places, lengths, (16, 16), GeometryPolicy(**policy), sparse=sparse)


def repeated(times: int, **fields: Any) -> tuple[list[ImagePlane], list[tuple[int, ...]]]:
    """Return the planes of eight slices at several times, and their places."""
    planes = [plane for _ in range(times) for plane in series(**fields)]
    return planes, [(time,) for time in range(times) for _ in EIGHT]


@given(times=st.integers(1, 4), seed=st.randoms(use_true_random=False))
def test_each_image_finds_its_place_whatever_the_order(times: int, seed: Any) -> None:
    """Shuffled images come to lie at their time and slice; the affine is that of one time point."""
    planes, places = repeated(times, orientation=SAGITTAL, tilt=7.0)
    order = list(range(len(planes)))
    seed.shuffle(order)

    found = grid([planes[index] for index in order], [places[index] for index in order], (times,))

    inverse = np.argsort(order).reshape(times, len(EIGHT))
    np.testing.assert_array_equal(found.cells, inverse)
    single = arranged(series(orientation=SAGITTAL, tilt=7.0))
    np.testing.assert_allclose(np.asarray(found.stack.affine_lps), np.asarray(single.affine_lps))
    assert found.stack.report.kinds == {"tilt"}


def test_positions_match_within_the_tolerance() -> None:
    """Time points that are a hundredth of a slice apart are slices of one position, as text rounds them."""
    near = [*series(decimals=2), *series([offset + 0.01 for offset in EIGHT], decimals=2)]

    found = grid(near, [(index // 8,) for index in range(16)], (2,))

    assert found.cells.tolist() == [[*range(8)], [*range(8, 16)]]


def test_two_leading_axes() -> None:
    """Values and times both have their index; slices are sorted by position."""
    planes = [plane for _ in range(6) for plane in series((3.0, 0.0))]
    places = [(v, t) for v in range(2) for t in range(3) for _ in range(2)]

    found = grid(planes, places, (2, 3))

    assert found.cells.shape == (2, 3, 2)
    assert found.cells[1, 2].tolist() == [11, 10]


class TestIncomplete:
    """A time point that lacks slices is never filled without a word."""

    def test_it_is_refused_with_the_places(self) -> None:
        """The error says which images are missing."""
        planes, places = repeated(3)
        del planes[10], places[10]

        with pytest.raises(GeometryError, match=r"1 of 24 images are missing.* at \(1, 2\)") as caught:
            grid(planes, places, (3,))

        assert caught.value.report is not None
        found = caught.value.report.get("incomplete")
        assert found is not None
        assert found.indices == (10,)

    def test_it_can_be_accepted(self) -> None:
        """Asked to ignore it, the place stays empty and the affine is known."""
        planes, places = repeated(2)
        del planes[3], places[3]

        found = grid(planes, places, (2,), incomplete="ignore")

        assert found.cells[0].tolist() == [0, 1, 2, -1, 3, 4, 5, 6]
        assert found.stack.affine_lps is not None

    def test_images_without_positions_keep_their_order(self) -> None:
        """Frames that nobody places are told apart by their order; unequal counts are incomplete."""
        nowhere = [ImagePlane() for _ in range(6)]
        places = [(0,), (1,), (0,), (1,), (0,), (1,)]

        assert grid(nowhere, places, (2,)).cells.tolist() == [[0, 2, 4], [1, 3, 5]]
        with pytest.raises(GeometryError, match="1 of 6 images are missing"):
            grid(nowhere[:5], places[:5], (2,))

    def test_some_that_know_where_they_lie(self) -> None:
        """A time point without positions is refused, or leaves the place of all unknown."""
        planes, places = repeated(2)
        planes[8:] = [ImagePlane((0.5, 2.0), None, planes[0].image_orientation_patient)] * 8

        with pytest.raises(GeometryError, match="8 of 16 images have no usable position"):
            grid(planes, places, (2,))
        ignored = grid(planes, places, (2,), incomplete="ignore", mixed="ignore")

        assert ignored.stack.affine_lps is None
        assert ignored.cells.tolist() == [[*range(8)], [*range(8, 16)]]


def test_two_images_at_one_place_and_time() -> None:
    """They are a duplicate: refused, or the first is kept; a grid cannot keep both."""
    planes, places = repeated(2)
    planes.append(planes[0])
    places.append((0,))

    with pytest.raises(GeometryError, match="1 image lies where another one"):
        grid(planes, places, (2,))
    with pytest.raises(GeometryError, match="duplicate"):
        grid(planes, places, (2,), duplicate="ignore")
    found = grid(planes, places, (2,), duplicate="first")

    assert found.cells[0].tolist() == [*range(8)]


def test_a_gap_is_the_same_at_all_times() -> None:
    """It is refused; filled on request, its column is empty and no time point is incomplete."""
    planes = series((0.0, 3.0, 9.0)) * 2
    places = [(0,)] * 3 + [(1,)] * 3

    with pytest.raises(GeometryError, match="1 of 4 slices is missing"):
        grid(planes, places, (2,))
    found = grid(planes, places, (2,), gap="empty")

    assert found.cells.tolist() == [[0, 1, -1, 2], [3, 4, -1, 5]]
    assert found.stack.spacing[2] == pytest.approx(3.0)


def test_segments_have_what_they_have() -> None:
    """Sparse places are no gap and not incomplete: slices that no segment has are there all the same."""
    planes = series((0.0, 3.0, 9.0, 3.0))
    places = [(0,), (0,), (0,), (1,)]

    found = grid(planes, places, (2,), sparse=True)

    assert found.cells.tolist() == [[0, 1, -1, 2], [-1, 3, -1, -1]]
    assert found.stack.report.kinds == {"regular"}
    assert "1 of them have no image and are 0" in str(found.stack.report)


def test_a_position_at_the_end_of_the_world_makes_no_volume_of_air() -> None:
    """A grid has a bound; beyond it a gap stays an error, or a stack without an affine."""
    far = series((0.0, 3.0, 6.0, 3e6))

    found = grid(far, [(0,)] * 4, (1,), gap="empty")

    assert found.stack.affine_lps is None
    assert found.cells.shape == (1, 4)


@pytest.mark.parametrize("places", [[(2,)], [(-1,)], [()], [(0,), (1,)]])
def test_places_that_are_none(places: list[tuple[int, ...]]) -> None:
    """An index beyond its axis, or too few of them, is the loader's fault."""
    with pytest.raises(PluginContractError, match="places"):
        grid(series((0.0,)), places, (2,))
