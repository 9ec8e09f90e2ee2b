"""Transfer syntax to decoder, and the rules that all decoders share."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadstone.errors import DecodeError, IntegrityError, LoadstoneError, UnsupportedError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.codecs.codestream import Codestream, inspect_jpeg, inspect_jpeg2000
from loadstone_wado.codecs.decoders import (
    check_rle,
    decode_exact_jpegxl,
    decode_htj2k,
    decode_jpeg,
    decode_jpeg2000,
    decode_jpegls,
    decode_jpegxl,
    decode_rle,
    keep_value_bits,
)
from loadstone_wado.native import check_native, decode_native

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.frames import EncodedFrame
    from loadstone_wado.layout import PixelLayout

__all__ = ["CODECS", "Decoding", "decoded_space", "prepare", "refuse_other_image"]

Into = Callable[["npt.NDArray[Any]"], None]
"""Decodes into an array with shape and dtype of the layout."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """A frame that was looked at and may now be decoded."""

    transfer_syntax_uid: str
    """How it is encoded."""
    photometric_interpretation: str
    """Of the decoded values."""
    _into: Into

    def into(self, out: npt.NDArray[Any]) -> None:
        """
        Decode into `out`, which has shape and dtype of the layout.

        Raises
        ------
        DecodeError
            If the decoder fails.
        IntegrityError
            If the bytes disagree with the layout.
        """
        try:
            self._into(out)
        except LoadstoneError:
            raise
        except Exception as error:
            # The decoders of imagecodecs share no base class of their errors.
            name = ts.name_of(self.transfer_syntax_uid)
            raise DecodeError(f"a frame in {name} cannot be decoded: {error}") from error


Codec = Callable[["EncodedFrame", "PixelLayout"], Decoding]
"""Looks at a frame, refuses what is not the image that the attributes describe, and binds a decoder to it."""


def prepare(frame: EncodedFrame, layout: PixelLayout) -> Decoding:
    """
    Look at an encoded frame before anything is allocated for it.

    Raises
    ------
    UnsupportedError
        If the transfer syntax is not known.
    IntegrityError
        If the codestream disagrees with the attributes.
    """
    codec = CODECS.get(frame.transfer_syntax_uid)
    if codec is None:
        name = ts.name_of(frame.transfer_syntax_uid)
        raise UnsupportedError(
            f"the transfer syntax {name} is not supported",
            hint="Convert the object to a transfer syntax of the standard, or ask the server to do so.",
        )
    return codec(frame, layout)


def _with_codestream(
    inspect: Callable[[bytes | memoryview], Codestream],
    decode: Callable[[bytes | memoryview, Codestream, npt.NDArray[Any]], None],
    *,
    exact: bool,
) -> Codec:
    """Return the codec of a family whose codestreams say what they are; `exact` if they lose nothing."""

    def codec(frame: EncodedFrame, layout: PixelLayout) -> Decoding:
        codestream = inspect(frame.data)
        if not codestream.complete:
            raise IntegrityError("the codestream is truncated: its end is missing")
        refuse_other_image(codestream, layout)

        def into(out: npt.NDArray[Any]) -> None:
            decode(frame.data, codestream, out)
            keep_value_bits(out, codestream, layout, exact=exact)

        return Decoding(frame.transfer_syntax_uid, codestream.color_space or decoded_space(layout), into)

    return codec


def _without_codestream(
    decode: Callable[[bytes | memoryview, PixelLayout, npt.NDArray[Any]], None],
    color_space: str = "",
    *,
    check: Callable[[bytes | memoryview, PixelLayout], object] | None = None,
) -> Codec:
    """Return the codec of a family that the decoder itself, or `check` before it, compares with the array."""

    def codec(frame: EncodedFrame, layout: PixelLayout) -> Decoding:
        if check is not None:
            check(frame.data, layout)
        space = color_space if layout.samples == 3 else ""
        return Decoding(
            frame.transfer_syntax_uid,
            space or decoded_space(layout),
            lambda out: decode(frame.data, layout, out),
        )

    return codec


def _native(frame: EncodedFrame, layout: PixelLayout) -> Decoding:
    check_native(frame.data, layout, first_bit=frame.first_bit)
    big_endian = frame.transfer_syntax_uid == ts.EXPLICIT_VR_BIG_ENDIAN
    return Decoding(
        frame.transfer_syntax_uid,
        decoded_space(layout),
        lambda out: decode_native(frame.data, layout, out, big_endian=big_endian, first_bit=frame.first_bit),
    )


def refuse_other_image(codestream: Codestream, layout: PixelLayout) -> None:
    """
    Refuse a codestream that is not the image that the attributes describe.

    Raises
    ------
    IntegrityError
        If it is not.
    """
    for name, found, expected in (
        ("rows", codestream.rows, layout.rows),
        ("columns", codestream.columns, layout.columns),
        ("samples per pixel", codestream.components, layout.samples),
    ):
        if found != expected:
            raise IntegrityError(f"the codestream has {found} {name}, the attributes say {expected}")
    # Precision below BitsAllocated is legal (12 of 16), and BitsStored is often wrong by a few bits.
    if codestream.precision > layout.dtype.itemsize * 8:
        raise IntegrityError(
            f"the codestream has {codestream.precision} bits a sample, "
            f"the attributes say {layout.bits_allocated}"
        )


def decoded_space(layout: PixelLayout) -> str:
    """Return the photometric interpretation of decoded values where the codestream does not say."""
    recorded = layout.photometric_interpretation
    if recorded in {"YBR_RCT", "YBR_ICT"}:
        # The decoder undoes the transform that the codestream announces.
        return "RGB"
    return "YBR_FULL" if recorded == "YBR_FULL_422" else recorded


def _decode_deflated(data: bytes | memoryview, layout: PixelLayout, out: npt.NDArray[Any]) -> None:
    """Inflate a native frame (DICOM PS3.5 A.4.13), never beyond the size that the layout gives it."""
    size = -(-layout.frame_bits // 8)
    decode_native(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1), layout, out)


_JPEG: Final = _with_codestream(inspect_jpeg, decode_jpeg, exact=False)
_EXACT_JPEG: Final = _with_codestream(inspect_jpeg, decode_jpeg, exact=True)
_EXACT_HTJ2K: Final = _with_codestream(inspect_jpeg2000, decode_htj2k, exact=True)
_JPEG_XL: Final = _without_codestream(decode_jpegxl, "RGB")

CODECS: Final[dict[str, Codec]] = {
    **dict.fromkeys(ts.NATIVE, _native),
    ts.ENCAPSULATED_UNCOMPRESSED: _without_codestream(decode_native, check=check_native),
    ts.DEFLATED_IMAGE_FRAME: _without_codestream(_decode_deflated),
    ts.RLE_LOSSLESS: _without_codestream(decode_rle, check=check_rle),
    ts.JPEG_BASELINE: _JPEG,
    ts.JPEG_EXTENDED: _JPEG,
    ts.JPEG_SPECTRAL_SELECTION: _JPEG,
    ts.JPEG_FULL_PROGRESSION: _JPEG,
    ts.JPEG_LOSSLESS: _EXACT_JPEG,
    ts.JPEG_LOSSLESS_SV1: _EXACT_JPEG,
    ts.JPEG_LS_LOSSLESS: _with_codestream(inspect_jpeg, decode_jpegls, exact=True),
    ts.JPEG_LS_NEAR_LOSSLESS: _with_codestream(inspect_jpeg, decode_jpegls, exact=False),
    ts.JPEG_2000_LOSSLESS: _with_codestream(inspect_jpeg2000, decode_jpeg2000, exact=True),
    ts.JPEG_2000: _with_codestream(inspect_jpeg2000, decode_jpeg2000, exact=False),
    ts.HTJ2K_LOSSLESS: _EXACT_HTJ2K,
    ts.HTJ2K_LOSSLESS_RPCL: _EXACT_HTJ2K,
    ts.HTJ2K: _with_codestream(inspect_jpeg2000, decode_jpeg2000, exact=False),
    ts.JPEG_XL_LOSSLESS: _without_codestream(decode_exact_jpegxl, "RGB"),
    ts.JPEG_XL_RECOMPRESSION: _JPEG_XL,
    ts.JPEG_XL: _JPEG_XL,
}
"""Decoder of each transfer syntax."""
