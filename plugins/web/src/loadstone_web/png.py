"""
The chunks of a PNG file (W3C PNG, third edition).

The walk finds truncation and wrong checksums before a decoder sees the file: decoders differ in what they let
pass, and half a picture is worse than an error.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from io import SEEK_END
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from isal import isal_zlib

from loadstone.errors import DecodeError, IntegrityError, LimitError
from loadstone_web.exif import orientation_of
from loadstone_web.header import WebHeader
from loadstone_web.packed import PackedTexts
from loadstone_web.png_order import ChunkOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIGNATURE", "Chunk", "chunks", "read_header"]

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_KINDS = {
    _GREY: ("grey", 1, (1, 2, 4, 8, 16)),
    _COLOUR: ("RGB", 3, (8, 16)),
    _PALETTE: ("palette", 1, (1, 2, 4, 8)),
    _GREY_ALPHA: ("grey and alpha", 2, (8, 16)),
    _COLOUR_ALPHA: ("RGBA", 4, (8, 16)),
}
"""Colour type to its name, stored samples and legal bit depths (table 12 of the specification)."""

_WANTED = frozenset({b"IHDR", b"tRNS", b"eXIf", b"acTL", b"pHYs"})
_SUMMED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The chunks that make the pixels."""
_MOST_BYTES = 2**31 - 1
_EXIF_MOST_BYTES = 2**16
_IHDR_BYTES = 13
_PIECE = 2**20
_MOST_CHUNKS = 2**18


class Chunk(NamedTuple):
    """One chunk."""

    kind: bytes
    """Its four letters."""
    offset: int
    """Where its data begins in the file."""
    length: int
    """Bytes of its data."""


def chunks(file: BinaryIO, *, source: str) -> Iterator[Chunk]:
    """
    Yield every chunk up to ``IEND``; the file stands at the chunk's data, and may be left anywhere.

    Raises
    ------
    IntegrityError
        If the file ends before ``IEND`` does.
    LimitError
        If it has more chunks than any picture needs.
    """
    size = file.seek(0, SEEK_END)
    offset = len(SIGNATURE)
    kind = b""
    found = 0
    while kind != b"IEND":
        found += 1
        if found > _MOST_CHUNKS:
            raise LimitError(
                f"the PNG has more than {_MOST_CHUNKS:,} chunks, which no picture needs",
                source=source,
                hint="If it is no attack, write it again with another program.",
            )
        file.seek(offset)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        end = offset + 12 + length
        if not kind or length > _MOST_BYTES or end > size:
            what = f"the chunk {kind!r} would end at byte {end:,}" if kind else "there is no IEND chunk"
            raise IntegrityError(
                f"the PNG is truncated: {what} of {size:,}", source=source, hint="Fetch it again."
            )
        yield Chunk(kind, offset + 8, length)
        offset = end


def read_header(file: BinaryIO, *, verify: bool, source: str) -> WebHeader:
    """
    Read what `WebHeader` holds.

    Parameters
    ----------
    file
        Seekable.
    verify
        Whether to check the checksums of the chunks that make the pixels.
    source
        What is read, for messages.

    Raises
    ------
    IntegrityError
        If the file is truncated or a checksum is wrong.
    DecodeError
        If ``IHDR`` makes no sense, or chunks are missing or stand where they may not.
    UnsupportedError
        If it has a chunk that a reader has to know, and this one does not.
    LimitError
        If its texts or its profile unpack to more than any has, or it has too many chunks.
    """
    found: dict[bytes, bytes] = {}
    order = ChunkOrder(source)
    packed = PackedTexts(source)
    pixel_bytes = 0
    for chunk in chunks(file, source=source):
        order.see(chunk.kind, chunk.length)
        pixel_bytes += chunk.length if chunk.kind == b"IDAT" else 0
        if verify and chunk.kind in _SUMMED:
            _check_sum(file, chunk, source)
        if chunk.kind in _WANTED and chunk.kind not in found:
            file.seek(chunk.offset)
            found[chunk.kind] = file.read(min(chunk.length, _EXIF_MOST_BYTES))
        elif chunk.kind in packed.kinds:
            packed.add(file, chunk)
    header = _header(found, packed.icc_profile, source)
    order.check(header.kind)
    return replace(header, deflated_bytes=pixel_bytes)


def _check_sum(file: BinaryIO, chunk: Chunk, source: str) -> None:
    checksum = isal_zlib.crc32(chunk.kind)  # six times as fast as zlib
    left = chunk.length
    file.seek(chunk.offset)
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            break
        checksum = isal_zlib.crc32(piece, checksum)
        left -= len(piece)
    if file.read(4) != checksum.to_bytes(4, "big"):
        raise IntegrityError(
            f"the checksum of the PNG chunk {chunk.kind.decode('ascii')} is wrong",
            source=source,
            hint="Fetch it again.",
        )


def _header(found: dict[bytes, bytes], icc_profile: bytes | None, source: str) -> WebHeader:
    ihdr = found[b"IHDR"]
    if len(ihdr) != _IHDR_BYTES:
        raise DecodeError(f"the PNG chunk IHDR has {len(ihdr)} bytes, not {_IHDR_BYTES}", source=source)
    columns, rows, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", ihdr)
    kind, samples, depths = _KINDS.get(colour, ("", 0, ()))
    wrong = (
        (not kind and f"colour type {colour}")
        or (depth not in depths and f"{depth} bits a sample for {kind}")
        or (not (0 < rows <= _MOST_BYTES and 0 < columns <= _MOST_BYTES) and f"{columns} x {rows} pixels")
        or (compression and f"compression method {compression}")
        or (filtering and f"filter method {filtering}")
        or (interlace > 1 and f"interlace method {interlace}")
    )
    if wrong:
        raise DecodeError(f"the PNG header says {wrong}, which PNG does not have", source=source)
    transparent = bool(found.get(b"tRNS")) and colour in {_GREY, _COLOUR, _PALETTE}
    return WebHeader(
        format="PNG",
        stored_rows=rows,
        stored_columns=columns,
        samples=_samples(colour, transparent=transparent),
        bits=max(depth, 8),
        stored_bits=depth,
        stored_samples=samples,
        kind=kind,
        transparent=transparent,
        interlaced=bool(interlace),
        orientation=orientation_of(found.get(b"eXIf", b"")),
        frames=_frames(found.get(b"acTL", b"")),
        icc_profile=icc_profile,
        stored_print_spacing=_print_spacing(found.get(b"pHYs", b"")),
    )


def _samples(colour: int, *, transparent: bool) -> int:
    """Return the samples of the array: grey with any transparency becomes RGBA, which every caller knows."""
    if transparent or colour in {_GREY_ALPHA, _COLOUR_ALPHA}:
        return 4
    return 1 if colour == _GREY else 3


def _frames(actl: bytes) -> int:
    return max(1, int.from_bytes(actl[:4], "big")) if len(actl) == 8 else 1


def _print_spacing(phys: bytes) -> tuple[float, float] | None:
    """Return the distance of rows and of columns in mm; None where only their ratio is recorded."""
    if len(phys) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", phys)  # pixels per metre
    return (1000 / down, 1000 / across) if unit == 1 and across and down else None
