"""
A file's content as a stream of uncompressed bytes, whether it is gzip-compressed or not.

isal inflates twice as fast as zlib and checks the length and CRC-32 of every member. Deflate cannot expand
more than 1032 times, so that a header's claim can be compared with the compressed size before anything is
allocated.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from gzip import BadGzipFile
from io import RawIOBase
from typing import TYPE_CHECKING, Final, cast

from isal import isal_zlib

from loadstone.errors import IntegrityError, LimitError
from loadstone_nifti.gzip_members import GZIP_MAGIC, GzipMembers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from loadstone.context import LoadContext
    from loadstone_nifti.places import Opened, Place

__all__ = ["GZIP_MAGIC", "ContentStream", "beginning", "content", "damaged", "missing", "stream_of"]

_MOST_EXPANSION: Final = 1032
_PIECE: Final = 2**18
"""Small enough to stay in the processor's cache between inflating and copying."""
_RAW_PIECE: Final = 2**23
"""Read at most so much before looking whether the load was cancelled."""
_FIRST_PIECE: Final = 2**16
"""Read so much at a time of the header: little more than is needed, and a bomb is seen early."""


_DAMAGED = cast("type[Exception]", isal_zlib.IsalError)  # isal's stub says it is an instance


class _Watched(RawIOBase):
    """Stored bytes, the first ones put back; each read tells the progress and hears of a cancellation."""

    def __init__(self, opened: Opened, context: LoadContext, piece: int) -> None:
        self._raw = opened.raw
        self._piece = piece
        self._context = context
        self.stored = opened.stored
        self.received = 0
        self._start = b""

    def resume(self, opened: Opened, context: LoadContext) -> None:
        """Go on with the file opened again where it was left."""
        self._raw = opened.raw
        self._context = context

    def peek(self, size: int) -> bytes:
        """Return the first bytes without taking them."""
        start = bytearray(size)
        filled = 0
        while filled < size and (count := self._raw.readinto(memoryview(start)[filled:]) or 0):
            filled += count
        self._start = bytes(start[:filled])
        return self._start

    def refuse_bomb(self, inflated: int, source: str) -> None:
        """Refuse what expands more than the settings allow where no header declares how far."""
        settings = self._context.settings
        if inflated > settings.free_ratio_bytes and inflated > settings.max_ratio * self.received:
            raise LimitError(
                f"the header of the file expands more than {settings.max_ratio} times",
                source=source,
                hint="If it is meant to, raise max_ratio (LOADSTONE_MAX_RATIO).",
            )

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, target: Buffer, /) -> int:
        """Fill the buffer, perhaps in part."""
        buffer = memoryview(target)
        if self._start:
            count = min(len(buffer), len(self._start))
            buffer[:count] = self._start[:count]
            self._start = self._start[count:]
        else:
            self._context.raise_if_cancelled()
            count = self._raw.readinto(buffer[: self._piece]) or 0
        self.received += count
        self._context.progress(self.received, self.stored)
        return count


class ContentStream:
    """Uncompressed bytes, read from the start to the end."""

    __slots__ = ("_inflate", "_raw", "_taken", "compressed", "place")

    def __init__(self, raw: _Watched, place: Place, *, compressed: bool) -> None:
        self._raw = raw
        self._taken = 0
        self.place = place
        """Where it comes from."""
        self._inflate = GzipMembers(raw) if compressed else None
        self.compressed = compressed
        """Whether the file is gzip-compressed."""

    @property
    def most(self) -> int | None:
        """How many uncompressed bytes there can be at most; None when not known."""
        if self._raw.stored is None:
            return None
        return self._raw.stored * (_MOST_EXPANSION if self.compressed else 1)

    def read(self, size: int) -> bytes:
        """
        Return `size` bytes, fewer only at the end: what stands in front of the voxels, of unknown size.

        Raises
        ------
        IntegrityError
            If the compressed data is truncated or damaged.
        LimitError
            If it expands as only a bomb does.
        """
        data = bytearray(size)
        count = self.readinto(memoryview(data))
        self._taken += count
        self._raw.refuse_bomb(self._taken, self.place.label)
        return bytes(data[:count])

    @property
    def received(self) -> int:
        """How many stored bytes were read."""
        return self._raw.received

    def resume(self, opened: Opened, context: LoadContext) -> None:
        """Go on with the file opened again at the byte `received`, for another load."""
        self._raw.resume(opened, context)

    def readinto(self, buffer: memoryview) -> int:
        """
        Fill the buffer, less only at the end; return how many bytes.

        Raises
        ------
        IntegrityError
            If the compressed data is truncated or damaged.
        """
        filled = 0
        read = self._raw.readinto if self._inflate is None else partial(self._inflated, self._inflate)
        while filled < len(buffer) and (count := read(buffer[filled:])):
            filled += count
        return filled

    def fill(self, buffer: memoryview, *, what: str, before: int = 0, total: int | None = None) -> None:
        """
        Fill the whole buffer.

        Parameters
        ----------
        buffer
            Where the bytes go.
        what
            They are, for messages.
        before, total
            How many bytes of it were read before, and there are in all.

        Raises
        ------
        IntegrityError
            If there are too few, or the compressed data is truncated or damaged.
        """
        got = self.readinto(buffer)
        if got < len(buffer):
            raise missing(what, before + got, total or len(buffer), self.place.label)

    def skip(self, size: int) -> None:
        """
        Go on by `size` bytes, less only at the end.

        Raises
        ------
        IntegrityError
            If the compressed data is truncated or damaged.
        """
        scratch = memoryview(bytearray(min(size, _PIECE)))
        while size > 0 and (count := self.readinto(scratch[:size])):
            size -= count

    def check_end(self, most: int) -> None:
        """
        Read what compressed data follows, so that its length and CRC-32 are checked.

        Parameters
        ----------
        most
            No more than this is inflated: what follows the voxels may be a bomb. Then nothing is checked.

        Raises
        ------
        IntegrityError
            If the compressed data is truncated or damaged.
        """
        if self._inflate is None:
            return
        scratch = memoryview(bytearray(_PIECE))
        while most > 0 and (count := self._inflated(self._inflate, scratch)):
            most -= count

    def _inflated(self, inflate: GzipMembers, buffer: memoryview) -> int:
        try:
            return inflate.readinto(buffer[:_PIECE])
        except (EOFError, BadGzipFile, _DAMAGED) as error:
            raise damaged(error, self._raw.received, self.place.label) from error


def damaged(error: Exception, at: int, source: str) -> IntegrityError:
    """Return the error for compressed data that ends too early (`EOFError`) or makes no sense."""
    truncated = isinstance(error, EOFError)
    return IntegrityError(
        f"the gzip data is {'truncated' if truncated else 'damaged'} ({error}, at byte {at:,} of the file)",
        source=source,
        hint="Fetch or copy the file again.",
    )


def missing(what: str, got: int, wanted: int, source: str) -> IntegrityError:
    """Return the error for a file that ends too early."""
    return IntegrityError(
        f"{what} {'are' if what.endswith('s') else 'is'} truncated: {got:,} bytes of {wanted:,}",
        source=source,
        hint="Fetch or copy the file again.",
    )


def stream_of(opened: Opened, context: LoadContext, piece: int = _RAW_PIECE) -> ContentStream:
    """Return the content of a file that is open, told by its first bytes whether it is compressed."""
    watched = _Watched(opened, context, piece)
    compressed = watched.peek(len(GZIP_MAGIC)) == GZIP_MAGIC
    return ContentStream(watched, opened.place, compressed=compressed)


@contextmanager
def beginning(place: Place, context: LoadContext) -> Iterator[ContentStream]:
    """
    Open a file for its first bytes.

    Raises
    ------
    FetchError
        If it cannot be had.
    """
    with place.begun(context) as opened:
        yield stream_of(opened, context, _FIRST_PIECE)


@contextmanager
def content(place: Place, context: LoadContext) -> Iterator[ContentStream]:
    """
    Open a file for all its bytes.

    Raises
    ------
    FetchError
        If it cannot be had.
    IntegrityError
        If it is not the file any more that its place knows.
    """
    with place.opened(context) as opened:
        yield stream_of(opened, context)
