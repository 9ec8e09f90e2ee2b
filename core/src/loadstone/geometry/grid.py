"""From the planes of images at several time points to one grid: the same slices at each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from loadstone.errors import GeometryError, PluginContractError
from loadstone.geometry import _findings
from loadstone.geometry._planes import PlaneTable
from loadstone.geometry._refusal import refuse
from loadstone.geometry.arrange import StackGeometry, arranged, by_position, sheet_of, unknown_places
from loadstone.geometry.policy import DEFAULT_POLICY, GeometryPolicy
from loadstone.geometry.report import Finding, FindingKind, GeometryReport
from loadstone.geometry.stacks import table_mixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.metadata import ImagePlane

__all__ = ["GridGeometry", "arrange_grid", "slice_numbers"]

Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class GridGeometry:
    """How images form a volume of more than three dimensions."""

    cells: Labels
    """``(…, k)``: the image of each place, by its position in the list that was given; -1: there is none."""
    stack: StackGeometry
    """Where the slices lie, which is the same at every time point; its report is that of all images."""


def slice_numbers(planes: Sequence[ImagePlane]) -> tuple[int, ...] | None:
    """
    Number images by position: equal numbers for equal positions, ascending along row × column.

    Returns
    -------
    tuple of int or None
        One for each image, from 0 without holes; None where not all say where they lie in one space.

    Raises
    ------
    MetadataError
        If a plane holds what is no vector.

    Examples
    --------
    >>> from loadstone.metadata import ImagePlane
    >>> slice_numbers([ImagePlane((1, 1), (0, 0, z), (1, 0, 0, 0, 1, 0)) for z in (3, 0, 3)])
    (1, 0, 1)
    """
    table = PlaneTable.of(planes)
    if not planes or _unplaced(table):
        return None
    return tuple(_by_position(table).tolist())


def arrange_grid(
    planes: Sequence[ImagePlane],
    places: Sequence[tuple[int, ...]],
    lengths: tuple[int, ...],
    size: tuple[int, int],
    policy: GeometryPolicy = DEFAULT_POLICY,
    *,
    sparse: bool = False,
) -> GridGeometry:
    """
    Sort images of several time points by position.

    Images of equal position are one slice; how near is equal, `arrange` says. Where no image says where it
    lies, those of one time point keep the order they were given in.

    Parameters
    ----------
    planes
        Where each image lies, in any order.
    places
        The index of each on the leading axes.
    lengths
        Of the leading axes.
    size
        Rows and columns of every image.
    policy
        What to do about irregularities.
    sparse
        Whether places without an image are known to be 0, and neither a gap nor incomplete.

    Raises
    ------
    GeometryError
        If something is found that the policy refuses; it carries the report.
    MetadataError
        If a plane holds what is no vector.
    PluginContractError
        If an index is none of the leading axes.

    Examples
    --------
    >>> from loadstone.metadata import ImagePlane
    >>> planes = [ImagePlane((1, 1), (0, 0, z), (1, 0, 0, 0, 1, 0)) for z in (3, 0, 0, 3)]
    >>> arrange_grid(planes, [(0,), (0,), (1,), (1,)], (2,), (64, 64)).cells.tolist()
    [[1, 0], [2, 3]]
    """
    leading = _checked_places(places, lengths, len(planes))
    table = PlaneTable.of(planes)
    unplaced = _unplaced(table)
    slices = _by_rank(leading) if unplaced else _by_position(table)
    chosen = [planes[index] for index in np.unique(slices, return_index=True)[1].tolist()]
    shape = (len(chosen), *size)
    if unplaced and any(each.kind is not FindingKind.UNKNOWN_POSITION for each in unplaced):
        stack = StackGeometry(tuple(range(len(chosen))), shape, GeometryReport(unplaced))
    else:
        stack = arranged(PlaneTable.of(chosen), chosen, shape, policy, sparse=sparse)
    order = np.array(stack.order)
    cells, doubles = _cells(leading, lengths, slices, order)
    report = stack.report.adding(*_conflicts(doubles), *_holes(np.where(order < 0, 0, cells), sparse=sparse))
    _refuse_doubles(report, policy)
    refuse(report, policy)
    return GridGeometry(cells, replace(stack, report=report))


def _checked_places(places: Sequence[tuple[int, ...]], lengths: tuple[int, ...], count: int) -> Labels:
    """Return, for each image, the number of its time point: its index over all leading axes."""
    if len(places) != count or any(len(place) != len(lengths) for place in places):
        raise PluginContractError(
            f"{len(places)} places for {count} images, which need {len(lengths)} indices each"
        )
    indices = np.array(places, dtype=np.intp)
    if (indices < 0).any() or (indices >= lengths).any():
        raise PluginContractError(f"places lie beyond the axes of {lengths} indices")
    leading: Labels = np.ravel_multi_index(tuple(indices.T), lengths)
    return leading


def _unplaced(table: PlaneTable) -> tuple[Finding, ...]:
    """Say why images cannot be told apart by their positions; nothing where they can."""
    unknown = [each for each in unknown_places(table) if each.kind is not FindingKind.UNKNOWN_SPACING]
    return (*unknown, *table_mixture(table, np.zeros((len(table.positions), 0))))


def _by_position(table: PlaneTable) -> Labels:
    """Number the slice that each image is, by position."""
    order, groups = by_position(table, sheet_of(table))
    slices = np.empty(len(order), dtype=np.intp)
    slices[order] = groups
    return slices


def _by_rank(leading: Labels) -> Labels:
    """Number the slice that each image is, in the order given within its time point."""
    order = np.argsort(leading, kind="stable")
    starts = np.flatnonzero(np.diff(leading[order], prepend=-1))
    slices = np.empty(len(order), dtype=np.intp)
    slices[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return slices


def _cells(leading: Labels, lengths: tuple[int, ...], slices: Labels, order: Labels) -> tuple[Labels, Labels]:
    """Return the image of each place, and the images that found theirs taken."""
    index_of = np.full(int(slices.max()) + 1, -1)
    index_of[order[order >= 0]] = np.flatnonzero(order >= 0)
    kept = np.flatnonzero(index_of[slices] >= 0)
    flat = leading[kept] * len(order) + index_of[slices[kept]]
    places, firsts = np.unique(flat, return_index=True)
    cells = np.full(math.prod(lengths) * len(order), -1)
    cells[places] = kept[firsts]
    return cells.reshape(*lengths, len(order)), np.setdiff1d(kept, kept[firsts])


def _conflicts(doubles: Labels) -> tuple[Finding, ...]:
    return (_findings.same_place(doubles),) if len(doubles) else ()


def _holes(cells: Labels, *, sparse: bool) -> tuple[Finding, ...]:
    return (_findings.lacking(cells),) if not sparse and (cells < 0).any() else ()


def _refuse_doubles(report: GeometryReport, policy: GeometryPolicy) -> None:
    """Refuse what a grid has no place for, which a plain stack could keep."""
    found = report.get(FindingKind.DUPLICATE)
    if found is not None and policy.duplicate == "ignore":
        raise GeometryError(
            found.message, hint='Keep one of each with GeometryPolicy(duplicate="first").', report=report
        )
