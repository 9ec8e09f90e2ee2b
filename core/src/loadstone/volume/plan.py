"""What a volume will be, worked out from metadata before a single voxel is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone import geometry, pixels
from loadstone.errors import GeometryError, MetadataError, PluginContractError
from loadstone.geometry import Axis, FindingKind, GeometryPolicy, GeometryReport
from loadstone.metadata import ImagePixel, ImagePlane, Modules, ModuleSet, Scaling, VoiLut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loadstone.hookspecs import ImageStack, VolumeHeader, VoxelSource
    from loadstone.options import LoadOptions

__all__ = ["VolumePlan", "plan_of_source", "plan_of_stack"]

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
    """Ids of the images, in order; empty where they cannot be named."""
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
        position = self.affine @ (0, 0, index % self.shape[-len(self.slice_shape) - 1], 1)
        direction, spacing = geometry.direction_and_spacing(self.affine)
        (row_x, row_y, row_z), (column_x, column_y, column_z) = direction[:2].tolist()
        return ImagePlane(
            pixel_spacing=(float(spacing[1]), float(spacing[0])),
            image_position_patient=(float(position[0]), float(position[1]), float(position[2])),
            image_orientation_patient=(row_x, row_y, row_z, column_x, column_y, column_z),
        )

    def scale_plan(self, index: int) -> pixels.ScalePlan:
        """Return how that index is scaled."""
        return self.scaling[index] if len(self.scaling) > 1 else self.scaling[0]


def plan_of_stack(
    stack: ImageStack, modules: Sequence[Modules], options: LoadOptions, policy: GeometryPolicy
) -> VolumePlan:
    """
    Sort images into a volume.

    Raises
    ------
    GeometryError
        If they do not form one, as the policy has it.
    MetadataError
        If an image does not say how large it is.
    """
    described = [_pixel(each, image_id) for each, image_id in zip(modules, stack.image_ids, strict=True)]
    planes = [each.get(ImagePlane) or ImagePlane() for each in modules]
    first = described[0]
    _refuse_mosaic(stack)
    _refuse_mixture(stack, described, planes)
    arranged = _arranged(stack, planes, first, policy)
    order = arranged.order
    ordered = [modules[index] for index in order]
    scaling, dtype = _scaling([described[index] for index in order], ordered, options)
    color = first.samples_per_pixel > 1
    return VolumePlan(
        volume_id=stack.volume_id,
        shape=(len(order), first.rows, first.columns, *((first.samples_per_pixel,) if color else ())),
        axes=(_first_axis(planes), "j", "i", *_COLOR_AXIS[first.samples_per_pixel]),
        dtype=dtype,
        scaling=scaling,
        image_ids=tuple(stack.image_ids[index] for index in order),
        modules=ordered.__getitem__,
        report=arranged.report.adding(*stack.findings),
        affine=arranged.affine_lps,
        spacing=arranged.spacing,
        units=_units(ordered) if options.scaled else "",
        voi_lut=ordered[len(ordered) // 2].get(VoiLut) or VoiLut(),
        header=lambda: None,
        coordinates=named_axes(stack.coordinates),
    )


def _refuse_mosaic(stack: ImageStack) -> None:
    """Refuse sheets of tiles: their planes place the sheet, not the slices on it."""
    found = next((each for each in stack.findings if each.kind is FindingKind.MOSAIC), None)
    if found is not None:
        raise GeometryError(
            found.message,
            source=stack.volume_id,
            hint="Load the sheets one by one; image_ids() lists them.",
            report=GeometryReport(stack.findings),
        )


def _first_axis(planes: Sequence[ImagePlane]) -> str:
    """Name what the images follow each other along: slices in space, or frames that nobody places."""
    placed = len(planes) == 1 or any(each.image_position_patient is not None for each in planes)
    return "k" if placed else "frame"


def _pixel(modules: Modules, image_id: str) -> ImagePixel:
    pixel = modules.get(ImagePixel)
    if pixel is None:
        raise MetadataError("the image does not say how large it is", source=image_id)
    if pixel.rows < 1 or pixel.columns < 1 or pixel.samples_per_pixel not in _COLOR_AXIS:
        raise MetadataError(
            f"the image has {pixel.rows} x {pixel.columns} pixels of {pixel.samples_per_pixel} samples",
            source=image_id,
        )
    return pixel


def _refuse_mixture(stack: ImageStack, described: list[ImagePixel], planes: list[ImagePlane]) -> None:
    """Refuse images that cannot lie in one array."""
    sizes = {(each.rows, each.columns, each.samples_per_pixel) for each in described}
    if len(sizes) > 1:
        found = geometry.mixture(planes, [(each.rows, each.columns) for each in described])
        shapes = ", ".join(f"{rows} x {columns} x {samples}" for rows, columns, samples in sorted(sizes))
        raise GeometryError(
            f"its images have several sizes: {shapes}",
            source=stack.volume_id,
            hint="Load them one by one, or as the volumes that volume_ids() lists.",
            report=GeometryReport(tuple(found)),
        )


def _arranged(
    stack: ImageStack, planes: list[ImagePlane], first: ImagePixel, policy: GeometryPolicy
) -> geometry.StackGeometry:
    try:
        return geometry.arrange(planes, first.rows, first.columns, policy)
    except GeometryError as error:
        raise GeometryError(
            error.what, source=stack.volume_id, hint=error.hint, report=error.report
        ) from error


def _scaling(
    described: list[ImagePixel], modules: list[Modules], options: LoadOptions
) -> tuple[tuple[pixels.ScalePlan, ...], np.dtype[Any]]:
    """Return the plan of each image, or the one that all share, and the dtype that holds all of them."""
    keys = [(each, one.get(Scaling) or _IDENTITY) for each, one in zip(described, modules, strict=True)]
    parts = [
        (pixel.dtype, scaling.slope, scaling.intercept, pixel.bits_stored, pixel.samples_per_pixel > 1)
        for pixel, scaling in keys
    ]
    kinds = list(dict.fromkeys(parts))
    plans = dict(zip(kinds, pixels.alike([_plan(part, options) for part in kinds]), strict=True))
    dtype = plans[kinds[0]].dtype
    return ((plans[kinds[0]],) if len(kinds) == 1 else tuple(plans[part] for part in parts)), dtype


_IDENTITY = Scaling()
_COLOR_AXIS: dict[int, tuple[str, ...]] = {1: (), 3: ("rgb",), 4: ("rgba",)}

_Part = tuple[np.dtype[Any], float, float, int | None, bool]


def _plan(part: _Part, options: LoadOptions) -> pixels.ScalePlan:
    stored, slope, intercept, bits_stored, color = part
    return pixels.scale_plan(
        stored,
        slope,
        intercept,
        bits_stored=bits_stored,
        dtype=options.dtype,
        scaled=options.scaled,
        colour=color,
    )


def _units(modules: list[Modules]) -> str:
    units = {scaling.units for each in modules if (scaling := each.get(Scaling))}
    return units.pop() if len(units) == 1 else ""


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
