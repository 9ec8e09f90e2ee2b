"""The bytes of one frame, without reading the others."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
from pydicom import dcmread
from pydicom.encaps import parse_basic_offsets, parse_fragments

from loadstone_wado.server.errors import DamagedObjectError, NotFoundError
from loadstone_wado.server.lru import LeastRecentlyUsed
from loadstone_wado.server.sources import MemorySource, Segment, Source, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone_wado.server.index import Instance
    from loadstone_wado.server.pixelelement import PixelElement

__all__ = ["FrameReader"]

KEPT_BYTES = 32 * 2**20
"""Bound of what frame tables and inflated pixels may take."""


class Frames(Protocol):
    """The frames of one instance, found."""

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        ...

    def frame(self, number: int) -> tuple[Segment, ...]:
        """Return the pieces of the frame `number`, which counts from 1 and is in range."""
        ...


class FrameReader:
    """Finds frames, and remembers where they are."""

    def __init__(self) -> None:
        self._tables = LeastRecentlyUsed[str, Frames](KEPT_BYTES, lambda table: table.weight)

    def frame(self, instance: Instance, number: int) -> tuple[Segment, ...]:
        """Return the stored bytes of a frame, in pieces.

        Parameters
        ----------
        instance
            What it is a frame of.
        number
            Counts from 1.

        Raises
        ------
        NotFoundError
            If the instance has no pixel data, or fewer frames.
        DamagedObjectError
            If the pixel data ends before, or its fragments cannot be told apart.
        """
        pixels = instance.pixels
        if pixels is None:
            raise NotFoundError("this instance has no pixel data")
        if not 1 <= number <= pixels.frames:
            raise NotFoundError(f"there is no frame {number}: this instance has frames 1 to {pixels.frames}")
        if pixels.offset is not None and pixels.length is not None:  # the usual case: only arithmetic
            native = NativeFrames(instance.source, pixels.offset, pixels.length, pixels.frame_bits)
            return native.frame(number)
        return self._tables.get_or_make(instance.uid, lambda: _find_frames(instance, pixels)).frame(number)


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Frames of one size, one after the other."""

    source: Source
    """Where they are."""
    offset: int
    """First byte of the first one."""
    length: int
    """Bytes of all."""
    frame_bits: int
    """Bits of each."""

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return self.source.size

    def frame(self, number: int) -> tuple[Segment, ...]:
        """Return the frame `number`."""
        first, last = (number - 1) * self.frame_bits, number * self.frame_bits
        start, stop = first // 8, -(-last // 8)
        if not self.frame_bits or stop > self.length or self.offset + stop > self.source.size:
            raise DamagedObjectError(f"the pixel data ends before the last byte of frame {number}")
        span = Span(self.source, self.offset + start, stop - start)
        if self.frame_bits % 8 == 0:
            return (span,)
        return (self._aligned(span, first % 8),)

    def _aligned(self, span: Span, skip: int) -> bytes:
        # Frames of single bits follow each other without padding; alone, a frame begins with a whole byte.
        packed = np.frombuffer(span.source.read(span.offset, span.length), np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[skip : skip + self.frame_bits]
        return np.packbits(bits, bitorder="little").tobytes()


@dataclass(frozen=True, slots=True)
class EncapsulatedFrames:
    """Frames in fragments."""

    spans: tuple[tuple[Span, ...], ...]
    """The fragments of each frame, without their item headers."""

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return 128 * sum(len(fragments) for fragments in self.spans)

    def frame(self, number: int) -> tuple[Segment, ...]:
        """Return the frame `number`."""
        if number > len(self.spans):
            raise DamagedObjectError(f"the pixel data holds {len(self.spans)} frames, not {number}")
        return self.spans[number - 1]


def _find_frames(instance: Instance, pixels: PixelElement) -> Frames:
    if pixels.offset is None:
        return _inflate(instance, pixels)
    try:
        with instance.source.open() as file:
            file.seek(pixels.offset)
            return EncapsulatedFrames(_find_fragments(instance, pixels, file))
    except ValueError as error:
        if isinstance(error, DamagedObjectError):
            raise
        raise DamagedObjectError(f"the fragments of the pixel data cannot be read: {error}") from error


def _inflate(instance: Instance, pixels: PixelElement) -> NativeFrames:
    with instance.source.open() as file:
        data = bytes(dcmread(file).get("PixelData") or b"")
    return NativeFrames(MemorySource(data), 0, len(data), pixels.frame_bits)


def _find_fragments(instance: Instance, pixels: PixelElement, file: BinaryIO) -> tuple[tuple[Span, ...], ...]:
    source = instance.source
    basic = parse_basic_offsets(file)
    base = file.tell()
    extended = _extended_offsets(instance)
    if len(extended) == pixels.frames:
        return tuple((_checked(Span(source, base + offset + 8, length)),) for offset, length in extended)
    count, starts = parse_fragments(file)
    spans = [_fragment(file, source, start) for start in starts]
    if len(basic) == pixels.frames and set(basic) <= {start - base for start in starts}:
        return _by_offsets(spans, [base + offset for offset in basic])
    if count == pixels.frames:
        return tuple((span,) for span in spans)
    if pixels.frames == 1:
        return (tuple(spans),)
    return _by_end_markers(spans)


def _extended_offsets(instance: Instance) -> list[tuple[int, int]]:
    header = instance.header()
    offsets, lengths = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    if not offsets or not lengths:
        return []
    numbers = (np.frombuffer(value, "<u8").tolist() for value in (offsets, lengths))
    return list(zip(*numbers, strict=True))


def _fragment(file: BinaryIO, source: Source, start: int) -> Span:
    file.seek(start + 4)
    return _checked(Span(source, start + 8, int.from_bytes(file.read(4), "little")))


def _checked(span: Span) -> Span:
    if span.offset + span.length > span.source.size:
        raise DamagedObjectError("the pixel data ends within a fragment")
    return span


def _by_offsets(spans: Sequence[Span], starts: Sequence[int]) -> tuple[tuple[Span, ...], ...]:
    frames: list[list[Span]] = [[] for _ in starts]
    for span in spans:
        frames[bisect_right(starts, span.offset - 8) - 1].append(span)
    return tuple(tuple(frame) for frame in frames)


def _by_end_markers(spans: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    # Without an offset table the end marker of JPEG and its kin tells the last fragment of a frame.
    ends = [0]
    for position, span in enumerate(spans, start=1):
        tail = min(span.length, 10)
        if b"\xff\xd9" in span.source.read(span.offset + span.length - tail, tail):
            ends.append(position)
    return tuple(tuple(spans[first:last]) for first, last in pairwise(ends))
