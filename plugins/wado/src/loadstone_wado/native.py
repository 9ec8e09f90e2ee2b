"""Native (uncompressed) frames to arrays (DICOM PS3.5 8.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from loadstone.errors import IntegrityError

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.layout import PixelLayout

__all__ = ["check_native", "decode_native", "is_plain", "keep_low_bits"]


def is_plain(layout: PixelLayout) -> bool:
    """Say whether a little-endian native frame is, byte for byte, the array it decodes to."""
    return layout.bits_allocated >= 8 and not layout.subsampled and not layout.planar


def decode_native(
    data: bytes | memoryview,
    layout: PixelLayout,
    out: npt.NDArray[Any],
    *,
    big_endian: bool = False,
    first_bit: int = 0,
) -> None:
    """
    Decode a native frame.

    Parameters
    ----------
    data
        The samples; what is too much is ignored.
    layout
        How they are stored.
    out
        Receives the stored values, shape and dtype of the layout.
    big_endian
        Byte order of the samples.
    first_bit
        Where the frame begins within the first byte.

    Raises
    ------
    IntegrityError
        If there are too few bytes.
    """
    needed = check_native(data, layout, first_bit=first_bit)
    if layout.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8, needed), bitorder="little")
        out[...] = bits[first_bit : first_bit + layout.frame_bits].reshape(out.shape)
        return
    samples = np.frombuffer(
        data, layout.dtype.newbyteorder(">" if big_endian else "<"), needed // layout.dtype.itemsize
    )
    if layout.subsampled:
        _expand_422(samples, out)
    elif layout.planar:
        out[...] = np.moveaxis(samples.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
    else:
        out[...] = samples.reshape(out.shape)
    keep_low_bits(out, layout.bits_stored if layout.unused_bits else None)


def check_native(data: bytes | memoryview, layout: PixelLayout, *, first_bit: int = 0) -> int:
    """
    Return how many bytes a native frame needs.

    Raises
    ------
    IntegrityError
        If there are fewer.
    """
    needed = -(-(first_bit + layout.frame_bits) // 8)
    if len(data) < needed:
        raise IntegrityError(f"the frame is truncated: {needed:,} bytes are needed, {len(data):,} are there")
    return needed


def _expand_422(samples: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Give both pixels of a pair its chrominances (DICOM PS3.3 C.7.6.3.1.2: Y1 Y2 Cb Cr)."""
    pairs = samples.reshape(-1, 4)
    # A pair may reach over the end of a row; the last pixel of an odd image has no partner.
    flat = out.reshape(-1, 3)
    flat[0::2, 0], flat[1::2, 0] = pairs[:, 0], pairs[: len(flat) // 2, 1]
    flat[0::2, 1:], flat[1::2, 1:] = pairs[:, 2:], pairs[: len(flat) // 2, 2:]


def keep_low_bits(array: npt.NDArray[Any], bits: int | None) -> None:
    """
    Clear what stands above the low bits of each integer, or extend their sign over it (DICOM PS3.5 8.1.1).

    Parameters
    ----------
    array
        Integers, changed in place.
    bits
        How many low bits carry the value; None: all.
    """
    if bits is None or array.size == 0:
        return
    # Looking costs a fifth of changing, and well-made objects need no change.
    signed = array.dtype.kind == "i"
    highest = (1 << (bits - signed)) - 1
    values = array.reshape(-1)
    if np.maximum.reduce(values) <= highest and (not signed or np.minimum.reduce(values) >= -highest - 1):
        return
    shift = array.dtype.itemsize * 8 - bits
    np.left_shift(array, shift, out=array)
    np.right_shift(array, shift, out=array)
