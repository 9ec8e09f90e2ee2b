"""What a volume will be, worked out from metadata before a single voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from loadstone import geometry, pixels
from loadstone.errors import PluginContractError
from loadstone.geometry import Axis, GeometryReport
from loadstone.metadata import ImagePlane, Modules, ModuleSet, VoiLut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from loadstone.hookspecs import VolumeHeader, VoxelSource
    from loadstone.options import LoadOptions
    from loadstone.volume.shear import Shear

__all__ = ["VolumePlan", "named_axes", "plan_of_source"]

COLOR_AXES = ("rgb", "rgba")


@dataclass(frozen=True, slots=True, eq=False)
class VolumePlan:
    """Everything about a volume but its voxels."""

    volume_id: str
    """The id that loads exactly this one."""
    shape: tuple[int, ...]
    """Of the array."""
    axes: tuple[str, ...]
    """A name for each axis."""
    dtype: np.dtype[Any]
    """Of the array."""
    scaling: tuple[pixels.ScalePlan, ...]
    """How each image is scaled; one for all where there is just one."""
    image_ids: tuple[str, ...]
    """Ids of the images, in order; the empty text for one that nobody has; none where they have no names."""
    modules: Callable[[int], Modules]
    """Metadata of each image."""
    report: GeometryReport
    """What was found about the geometry."""
    affine: npt.NDArray[np.float64] | None
    """LPS, mm; None when unknown."""
    spacing: tuple[float | None, float | None, float | None]
    """Of i, j, k."""
    units: str
    """Of the voxels."""
    voi_lut: VoiLut
    """Of the middle slice."""
    header: Callable[[], Any]
    """Gives the header of a volume that comes as one block, or None."""
    coordinates: Mapping[str, Axis]
    """What is known along axes in front of the slices, by their names in `axes`."""
    between: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Images that are interpolated, each with the indices of those before and behind it."""
    z_source: geometry.ZSource | None = None
    """What the spacing of k is taken from; None where it is unknown, or a header's own."""
    shear: Shear | None = None
    """How slices are moved within their planes; None: they stay as they are."""

    @property
    def slice_shape(self) -> tuple[int, ...]:
        """Of one image: ``(rows, columns)`` or ``(rows, columns, samples)``."""
        return self.shape[-3:] if self.axes[-1] in COLOR_AXES else self.shape[-2:]

    @property
    def count(self) -> int:
        """Number of images in it, over all leading axes."""
        return math.prod(self.shape[: -len(self.slice_shape)])

    @property
    def nbytes(self) -> int:
        """Bytes of the array, in Python integers: a header's word cannot overflow it."""
        return math.prod(map(int, self.shape)) * self.dtype.itemsize

    def plane(self, index: int) -> ImagePlane:
        """Return where an image of a 3-D volume lies; nothing is known of it where there is no affine."""
        recorded = self.modules(index).get(ImagePlane)
        if recorded is not None or self.affine is None:
            return recorded or ImagePlane()
        position = self.affine @ (0, 0, index % self.slices, 1)
        direction, spacing = geometry.direction_and_spacing(self.affine)
        (row_x, row_y, row_z), (column_x, column_y, column_z) = direction[:2].tolist()
        return ImagePlane(
            pixel_spacing=(float(spacing[1]), float(spacing[0])),
            image_position_patient=(float(position[0]), float(position[1]), float(position[2])),
            image_orientation_patient=(row_x, row_y, row_z, column_x, column_y, column_z),
            spacing_between_slices=geometry.slice_distance(self.affine),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Ids that load its slices as images: those of `image_ids`, unless slices are moved."""
        return () if self.shear else self.image_ids

    @property
    def slices(self) -> int:
        """How many images one time point has."""
        return self.shape[-len(self.slice_shape) - 1]

    @property
    def absent(self) -> frozenset[int]:
        """Indices of the images that are not to be loaded, for there are none: zeros, or interpolated."""
        return frozenset(index for index, image_id in enumerate(self.image_ids) if not image_id)

    def scale_plan(self, index: int) -> pixels.ScalePlan:
        """Return how that index is scaled."""
        return self.scaling[index] if len(self.scaling) > 1 else self.scaling[0]


def plan_of_source(source: VoxelSource, options: LoadOptions) -> VolumePlan:
    """
    Describe a volume that comes as one block.

    Raises
    ------
    PluginContractError
        If its header contradicts itself.
    """
    header = _checked_header(source)
    scaling = header.scaling
    plan = pixels.scale_plan(
        header.dtype,
        scaling.slope,
        scaling.intercept,
        bits_stored=header.bits_stored,
        dtype=options.dtype,
        scaled=options.scaled,
        colour=header.axes[-1] in COLOR_AXES,
    )
    affine, spacing = _placed(source)
    return VolumePlan(
        volume_id=source.volume_id,
        shape=header.shape,
        axes=header.axes,
        dtype=plan.dtype,
        scaling=(plan,),
        image_ids=source.image_ids,
        modules=lambda _: ModuleSet(header.series, header.voi_lut, scaling),
        report=GeometryReport(header.findings),
        affine=affine,
        spacing=spacing,
        units=scaling.units if options.scaled else "",
        voi_lut=header.voi_lut,
        header=header.header,
        coordinates=named_axes(header.coordinates),
    )


def named_axes(coordinates: Sequence[Axis]) -> Mapping[str, Axis]:
    """Return axes by their names."""
    return MappingProxyType({axis.name: axis for axis in coordinates})


def _checked_header(source: VoxelSource) -> VolumeHeader:
    header = source.header
    shape, axes = header.shape, header.axes
    leading = len(axes) - (3 if axes[-1:] in {("rgb",), ("rgba",)} else 2)
    samples = {"rgb": 3, "rgba": 4}.get(axes[-1] if axes else "", 0)
    if len(shape) != len(axes) or leading < 1 or min(shape) < 1 or (samples and shape[-1] != samples):
        raise PluginContractError(
            f"its header has the shape {shape} and the axes {axes}", source=source.volume_id
        )
    lengths = dict(zip(axes[:leading], shape, strict=False))
    wrong = [axis.name for axis in header.coordinates if len(axis) != lengths.get(axis.name)]
    if wrong or len(named_axes(header.coordinates)) < len(header.coordinates):
        raise PluginContractError(
            f"its header has coordinates for {', '.join(wrong) or 'one axis twice'} "
            f"that do not fit the shape {shape} of the axes {axes}",
            source=source.volume_id,
        )
    count = math.prod(shape[:leading])
    if source.image_ids and len(source.image_ids) != count:
        raise PluginContractError(
            f"it names {len(source.image_ids)} of {count} images", source=source.volume_id
        )
    return header


def _placed(
    source: VoxelSource,
) -> tuple[npt.NDArray[np.float64] | None, tuple[float | None, float | None, float | None]]:
    header = source.header
    if header.affine is None:
        return None, header.spacing
    affine = geometry.checked_affine(header.affine)
    lengths = geometry.direction_and_spacing(affine)[1]
    return affine, (float(lengths[0]), float(lengths[1]), float(lengths[2]))
