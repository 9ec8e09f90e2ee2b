"""The transfer syntax that an answer really has: what it says, else what its bytes say; never assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.dicomweb.media import MediaType

if TYPE_CHECKING:
    from loadstone_wado.dicomweb.parts import Part
    from loadstone_wado.layout import PixelLayout

__all__ = ["syntax_of"]

_OF_MEDIA_TYPE: Final = {
    "image/jpeg": ts.JPEG_BASELINE,
    "image/dicom-rle": ts.RLE_LOSSLESS,
    "image/jls": ts.JPEG_LS_LOSSLESS,
    "image/jll": ts.JPEG_LOSSLESS_SV1,
    "image/jp2": ts.JPEG_2000_LOSSLESS,
    "image/jpx": ts.JPEG_2000_LOSSLESS,
    "image/jphc": ts.HTJ2K_LOSSLESS,
    "image/jxl": ts.JPEG_XL_LOSSLESS,
}
"""Transfer syntax that a media type stands for when nothing else names one (DICOM PS3.18 8.7.3.3)."""

_OF_FRAME_MARK: Final = {
    0xC0: ts.JPEG_BASELINE,
    0xC1: ts.JPEG_EXTENDED,
    0xC2: ts.JPEG_FULL_PROGRESSION,
    0xC3: ts.JPEG_LOSSLESS,
    0xF7: ts.JPEG_LS_LOSSLESS,
}
"""Transfer syntax by the start-of-frame marker of a JPEG codestream."""

_BOXED_JPEG_2000: Final = b"\0\0\0\x0cjP  \r\n"
_BOXED_JPEG_XL: Final = b"\0\0\0\x0cJXL \r\n"
_BARE_JPEG_XL: Final = b"\xff\x0a"
"""Two bytes only: believed when the size is not that of native samples."""
_SIZE, _CAPABILITIES = b"\xff\x4f\xff\x51", b"\xff\x50"


def syntax_of(part: Part, response_type: str, layout: PixelLayout) -> str:
    """
    Return the transfer syntax of a frame.

    Parameters
    ----------
    part
        The frame as it came.
    response_type
        Content-Type of the whole answer, for parameters that the part does not repeat.
    layout
        What the frame is to become.

    Raises
    ------
    IntegrityError
        If neither headers nor bytes say what it is, or it is big endian.
    """
    types = [MediaType.of(part.headers.get("content-type", "")), MediaType.of(response_type)]
    named = next(filter(None, map(_named, types)), "")
    if named == ts.EXPLICIT_VR_BIG_ENDIAN:
        # Whether 8-bit samples are swapped depends on a VR that the answer does not tell.
        raise IntegrityError(
            "the frame is big endian, which DICOMweb does not allow (DICOM PS3.18 8.7.3.5.2)"
        )
    fits = _is_native_size(len(part.body), layout)
    if named and (named not in ts.NATIVE or fits):
        return named
    # Some servers call what they store native, whatever it is.
    found = _seen(part.body) or named or next(filter(None, map(_meant, types)), "")
    if found:
        return found
    if fits:
        return ts.EXPLICIT_VR_LITTLE_ENDIAN
    if bytes(part.body[:2]) == _BARE_JPEG_XL:
        return ts.JPEG_XL_LOSSLESS
    raise IntegrityError(
        f"the answer does not say how its {len(part.body):,} bytes are encoded, and they are not the "
        f"{_native_size(layout):,} of an uncompressed frame",
        hint="Ask the server for another transfer syntax.",
    )


def _native_size(layout: PixelLayout) -> int:
    return (layout.frame_bits + 7) // 8


def _is_native_size(size: int, layout: PixelLayout) -> bool:
    expected = _native_size(layout)
    return size in {expected, expected + expected % 2}


def _named(media: MediaType) -> str:
    uid = media.parameters.get("transfer-syntax", "").strip()
    return "" if uid == "*" else uid


def _meant(media: MediaType) -> str:
    inner = media.parameters.get("type", "").lower()
    names = (media.name.replace("/x-", "/"), inner.replace("/x-", "/"))
    return next((_OF_MEDIA_TYPE[name] for name in names if name in _OF_MEDIA_TYPE), "")


def _seen(data: memoryview) -> str:
    """Return what the first bytes of a codestream tell; empty for native samples."""
    head = bytes(data[:128])
    if head.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(data)
    if head.startswith(_SIZE):
        # Part 15 (HTJ2K) says so in the capabilities segment, which follows that of the size.
        end = 4 + int.from_bytes(head[4:6], "big")
        return ts.HTJ2K_LOSSLESS if bytes(data[end : end + 2]) == _CAPABILITIES else ts.JPEG_2000_LOSSLESS
    if head.startswith(_BOXED_JPEG_2000):
        return ts.JPEG_2000_LOSSLESS
    return ts.JPEG_XL_LOSSLESS if head.startswith(_BOXED_JPEG_XL) else ""


def _of_jpeg(data: memoryview) -> str:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        mark = data[position + 1]
        if mark in _OF_FRAME_MARK:
            return _OF_FRAME_MARK[mark]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return ""
