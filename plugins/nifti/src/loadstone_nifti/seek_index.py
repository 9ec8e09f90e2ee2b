"""
Slices of a compressed file in any order, without its other voxels in memory.

Deflate can only be read from its start. While it is read for the first time the state of the inflater
(window, tables, CRC so far) is copied every few megabytes; from then on, reading begins at the last copy in
front of what is wanted. zlib can copy its state, isal cannot.
"""

from __future__ import annotations

import threading
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone_nifti.streams import GZIP_MAGIC, damaged, missing

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone_nifti.places import Place, RawBytes

__all__ = ["SeekIndex"]

_GZIP_BITS: Final = 31
_STORED_PIECE: Final = 2**18
_PIECE: Final = 2**18
_LEAST_SPACING: Final = 2**22
"""zlib inflates so much in about 15 ms."""
_MOST_POINTS: Final = 1024
_POINT_BYTES: Final = 45_000
"""A copy of the state: a window of 32 KiB, tables, and what Python adds."""


@dataclass(frozen=True, slots=True)
class _Point:
    """Where reading can begin."""

    inflated: int
    """Byte of the content."""
    stored: int
    """Byte of the file."""
    state: zlib._Decompress | None
    """The inflater at that place; None at the start of a gzip member."""


class SeekIndex:
    """
    Places in a compressed file at which inflating can begin; a source of the session.

    Parameters
    ----------
    place
        Where the file is.
    size
        Bytes of its content up to the end of the voxels.
    """

    def __init__(self, place: Place, size: int) -> None:
        self._place = place
        self._size = size
        self._spacing = max(_LEAST_SPACING, size // _MOST_POINTS)
        self._nbytes = (size // self._spacing + 2) * _POINT_BYTES
        self._lock = threading.Lock()
        self._points = [_Point(0, 0, None)]

    @property
    def nbytes(self) -> int:
        """Bytes that it will hold when the whole file was read."""
        return self._nbytes

    def close(self) -> None:
        """Free what it holds."""
        self._points = [_Point(0, 0, None)]

    def read(self, offset: int, buffer: memoryview, context: LoadContext) -> None:
        """
        Inflate what lies at `offset` of the content.

        Raises
        ------
        IntegrityError
            If the file is truncated or damaged, as far as was read.
        """
        with self._lock:
            point = self._points[bisect_right(self._points, offset, key=lambda each: each.inflated) - 1]
        place = self._place
        with place.resumed(context, point.stored) as opened, place.working(context, computes=True):
            inflating = _Inflating(opened.raw, point, self._place.label)
            while inflating.inflated < offset:
                context.raise_if_cancelled()
                inflating.read(min(_PIECE, offset - inflating.inflated))
                self._remember(inflating)
            filled = 0
            while filled < len(buffer) and (piece := inflating.read(min(_PIECE, len(buffer) - filled))):
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
            if offset + filled >= self._size:
                inflating.read(1)  # so that the end of the member is seen, and its CRC-32 checked
        if filled < len(buffer):
            raise missing("the slice", filled, len(buffer), self._place.label)

    def _remember(self, inflating: _Inflating) -> None:
        """Keep the state where the last point is far enough behind."""
        with self._lock:
            if inflating.inflated - self._points[-1].inflated >= self._spacing:
                self._points.append(inflating.point())


class _Inflating:
    """A file being inflated from some point on."""

    def __init__(self, raw: RawBytes, point: _Point, source: str) -> None:
        self._raw = raw
        self._source = source
        self._state = _fresh() if point.state is None else point.state.copy()
        self._pending = b""
        self._stored = point.stored
        self.inflated = point.inflated
        """Byte of the content that comes next."""

    def point(self) -> _Point:
        """Return where reading is now."""
        return _Point(self.inflated, self._stored - len(self._pending), self._state.copy())

    def read(self, most: int) -> bytes:
        """Return at most so many bytes; none at the end of the content."""
        piece = b""
        while not piece:
            self._refill()
            if self._state.eof and not self._next_member():
                break
            before = len(self._pending)
            try:
                piece = self._state.decompress(self._pending, most)
            except zlib.error as error:
                raise damaged(error, self._stored, self._source) from error
            self._pending = self._state.unused_data if self._state.eof else self._state.unconsumed_tail
            if not piece and not before and not self._state.eof:
                raise damaged(EOFError("it ends within a member"), self._stored, self._source)
        self.inflated += len(piece)
        return piece

    def _refill(self) -> None:
        if not self._pending:
            target = bytearray(_STORED_PIECE)
            count = self._raw.readinto(memoryview(target)) or 0
            self._pending = bytes(target[:count])
            self._stored += count

    def _next_member(self) -> bool:
        """Go on with what follows the end of a gzip member, if that is another one."""
        if not self._pending.startswith(GZIP_MAGIC[: len(self._pending)] or GZIP_MAGIC):
            return False
        self._state = _fresh()
        return True


def _fresh() -> zlib._Decompress:
    return zlib.decompressobj(wbits=_GZIP_BITS)
