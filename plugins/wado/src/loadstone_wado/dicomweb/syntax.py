"""The transfer syntax that an answer really has: what it says, else what its bytes say; never assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.dicomweb.multipart import Part, media_type

if TYPE_CHECKING:
    from loadstone_wado.layout import PixelLayout

__all__ = ["syntax_of"]

_OF_MEDIA_TYPE: Final = {
    "image/jpeg": "1.2.840.10008.1.2.4.50",
    "image/x-jpeg": "1.2.840.10008.1.2.4.50",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/x-dicom-rle": "1.2.840.10008.1.2.5",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/x-jls": "1.2.840.10008.1.2.4.80",
    "image/jll": "1.2.840.10008.1.2.4.70",
    "image/x-jll": "1.2.840.10008.1.2.4.70",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
}
"""Transfer syntax that a media type stands for when no parameter names one (DICOM PS3.18 8.7.3.3)."""

_OF_FRAME_MARK: Final = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC3: "1.2.840.10008.1.2.4.70",
    0xF7: "1.2.840.10008.1.2.4.80",
}
"""Transfer syntax by the start-of-frame marker of a JPEG codestream."""


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
        If neither headers nor bytes say what it is.
    """
    named = _named(part.headers.get("content-type", "")) or _named(response_type)
    seen = _seen(part.body)
    if seen and (not named or named in ts.NATIVE):
        # Some servers call what they store native, whatever it is.
        return seen
    if named:
        return named
    expected = layout.frame_bits // 8
    if len(part.body) in {expected, expected + expected % 2}:
        return ts.EXPLICIT_VR_LITTLE_ENDIAN
    raise IntegrityError(
        f"the answer does not say how its {len(part.body):,} bytes are encoded, and they are not the "
        f"{expected:,} of an uncompressed frame",
        hint="Ask the server for another transfer syntax.",
    )


def _named(content_type: str) -> str:
    if not content_type:
        return ""
    kind, parameters = media_type(content_type)
    uid = parameters.get("transfer-syntax", "").strip()
    if uid and uid != "*":
        return uid
    return _OF_MEDIA_TYPE.get(kind) or _OF_MEDIA_TYPE.get(parameters.get("type", "").lower(), "")


def _seen(data: bytes | bytearray | memoryview) -> str:
    """Return what the first bytes of a codestream tell; empty for native samples."""
    head = bytes(data[:64])
    if head.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(data)
    if head.startswith(b"\xff\x4f\xff\x51"):
        # Part 15 (HTJ2K) says so in the capabilities segment, which follows SIZ.
        length = int.from_bytes(head[4:6], "big")
        return (
            "1.2.840.10008.1.2.4.201"
            if head[4 + length : 6 + length] == b"\xff\x50"
            else "1.2.840.10008.1.2.4.90"
        )
    if head.startswith(b"\0\0\0\x0cjP  \r\n"):
        return "1.2.840.10008.1.2.4.90"
    return ""


def _of_jpeg(data: bytes | bytearray | memoryview) -> str:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        mark = data[position + 1]
        if mark in _OF_FRAME_MARK:
            return _OF_FRAME_MARK[mark]
        position += 2 + int.from_bytes(bytes(data[position + 2 : position + 4]), "big")
    return ""
