"""Images that can form one volume, and what keeps others apart from them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import MetadataError
from loadstone.geometry._planes import PlaneTable, rows_of
from loadstone.geometry.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadstone.metadata import ImagePlane

__all__ = ["mixture", "split_stacks"]

_ORIENTATION: Final = 1e-4
"""Largest difference of a component of the orientation within a stack."""
_SPACING: Final = 1e-4
"""Largest relative difference of a pixel spacing within a stack."""

_FEWEST: Final = 3
"""Images from which on frames of reference that all differ are taken for damage, not for information."""

Labels = npt.NDArray[np.intp]


def split_stacks(
    planes: Sequence[ImagePlane], sizes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, ...], ...]:
    """
    Divide images into groups that agree in orientation, pixel spacing, size and frame of reference.

    Unknown agrees with unknown only. Where each of three or more images names a frame of reference of its
    own, these tell nothing (de-identification replaced them) and are not looked at. Which groups arise does
    not depend on the order of the images.

    Parameters
    ----------
    planes
        Where each image lies.
    sizes
        Rows and columns of each.

    Returns
    -------
    tuple of tuple of int
        Indices of the images, ascending; the group of the first image comes first. `mixture` says why there
        are several.

    Raises
    ------
    MetadataError
        If there are not as many sizes as planes, or a plane holds what is no vector.

    Examples
    --------
    >>> from loadstone.metadata import ImagePlane
    >>> axial = ImagePlane((1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0))
    >>> coronal = ImagePlane((1, 1), (0, 0, 0), (1, 0, 0, 0, 0, -1))
    >>> split_stacks([axial, coronal, axial], [(64, 64)] * 3)
    ((0, 2), (1,))
    """
    table = PlaneTable.of(planes)
    return _groups(_combined(_labels(table, _size_array(planes, sizes)).values(), len(planes)))


def mixture(planes: Sequence[ImagePlane], sizes: Sequence[tuple[int, int]]) -> tuple[Finding, ...]:
    """
    Say in what images differ that would have to agree in one volume.

    Parameters
    ----------
    planes
        Where each image lies.
    sizes
        Rows and columns of each.

    Returns
    -------
    tuple of Finding
        Of the ``MIXED_…`` kinds; empty exactly when `split_stacks` finds one group.

    Raises
    ------
    MetadataError
        If there are not as many sizes as planes, or a plane holds what is no vector.
    """
    return table_mixture(PlaneTable.of(planes), _size_array(planes, sizes))


def table_mixture(table: PlaneTable, sizes: npt.NDArray[np.float64]) -> tuple[Finding, ...]:
    """Do the same for planes that are already gathered."""
    return tuple(
        _mixed(kind, labels) for kind, labels in _labels(table, sizes).items() if labels.max(initial=0) > 0
    )


def _size_array(planes: Sequence[ImagePlane], sizes: Sequence[tuple[int, int]]) -> npt.NDArray[np.float64]:
    if len(planes) != len(sizes):
        raise MetadataError(f"{len(planes)} planes but {len(sizes)} sizes", hint="Give both for each image.")
    return rows_of(sizes, 2, "the size")


def _labels(table: PlaneTable, sizes: npt.NDArray[np.float64]) -> dict[FindingKind, Labels]:
    labels = {
        FindingKind.MIXED_ORIENTATION: _clusters(table.orientations, _ORIENTATION),
        FindingKind.MIXED_SPACING: _clusters(np.log(table.pixel_spacings), _SPACING),
        FindingKind.MIXED_SIZE: _clusters(sizes, 0.0),
    }
    frames = _meaningful(table.frames_of_reference, _combined(labels.values(), len(sizes)))
    return labels | {FindingKind.MIXED_FRAME_OF_REFERENCE: frames}


def _meaningful(frames: Labels, groups: Labels) -> Labels:
    """Make frames of reference one where, in a group of at least three images, no two share one."""
    sizes = np.bincount(groups)
    distinct = np.bincount(groups[np.unique(_combined((groups, frames), len(groups)), return_index=True)[1]])
    meaningless = (distinct == sizes) & (sizes >= _FEWEST)
    return np.where(meaningless[groups], 0, frames + 1) if meaningless.any() else frames


def frame_of_reference_per_image(table: PlaneTable) -> tuple[Finding, ...]:
    """Say that frames of reference were not looked at, for images that are otherwise of one kind."""
    count = len(table.frames_of_reference)
    if count < _FEWEST or int(table.frames_of_reference.max()) + 1 < count:
        return ()
    message = f"each of {count} images names another frame of reference: they tell nothing, and are not used"
    return (Finding(FindingKind.FRAME_OF_REFERENCE_PER_IMAGE, message),)


def _combined(labels: Iterable[Labels], count: int) -> Labels:
    """Number rows so that equal numbers agree in all labels."""
    total = np.zeros(count, dtype=np.intp)
    for each in labels:
        if each.max(initial=0) > 0:
            # Numbered anew without holes, so that products of numbers stay small.
            total = np.unique(total * (each.max() + 1) + each, return_inverse=True)[1].reshape(-1)
    return total


def _clusters(rows: npt.NDArray[np.float64], tolerance: float) -> Labels:
    """Number rows: equal ones differ by at most the tolerance in each column; NaN is a value of its own."""
    return _combined(
        (
            _column_clusters(column, tolerance)
            for column in rows.T
            if len(column) and (np.ptp(column) > tolerance or np.isnan(column).any())
        ),
        len(rows),
    )


def _column_clusters(column: npt.NDArray[np.float64], tolerance: float) -> Labels:
    """Cut the sorted values where the reach of the lowest of a cluster ends, whatever their order was."""
    order = np.argsort(column, kind="stable")
    known = len(column) - int(np.isnan(column).sum())
    ascending = column[order[:known]].tolist()
    cuts = np.zeros(len(column) + 1, dtype=np.intp)
    start = 0
    while start < known:
        start = bisect_right(ascending, ascending[start] + tolerance, lo=start)
        cuts[start] = 1
    labels = np.empty(len(column), dtype=np.intp)
    labels[order] = np.cumsum(cuts[:-1])
    return labels


def _groups(labels: Labels) -> tuple[tuple[int, ...], ...]:
    if not len(labels):
        return ()
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return tuple(sorted(tuple(group.tolist()) for group in np.split(order, starts)))


_NAMES: Final = {
    FindingKind.MIXED_ORIENTATION: "orientations",
    FindingKind.MIXED_SPACING: "pixel spacings",
    FindingKind.MIXED_SIZE: "sizes",
    FindingKind.MIXED_FRAME_OF_REFERENCE: "frames of reference",
}
_MOST_COUNTS: Final = 6
"""Counts that a message lists."""


def _mixed(kind: FindingKind, labels: Labels) -> Finding:
    _, firsts, counts = np.unique(labels, return_index=True, return_counts=True)
    in_order = np.argsort(firsts)
    images = tuple(firsts[in_order].tolist())
    listed = ", ".join(map(str, counts[in_order][:_MOST_COUNTS].tolist()))
    more = ", …" if len(counts) > _MOST_COUNTS else ""
    return Finding(
        kind,
        f"{len(labels)} images have {len(counts)} {_NAMES[kind]} ({listed}{more} images each)",
        indices=images,
        images=images,
    )
