"""What an image file says about its pixels before they are decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadstone.errors import IntegrityError, LimitError

__all__ = ["WebHeader", "check_limits"]

_PHOTOMETRIC = {1: "MONOCHROME2", 3: "RGB", 4: "RGBA"}
_UPRIGHT_SWAPS = frozenset({5, 6, 7, 8})
_MOST_RATIO = 1032
"""No deflate stream unpacks to more (two bits for a match of 258 bytes)."""


@dataclass(frozen=True, slots=True)
class WebHeader:
    """The header of an image file, and the array that it becomes."""

    format: str
    """``PNG``, ``JPEG``, or one of the formats that are opened on request."""
    stored_rows: int
    """Rows as stored, before `orientation` is applied."""
    stored_columns: int
    """Columns as stored, before `orientation` is applied."""
    samples: int
    """Samples of a pixel of the array: 1 grey, 3 RGB, 4 RGBA; palettes are looked up, CMYK becomes RGB."""
    bits: int
    """Bits of a sample of the array that carry a value; grey of 1, 2 or 4 bits is spread over 0 to 255."""
    stored_bits: int
    """Bits of a sample (of a palette index) in the file."""
    stored_samples: int
    """Samples of a pixel in the file; 1 for a palette, 4 for CMYK."""
    kind: str
    """How the file stores it: the colour type of a PNG, the process of a JPEG."""
    transparent: bool = False
    """Whether one grey value, one colour or palette entries are transparent (PNG ``tRNS``)."""
    interlaced: bool = False
    """Whether the rows come in several passes."""
    orientation: int = 1
    """EXIF orientation that the file records, 1 to 8."""
    upright: bool = True
    """Whether the array is turned as `orientation` says; else it lies as stored."""
    frames: int = 1
    """Frames of an animation; the array is the first."""
    icc_profile: bytes | None = field(default=None, repr=False)
    """The colour profile that came with the image; the samples are as stored, not converted by it."""
    deflated_bytes: int | None = None
    """Bytes that the pixels take in the file, where they are packed by deflate."""
    scans: int = 0
    """Of a JPEG that was verified: in how many scans its pixels come."""
    scans_end: int = 0
    """Of a JPEG that was verified: where in the file its last pixel data end."""
    stored_print_spacing: tuple[float, float] | None = None
    """Distance of stored rows and columns in mm when printed at the density of the file (pHYs, JFIF)."""

    @property
    def turn(self) -> int:
        """The orientation that the array is turned by, 1 to 8."""
        return self.orientation if self.upright else 1

    @property
    def print_spacing(self) -> tuple[float, float] | None:
        """Distance of rows and columns of the array in mm when printed; None where no density is recorded."""
        spacing = self.stored_print_spacing
        return spacing[::-1] if spacing and self.turn in _UPRIGHT_SWAPS else spacing

    @property
    def rows(self) -> int:
        """Rows of the array."""
        return self.stored_columns if self.turn in _UPRIGHT_SWAPS else self.stored_rows

    @property
    def columns(self) -> int:
        """Columns of the array."""
        return self.stored_rows if self.turn in _UPRIGHT_SWAPS else self.stored_columns

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.stored_rows * self.stored_columns

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The array's dtype: uint8 up to 8 bits, else uint16."""
        return np.dtype(np.uint8) if self.bits <= 8 else np.dtype(np.uint16)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array: ``(rows, columns)`` or ``(rows, columns, 3 or 4)``."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the array before it is turned."""
        plane = (self.stored_rows, self.stored_columns)
        return plane if self.samples == 1 else (*plane, self.samples)

    @property
    def photometric_interpretation(self) -> str:
        """Of the array: MONOCHROME2, RGB or RGBA."""
        return _PHOTOMETRIC[self.samples]


def check_limits(header: WebHeader, *, max_pixels: int, max_bytes: int, source: str) -> None:
    """
    Refuse an image that is larger than the settings allow or than its file can hold, before memory is taken.

    Raises
    ------
    LimitError
        If the header says more than `max_pixels` pixels or `max_bytes` bytes.
    IntegrityError
        If the packed pixels cannot be as many as the header says.
    """
    size = f"{header.columns} x {header.rows}"
    if header.pixels > max_pixels:
        raise LimitError(
            f"the {header.format} header says {size} pixels, more than max_pixels={max_pixels:,}",
            source=source,
            hint="Raise max_pixels (LOADSTONE_MAX_PIXELS) if the image is trusted.",
        )
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    if nbytes > max_bytes:
        raise LimitError(
            f"the {header.format} of {size} pixels takes {nbytes:,} bytes, "
            f"more than max_image_bytes={max_bytes:,}",
            source=source,
            hint="Raise max_image_bytes (LOADSTONE_MAX_IMAGE_BYTES) if the image is trusted.",
        )
    stored_bytes = header.pixels * header.stored_samples * header.stored_bits // 8
    if header.deflated_bytes is not None and stored_bytes > header.deflated_bytes * _MOST_RATIO:
        raise IntegrityError(
            f"the {header.format} header says {size} pixels, "
            f"more than {header.deflated_bytes:,} bytes of pixel data unpack to",
            source=source,
            hint="Fetch it again.",
        )
