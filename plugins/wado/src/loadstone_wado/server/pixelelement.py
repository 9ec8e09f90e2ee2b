"""Where the pixels of a stored object are, found while its header is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

__all__ = ["HEADER_TAGS", "PixelElement", "find_pixels"]

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""FloatPixelData, DoubleFloatPixelData, PixelData."""

HEADER_TAGS = frozenset({0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280100})
"""What `find_pixels` needs of the header."""

UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PixelElement:
    """The pixel data element of an instance."""

    tag: str
    """Eight hexadecimal digits."""
    vr: str
    """Value representation."""
    offset: int | None
    """First byte of the value in the file; None in a deflated one, where it has no place of its own."""
    length: int | None
    """Bytes of the value; None when it is encapsulated, or not known before the file is inflated."""
    frames: int
    """Number of frames."""
    frame_bits: int
    """Bits of a frame without compression, as stored."""


def find_pixels(dataset: FileDataset, file: BinaryIO, *, deflated: bool) -> PixelElement | None:
    """Describe the pixel data element that begins where `file` stands.

    Parameters
    ----------
    dataset
        The elements before.
    file
        Stands where reading them ended: at the pixel data, or at the end.
    deflated
        Whether the dataset is deflated, so that the file says nothing about the place.

    Returns
    -------
    PixelElement or None
        None when the instance has no pixel data.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    bits = _frame_bits(dataset)
    if deflated:
        return PixelElement("7FE00010", "OW", None, None, frames, bits) if bits else None
    little_endian = dataset.original_encoding[1] is not False
    start, head = file.tell(), file.read(12)
    if len(head) < 8:
        return None
    group, element = struct.unpack("<HH" if little_endian else ">HH", head[:4])
    tag = group << 16 | element
    if tag not in PIXEL_TAGS:
        return None
    vr, size, length = _length(head, "<L" if little_endian else ">L")
    encapsulated = length == UNDEFINED_LENGTH
    return PixelElement(f"{tag:08X}", vr, start + size, None if encapsulated else length, frames, bits)


def _length(head: bytes, order: str) -> tuple[str, int, int]:
    # With implicit VR these two bytes belong to the length, and make it odd, which no length is.
    if head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        return head[4:6].decode("ascii"), 12, struct.unpack(order, head[8:12])[0]
    return "OW", 8, struct.unpack(order, head[4:8])[0]


def _frame_bits(dataset: FileDataset) -> int:
    rows, columns, bits = (dataset.get(keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if not (rows and columns and bits):
        return 0
    total = int(rows) * int(columns) * int(bits) * samples
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        return total * 2 // 3  # two pixels share their chrominance (PS3.3 C.7.6.3.1.2)
    return total
