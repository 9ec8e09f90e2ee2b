"""What was found, in words: one function for each kind of finding about positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from loadstone.geometry.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.geometry._lines import Line

__all__ = [
    "duplicates",
    "lacking",
    "of_line",
    "of_sparse_line",
    "same_place",
    "single_slice",
    "spacing_differs",
]

_MOST_LISTED: Final = 8
"""Numbers that a message lists; the finding holds all of them."""


def of_line(line: Line, order: npt.NDArray[np.intp]) -> tuple[Finding, ...]:
    """
    Say what is known of two or more distinct positions.

    Parameters
    ----------
    line
        The line through them.
    order
        Of each sorted slice, its place in the list that was given.
    """
    findings = [_LINES[line.kind](line, order)] if line.kind != "regular" or not line.tilted else []
    return (*findings, _tilt(line)) if line.tilted else tuple(findings)


def of_sparse_line(line: Line) -> tuple[Finding, ...]:
    """Say what is known of positions on a grid that need not all be taken."""
    slices = int(line.grid[-1]) + 1
    message = (
        f"{slices} slices, {_mm(line.spacing)} apart; {slices - len(line.grid)} of them "
        "have no image and are 0"
    )
    largest = float(line.deviations.max())
    regular = Finding(FindingKind.REGULAR, message, distances=(line.spacing, largest))
    return (_tilt(line),) if line.tilted else (regular,)


def _regular(line: Line, order: npt.NDArray[np.intp]) -> Finding:
    largest = float(line.deviations.max())
    return Finding(
        FindingKind.REGULAR,
        f"{len(order)} slices, {_mm(line.spacing)} apart, at most {_mm(largest)} off the line",
        distances=(line.spacing, largest),
        tolerance=line.tolerance,
    )


def _gap(line: Line, order: npt.NDArray[np.intp]) -> Finding:
    steps = np.diff(line.grid)
    after = np.flatnonzero(steps > 1) + 1
    missing = int(line.grid[-1]) + 1 - len(order)
    return Finding(
        FindingKind.GAP,
        f"{missing} of {missing + len(order)} slices {_plural(missing, 'is', 'are')} missing, "
        f"{_mm(line.spacing)} apart: {_missing_places(line, after)}",
        indices=tuple(after.tolist()),
        images=tuple(order[after].tolist()),
        distances=tuple((steps[after - 1] * line.slice_distance).tolist()),
        tolerance=line.tolerance,
    )


def _missing_places(line: Line, after: npt.NDArray[np.intp]) -> str:
    """Say which positions are missing, so that they can be looked for."""
    places = []
    for index in after[:_MOST_LISTED].tolist():
        first, last = line.grid[index - 1] + 1, line.grid[index] - 1
        positions = sorted({first, last})
        where = " to ".join(_point(line.origin + place * line.step) for place in positions)
        places.append(f"before index {index} (ImagePositionPatient {where})")
    return _listed(places, len(after))


def _irregular(line: Line, order: npt.NDArray[np.intp]) -> Finding:
    off = np.flatnonzero(line.off)
    between = np.diff(line.along)
    return Finding(
        FindingKind.IRREGULAR,
        f"{len(off)} of {len(order)} slices lie off the line from first to last, by up to "
        f"{_mm(float(line.deviations.max()))} ({_mm(line.tolerance)} allowed); "
        f"distances from {_mm(float(between.min()))} to {_mm(float(between.max()))}",
        indices=tuple(off.tolist()),
        images=tuple(order[off].tolist()),
        distances=tuple(line.deviations[off].tolist()),
        tolerance=line.tolerance,
    )


def _flat(line: Line, order: npt.NDArray[np.intp]) -> Finding:
    everything = tuple(range(len(order)))
    return Finding(
        FindingKind.IRREGULAR,
        f"{len(order)} images lie side by side: they advance by {_mm(line.slice_distance)} along their "
        f"normal in steps of {_mm(line.spacing)}",
        indices=everything,
        images=tuple(order.tolist()),
        distances=tuple(line.deviations.tolist()),
        tolerance=line.tolerance,
    )


_LINES: Final = {"regular": _regular, "gap": _gap, "irregular": _irregular, "flat": _flat}


def _tilt(line: Line) -> Finding:
    return Finding(
        FindingKind.TILT,
        f"the slices advance at {line.degrees:.4g}° to their normal (gantry tilt): "
        f"steps of {_mm(line.spacing)}, planes {_mm(line.slice_distance)} apart",
        distances=(line.spacing, line.slice_distance),
        degrees=line.degrees,
        tolerance=0.1,
    )


def duplicates(groups: npt.NDArray[np.intp], order: npt.NDArray[np.intp]) -> Finding:
    """
    Say which images lie where another one lies.

    Parameters
    ----------
    groups
        ``(n,)`` ascending: equal numbers for equal positions.
    order
        Of each sorted slice, its place in the list that was given.
    """
    counts = np.bincount(groups)
    second = np.flatnonzero(np.diff(groups, prepend=-1) == 0)
    if counts.min() == counts.max():
        positions = f"{len(counts)} {_plural(len(counts), 'position', 'positions')}"
        message = f"{len(order)} images lie at {positions}, {counts[0]} at each, as several volumes would"
    else:
        crowded = np.flatnonzero(counts > 1)
        listed = _listed([str(position) for position in crowded[:_MOST_LISTED].tolist()], len(crowded))
        message = (
            f"{len(order)} images lie at {len(counts)} positions, up to {counts.max()} at one; "
            f"several at {_plural(len(crowded), 'position', 'positions')} {listed}"
        )
    return Finding(
        FindingKind.DUPLICATE,
        message,
        indices=tuple(second.tolist()),
        images=tuple(order[second].tolist()),
    )


def same_place(images: npt.NDArray[np.intp]) -> Finding:
    """Say which images of a grid lie where another one of the same time point lies."""
    return Finding(
        FindingKind.DUPLICATE,
        f"{len(images)} {_plural(len(images), 'image lies', 'images lie')} where another one of the same "
        "time point lies",
        images=tuple(images.tolist()),
    )


def lacking(cells: npt.NDArray[np.intp]) -> Finding:
    """
    Say which images a grid lacks.

    Parameters
    ----------
    cells
        ``(…, k)``: the image of each place, -1 where there is none.
    """
    empty = np.argwhere(cells < 0)
    listed = _listed([str(tuple(place)) for place in empty[:_MOST_LISTED].tolist()], len(empty))
    return Finding(
        FindingKind.INCOMPLETE,
        f"{len(empty)} of {cells.size} images are missing, which other time points have: at {listed}",
        indices=tuple(np.flatnonzero(cells < 0).tolist()),
    )


def single_slice(extent: float | None, source: str | None) -> Finding:
    """Say where the extent of one slice along k comes from."""
    if extent is None or source is None:
        return Finding(FindingKind.SINGLE_SLICE, "one slice position, no extent along k is recorded")
    name = {"spacing_between_slices": "SpacingBetweenSlices", "slice_thickness": "SliceThickness"}[source]
    return Finding(
        FindingKind.SINGLE_SLICE,
        f"one slice position; the extent along k, {_mm(extent)}, is {name}",
        distances=(extent,),
    )


def spacing_differs(recorded: float, measured: float, tolerance: float) -> Finding:
    """Say that what is recorded is not what positions say."""
    return Finding(
        FindingKind.SPACING_DIFFERS,
        f"SpacingBetweenSlices says {_mm(recorded)}, the positions say {_mm(measured)}, which is used",
        distances=(recorded, measured),
        tolerance=tolerance,
    )


def _mm(length: float) -> str:
    return f"{length:.6g} mm"


def _point(position: npt.NDArray[np.float64]) -> str:
    return "\\".join(f"{coordinate:.6g}" for coordinate in (position + 0.0).round(6).tolist())


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _listed(items: Sequence[str], total: int) -> str:
    more = f" and {total - len(items)} more" if total > len(items) else ""
    return ", ".join(items) + more
