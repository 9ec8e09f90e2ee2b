"""
What a PNG carries packed beside its pixels: texts and a colour profile.

Nothing here changes a pixel, but other programs unpack it; a few kilobytes that unpack to gigabytes are an
attack on whoever does, so they are counted, within a bound, and refused.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

from loadstone.errors import LimitError

if TYPE_CHECKING:
    from loadstone_web.png import Chunk

__all__ = ["PackedTexts"]

MOST_UNPACKED: Final = 4 * 2**20
"""Bytes that all texts and the profile of one file may unpack to: more than any colour profile has."""

_PIECE = 2**16
_KEYWORD_BYTES = 80
_TEXT, _INTERNATIONAL_TEXT, _PROFILE = b"zTXt", b"iTXt", b"iCCP"


class PackedTexts:
    """Counts what the packed chunks of one file unpack to, and keeps the colour profile."""

    kinds: Final = frozenset({_TEXT, _INTERNATIONAL_TEXT, _PROFILE})
    """The chunks that are packed, or may be."""

    def __init__(self, source: str) -> None:
        self.icc_profile: bytes | None = None
        """The colour profile; None where there is none that can be unpacked."""
        self._source = source
        self._left = MOST_UNPACKED

    def add(self, file: BinaryIO, chunk: Chunk) -> None:
        """
        Unpack one chunk, as far as the bound allows.

        Raises
        ------
        LimitError
            If the texts so far unpack to more than `MOST_UNPACKED` bytes.
        """
        start = _packed_from(file, chunk)
        if start is None:
            return
        file.seek(chunk.offset + start)
        pieces = self._unpacked(file, chunk, chunk.length - start)
        if chunk.kind == _PROFILE and self.icc_profile is None:
            self.icc_profile = pieces

    def _unpacked(self, file: BinaryIO, chunk: Chunk, packed: int) -> bytes | None:
        """Return the unpacked bytes, or None where they are damaged: no pixel depends on them."""
        inflate = zlib.decompressobj()
        unpacked = bytearray()
        while packed > 0 and not inflate.eof:
            piece = file.read(min(packed, _PIECE))
            packed -= len(piece)
            try:
                unpacked += inflate.decompress(piece, self._left + 1 - len(unpacked))
            except zlib.error:
                break
            if not piece:
                break
            if len(unpacked) > self._left:
                raise LimitError(
                    f"the texts of the PNG unpack to more than {MOST_UNPACKED:,} bytes "
                    f"(in the chunk {chunk.kind.decode('ascii')} of {chunk.length:,})",
                    source=self._source,
                    hint="This is an attack on whoever unpacks them; write the image again without texts.",
                )
        self._left -= len(unpacked)
        return bytes(unpacked) if inflate.eof else None


def _packed_from(file: BinaryIO, chunk: Chunk) -> int | None:
    """Return where in the chunk its zlib stream begins; None where nothing is packed."""
    file.seek(chunk.offset)
    if chunk.kind != _INTERNATIONAL_TEXT:  # keyword, 0, method
        at = file.read(min(chunk.length, _KEYWORD_BYTES)).find(b"\0")
        return None if at < 0 else at + 2
    head = file.read(
        min(chunk.length, _PIECE)
    )  # keyword, 0, flag, method, language, 0, translated keyword, 0
    keyword, *rest = head.split(b"\0", 1)
    fields = rest[0][2:].split(b"\0", 2) if rest else []
    if len(fields) < 3 or rest[0][:1] != b"\1":
        return None
    return len(keyword) + 3 + len(fields[0]) + 1 + len(fields[1]) + 1
