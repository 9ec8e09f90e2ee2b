"""From the planes of images to the order, the affine and the report of a volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.errors import GeometryError
from loadstone.geometry import _findings
from loadstone.geometry._lines import Line, Precision, fit_line, same_position
from loadstone.geometry._planes import PlaneTable, is_length
from loadstone.geometry._refusal import refuse
from loadstone.geometry.affine import Affine, checked_affine, direction_and_spacing
from loadstone.geometry.policy import DEFAULT_POLICY, GeometryPolicy
from loadstone.geometry.report import Finding, FindingKind, GeometryReport
from loadstone.geometry.stacks import frame_of_reference_per_image, table_mixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.metadata import ImagePlane

__all__ = ["StackGeometry", "ZSource", "arrange"]

ZSource: TypeAlias = Literal["positions", "spacing_between_slices", "slice_thickness"]
"""What the extent of a voxel along k is taken from."""


_FILLED: Final = frozenset({"empty", "interpolate"})
"""Policies about gaps that give their slices a place."""
_MOST_SLICES: Final = 2**18
"""Slices that a grid may have: one wild position must not become a volume of air."""


@dataclass(frozen=True, eq=False)
class StackGeometry:
    """How images form a volume, and where it lies; unknown is None."""

    order: tuple[int, ...]
    """For each slice the image, as a position in the list that was given; -1 where a gap is filled."""
    shape: tuple[int, int, int]
    """Slices, rows, columns."""
    report: GeometryReport
    """Everything that was found."""
    affine_lps: Affine | None = None
    """``(4, 4)``, read-only: columns are the steps of i, j, k and the centre of voxel (0, 0, 0); LPS, mm."""
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    """Length of a step of i (columns), j (rows), k (slices) in mm."""
    slice_distance: float | None = None
    """Perpendicular distance of the planes of successive slices in mm; shorter than the step where tilted."""
    z_source: ZSource | None = None
    """What the third spacing is taken from; None where it is unknown."""

    @property
    def origin(self) -> tuple[float, float, float] | None:
        """Centre of voxel (0, 0, 0), LPS, mm; None where the affine is unknown."""
        if self.affine_lps is None:
            return None
        x, y, z = self.affine_lps[:3, 3].tolist()
        return x, y, z

    @cached_property
    def direction(self) -> npt.NDArray[np.float64] | None:
        """``(3, 3)``: row n is the unit vector of axis n (i, j, k), LPS; None where the affine is unknown."""
        return None if self.affine_lps is None else direction_and_spacing(self.affine_lps)[0]


def arrange(
    planes: Sequence[ImagePlane],
    rows: int,
    columns: int,
    policy: GeometryPolicy = DEFAULT_POLICY,
    *,
    sparse: bool = False,
) -> StackGeometry:
    """
    Sort the images of one stack by position and say where the volume lies.

    Slices ascend along row × column. The step of k is (last − first) / (n − 1) of the positions, whatever
    SpacingBetweenSlices and SliceThickness say; these are only asked about a single slice. Images that do not
    say where they lie keep the order they were given in, and their geometry is unknown, which is no error;
    a SpacingBetweenSlices that all of them share is then the spacing of k.

    Slices are equally spaced when none is further off the line from first to last than 1 % of the step plus
    half the last decimal of the position's text, at most 0.1 mm; where text is coarse, what its rounding
    explains is accepted as well. Source of the coordinates: DICOM PS3.3 C.7.6.2.1.1.

    Parameters
    ----------
    planes
        Where each image lies, in any order.
    rows, columns
        Size of every image.
    policy
        What to do about irregularities.
    sparse
        Whether slices without an image are known to be 0, and no gap.

    Returns
    -------
    StackGeometry
        Does not depend on the order of `planes`, save where several lie at one position.

    Raises
    ------
    GeometryError
        If there are no images, or something is found that the policy refuses; it carries the report.
    MetadataError
        If a plane holds what is no vector.

    Examples
    --------
    >>> from loadstone.metadata import ImagePlane
    >>> planes = [ImagePlane((0.5, 0.5), (0, 0, z), (1, 0, 0, 0, 1, 0)) for z in (9, 3, 6)]
    >>> stack = arrange(planes, 64, 64)
    >>> stack.order, stack.spacing, stack.origin
    ((1, 2, 0), (0.5, 0.5, 3.0), (0.0, 0.0, 3.0))
    """
    if not planes:
        raise GeometryError("no images to arrange", hint="Name at least one.", report=GeometryReport())
    geometry = arranged(PlaneTable.of(planes), planes, (len(planes), rows, columns), policy, sparse=sparse)
    refuse(geometry.report, policy)
    return geometry


def arranged(
    table: PlaneTable,
    planes: Sequence[ImagePlane],
    shape: tuple[int, int, int],
    policy: GeometryPolicy,
    *,
    sparse: bool = False,
) -> StackGeometry:
    """
    Describe the stack as if nothing was refused: what is irregular stays without affine.

    Parameters
    ----------
    table, planes
        Where each image lies.
    shape
        Number of images, rows, columns.
    policy
        Which images to keep, and whether to fill gaps.
    sparse
        Whether slices without an image are no gap but known to be 0.
    """
    unknown = unknown_places(table)
    findings = unknown + table_mixture(table, np.zeros((len(planes), 0)))
    j, i = _median(table.pixel_spacings).tolist()
    spacing = (None if np.isnan(i) else i, None if np.isnan(j) else j, _distance_without_positions(planes))
    as_given = StackGeometry(
        order=tuple(range(len(planes))), shape=shape, report=GeometryReport(findings), spacing=spacing
    )
    if any(finding.kind != FindingKind.UNKNOWN_SPACING for finding in findings):
        mixed_spacing = FindingKind.MIXED_SPACING in as_given.report.kinds
        return replace(as_given, spacing=(None, None, None)) if mixed_spacing else as_given
    sheet = sheet_of(table)
    if len(planes) == 1:
        return _single(as_given, planes[0], table.positions[0], sheet)
    return _stacked(as_given, table, planes, sheet, policy, sparse=sparse)


def sheet_of(table: PlaneTable) -> npt.NDArray[np.float64]:
    """Return ``(2, 3)``: unit vectors along rows and columns of images that agree in them."""
    # The median is one of the vectors, exactly, when all are equal, and the same for every permutation.
    sheet = _median(table.orientations).reshape(2, 3)
    unit: npt.NDArray[np.float64] = sheet / np.linalg.norm(sheet, axis=1, keepdims=True)
    return unit


def _median(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median of each column, NaN where it has one; numpy's imports `numpy.ma` (0.1 s)."""
    ordered = np.sort(rows, axis=0)
    middle: npt.NDArray[np.float64] = (ordered[(len(rows) - 1) // 2] + ordered[len(rows) // 2]) / 2
    return np.where(np.isnan(ordered[-1]), np.nan, middle)


def by_position(
    table: PlaneTable, sheet: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """
    Sort images by position.

    Returns
    -------
    order : numpy.ndarray
        The images, ascending along the normal.
    groups : numpy.ndarray
        For each of these the number of its position; several images may have the same.
    """
    along = table.positions @ normal_of(sheet)
    order = np.argsort(along, kind="stable")
    groups = same_position(table.positions[order], along[order], Precision(table.position_decimals))
    return order, groups


def unknown_places(table: PlaneTable) -> tuple[Finding, ...]:
    """Say what no image knows, and what only some of them know."""
    findings = []
    for kind, name, values in (
        (FindingKind.UNKNOWN_POSITION, "position", table.positions),
        (FindingKind.UNKNOWN_ORIENTATION, "orientation", table.orientations),
        (FindingKind.UNKNOWN_SPACING, "pixel spacing", table.pixel_spacings),
    ):
        without = np.flatnonzero(np.isnan(values[:, 0]))
        if len(without) == len(values):
            findings.append(Finding(kind, f"no usable {name} is recorded"))
        elif len(without):
            images = tuple(without.tolist())
            message = f"{len(without)} of {len(values)} images have no usable {name}, the others have"
            findings.append(Finding(FindingKind.INCOMPLETE, message, indices=images, images=images))
    return tuple(findings)


def _distance_without_positions(planes: Sequence[ImagePlane]) -> float | None:
    """Return the distance of slices that nobody places but that all record the same one."""
    between = {plane.spacing_between_slices for plane in planes}
    if len(between) > 1 or any(plane.image_position_patient is not None for plane in planes):
        return None
    (distance,) = between
    # Negative where slices of nuclear medicine descend, which makes them no less apart.
    return abs(float(distance)) if is_length(distance) else None


def _single(
    as_given: StackGeometry,
    plane: ImagePlane,
    position: npt.NDArray[np.float64],
    sheet: npt.NDArray[np.float64],
) -> StackGeometry:
    """Describe one slice, whose extent along k only its header can tell."""
    extent, source = _recorded_extent(plane)
    found = as_given.report.adding(_findings.single_slice(extent, source))
    if extent is None:
        return replace(as_given, report=found)
    return _placed(
        replace(as_given, report=found, z_source=source), position, sheet, extent * normal_of(sheet)
    )


def _recorded_extent(plane: ImagePlane) -> tuple[float, ZSource] | tuple[None, None]:
    between = plane.spacing_between_slices
    # Nuclear medicine records a negative one where slices descend; one slice has no second to descend to.
    if is_length(between):
        return abs(float(between)), "spacing_between_slices"
    if is_length(plane.slice_thickness):
        return abs(float(plane.slice_thickness)), "slice_thickness"
    return None, None


def _stacked(
    as_given: StackGeometry,
    table: PlaneTable,
    planes: Sequence[ImagePlane],
    sheet: npt.NDArray[np.float64],
    policy: GeometryPolicy,
    *,
    sparse: bool,
) -> StackGeometry:
    """Describe several slices that agree in everything but position."""
    order, groups = by_position(table, sheet)
    found = as_given.report.adding(*frame_of_reference_per_image(table))
    firsts = order
    if groups[-1] + 1 < len(order):
        order = order[np.lexsort((order, groups))]
        firsts = order[np.flatnonzero(np.diff(groups, prepend=-1))]
        found = found.adding(_findings.duplicates(groups, order))
    kept = firsts if policy.duplicate == "first" else order
    geometry = replace(
        as_given, order=tuple(kept.tolist()), shape=(len(kept), *as_given.shape[1:]), report=found
    )
    if len(firsts) == 1:
        single = _single(geometry, planes[firsts[0]], table.positions[firsts[0]], sheet)
        return single if len(kept) == 1 else replace(geometry, report=single.report)
    line = fit_line(table.positions[firsts], normal_of(sheet), Precision(table.position_decimals))
    if sparse and line.kind == "gap":
        found = found.adding(*_findings.of_sparse_line(line))
    else:
        found = found.adding(*_findings.of_line(line, firsts))
    geometry = replace(geometry, report=found.adding(*_recorded_differently(planes[firsts[0]], line)))
    if len(kept) > len(firsts):
        return geometry
    if line.kind == "gap" and (sparse or policy.gap in _FILLED) and line.grid[-1] < _MOST_SLICES:
        geometry = _on_grid(geometry, line.grid)
    elif line.kind != "regular":
        return geometry
    return _placed(replace(geometry, z_source="positions"), line.origin, sheet, line.step)


def _on_grid(geometry: StackGeometry, grid: npt.NDArray[np.float64]) -> StackGeometry:
    """Put -1 where slices are missing."""
    order = np.full(int(grid[-1]) + 1, -1)
    order[grid.astype(np.intp)] = geometry.order
    return replace(geometry, order=tuple(order.tolist()), shape=(len(order), *geometry.shape[1:]))


def _recorded_differently(plane: ImagePlane, line: Line) -> tuple[Finding, ...]:
    """Compare SpacingBetweenSlices with both readings of it: along the step, and along the normal."""
    recorded = plane.spacing_between_slices
    if line.kind != "regular" or not is_length(recorded):
        return ()
    nearest = min((line.spacing, line.slice_distance), key=lambda measured: abs(abs(recorded) - measured))
    if abs(abs(recorded) - nearest) <= line.tolerance:
        return ()
    return (_findings.spacing_differs(float(recorded), nearest, line.tolerance),)


def _placed(
    geometry: StackGeometry,
    origin: npt.NDArray[np.float64],
    sheet: npt.NDArray[np.float64],
    step: npt.NDArray[np.float64],
) -> StackGeometry:
    """Add what is known of k, and the affine if the pixel spacing is known as well."""
    i, j, _ = geometry.spacing
    k, distance = float(np.linalg.norm(step)), float(abs(step @ normal_of(sheet)))
    geometry = replace(geometry, spacing=(i, j, k), slice_distance=distance)
    if i is None or j is None:
        return geometry
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = sheet[0] * i, sheet[1] * j, step, origin
    affine = checked_affine(affine)
    affine.flags.writeable = False
    return replace(geometry, affine_lps=affine)


def normal_of(sheet: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the unit vector row × column."""
    normal = np.cross(sheet[0], sheet[1])
    unit: npt.NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit
