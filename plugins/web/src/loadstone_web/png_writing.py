"""Chunks of a PNG file in memory, with rows that are not packed: what libpng is given to undo filters."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

import imagecodecs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bytes", "stored_chunk", "written_chunk"]

Bytes: TypeAlias = "bytes | memoryview"

_BLOCK: Final = 2**16 - 1
"""Most bytes of a stored block (RFC 1951, 3.2.4)."""
_ZLIB_HEADER = b"\x78\x01"


def stored_chunk(rows: Sequence[bytes]) -> list[Bytes]:
    """Return the pieces of an ``IDAT`` chunk that holds the rows in stored blocks."""
    pieces: list[Bytes] = [_ZLIB_HEADER]
    checksum = 1
    for piece in rows:
        checksum = int(imagecodecs.deflate_adler32(piece, checksum))
        view = memoryview(piece)
        for start in range(0, len(view), _BLOCK):
            block = view[start : start + _BLOCK]
            pieces += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block]
    pieces += [struct.pack("<BHH", 1, 0, 0xFFFF), checksum.to_bytes(4, "big")]
    return written_chunk(b"IDAT", *pieces)


def written_chunk(kind: bytes, *payload: Bytes) -> list[Bytes]:
    """Return the pieces of a chunk: its length, its name, what it holds, its checksum."""
    checksum = int(imagecodecs.deflate_crc32(kind))
    for piece in payload:
        checksum = int(imagecodecs.deflate_crc32(piece, checksum))  # type: ignore[arg-type] # any buffer
    length = sum(map(len, payload))
    return [length.to_bytes(4, "big"), kind, *payload, checksum.to_bytes(4, "big")]
