"""
The chunks of a WebP file (RFC 9649).

They are read here and not by Pillow, whose decoder takes memory for the whole canvas when it opens a file.
"""

from __future__ import annotations

from io import SEEK_END
from typing import TYPE_CHECKING, BinaryIO

from loadstone.errors import DecodeError, IntegrityError
from loadstone_web.exif import orientation_of
from loadstone_web.header import WebHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_webp_header"]

_HEAD_BYTES = 10
_MOST_BYTES = 2**24
_ALPHA = 0x10
_LOSSLESS, _LOSSY, _EXTENDED = b"VP8L", b"VP8 ", b"VP8X"
_KEPT = frozenset({b"ICCP", b"EXIF"})
_EXIF = b"Exif\0\0"


def read_webp_header(file: BinaryIO, *, source: str) -> WebHeader:
    """
    Read what `WebHeader` holds.

    Raises
    ------
    IntegrityError
        If the file is truncated.
    DecodeError
        If it does not begin as a WebP file does.
    """
    frames, first, kind = 0, b"", b""
    kept: dict[bytes, bytes] = {}
    for name, payload in _chunks(file, source):
        if not kind:
            kind, first = name, payload
        frames += name == b"ANMF"
        kept.setdefault(name, payload)
    columns, rows, alpha = _canvas(kind, first, source)
    exif = kept.get(b"EXIF", b"")
    return WebHeader(
        format="WebP",
        stored_rows=rows,
        stored_columns=columns,
        samples=4 if alpha else 3,
        bits=8,
        stored_bits=8,
        stored_samples=4 if alpha else 3,
        kind={_LOSSLESS: "lossless", _LOSSY: "lossy"}.get(kind, "extended"),
        orientation=orientation_of(exif.removeprefix(_EXIF)),
        frames=max(1, frames),
        icc_profile=kept.get(b"ICCP"),
    )


def _chunks(file: BinaryIO, source: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each chunk and its beginning, whole where it is one that is kept."""
    size = file.seek(0, SEEK_END)
    file.seek(4)
    end = 8 + int.from_bytes(file.read(4), "little")
    at = 12
    while at < end:
        file.seek(at)
        head = file.read(8)
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if len(head) < 8 or at + 8 + length > size:
            raise IntegrityError(
                f"the WebP is truncated: {size:,} bytes, {end:,} are announced",
                source=source,
                hint="Fetch it again.",
            )
        yield name, file.read(min(length, _MOST_BYTES if name in _KEPT else _HEAD_BYTES))
        at += 8 + length + length % 2


def _canvas(kind: bytes, first: bytes, source: str) -> tuple[int, int, bool]:
    """Return columns, rows, and whether there is transparency."""
    if len(first) == _HEAD_BYTES and kind == _EXTENDED:
        width, height = int.from_bytes(first[4:7], "little"), int.from_bytes(first[7:10], "little")
        return width + 1, height + 1, bool(first[0] & _ALPHA)
    if len(first) == _HEAD_BYTES and kind == _LOSSY:
        width, height = int.from_bytes(first[6:8], "little"), int.from_bytes(first[8:10], "little")
        if width & 0x3FFF and height & 0x3FFF:
            return width & 0x3FFF, height & 0x3FFF, False
    if len(first) == _HEAD_BYTES and kind == _LOSSLESS:
        bits = int.from_bytes(first[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise DecodeError("the WebP does not begin with its size", source=source)
