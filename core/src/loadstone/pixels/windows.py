"""
Values to shades of grey: windows, VOI LUT, automatic range.

Shades are uint8, from 0 (black) to 255 (white), rounded half to even. NaN becomes 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from loadstone.metadata import VoiLut, Window

__all__ = ["is_possible", "looked_up", "lut_shades", "stretched", "windowed"]

Values = npt.NDArray[np.float64]
Shades = npt.NDArray[np.uint8]

_WHITE: Final = 255.0
_LEAST_WIDTH: Final = {"LINEAR": 1.0, "LINEAR_EXACT": 0.0, "SIGMOID": 0.0}


def is_possible(window: Window) -> bool:
    """
    Say whether a window can be applied.

    Source: DICOM PS3.3 C.11.2.1.2 (the width is at least 1 for LINEAR, more than 0 for the others).
    """
    least = _LEAST_WIDTH.get(window.function, math.inf)
    is_wide_enough = window.width >= least and window.width > 0
    return is_wide_enough and math.isfinite(window.center) and math.isfinite(window.width)


def windowed(values: Values, window: Window) -> Shades:
    """
    Apply a possible window.

    Source: DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    center, width = window.center, window.width
    with np.errstate(over="ignore", invalid="ignore"):
        if window.function == "SIGMOID":
            return _rounded(_WHITE / (1 + np.exp(-4 * (values - center) / width)))
        if window.function == "LINEAR_EXACT":
            return _rounded(((values - center) / width + 0.5) * _WHITE)
        if width == 1:
            return _rounded(np.where(values > center - 0.5, _WHITE, 0.0))
        return _rounded(((values - (center - 0.5)) / (width - 1) + 0.5) * _WHITE)


def stretched(values: Values, low: float, high: float) -> Shades:
    """Show `low` and less as black, `high` and more as white; where they are equal, only more as white."""
    if low == high:
        return _rounded(np.where(values > high, _WHITE, 0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        return _rounded((values - low) / (high - low) * _WHITE)


def lut_shades(voi_lut: VoiLut) -> Shades | None:
    """
    Return the shade of each entry of the VOI LUT.

    Returns
    -------
    numpy.ndarray or None
        uint8, one for each entry; None where there is no LUT, or one without entries or bits.
    """
    if voi_lut.lut is None or not voi_lut.lut.size or voi_lut.lut_bits < 1:
        return None
    white = 2.0**voi_lut.lut_bits - 1
    return stretched(voi_lut.lut.astype(np.float64), 0.0, white)


def looked_up(values: Values, shades: Shades, first: int) -> Shades:
    """
    Look values up, rounded to integers; those before the first and after the last entry take that entry.

    Source: DICOM PS3.3 C.11.2.1.1.
    """
    positions = np.fmin(np.fmax(np.rint(values) - first, 0.0), shades.size - 1.0)
    found: Shades = shades.take(positions.astype(np.intp))
    return found


def _rounded(shades: npt.NDArray[np.floating[Any]]) -> Shades:
    """Round in place; fmax and fmin turn NaN into 0."""
    np.fmax(shades, 0.0, out=shades)
    np.fmin(shades, _WHITE, out=shades)
    np.rint(shades, out=shades)
    return shades.astype(np.uint8)
