"""The transfer syntaxes that Loadstone reads, by name (DICOM PS3.6 annex A)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ENCAPSULATED", "NATIVE", "is_video", "name_of"]

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_SPECTRAL_SELECTION: Final = "1.2.840.10008.1.2.4.53"
JPEG_FULL_PROGRESSION: Final = "1.2.840.10008.1.2.4.55"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
JPEG_XL_LOSSLESS: Final = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSION: Final = "1.2.840.10008.1.2.4.111"
JPEG_XL: Final = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
DEFLATED_IMAGE_FRAME: Final = "1.2.840.10008.1.2.8.1"

NATIVE: Final = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    }
)
"""Pixels lie one after the other, uncompressed."""

ENCAPSULATED: Final = frozenset(
    value
    for name, value in list(globals().items())
    if isinstance(value, str) and value.startswith("1.2.840.10008.1.2") and value not in NATIVE
)
"""Each frame is a codestream in fragments."""


_UID_CHARACTERS: Final = re.compile(r"[0-9.]{0,64}")

_VIDEO: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.(4\.10[0-8](\.1)?|7\.[1-3])")
"""MPEG-2, MPEG-4, HEVC, with their fragmentable forms; SMPTE ST 2110."""

_NEW: Final = {
    JPEG_XL_LOSSLESS: "JPEG XL Lossless",
    JPEG_XL_RECOMPRESSION: "JPEG XL JPEG Recompression",
    JPEG_XL: "JPEG XL",
    DEFLATED_IMAGE_FRAME: "Deflated Image Frame Compression",
}
"""Names that pydicom 3.0 does not know."""


def is_video(uid: str) -> bool:
    """Say whether a transfer syntax is that of a video."""
    return _VIDEO.fullmatch(uid) is not None


def name_of(uid: str) -> str:
    """Return the name of a transfer syntax or SOP class with its UID, for messages."""
    from pydicom.uid import UID

    # A wrong length may have put all that follows into it, also names of people.
    shown = _UID_CHARACTERS.match(uid)[0]  # type: ignore[index]  # it may match nothing, but always matches
    if shown != uid:
        return f"{shown}…"
    name = _NEW.get(uid) or UID(uid).name
    return f"{name} ({uid})" if name != uid else uid or "(none)"
