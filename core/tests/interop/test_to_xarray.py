from __future__ import annotations

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
from loadstone import Axis
from loadstone.metadata import Scaling


@given(SHAPES, DTYPES, st.one_of(orthogonal_affines(), sheared_affines()))
def test_voxels_and_affine_come_back(
    shape: tuple[int, int, int], dtype: str, affine: npt.NDArray[np.float64]
) -> None:
    """The voxels are a view, the affine is complete, distances are those along the axes."""
    volume = volume_of(counting(shape, dtype), affine)
    voxels = volume.to_xarray()

    assert np.shares_memory(voxels.values, volume.array)
    np.testing.assert_array_equal(voxels.values, volume.array)
    np.testing.assert_array_equal(np.reshape(voxels.attrs["affine_lps"], (4, 4)), volume.affine())
    for n, (name, size) in enumerate(zip("kji", shape, strict=True)):
        expected = np.arange(size) * np.linalg.norm(affine[:3, 2 - n])
        np.testing.assert_allclose(voxels.coords[name], expected)
        assert voxels.coords[name].attrs["units"] == "mm"


def test_time_has_its_values_and_units() -> None:
    """Irregular time points too; a slice in time is picked by its value."""
    times = Axis("t", (0.0, 1.0, 5.0), "s", "TriggerTime")
    volume = volume_of(counting((3, 2, 4, 5)), AFFINE, ("t", "k", "j", "i"), coordinates=(times,))
    voxels = volume.to_xarray()

    assert voxels.dims == ("t", "k", "j", "i")
    assert voxels.coords["t"].attrs == {"units": "s", "source": "TriggerTime"}
    np.testing.assert_array_equal(voxels.sel(t=5.0), volume.array[2])


@pytest.mark.parametrize(("samples", "last"), [("rgb", "blue"), ("rgba", "alpha")])
def test_samples_have_names(samples: str, last: str) -> None:
    """Colours are picked by name."""
    volume = volume_of(counting((2, 3, 4, len(samples)), "u1"), AFFINE, ("k", "j", "i", samples))

    np.testing.assert_array_equal(volume.to_xarray().sel({samples: last}), volume.array[..., -1])


def test_the_units_of_the_voxels_are_told() -> None:
    """Hounsfield units, becquerels."""
    assert volume_of(counting((2, 3, 4)), scaling=Scaling(1, 0, "HU")).to_xarray().attrs["units"] == "HU"


def test_what_is_unknown_is_left_out() -> None:
    """Without a place in space there is no affine, without spacing no distance; neither is an error."""
    nowhere = volume_of(counting((2, 3, 4)), None).to_xarray()
    spaced = volume_of(counting((2, 3, 4)), None, spacing=(0.5, 0.75, None)).to_xarray()

    assert (set(nowhere.coords), nowhere.attrs) == (set(), {})
    assert set(spaced.coords) == {"i", "j"}
