"""The bytes of a stored header that is of the plain kind: little endian, not deflated, not too large."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class, and `error` says too little
from typing import TYPE_CHECKING

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from loadstone_wado.walk import UnusualHeaderError

if TYPE_CHECKING:
    from loadstone_wado.server.index import Instance
    from loadstone_wado.server.pixelelement import PixelElement

__all__ = ["plain_header"]

MOST_BYTES = 16 * 2**20
"""Larger headers, mostly documents without pixels, are read element by element."""
META = Struct("<HH2sH").unpack_from
LONG = Struct("<I").unpack_from
TAG = Struct("<HH").pack


def plain_header(instance: Instance) -> tuple[bytes, bool]:
    """Return the elements before the pixel data, and whether they are in implicit VR.

    Raises
    ------
    DamagedObjectError
        If the file is gone or was changed.
    UnusualHeaderError
        If the header is of another kind.
    """
    syntax, pixels, source = instance.transfer_syntax_uid, instance.pixels, instance.source
    stop = source.size if pixels is None else pixels.offset
    if (
        instance.kept_header is not None
        or stop is None
        or stop > MOST_BYTES
        or not syntax.startswith("1.2.840.10008.1.2")
        or syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
    ):
        raise UnusualHeaderError
    data = source.read(0, stop)
    implicit = syntax == ImplicitVRLittleEndian
    start = _meta_end(data)
    if implicit and data[start + 4 : start + 6].isupper():
        # Really explicit, as pydicom will find out.
        raise UnusualHeaderError
    return data[start : _pixels_start(data, pixels)], implicit


def _meta_end(data: bytes) -> int:
    """Return where the file meta information ends (DICOM PS3.10 7.1), which is in explicit VR."""
    position = 132
    try:
        while True:
            group, _, vr, length = META(data, position)
            if group != 2:
                return position
            position += 8
            if vr in (b"OB", b"UN", b"SQ", b"UT", b"OW"):
                (length,) = LONG(data, position)
                position += 4
            position += length
    except StructError:
        raise UnusualHeaderError from None


def _pixels_start(data: bytes, pixels: PixelElement | None) -> int:
    if pixels is None:
        return len(data)
    number = int(pixels.tag, 16)
    tag = TAG(number >> 16, number & 0xFFFF)
    for size in (12, 8):
        if data[len(data) - size :].startswith(tag):
            return len(data) - size
    raise UnusualHeaderError
