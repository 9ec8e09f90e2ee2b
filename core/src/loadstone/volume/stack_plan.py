"""What a volume of images will be: sorted, checked and scaled, before a single voxel is read."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from loadstone import geometry, pixels
from loadstone.errors import GeometryError, MetadataError
from loadstone.geometry import FindingKind, GeometryPolicy, GeometryReport
from loadstone.metadata import ImagePixel, ImagePlane, Module, Modules, ModuleSet, Scaling, VoiLut
from loadstone.volume.plan import VolumePlan, named_axes
from loadstone.volume.shear import Shear

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loadstone.hookspecs import ImageStack
    from loadstone.options import LoadOptions

__all__ = ["plan_of_stack"]

M = TypeVar("M", bound=Module)


def plan_of_stack(
    stack: ImageStack, modules: Sequence[Modules], options: LoadOptions, policy: GeometryPolicy
) -> VolumePlan:
    """
    Sort images into a volume.

    Raises
    ------
    LoadstoneError
        If the loader says that they must not be loaded.
    GeometryError
        If they do not form one, as the policy has it.
    MetadataError
        If an image does not say how large it is.
    PluginContractError
        If the places that the loader gave them are none.
    """
    if stack.refusal is not None:
        # A copy: a traceback would grow with every attempt.
        raise copy.copy(stack.refusal)
    described = [_pixel(each, image_id) for each, image_id in zip(modules, stack.image_ids, strict=True)]
    planes = [each.get(ImagePlane) or ImagePlane() for each in modules]
    first = described[0]
    _refuse_mosaic(stack)
    _refuse_mixture(stack, described, planes)
    grid = _arranged(stack, planes, first, policy)
    cells: list[int] = grid.cells.reshape(-1).tolist()
    scaling, dtype = _scaling(described, modules, cells, options)
    samples = _COLOR_AXIS[first.samples_per_pixel]
    leading = [axis.name for axis in stack.coordinates]
    affine = None if _is_elsewhere(stack) else grid.stack.affine_lps
    shear = _shear(grid, policy)
    rows, columns = shear.shape(first.rows, first.columns) if shear else (first.rows, first.columns)
    return VolumePlan(
        volume_id=stack.volume_id,
        shape=(*grid.cells.shape, rows, columns, *(first.samples_per_pixel for _ in samples)),
        axes=(*leading, _slice_axis(planes), "j", "i", *samples),
        dtype=dtype,
        scaling=scaling,
        image_ids=tuple(stack.image_ids[each] if each >= 0 else "" for each in cells),
        modules=_modules_of(cells, modules if shear is None else _moved(modules, rows, columns)),
        report=grid.stack.report.adding(*stack.findings),
        affine=shear.affine if shear else affine,
        spacing=(*grid.stack.spacing[:2], grid.stack.slice_distance) if shear else grid.stack.spacing,
        units=_units(modules) if options.scaled else "",
        voi_lut=_voi_lut(cells, modules),
        header=lambda: None,
        coordinates=named_axes(stack.coordinates),
        between=_between(grid) if policy.gap == "interpolate" else {},
        z_source=grid.stack.z_source,
        shear=shear,
    )


def _shear(grid: geometry.GridGeometry, policy: GeometryPolicy) -> Shear | None:
    """Return what makes tilted slices lie straight, where that is asked for."""
    stack = grid.stack
    if policy.tilt != "resample" or stack.affine_lps is None or FindingKind.TILT not in stack.report.kinds:
        return None
    return Shear.of(stack.affine_lps, grid.cells.shape[-1])


def _moved(modules: Sequence[Modules], rows: int, columns: int) -> list[Modules]:
    """Return the metadata of images that were moved: of another size, and where the volume has them."""
    return [_MovedModules(each, rows, columns) for each in modules]


@dataclass(frozen=True, slots=True)
class _MovedModules:
    """What is known about an image, but for its size and place."""

    modules: Modules
    rows: int
    columns: int

    def get(self, kind: type[M]) -> M | None:
        """Return the module of that kind, or None."""
        if kind is ImagePlane:
            return None
        found: Module | None = self.modules.get(kind)
        if isinstance(found, ImagePixel):
            found = replace(found, rows=self.rows, columns=self.columns)
        return cast("M | None", found)


def _modules_of(cells: Sequence[int], modules: Sequence[Modules]) -> Callable[[int], Modules]:
    """Give the metadata of the image at an index; nothing is known of one that is not there."""
    nothing = ModuleSet()
    return lambda index: modules[cells[index]] if cells[index] >= 0 else nothing


def _voi_lut(cells: Sequence[int], modules: Sequence[Modules]) -> VoiLut:
    """Return how the image in the middle is meant to be shown."""
    present = [each for each in cells if each >= 0]
    return modules[present[len(present) // 2]].get(VoiLut) or VoiLut()


def _between(grid: geometry.GridGeometry) -> Mapping[int, tuple[int, int]]:
    """Return the neighbours of each slice in a gap."""
    found = {}
    slices = grid.cells.shape[-1]
    there = np.flatnonzero(np.array(grid.stack.order) >= 0)
    for index, image in enumerate(grid.cells.reshape(-1).tolist()):
        start, k = index - index % slices, index % slices
        behind = int(np.searchsorted(there, k))
        if image < 0 and there[behind] != k:
            found[index] = (start + int(there[behind - 1]), start + int(there[behind]))
    return found


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


def _is_elsewhere(stack: ImageStack) -> bool:
    """Say whether positions are not those of the patient: distances hold, and nothing else does."""
    return any(each.kind is FindingKind.OWN_SPACE for each in stack.findings)


def _slice_axis(planes: Sequence[ImagePlane]) -> str:
    """Name what the images follow each other along: slices in space, or frames that nobody places."""
    placed = len(planes) == 1 or any(each.image_position_patient is not None for each in planes)
    apart = all(each.spacing_between_slices is not None for each in planes)
    return "k" if placed or apart else "frame"


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
) -> geometry.GridGeometry:
    """Find the place of each image; a 3-D volume is a grid of one time point."""
    try:
        if not stack.coordinates:
            arranged = geometry.arrange(planes, first.rows, first.columns, policy, sparse=stack.sparse)
            return geometry.GridGeometry(np.array(arranged.order), arranged)
        lengths = tuple(map(len, stack.coordinates))
        size = first.rows, first.columns
        return geometry.arrange_grid(planes, stack.places, lengths, size, policy, sparse=stack.sparse)
    except GeometryError as error:
        report = (error.report or GeometryReport()).adding(*stack.findings)
        raise GeometryError(error.what, source=stack.volume_id, hint=error.hint, report=report) from error


def _scaling(
    described: list[ImagePixel], modules: Sequence[Modules], cells: Sequence[int], options: LoadOptions
) -> tuple[tuple[pixels.ScalePlan, ...], np.dtype[Any]]:
    """Return the plan of each image, or the one that all share, and the dtype that holds all of them."""
    # An image that is not there is scaled like any other: nobody will see the difference in its zeros.
    present = next(each for each in cells if each >= 0)
    chosen = [present if each < 0 else each for each in cells]
    keys = [(described[each], modules[each].get(Scaling) or _IDENTITY) for each in chosen]
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


def _units(modules: Sequence[Modules]) -> str:
    units = {scaling.units for each in modules if (scaling := each.get(Scaling))}
    return units.pop() if len(units) == 1 else ""
