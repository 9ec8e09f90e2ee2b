"""
From the packed pixels of a PNG to an array.

libpng spends most of its time in zlib. libdeflate unpacks the same stream about twice as fast, but wants to
know the size and have it in one piece. Both are known here, so it unpacks, and libpng is given the rows in a
stream that is not packed: what is left to it, undoing the filters and expanding the samples, it does well.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import imagecodecs

from loadstone_web.png import SIGNATURE, chunks

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_web.header import WebHeader

__all__ = ["decode_png"]

_BLOCK: Final = 2**16 - 1
"""Most bytes of a stored block (RFC 1951, 3.2.4)."""
_MOST_CHUNK: Final = 2**30
"""Rows beyond this would not fit into one chunk."""
_ZLIB_HEADER = b"\x78\x01"


def decode_png(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """
    Decode a PNG whose header was read with ``verify=True``.

    Nothing that is packed is looked at but the pixels: texts and profiles never reach the decoder.

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
        `out`, or the new array: ``(rows, columns)`` or ``(rows, columns, 2, 3 or 4)``.

    Raises
    ------
    Exception
        Whatever the decoder raises when it refuses the data.
    """
    head, packed = _parts(data)
    rows = _unpacked(packed, header)
    image = _chunk(b"IDAT", packed) if rows is None else _unpacked_chunk(rows)
    stored: npt.NDArray[Any] = imagecodecs.png_decode(
        b"".join((SIGNATURE, *head, *image, *_chunk(b"IEND", b""))), out=out
    )
    return stored


def _parts(data: bytes) -> tuple[list[memoryview], bytes]:
    """Return the chunks in front of the pixels that tell what they mean, and the packed pixels."""
    whole = memoryview(data)
    head, packed = [], []
    for chunk in chunks(BytesIO(data), source=""):
        if chunk.kind == b"IDAT":
            packed.append(whole[chunk.offset : chunk.offset + chunk.length])
        elif chunk.kind in {b"IHDR", b"PLTE", b"tRNS"}:
            head.append(whole[chunk.offset - 8 : chunk.offset + chunk.length + 4])
    return head, b"".join(packed)


def _unpacked(packed: bytes, header: WebHeader) -> bytes | None:
    """Return the filtered rows; None where libpng has to look: interlaced, damaged, of another size."""
    row_bytes = 1 + (header.stored_columns * header.stored_samples * header.stored_bits + 7) // 8
    size = header.stored_rows * row_bytes
    if header.interlaced or size > _MOST_CHUNK:
        return None
    try:
        rows = bytes(imagecodecs.deflate_decode(packed, out=size))
    except imagecodecs.DeflateError:
        return None
    return rows if len(rows) == size else None


def _unpacked_chunk(rows: bytes) -> list[bytes | memoryview]:
    """Return the pieces of an ``IDAT`` chunk that holds the rows in stored blocks."""
    view = memoryview(rows)
    pieces: list[bytes | memoryview] = [_ZLIB_HEADER]
    for start in range(0, len(view), _BLOCK):
        block = view[start : start + _BLOCK]
        last = start + _BLOCK >= len(view)
        pieces += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    pieces.append(int(imagecodecs.deflate_adler32(rows, 1)).to_bytes(4, "big"))
    return _chunk(b"IDAT", *pieces)


def _chunk(kind: bytes, *payload: bytes | memoryview) -> list[bytes | memoryview]:
    checksum = int(imagecodecs.deflate_crc32(kind))
    for piece in payload:
        checksum = int(imagecodecs.deflate_crc32(piece, checksum))  # type: ignore[arg-type] # any buffer
    length = sum(map(len, payload))
    return [length.to_bytes(4, "big"), kind, *payload, checksum.to_bytes(4, "big")]
