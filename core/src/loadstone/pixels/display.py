"""An image as it is meant to be shown. Source: DICOM PS3.3 C.11.2 and C.7.6.3.1.2."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.errors import MetadataError
from loadstone.metadata import VoiLut, Window
from loadstone.pixels.padding import padding_mask, value_range
from loadstone.pixels.windows import is_possible, looked_up, lut_shades, stretched, windowed

__all__ = ["automatic_range", "display"]

AnyArray = npt.NDArray[Any]
Shades = npt.NDArray[np.uint8]
Shading: TypeAlias = Callable[[npt.NDArray[np.float64]], Shades]

_log = logging.getLogger(__name__)

_BLOCK: Final = 65536
"""Values shaded at a time, so that a large image needs no large float64 copy."""
_SAMPLE: Final = 2**22
"""Pixels up to which the automatic range is exact."""


def display(
    pixels: AnyArray,
    *,
    voi_lut: VoiLut,
    window: Window | tuple[float, float] | None,
    padding: tuple[float, float] | None,
    inverted: bool,
    bits_stored: int | None = None,
) -> Shades:
    """
    Return the image as it is meant to be shown.

    Parameters
    ----------
    pixels
        ``(rows, columns)``, or ``(rows, columns, 3 or 4)``: colour, to which nothing below applies. It stays
        as it is in uint8; other integers are scaled by the highest value of `bits_stored`; floats are taken
        to go up to 1, 255 or 65535, the first that none of them exceeds.
    voi_lut
        The VOI LUT wins over the windows, of which the first possible one is used; without any,
        `automatic_range`.
    window
        In place of `voi_lut`: a `Window`, or (center, width) of a LINEAR one. For floats, a pair with a width
        of 1 or less is LINEAR_EXACT, because LINEAR counts in whole steps.
    padding
        The two ends of the range that stands for 'no data', in the values of `pixels`. It is shown black,
        inverted or not, and so is NaN.
    inverted
        Whether low values are bright.
    bits_stored
        Bits of a colour sample that carry a value; None: all of its dtype.

    Returns
    -------
    numpy.ndarray
        uint8, of the shape of `pixels`; for colour in uint8 `pixels` itself.

    Raises
    ------
    MetadataError
        If the given window is impossible.
    """
    if pixels.ndim == 3:
        return _colour(pixels, bits_stored)
    values = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
    shades = _shaded(values, _shading(values, voi_lut, window, padding))
    if inverted:
        np.subtract(255, shades, out=shades)
    if padding is not None:
        shades[padding_mask(values, padding)] = 0
    if inverted and values.dtype.kind == "f":
        shades[np.isnan(values)] = 0
    return shades


def automatic_range(values: AnyArray, padding: tuple[float, float] | None) -> tuple[float, float]:
    """
    Return the 1st and 99th percentile of what is neither padding nor infinite nor NaN.

    Where they are equal, the lowest and the highest value. Above 4 million pixels, every n-th row and column
    is looked at, with the smallest n that leaves about 4 million.

    Parameters
    ----------
    values
        ``(rows, columns)``, real.
    padding
        As for `padding_mask`.

    Returns
    -------
    low, high : float
        0, 0 where no value is left.
    """
    step = max(1, math.ceil(math.sqrt(values.size / _SAMPLE)))
    sample = values[::step, ::step]
    kept = sample[~padding_mask(sample, padding)] if padding is not None else sample.reshape(-1)
    if kept.dtype.kind == "f":
        kept = kept[np.isfinite(kept)]
    if not kept.size:
        return 0.0, 0.0
    ordered = np.sort(kept)
    low, high = _percentile(ordered, 0.01), _percentile(ordered, 0.99)
    return (low, high) if low < high else (float(ordered[0]), float(ordered[-1]))


def _percentile(ordered: AnyArray, share: float) -> float:
    """Interpolate in Python's floats: numpy's percentile wraps around in int8, and knows no bool."""
    position = share * (ordered.size - 1)
    below = math.floor(position)
    low, high = map(float, (ordered[below], ordered[min(below + 1, ordered.size - 1)]))
    return low + (high - low) * (position - below)


def _shading(
    values: AnyArray,
    voi_lut: VoiLut,
    window: Window | tuple[float, float] | None,
    padding: tuple[float, float] | None,
) -> Shading:
    if window is not None:
        return partial(windowed, window=_given(window, values.dtype))
    if voi_lut.lut is not None:
        shades = lut_shades(voi_lut)
        if shades is not None:
            return partial(looked_up, shades=shades, first=voi_lut.lut_first)
        _log.warning("a VOI LUT of %d entries is unusable: ignored", voi_lut.lut.size)
    for each in voi_lut.windows:
        if is_possible(each):
            return partial(windowed, window=each)
        _log.warning("%s is impossible: ignored", _described(each))
    low, high = automatic_range(values, padding)
    return partial(stretched, low=low, high=high)


def _given(window: Window | tuple[float, float], dtype: np.dtype[Any]) -> Window:
    if not isinstance(window, Window):
        center, width = window
        is_narrow = dtype.kind == "f" and width <= 1
        window = Window(center, width, function="LINEAR_EXACT" if is_narrow else "LINEAR")
    if not is_possible(window):
        raise MetadataError(
            f"{_described(window)} is impossible",
            hint="The width is at least 1 for LINEAR, more than 0 for LINEAR_EXACT and SIGMOID.",
        )
    return window


def _described(window: Window) -> str:
    return f"the {window.function} window with center {window.center} and width {window.width}"


def _colour(pixels: AnyArray, bits_stored: int | None) -> Shades:
    if pixels.dtype == np.uint8:
        return pixels
    return _shaded(pixels, partial(stretched, low=0.0, high=_white(pixels, bits_stored)))


def _white(pixels: AnyArray, bits_stored: int | None) -> float:
    if pixels.dtype.kind == "b":
        return 1.0
    if pixels.dtype.kind in "iu":
        highest = float(np.iinfo(pixels.dtype).max)
        return highest if bits_stored is None else min(highest, 2.0**bits_stored - 1)
    _, highest = value_range(pixels, None)
    return next((white for white in (1.0, 255.0, 65535.0) if not highest > white), highest)


def _shaded(values: AnyArray, shading: Shading) -> Shades:
    if values.dtype.kind in "biu" and values.dtype.itemsize <= 2 and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < values.size:
            return _shaded_by_table(values, shading, low, high)
    return _shaded_in_blocks(values, shading)


def _shaded_by_table(values: AnyArray, shading: Shading, low: int, high: int) -> Shades:
    """Shade each possible value once, in a table indexed by bit patterns, so that no value is shifted."""
    pattern = f"u{values.dtype.itemsize}"
    possible = np.arange(low, high + 1)
    table = np.zeros(1 << (8 * values.dtype.itemsize), np.uint8)
    table[possible.astype(values.dtype).view(pattern)] = shading(possible.astype(np.float64))
    return table.take(values.view(pattern))


def _shaded_in_blocks(values: AnyArray, shading: Shading) -> Shades:
    shades = np.empty(values.shape, np.uint8)
    step = max(1, _BLOCK * len(values) // max(1, values.size))
    with np.errstate(invalid="ignore"):  # signalling NaN
        for start in range(0, len(values), step):
            shades[start : start + step] = shading(values[start : start + step].astype(np.float64))
    return shades
