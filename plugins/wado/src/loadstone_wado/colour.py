"""
Colour spaces and palettes to RGB, equal to what pydicom makes of them (but for its rounding of exact halves).

The arithmetic is that of DICOM PS3.3 C.7.6.3.1.2 (ITU-T T.871 section 7), rounded half up. It is done with
tables of whole numbers: the luminance is a whole number, so each chrominance's share can be rounded on its
own.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import MetadataError, UnsupportedError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["RGB_SPACES", "palette_to_rgb", "to_rgb"]

RGB_SPACES: Final = frozenset(
    {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT", "XYB"}
)
"""Photometric interpretations of three samples that `to_rgb` or the decoder turns into RGB."""

_ROWS_AT_A_TIME: Final = 64
"""So that the scratch arrays stay in the processor's cache."""


def to_rgb(array: npt.NDArray[Any], photometric_interpretation: str, out: npt.NDArray[Any]) -> None:
    """
    Convert to RGB.

    Parameters
    ----------
    array
        ``(rows, columns, 3)``, may be `out` itself.
    photometric_interpretation
        Of `array`.
    out
        Receives RGB, same shape and dtype.

    Raises
    ------
    UnsupportedError
        If the colour space is unknown, or samples have more than 8 bits where it is not RGB.
    """
    if photometric_interpretation not in RGB_SPACES:
        raise UnsupportedError(
            f"the photometric interpretation {photometric_interpretation} cannot be shown as RGB",
            hint="Load it with scaled=False for the values as stored.",
        )
    if photometric_interpretation in {"RGB", "YBR_RCT", "YBR_ICT", "XYB"}:
        # The decoder has undone the last three.
        if out is not array:
            out[...] = array
        return
    if array.dtype != np.uint8:
        raise UnsupportedError(
            f"{photometric_interpretation} with samples of {array.dtype} cannot be converted to RGB",
            hint="Load it with scaled=False for the values as stored.",
        )
    convert = _partial_range if photometric_interpretation.startswith("YBR_PARTIAL") else _full_range
    for start in range(0, len(array), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        convert(array[rows], out[rows])


def _half_up(numerator: npt.NDArray[np.int_], denominator: int) -> npt.NDArray[np.int_]:
    return (2 * numerator + denominator) // (2 * denominator)


@cache
def _full_range_tables() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Return what Cr adds to red, what Cb and Cr add to green, what Cb adds to blue."""
    # In whole numbers: two pairs of chrominances give exact halves, which floats round by chance.
    chroma = np.arange(256) - 128
    cb, cr = chroma[:, None], chroma[None, :]
    red = _half_up(1402 * chroma, 1000)
    blue = _half_up(1772 * chroma, 1000)
    green = _half_up(-114 * 1772 * cb - 299 * 1402 * cr, 587 * 1000)
    return red.astype(np.int16), green.astype(np.int16).reshape(-1), blue.astype(np.int16)


def _full_range(array: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    red, green, blue = _full_range_tables()
    y = array[..., 0].astype(np.int16)
    cb, cr = array[..., 1], array[..., 2]
    both = cb.astype(np.intp) << 8
    both |= cr
    for channel, part in enumerate((red[cr], green[both], blue[cb])):
        np.add(part, y, out=part)
        np.clip(part, 0, 255, out=part)
        out[..., channel] = part


def _partial_range(array: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Undo YBR_PARTIAL (retired; ITU-R BT.601: luminance 16-235, chrominances 16-240)."""
    y, cb, cr = (array[..., each].astype(np.float32) for each in range(3))
    y = (y - 16) * np.float32(255 / 219)
    cb, cr = (cb - 128) * np.float32(255 / 224), (cr - 128) * np.float32(255 / 224)
    green = y - np.float32(0.114 * 1.772 / 0.587) * cb - np.float32(0.299 * 1.402 / 0.587) * cr
    for channel, part in enumerate((y + np.float32(1.402) * cr, green, y + np.float32(1.772) * cb)):
        out[..., channel] = np.clip(np.floor(part + np.float32(0.5)), 0, 255)


def palette_to_rgb(
    indices: npt.NDArray[Any], palette: npt.NDArray[Any], first: int, out: npt.NDArray[Any]
) -> None:
    """
    Look the colours of palette indices up.

    Parameters
    ----------
    indices
        ``(rows, columns)``, integers.
    palette
        ``(entries, 3)``, uint8 or uint16.
    first
        Index that the first entry stands for; lower ones get the first colour, those beyond the last the last
        one.
    out
        Receives RGB, ``(rows, columns, 3)``, dtype of the palette.
    """
    if not len(palette):
        raise MetadataError("the palette is empty")
    place = indices.astype(np.int64)
    place -= first
    np.clip(place, 0, len(palette) - 1, out=place)
    np.take(palette, place, axis=0, out=out, mode="clip")
