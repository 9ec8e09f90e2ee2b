"""A volume as an `xarray.DataArray`: named axes with coordinates and their units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.interop.needing import needing

if TYPE_CHECKING:
    import xarray

    from loadstone.volume import Volume

__all__ = ["to_xarray"]

_SAMPLES: Final = {"rgb": ["red", "green", "blue"], "rgba": ["red", "green", "blue", "alpha"]}


def to_xarray(volume: Volume) -> xarray.DataArray:
    """
    Return the voxels with their axes named; see `Volume.to_xarray`.

    Raises
    ------
    UnsupportedError
        If xarray is not installed.
    """
    with needing("xarray"):
        import xarray

    affine = volume._assembly.plan.affine
    attributes: dict[str, Any] = {"units": volume.units} if volume.units else {}
    if affine is not None:
        attributes["affine_lps"] = affine.ravel().tolist()
    return xarray.DataArray(
        volume.array, dims=volume.axes, coords=_coordinates(volume), attrs=attributes, name="voxels"
    )


def _coordinates(volume: Volume) -> dict[str, xarray.Variable]:
    import xarray

    lengths = dict(zip(volume.axes, volume.shape, strict=True))
    coordinates = {}
    for name, axis in volume.coordinates.items():
        known = {"units": axis.units, "source": axis.source}
        attributes = {key: value for key, value in known.items() if value}
        coordinates[name] = xarray.Variable(name, np.asarray(axis.values), attributes)
    for name, spacing in zip("ijk", volume.spacing, strict=True):
        if spacing is not None and name in lengths:
            attributes = {"units": "mm", "long_name": f"distance from the first voxel along {name}"}
            coordinates[name] = xarray.Variable(name, np.arange(lengths[name]) * spacing, attributes)
    samples = volume.axes[-1]
    if samples in _SAMPLES:
        coordinates[samples] = xarray.Variable(samples, _SAMPLES[samples])
    return coordinates
