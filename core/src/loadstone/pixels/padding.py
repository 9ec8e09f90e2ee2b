"""
Pixels that stand for 'no data', and the range of those that do not.

Source: DICOM PS3.3 C.7.5.1.1.2 (Pixel Padding Value, Pixel Padding Range Limit).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["padding_mask", "value_range"]

AnyArray = npt.NDArray[Any]

_BLOCK: Final = 65536
"""Values looked at a time where padding has to be left out."""


def padding_mask(pixels: AnyArray, padding: tuple[float, float] | None) -> npt.NDArray[np.bool_]:
    """
    Say which pixels are padding.

    Parameters
    ----------
    pixels
        ``(rows, columns)`` or ``(rows, columns, samples)``.
    padding
        The two ends of the padding range, in the values of `pixels`, in any order; None: there is no padding.

    Returns
    -------
    numpy.ndarray
        bool, ``(rows, columns)``; a pixel of colour is padding when all of its samples are.
    """
    ends = None if padding is None else _ends_as(pixels.dtype, padding)
    if ends is None:
        return np.zeros(pixels.shape[:2], np.bool_)
    low, high = ends
    mask: npt.NDArray[np.bool_] = pixels == low if low == high else (pixels >= low) & (pixels <= high)
    return np.logical_and.reduce(mask, axis=2) if mask.ndim == 3 else mask


def _ends_as(dtype: np.dtype[Any], padding: tuple[float, float]) -> tuple[Any, Any] | None:
    """Return the ends as values of the dtype; None where the dtype has no value between them."""
    if any(map(math.isnan, padding)):
        return None
    low, high = min(padding), max(padding)
    if dtype.kind not in "iu":
        # The pixels were rounded to their dtype, so that the ends have to be, too.
        with np.errstate(over="ignore"):
            return (low, high) if dtype.kind == "b" else (dtype.type(low), dtype.type(high))
    limits = np.iinfo(dtype)
    low, high = max(low, int(limits.min)), min(high, int(limits.max))
    if low > high or math.ceil(low) > math.floor(high):
        return None
    return math.ceil(low), math.floor(high)


def value_range(pixels: AnyArray, padding: tuple[float, float] | None) -> tuple[float, float]:
    """
    Return the lowest and the highest value, padding and NaN left out.

    Parameters
    ----------
    pixels
        ``(rows, columns)`` or ``(rows, columns, samples)``; of complex ones, the magnitude counts.
    padding
        As for `padding_mask`.

    Returns
    -------
    lowest, highest : float
        NaN where nothing is left.
    """
    values = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
    extremes = _extremes(values)
    # Padding changes the range only where an end of the range is padding, which a look at two values tells.
    if padding is not None and padding_mask(extremes[np.newaxis], padding).any():
        extremes = _extremes_without(values, padding)
    return float(extremes[0]), float(extremes[1])


def _extremes(values: AnyArray) -> AnyArray:
    """Return the lowest and the highest value, in the dtype of the values."""
    if not values.size:
        return np.array([math.nan, math.nan])
    extremes = np.array([values.min(), values.max()])
    # The plain minimum is twice as quick, but one NaN takes it over.
    if np.isnan(extremes[0]):
        extremes = np.array([np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)])
    return extremes


def _extremes_without(values: AnyArray, padding: tuple[float, float]) -> AnyArray:
    step = max(1, _BLOCK * len(values) // values.size)
    blocks = (values[start : start + step] for start in range(0, len(values), step))
    found = [_extremes(block[~padding_mask(block, padding)]) for block in blocks]
    return _extremes(np.concatenate(found))
