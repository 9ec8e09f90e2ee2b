"""Which header the first bytes of a file are: NIfTI-1, NIfTI-2 or Analyze 7.5, in which byte order."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from loadstone.errors import IntegrityError, UnsupportedError
from loadstone_nifti.formats import looks_like

__all__ = ["NIFTI1_BYTES", "Layout", "layout_of", "truncated"]

NIFTI1_BYTES: Final = 348
"""Bytes of a header of NIfTI-1, and of Analyze 7.5; no kind of header is shorter."""
_NIFTI2_BYTES: Final = 540
_EXTENDER_BYTES: Final = 4
_SINGLE: Final = {NIFTI1_BYTES: b"n+1", _NIFTI2_BYTES: b"n+2"}
_PAIR: Final = {NIFTI1_BYTES: b"ni1", _NIFTI2_BYTES: b"ni2"}
_MAGIC_AT: Final = {NIFTI1_BYTES: 344, _NIFTI2_BYTES: 4}
_MAGIC2_TAIL: Final = b"\0\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which kind of header it is."""

    size: int
    """Bytes of the header without extensions."""
    order: str
    """Its byte order, ``<`` or ``>``."""
    is_pair: bool
    """Whether the voxels are in a file of their own."""
    is_analyze: bool = False
    """Whether it is an Analyze 7.5 header."""

    @property
    def name(self) -> str:
        """The name of the format."""
        if self.is_analyze:
            return "Analyze 7.5"
        return "NIfTI-1" if self.size == NIFTI1_BYTES else "NIfTI-2"

    @property
    def extensions_at(self) -> int:
        """Where extensions begin, behind four bytes that say whether there are any."""
        return self.size + _EXTENDER_BYTES


def layout_of(start: bytes, source: str) -> Layout:
    """
    Tell the kind of a header.

    Parameters
    ----------
    start
        The first 348 bytes of the file, fewer if it has no more.
    source
        What is read, for messages.

    Raises
    ------
    IntegrityError
        If the file is empty, ends within the header, or was damaged by a transfer in text mode.
    UnsupportedError
        If it is something else; the message says what it looks like.
    """
    if not start:
        raise IntegrityError("the file is empty", source=source, hint="Fetch or copy the file again.")
    for order in "<>":
        size = struct.unpack(order + "i", start[:4])[0] if len(start) >= 4 else 0
        if size not in _MAGIC_AT:
            continue
        at = _MAGIC_AT[size]
        magic = start[at : at + 3]
        if magic in {_SINGLE[size], _PAIR[size]}:
            _refuse_text_mode(size, start[at + 3 : at + 8], source)
            return Layout(size, order, magic == _PAIR[size])
        if len(start) < NIFTI1_BYTES:
            raise truncated(start, source)
        if size == NIFTI1_BYTES:
            return Layout(size, order, is_pair=True, is_analyze=True)
    raise UnsupportedError(
        f"not a NIfTI file but {looks_like(start)}",
        source=source,
        hint="'nifti:' opens .nii, .nii.gz and .hdr with .img, told by the bytes; use another scheme.",
    )


def _refuse_text_mode(size: int, tail: bytes, source: str) -> None:
    if size == _NIFTI2_BYTES and tail != _MAGIC2_TAIL:
        raise IntegrityError(
            "the NIfTI-2 signature is damaged, as by a transfer in text mode",
            source=source,
            hint="Transfer the file again in binary mode.",
        )


def truncated(start: bytes, source: str) -> IntegrityError:
    """Return the error for a header that ends too early."""
    return IntegrityError(
        f"the NIfTI header is truncated after {len(start)} bytes",
        source=source,
        hint="Fetch or copy the file again.",
    )
