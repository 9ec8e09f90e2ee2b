"""EXIF orientation: where it stands, and how to turn pixels upright (EXIF 2.32, tag 274)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["orientation_of", "upright"]

_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY_BYTES = 12


def orientation_of(block: bytes) -> int:
    r"""
    Return the orientation that an EXIF block records, 1 to 8.

    A block that is damaged or says nothing counts as 1: the pixels are not in doubt, only how they were held.

    Parameters
    ----------
    block
        A TIFF structure: from a PNG ``eXIf`` chunk, or behind ``Exif\0\0`` in a JPEG ``APP1`` segment.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    start = struct.unpack_from(order + "I", block, 4)[0]
    if start + 2 > len(block):
        return 1
    count = struct.unpack_from(order + "H", block, start)[0]
    last = min(len(block) - _ENTRY_BYTES, start + 2 + (count - 1) * _ENTRY_BYTES)
    for at in range(start + 2, last + 1, _ENTRY_BYTES):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", block, at)
        if tag == _ORIENTATION:
            return int(value) if kind == _SHORT and value in _UPRIGHT else 1
    return 1


def _swapped(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.swapaxes(pixels, 0, 1)


_UPRIGHT: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: _swapped,
    6: lambda stored: _swapped(stored[::-1]),
    7: lambda stored: _swapped(stored[::-1, ::-1]),
    8: lambda stored: _swapped(stored[:, ::-1]),
}
"""Orientation to the view that is upright; row 0 is the right side of the picture for 6, the left for 8."""


def upright(stored: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """
    Return the upright view of stored pixels.

    Parameters
    ----------
    stored
        ``(rows, columns)`` or ``(rows, columns, samples)`` as in the file.
    orientation
        1 to 8.

    Returns
    -------
    numpy.ndarray
        A view; rows and columns change places for 5 to 8.
    """
    return _UPRIGHT[orientation](stored)
