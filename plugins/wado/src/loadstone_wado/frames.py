"""
Where the bytes of each frame are (DICOM PS3.5 8.2 and A.4), and reading only those.

Native frames lie one after the other; encapsulated ones are fragments, found by the extended offset table,
else the basic one, else by looking at the fragments. A table is believed only where it leads to an item;
where it does not, the fragments are looked at if they leave no doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Final

import numpy as np

from loadstone.errors import IntegrityError, InvalidIdError, LimitError, UnsupportedError
from loadstone_wado import tags
from loadstone_wado.blobs import MemoryBlob
from loadstone_wado.lazy import lazy
from loadstone_wado.transfer_syntaxes import (
    ENCAPSULATED,
    EXPLICIT_VR_BIG_ENDIAN,
    NATIVE,
    RLE_LOSSLESS,
    name_of,
)

if TYPE_CHECKING:
    from loadstone_wado.blobs import Blob
    from loadstone_wado.headers import PixelElement
    from loadstone_wado.instance import Instance

__all__ = ["EncodedFrame", "FrameReader", "NativeRange"]

_HEADER: Final = Struct("<II").unpack_from
_ITEM: Final = 0xE000FFFE
_SEQUENCE_END: Final = 0xE0DDFFFE
_STARTS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")
"""How codestreams begin: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, JPEG XL (bare, boxed), JPEG 2000 boxed."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """The bytes of one frame, and how they are encoded."""

    data: bytes | memoryview
    """Native samples or a codestream."""
    transfer_syntax_uid: str
    """The encoding."""
    first_bit: int = 0
    """Where the frame begins within the first byte; frames of single bits need not begin on a byte."""


@dataclass(frozen=True, slots=True)
class NativeRange:
    """Where a native frame is."""

    offset: int
    """Of its first byte in the object."""
    length: int
    """Bytes that it touches."""
    first_bit: int
    """Where it begins within the first byte."""


@dataclass(frozen=True, slots=True)
class _Fragment:
    offset: int
    """Of the bytes behind the item's header."""
    length: int
    """As the item's header claims."""


class FrameReader:
    """
    Reads the encoded frames of an object.

    Parameters
    ----------
    instance
        The object.
    blob
        Its bytes.
    """

    instance: Instance
    """The object."""

    def __init__(self, instance: Instance, blob: Blob) -> None:
        self.instance = instance
        self._blob = MemoryBlob(instance.inflated, blob.source) if instance.inflated is not None else blob

    @property
    def blob(self) -> Blob:
        """The bytes in which the pixel data is."""
        return self._blob

    @property
    def _pixels(self) -> PixelElement:
        pixels = self.instance.pixels
        if pixels is None:
            # The layout says what the object is in place of an image.
            _ = self.instance.layout
            raise UnsupportedError("it has no pixel data", source=self._blob.source)
        return pixels

    def read(self, number: int) -> EncodedFrame:
        """
        Return the bytes of one frame.

        Parameters
        ----------
        number
            From 1.

        Raises
        ------
        IntegrityError
            If the bytes are not there, or the offset table leads elsewhere.
        UnsupportedError
            If the transfer syntax is not known, or there are no pixels.
        InvalidIdError
            If there is no such frame.
        MetadataError, LimitError
            As `Instance.layout`.
        FetchError
            If they cannot be read.
        """
        uid = self.instance.transfer_syntax_uid
        if uid in ENCAPSULATED:
            self._check_number(number)
            return EncodedFrame(self._read_encapsulated(number), uid)
        place = self.native_range(number)
        if self._swapped:
            return EncodedFrame(self._read_swapped(place), uid)
        return EncodedFrame(self._blob.read(place.offset, place.length), uid, place.first_bit)

    def _check_number(self, number: int) -> None:
        frames = self.instance.layout.frames
        if not 1 <= number <= frames:
            raise InvalidIdError(
                f"there is no frame {number}, the object has {frames}",
                source=self._blob.source,
                hint=f"Frames count from 1 to {frames}.",
            )

    def native_range(self, number: int) -> NativeRange:
        """
        Return where a native frame is.

        Raises
        ------
        IntegrityError
            If the pixel data is shorter than that.
        UnsupportedError, InvalidIdError, MetadataError, LimitError
            As `read`.
        """
        pixels = self._pixels
        layout = self.instance.layout
        self._check_number(number)
        self._check_native(pixels)
        start = (number - 1) * layout.frame_bits
        stop = start + layout.frame_bits
        first, last = start // 8, -(-stop // 8)
        available = min(pixels.length or 0, self._blob.size - pixels.offset)
        if last > available:
            raise IntegrityError(
                f"the pixel data ends before frame {number} does: "
                f"{last:,} bytes are needed, {available:,} are there",
                source=self._blob.source,
                hint="The object is truncated, or its attributes are wrong.",
            )
        return NativeRange(pixels.offset + first, last - first, start % 8)

    def check_number_of_frames(self) -> None:
        """
        Refuse a number of frames that is made up, before anything is made for so many.

        Raises
        ------
        IntegrityError
            If the object holds less than half of the bytes of native frames, or of RLE (64 become one),
            or fewer bytes than other frames need for the headers of their fragments.
        UnsupportedError, MetadataError, LimitError
            As `Instance.layout`.
        """
        layout, pixels = self.instance.layout, self._pixels
        available = self._blob.size - pixels.offset
        if self.instance.transfer_syntax_uid == RLE_LOSSLESS:
            needed = layout.frames * layout.frame_bits // 16 // 64
        elif self.instance.transfer_syntax_uid in ENCAPSULATED:
            needed = 8 * layout.frames
        else:
            needed = layout.frames * layout.frame_bits // 16
        if available < needed:
            raise IntegrityError(
                f"{available:,} bytes of pixel data cannot be {layout.frames:,} frames of "
                f"{layout.rows} x {layout.columns}",
                source=self._blob.source,
                hint="The object is truncated, or its attributes are wrong.",
            )

    def _check_native(self, pixels: PixelElement) -> None:
        uid = self.instance.transfer_syntax_uid
        if uid not in NATIVE:
            raise UnsupportedError(
                f"the transfer syntax {name_of(uid)} is not supported",
                source=self._blob.source,
                hint="Convert the object to a transfer syntax of the standard, or ask the server to do so.",
            )
        if pixels.length is None:
            raise IntegrityError(
                f"the pixel data is encapsulated where the transfer syntax {name_of(uid)} says it is not",
                source=self._blob.source,
            )
        layout = self.instance.layout
        full = layout.rows * layout.columns * 3 * layout.bits_allocated // 8 * layout.frames
        if layout.subsampled and pixels.length >= full > layout.frames * layout.frame_bits // 8:
            raise IntegrityError(
                f"the pixel data has {pixels.length:,} bytes, "
                f"too many for {layout.photometric_interpretation}",
                source=self._blob.source,
                hint="The photometric interpretation is probably YBR_FULL or RGB.",
            )

    @property
    def _swapped(self) -> bool:
        """Whether 8-bit samples lie in big-endian 16-bit words."""
        return (
            self.instance.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
            and self._pixels.vr == "OW"
            and self.instance.layout.bits_allocated <= 8
        )

    def _read_swapped(self, place: NativeRange) -> bytes:
        base = self._pixels.offset
        odd = (place.offset - base) % 2
        length = place.length + odd
        words = self._blob.read(place.offset - odd, length + length % 2)
        if len(words) % 2:
            raise IntegrityError("the pixel data ends within a word", source=self._blob.source)
        return np.frombuffer(words, "u2").byteswap().tobytes()[odd : odd + place.length]

    def _read_encapsulated(self, number: int) -> bytes | memoryview:
        pixels = self._pixels
        if pixels.length is not None:
            raise IntegrityError(
                "the pixel data is not encapsulated where the transfer syntax "
                f"{name_of(self.instance.transfer_syntax_uid)} says it is",
                source=self._blob.source,
            )
        if self.instance.layout.frames == 1:
            # One frame needs all fragments: with one read for them, their headers and the table.
            rest = _Rest(self._blob, pixels.offset)
            reader = FrameReader(self.instance, rest)
            return reader._only_frame(rest.data, pixels)
        return self._joined(self._fragments_of(number), number)

    def _only_frame(self, data: bytes, pixels: PixelElement) -> bytes | memoryview:
        """Return the only frame out of the bytes from the pixel data on."""
        if self._table:
            return self._joined(self._fragments_of(1), 1)
        view = memoryview(data)
        walked = _walk(MemoryBlob(data, self._blob.source), self._start - pixels.offset, self._most)
        parts = [view[each.offset : each.offset + each.length] for each in walked]
        self._check_complete(sum(each.length for each in walked), sum(map(len, parts)), 1)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _joined(self, fragments: list[_Fragment], number: int) -> bytes:
        data = b"".join([self._blob.read(each.offset, each.length) for each in fragments])
        self._check_complete(sum(each.length for each in fragments), len(data), number)
        return data

    def _check_complete(self, expected: int, actual: int, number: int) -> None:
        if actual < expected or not expected:
            raise IntegrityError(
                f"frame {number} is truncated: {expected:,} bytes are needed, {actual:,} are there",
                source=self._blob.source,
            )

    def _fragments_of(self, number: int) -> list[_Fragment]:
        if self._table:
            try:
                return self._fragments_by_table(number)
            except IntegrityError:
                # Tables are wrong more often than fragments: counted from elsewhere, or beyond 32 bits.
                frames = self._fragments_by_frame if self._is_unambiguous else []
                if not frames:
                    raise
                return frames[number - 1]
        frames = self._fragments_by_frame
        if number > len(frames):
            raise IntegrityError(
                f"frame {number} is missing: {len(frames)} of {self.instance.layout.frames} frames are there",
                source=self._blob.source,
            )
        return frames[number - 1]

    @lazy
    def _basic_table(self) -> tuple[int, ...]:
        head = self._blob.read(self._pixels.offset, 8)
        if len(head) < 8 or _HEADER(head)[0] != _ITEM:
            raise IntegrityError("the encapsulated pixel data has no first item", source=self._blob.source)
        length = _HEADER(head)[1]
        data = self._blob.read(self._pixels.offset + 8, length)
        if len(data) < length or length % 4:
            raise IntegrityError(
                f"the basic offset table of {length:,} bytes is damaged", source=self._blob.source
            )
        return unpack_from(f"<{length // 4}I", data)

    @lazy
    def _extended_table(self) -> tuple[int, ...]:
        offsets = self.instance.elements.data(tags.EXTENDED_OFFSET_TABLE)
        return unpack_from(f"<{len(offsets) // 8}Q", offsets) if offsets else ()

    @property
    def _table(self) -> tuple[int, ...]:
        """Offsets of the first fragment of each frame, from the first byte behind the basic table."""
        basic = self._basic_table
        # A single offset says nothing that the fragments do not.
        if len(basic) == 1 and self.instance.layout.frames == 1:
            basic = ()
        return self._extended_table or basic

    @property
    def _start(self) -> int:
        """Of the first fragment's header."""
        return self._pixels.offset + 8 + 4 * len(self._basic_table)

    @property
    def _most(self) -> int:
        """Most fragments that are walked."""
        return 64 * self.instance.layout.frames + self.instance.settings.max_parts

    def _fragments_by_table(self, number: int) -> list[_Fragment]:
        table = self._table
        # Nothing says where the last frame of a short table ends.
        if number > len(table) or number == len(table) < self.instance.layout.frames:
            raise IntegrityError(
                f"the offset table has {len(table)} entries, too few to find frame {number}",
                source=self._blob.source,
            )
        if not self._table_is_sound:
            raise self._wrong_table(number)
        start = self._start + table[number - 1]
        stop = self._start + table[number] if number < len(table) else None
        if (stop is not None and stop <= start) or start >= self._blob.size:
            raise self._wrong_table(number)
        fragments = _walk(self._blob, start, self._most, stop)
        # Also the walk that ends too early must have met the next frame's item.
        end = fragments[-1].offset + fragments[-1].length if fragments else start
        if not fragments or (stop is not None and end != stop and end <= self._blob.size):
            raise self._wrong_table(number)
        return fragments

    def _wrong_table(self, number: int) -> IntegrityError:
        return IntegrityError(
            f"the offset table does not lead to frame {number}",
            source=self._blob.source,
            hint="The object is truncated, or its table is wrong and must be repaired.",
        )

    @lazy
    def _table_is_sound(self) -> bool:
        """Whether the first frame comes first, and each one behind the one before."""
        return self._table[0] == 0 and all(one < other for one, other in pairwise(self._table))

    @lazy
    def _is_unambiguous(self) -> bool:
        """Whether the fragments by themselves fall into as many frames as there should be."""
        try:
            return len(self._fragments_by_frame) == self.instance.layout.frames
        except IntegrityError:
            return False

    @lazy
    def _fragments_by_frame(self) -> list[list[_Fragment]]:
        """Fragments of each frame where there is no table."""
        fragments = [each for each in _walk(self._blob, self._start, self._most) if each.length]
        frames = self.instance.layout.frames
        if frames == 1:
            return [fragments]
        if len(fragments) <= frames:
            return [[each] for each in fragments]
        return self._split_at_codestreams(fragments)

    def _split_at_codestreams(self, fragments: list[_Fragment]) -> list[list[_Fragment]]:
        frames: list[list[_Fragment]] = []
        for each in fragments:
            if self._blob.read(each.offset, 8).startswith(_STARTS):
                frames.append([each])
            elif frames:
                frames[-1].append(each)
            else:
                raise IntegrityError(
                    f"{len(fragments)} fragments without an offset table cannot be split into "
                    f"{self.instance.layout.frames} frames",
                    source=self._blob.source,
                )
        return frames


class _Rest:
    """What an object holds from some place on, read at once; a `Blob` without what is in front."""

    __slots__ = ("_start", "data", "size", "source")

    def __init__(self, blob: Blob, start: int) -> None:
        self._start = start
        self.data = blob.read(start, blob.size - start)
        self.size = start + len(self.data)
        self.source = blob.source

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        return self.data[offset - self._start : offset - self._start + length]

    def readinto(self, offset: int, target: memoryview) -> int:
        """Copy from `offset` on into `target`."""
        part = self.read(offset, len(target))
        target[: len(part)] = part
        return len(part)


def _walk(blob: Blob, position: int, most: int, stop: int | None = None) -> list[_Fragment]:
    """List fragments from `position` to `stop`, the sequence delimiter or the end of the bytes."""
    fragments: list[_Fragment] = []
    while stop is None or position < stop:
        head = blob.read(position, 8)
        if len(head) < 8:
            break
        key, length = _HEADER(head)
        if key == _SEQUENCE_END:
            break
        if key != _ITEM:
            raise IntegrityError("an item of the encapsulated pixel data is damaged", source=blob.source)
        fragments.append(_Fragment(position + 8, length))
        if len(fragments) > most:
            raise LimitError(f"the pixel data has more than {most:,} fragments", source=blob.source)
        position += 8 + length
    return fragments
