"""
Codestreams to arrays with imagecodecs.

It decodes without the interpreter's lock and straight into the array. Each decoder writes stored values into
an array with the shape and dtype of the layout.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import IntegrityError, UnsupportedError
from loadstone_wado.codecs.early_end import refuse_early_end
from loadstone_wado.codecs.swallowed import raising_swallowed_errors
from loadstone_wado.native import decode_native, keep_low_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    import numpy.typing as npt

    from loadstone_wado.codecs.codestream import Codestream
    from loadstone_wado.layout import PixelLayout

    Array = npt.NDArray[Any]
    Data = bytes | memoryview

__all__ = [
    "check_rle",
    "decode_exact_jpegxl",
    "decode_htj2k",
    "decode_jpeg",
    "decode_jpeg2000",
    "decode_jpegls",
    "decode_jpegxl",
    "decode_rle",
    "keep_value_bits",
]

_MOST_PRECISION: Final = 24
"""Bits up to which OpenJPEG 2.5 gives back what was encoded; beyond, it is wrong and says nothing."""

_MOST_RUN: Final = 64
"""Bytes that a byte of RLE can become: a run of 128 takes two."""


def _through(
    decode: Callable[..., object], data: Data, out: Array, natural: np.dtype[Any], **options: str | None
) -> None:
    """Decode straight into `out` when the codec's own dtype has its size, else through a copy."""
    if natural.itemsize == out.dtype.itemsize:
        # The codec writes bit patterns; whether they are signed is for the attributes to say.
        decode(data, out=out.view(natural), **options)
        return
    scratch = np.empty(out.shape, natural)
    decode(data, out=scratch, **options)
    out[...] = scratch


def _container(codestream: Codestream, *, signed: bool = False) -> np.dtype[Any]:
    """Return the dtype in which a codec gives samples of that precision."""
    size = 1 if codestream.precision <= 8 else 2 if codestream.precision <= 16 else 4
    return np.dtype(f"{'i' if signed else 'u'}{size}")


def decode_jpeg(data: Data, codestream: Codestream, out: Array) -> None:
    """Decode JPEG, lossy or lossless, 8 to 16 bits; components as they are stored."""
    from imagecodecs import jpeg8_decode

    if codestream.components == 4:
        raise UnsupportedError("JPEG with four components is not supported")
    # Naming one colour space for both sides keeps libjpeg from converting by guesswork.
    space = "YCBCR" if codestream.components == 3 else None

    def into(frame: Data, array: Array) -> None:
        container = _container(codestream)
        _through(jpeg8_decode, frame, array, container, colorspace=space, outcolorspace=space)

    into(data, out)
    refuse_early_end(data, codestream, out, into)


def decode_jpegls(data: Data, codestream: Codestream, out: Array) -> None:
    """Decode JPEG-LS."""
    from imagecodecs import jpegls_decode

    if codestream.interleaved:
        _through(jpegls_decode, data, out, _container(codestream))
    else:
        planes = np.empty((codestream.components, codestream.rows, codestream.columns), out.dtype)
        _through(jpegls_decode, data, planes, _container(codestream))
        out[...] = np.moveaxis(planes, 0, -1)


def decode_jpeg2000(data: Data, codestream: Codestream, out: Array) -> None:
    """
    Decode JPEG 2000, high-throughput too, with OpenJPEG.

    It clamps what quantisation pushed out of range, which OpenJPH lets wrap around: 255 becomes 0.
    """
    from imagecodecs import jpeg2k_decode

    if codestream.precision > _MOST_PRECISION:
        raise UnsupportedError(
            f"JPEG 2000 with {codestream.precision} bits a sample is not supported",
            hint=f"Samples of up to {_MOST_PRECISION} bits are.",
        )
    _through(jpeg2k_decode, data, out, _container(codestream, signed=codestream.signed))


def decode_htj2k(data: Data, codestream: Codestream, out: Array) -> None:
    """Decode high-throughput JPEG 2000 that lost nothing, with OpenJPH."""
    from imagecodecs import htj2k_decode

    with raising_swallowed_errors("imagecodecs._htj2k"):
        _through(htj2k_decode, data, out, _container(codestream, signed=codestream.signed))


def keep_value_bits(out: Array, codestream: Codestream, layout: PixelLayout, *, exact: bool) -> None:
    """
    Read what a codestream held as the attributes say: signed or not, and of whole words only the low bits.

    Parameters
    ----------
    out
        What was decoded, changed in place.
    codestream
        Which precision its values have.
    layout
        How they are to be read.
    exact
        Whether nothing was lost, so that the bits above BitsStored (overlays, of old) are the ones of the
        uncompressed image. Else they may be values that quantisation pushed over the end.
    """
    bits = min(codestream.precision, layout.bits_stored) if exact else codestream.precision
    if bits < codestream.precision or codestream.signed != layout.signed:
        keep_low_bits(out, bits if bits < out.dtype.itemsize * 8 else None)


def decode_jpegxl(data: Data, layout: PixelLayout, out: Array) -> None:
    """Decode JPEG XL; the codec itself refuses an array of another size."""
    from imagecodecs import jpegxl_decode

    # Values of 8 bits in words of 16 may have been encoded as either.
    widths = dict.fromkeys((1 if layout.bits_stored <= 8 else out.dtype.itemsize, out.dtype.itemsize))
    refusal: ValueError | None = None
    for width in widths:
        try:
            _through(jpegxl_decode, data, out, np.dtype(f"u{width}"))
        except ValueError as error:
            refusal = error
        else:
            return
    raise IntegrityError(f"the JPEG XL codestream disagrees with the attributes: {refusal}") from refusal


def decode_exact_jpegxl(data: Data, layout: PixelLayout, out: Array) -> None:
    """Decode JPEG XL that lost nothing, and knows no sign: values are the low bits."""
    decode_jpegxl(data, layout, out)
    keep_low_bits(out, layout.bits_stored if layout.unused_bits else None)


def decode_rle(data: Data, layout: PixelLayout, out: Array) -> None:
    """Decode RLE (DICOM PS3.5 annex G): one plane after the other, whatever PlanarConfiguration says."""
    if layout.bits_allocated == 1:
        packed = np.zeros(-(-layout.frame_bits // 8), np.uint8)
        _unpack_runs(data, np.dtype(np.uint8), packed)
        decode_native(packed.data, layout, out)
        return
    planes = out
    if layout.samples > 1:
        planes = np.empty((layout.samples, layout.rows, layout.columns), out.dtype)
    _unpack_runs(data, layout.dtype, planes)
    if planes is not out:
        out[...] = np.moveaxis(planes, 0, -1)
    keep_low_bits(out, layout.bits_stored if layout.unused_bits else None)


def _unpack_runs(data: Data, dtype: np.dtype[Any], out: Array) -> None:
    from imagecodecs import DicomrleError, dicomrle_decode

    decode: Callable[..., Sized] = dicomrle_decode
    flat, order = out.reshape(-1).view(np.uint8), dtype.newbyteorder("<")
    try:
        written = decode(data, order, out=flat)
    except DicomrleError:
        # What pads a segment, by more than the one byte of the standard, reads as more runs.
        written = decode(_without_padding(data, out.size), order, out=flat)
    if len(written) != out.nbytes:
        # The codec leaves the rest of the array as it was.
        raise IntegrityError(f"the RLE frame is truncated: it has {len(written):,} of {out.nbytes:,} bytes")


def _without_padding(data: Data, size: int) -> bytes:
    """Return an RLE frame whose segments end where they have given the `size` bytes of their plane."""
    count, *offsets = unpack_from("<16I", data)
    ends = [*offsets[1:count], len(data)]
    segments = [_runs_for(data[start:end], size) for start, end in zip(offsets, ends, strict=False)]
    starts = [64 + sum(map(len, segments[:place])) for place in range(count)]
    return pack("<16I", count, *starts, *[0] * (15 - count)) + b"".join(segments)


def _runs_for(segment: Data, size: int) -> Data:
    """Return the runs of a segment that give `size` bytes (DICOM PS3.5 G.3.2)."""
    position = given = 0
    while given < size and position < len(segment):
        control = segment[position]
        given += control + 1 if control < 128 else 0 if control == 128 else 257 - control
        position += control + 2 if control < 128 else 1 if control == 128 else 2
    return segment[:position]


def check_rle(data: Data, layout: PixelLayout) -> None:
    """
    Compare an RLE header with the layout, and its bytes with what they can become.

    Raises
    ------
    IntegrityError
        If they cannot be of such a frame.
    """
    if len(data) < 64:
        raise IntegrityError("the RLE frame ends within its header")
    count, *offsets = unpack_from("<16I", data)
    expected = layout.samples * layout.dtype.itemsize
    if count != expected:
        raise IntegrityError(f"the RLE frame has {count} segments, the attributes need {expected}")
    used = offsets[:count]
    if used[0] != 64 or used != sorted(used) or used[-1] > len(data):
        raise IntegrityError("the segment offsets of the RLE frame are damaged")
    if (len(data) - 64) * _MOST_RUN < layout.frame_bits // 8:
        raise IntegrityError(
            f"the RLE frame is truncated: {len(data):,} bytes cannot hold {layout.frame_bits // 8:,}"
        )
