from __future__ import annotations

from itertools import product
from typing import Literal

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.interop.builders import (
    AFFINE,
    SHAPES,
    counting,
    orthogonal_affines,
    sheared_affines,
    volume_of,
)
from loadstone import GeometryError
from loadstone.geometry import axis_codes

Space = Literal["RAS", "LPS"]
SPACES: tuple[Space, ...] = ("RAS", "LPS")
AFFINES = st.one_of(orthogonal_affines(), sheared_affines())


@given(SHAPES, AFFINES, st.sampled_from(SPACES))
def test_every_voxel_stays_where_it_is(
    shape: tuple[int, int, int], affine: npt.NDArray[np.float64], space: Space
) -> None:
    """Values and places in the world are the same set of pairs before and after."""
    volume = volume_of(counting(shape), affine)
    canonical = volume.to_canonical(space)

    after = {}
    for k, j, i in product(*map(range, canonical.array.shape)):
        after[int(canonical.array[k, j, i])] = (canonical.affine @ (i, j, k, 1))[:3]
    for k, j, i in product(*map(range, shape)):
        place = (volume.affine(space) @ (i, j, k, 1))[:3]
        np.testing.assert_allclose(after[int(volume.array[k, j, i])], place, atol=1e-9)
    assert len(after) == volume.array.size


@given(SHAPES, AFFINES, st.sampled_from(SPACES))
def test_the_axes_point_along_those_of_the_space(
    shape: tuple[int, int, int], affine: npt.NDArray[np.float64], space: Space
) -> None:
    """i, j, k grow along x, y, z; the array is a read-only view of the volume's own."""
    volume = volume_of(counting(shape), affine)
    canonical = volume.to_canonical(space)

    assert "".join(axis_codes(canonical.affine, space)) == space
    assert np.shares_memory(canonical.array, volume.array)
    assert not canonical.array.flags.writeable


@given(SHAPES, orthogonal_affines())
def test_nibabel_turns_the_same_way(shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> None:
    """RAS is what nibabel calls the closest canonical orientation."""
    volume = volume_of(counting(shape), affine)
    canonical = volume.to_canonical()
    peer = nibabel.as_closest_canonical(volume.to_nibabel())  # type: ignore[no-untyped-call]

    np.testing.assert_array_equal(canonical.array.T, np.asanyarray(peer.dataobj))
    np.testing.assert_allclose(canonical.affine, peer.affine, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((2, 3, 4, 5), ("t", "k", "j", "i")), ((3, 4, 5, 3), ("k", "j", "i", "rgb"))],
)
def test_axes_that_are_not_of_space_stay_where_they_are(
    shape: tuple[int, ...], axes: tuple[str, ...]
) -> None:
    """Time and colour are passed over."""
    turned = AFFINE[:, [1, 2, 0, 3]]
    volume = volume_of(counting(shape), turned, axes)
    canonical = volume.to_canonical("LPS")

    assert canonical.axes == axes
    for index in range(shape[0] if axes[0] == "t" else shape[-1]):
        part = (slice(None),) * 3 + (index,) if axes[-1] == "rgb" else (index,)
        expected = volume_of(volume.array[part].copy(), turned).to_canonical("LPS")
        np.testing.assert_array_equal(canonical.array[part], expected.array)


def test_what_lies_nowhere_cannot_be_turned() -> None:
    """Without a place in space there is no orientation; neither is there one in an unknown space."""
    with pytest.raises(GeometryError, match="place in space"):
        volume_of(counting((2, 3, 4)), None).to_canonical()
    with pytest.raises(GeometryError, match="LPI"):
        volume_of(counting((2, 3, 4))).to_canonical("LPI")  # type: ignore[arg-type]
