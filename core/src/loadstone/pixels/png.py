"""A PNG file in memory, without a library for images. Source: W3C PNG specification, third edition."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from loadstone.errors import MetadataError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["png_bytes"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES: Final = {1: 0, 3: 2, 4: 6}
"""Samples of a pixel to colour type: grey, RGB, RGBA."""
_FILTER_UP: Final = 2
"""Each byte is stored as the difference to the one above, which compresses well for smooth images."""


def png_bytes(image: npt.NDArray[np.uint8]) -> bytes:
    """
    Return a PNG file.

    Parameters
    ----------
    image
        uint8, ``(rows, columns)``, or ``(rows, columns, 3 or 4)`` for RGB and RGBA.

    Raises
    ------
    MetadataError
        If it has no pixels, or another number of samples.
    """
    rows, columns = image.shape[:2]
    samples = image.shape[2] if image.ndim == 3 else 1
    if not image.size or samples not in _COLOUR_TYPES:
        raise MetadataError(f"an image of the shape {image.shape} cannot be shown as PNG")
    header = struct.pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[samples], 0, 0, 0)
    data = zlib.compress(_filtered(image.reshape(rows, -1)).data, level=3)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _filtered(lines: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    filtered = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
