"""
From the scans of a JPEG to an array.

libjpeg fills pixels whose data are missing with grey, and only warns, which nobody hears. A file that ends
early has no end of image, which its header's reader finds; but a program that "repairs" such files writes
one. Whether the data reach to the last pixel shows when bytes are put behind them: if they do, nobody reads
those; if they do not, the decoder takes them for pixels, and the picture changes. That costs a second decode.
Of a single scan it is only done where the last pixel is such as the decoder fills in. Where several scans
make a pixel, a last one that ends early leaves it a little wrong and not grey: there it is always done.

Arithmetic coding drops zeros at its end, so that nothing can be put there: of it only whole scans are missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_web.header import WebHeader

__all__ = ["decode_jpeg"]

_CODED: Final = bytes(range(0xB0, 0xF0))
"""Bytes that mean something else to the decoder than the zeros that it takes for missing ones; no marker."""
_MORE: Final = _CODED + b"".join(bytes((0xFF, 0xD0 + number)) + _CODED for number in range(8))
"""The same behind every restart marker too: cut in front of one, the decoder waits for nothing else."""


def decode_jpeg(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """
    Decode a JPEG whose header was read with ``verify=True``.

    Parameters
    ----------
    data
        The whole file.
    header
        What `read_header` made of it.
    out
        C-contiguous, with the stored shape and the dtype of the header; None: a new array.

    Returns
    -------
    numpy.ndarray
        `out`, or the new array: ``(rows, columns)`` or ``(rows, columns, 3 or 4)``; CMYK as stored.

    Raises
    ------
    ValueError
        If its scans end before its last pixel.
    Exception
        Whatever the decoder raises when it refuses the data.
    """
    stored: npt.NDArray[Any] = imagecodecs.jpeg8_decode(data, out=out)
    if _may_end_early(stored, header) and not _reaches_the_end(data, header, stored):
        raise ValueError("its pixel data end before its last pixel")
    return stored


def _may_end_early(stored: npt.NDArray[Any], header: WebHeader) -> bool:
    """Whether the last pixel is such as the decoder makes without data: like its neighbour, or mid-grey."""
    if "arithmetic" in header.kind:
        return False
    if header.scans > 1 or header.interlaced:
        return True
    last = stored[-1, -1].astype(int)
    if header.kind == "lossless":
        return stored.shape[1] == 1 or np.array_equal(last, stored[-1, -2])
    return bool(np.abs(last - (1 << (header.bits - 1))).max() <= 1)


def _reaches_the_end(data: bytes, header: WebHeader, stored: npt.NDArray[Any]) -> bool:
    longer = data[: header.scans_end] + _MORE + data[header.scans_end :]
    try:
        return np.array_equal(imagecodecs.jpeg8_decode(longer), stored)
    except imagecodecs.Jpeg8Error:
        return False
