"""Do positions lie on a line, equally spaced? Numbers only; the words are in `_findings`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Line", "Precision", "fit_line", "same_position"]

FloatArray = npt.NDArray[np.float64]
LineKind: TypeAlias = Literal["regular", "gap", "irregular", "flat"]

_RELATIVE: Final = 0.01
"""Share of the spacing by which a slice may be off the line."""
_MOST_MM: Final = 0.1
"""Whatever the spacing and the text, a slice is never further off than this."""
_TILT_DEGREES: Final = 0.1
"""Angle between the step and the normal that counts as tilt."""
_FINEST_MM: Final = 1e-6
"""Positions closer than this are the same, and no smaller difference is the unit of a grid."""
_FLATTEST: Final = 0.01
"""Share of a step that must lie along the normal: less is no stack but images side by side."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How exactly positions are known."""

    decimals: int | None
    """Decimals of their text; None where they were binary."""

    @property
    def half(self) -> float:
        """Half the last decimal in mm: by how much rounding can have moved a coordinate."""
        return 0.0 if self.decimals is None else 0.5 * 10.0 ** -max(self.decimals, 0)

    def tolerance(self, spacing: float) -> float:
        """
        By how many mm each coordinate of a slice may be off the line.

        1 % of the spacing and half the last decimal; but where the text is coarse against the spacing, what
        rounding alone explains: half a decimal for the slice, half for the ends that the line goes through.
        """
        return min(max(_RELATIVE * spacing, self.half) + self.half, _MOST_MM)


def same_position(positions: FloatArray, distances: FloatArray, precision: Precision) -> npt.NDArray[np.intp]:
    """
    Number positions so that equal numbers mean the same place.

    Parameters
    ----------
    positions
        ``(n, 3)``, sorted.
    distances
        ``(n,)``: along the normal, ascending.
    precision
        How exactly they are known.

    Returns
    -------
    numpy.ndarray
        ``(n,)``, ascending from 0.
    """
    spacing = _typical(np.diff(distances))
    # Less than a decimal, so that coarse text never melts neighbours into one.
    tolerance = max(min(_RELATIVE * spacing + precision.half, _MOST_MM), _FINEST_MM)
    apart = np.abs(np.diff(positions, axis=0)).max(axis=1) > tolerance
    return np.concatenate(([0], np.cumsum(apart)))


def _typical(differences: FloatArray) -> float:
    """
    Return a spacing that neither duplicates nor one long gap can hide.

    The tenth part of the *length*, not of the number: a hundred time points at each position have no length.
    """
    ascending = np.sort(differences)
    length = np.cumsum(ascending)
    return float(ascending[np.searchsorted(length, 0.1 * length[-1])]) if len(length) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What positions along a stack are: numbers for the report, and the step for the affine."""

    kind: LineKind
    """Whether, and how, they are equally spaced; flat: they do not advance along the normal."""
    origin: FloatArray
    """``(3,)``: the first position, mm."""
    along: FloatArray
    """``(n,)``: each position along the normal, mm."""
    step: FloatArray
    """``(3,)``: from one slice to the next, (last − first) / steps, mm; with gaps, of the grid."""
    normal: FloatArray
    """``(3,)``: unit vector across the slices, towards growing index."""
    grid: FloatArray
    """``(n,)``: the place of each slice on the grid; 0, 1, 2, … unless there are gaps."""
    deviations: FloatArray
    """``(n,)``: how far each is off the line, mm: in its worst coordinate, as text rounds each alone."""
    off: npt.NDArray[np.bool_]
    """``(n,)``: which are further off than accepted."""
    tolerance: float
    """What is accepted, mm."""
    degrees: float
    """Angle between step and normal."""
    tilted: bool
    """Whether that is more than rounding and 0.1°."""

    @property
    def spacing(self) -> float:
        """Length of the step, mm."""
        return float(np.linalg.norm(self.step))

    @property
    def slice_distance(self) -> float:
        """Distance of the planes of successive slices, mm."""
        return float(self.step @ self.normal)


def fit_line(positions: FloatArray, normal: FloatArray, precision: Precision) -> Line:
    """
    Fit the line from the first to the last of at least two sorted, distinct positions.

    Parameters
    ----------
    positions
        ``(n, 3)``, ascending along the normal, mm.
    normal
        ``(3,)``: unit vector.
    precision
        How exactly they are known.
    """
    even = np.arange(len(positions), dtype=np.float64)
    line = _line("regular", positions, even, normal, precision)
    if line.slice_distance <= _FLATTEST * line.spacing:
        return replace(line, kind="flat", tilted=False)
    if not line.off.any():
        return line
    grid = _integer_grid(line.along)
    gapped = _line("gap", positions, grid, normal, precision)
    # With a step of less than four tolerances, anything would count as a multiple of it.
    if not gapped.off.any() and 4 * gapped.tolerance < gapped.spacing:
        return gapped
    return replace(line, kind="irregular")


def _integer_grid(distances: FloatArray) -> FloatArray:
    """Number positions along the normal in units of their smallest difference."""
    differences = np.diff(distances)
    smallest = differences.min()
    # All that may be one unit share in its value, lest a small error of one grow with the length of a gap.
    unit = max(float(differences[differences <= 1.5 * smallest].mean()), _FINEST_MM)
    return np.concatenate(([0.0], np.cumsum(np.maximum(np.rint(differences / unit), 1.0))))


def _line(
    kind: LineKind,
    positions: FloatArray,
    grid: FloatArray,
    normal: FloatArray,
    precision: Precision,
) -> Line:
    extent = positions[-1] - positions[0]
    step = extent / grid[-1]
    deviations = np.abs(positions - positions[0] - grid[:, np.newaxis] * step).max(axis=1)
    tolerance = precision.tolerance(float(np.linalg.norm(step)))
    across = float(np.linalg.norm(extent - (extent @ normal) * normal))
    degrees = float(np.degrees(np.arctan2(across, extent @ normal)))
    return Line(
        kind=kind,
        origin=positions[0],
        along=positions @ normal,
        step=step,
        normal=normal,
        grid=grid,
        deviations=deviations,
        # A nanometre for the arithmetic: rounded text lies exactly on the edge.
        off=deviations > tolerance + _FINEST_MM,
        tolerance=tolerance,
        degrees=degrees,
        # Rounding can move each end by half a decimal in each of three coordinates.
        tilted=degrees > _TILT_DEGREES and across > 2 * 3**0.5 * precision.half,
    )
