"""The palette of PALETTE COLOR images (DICOM PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import MetadataError
from loadstone_wado import tags

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.elements import Elements
    from loadstone_wado.tags import Attribute

__all__ = ["Palette", "first_mapped", "read_palette"]

_DESCRIPTORS: Final = (
    tags.RED_PALETTE_DESCRIPTOR,
    tags.GREEN_PALETTE_DESCRIPTOR,
    tags.BLUE_PALETTE_DESCRIPTOR,
)
_TABLES: Final = (tags.RED_PALETTE, tags.GREEN_PALETTE, tags.BLUE_PALETTE)
_SEGMENTED: Final = (tags.SEGMENTED_RED_PALETTE, tags.SEGMENTED_GREEN_PALETTE, tags.SEGMENTED_BLUE_PALETTE)
_MOST: Final = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Colours by index."""

    colors: npt.NDArray[Any]
    """``(entries, 3)``, uint8 or uint16."""
    first: int
    """Index that the first entry stands for."""


def read_palette(elements: Elements) -> Palette:
    """
    Read the palette of an image.

    Raises
    ------
    MetadataError
        If it is missing or damaged.
    """
    descriptor = elements.numbers(_DESCRIPTORS[0])
    if len(descriptor) != 3:
        raise MetadataError(
            "the palette has no descriptor", hint="Load it with scaled=False for the indices."
        )
    # The number of entries is unsigned, whatever the VR of the descriptor; 0 stands for 65536.
    entries = int(descriptor[0]) & 0xFFFF or _MOST
    first = first_mapped(descriptor[1], signed=elements.integer(tags.PIXEL_REPRESENTATION) == 1)
    bits = int(descriptor[2])
    segmented = elements.data(_TABLES[0]) is None
    channels = [
        _expanded(elements, tag, entries, bits) if segmented else _plain(elements, tag, entries, bits)
        for tag in (_SEGMENTED if segmented else _TABLES)
    ]
    if len({(len(channel), channel.dtype) for channel in channels}) != 1:
        raise MetadataError("the palette's red, green and blue differ in length")
    return Palette(np.stack(channels, axis=1), first)


def first_mapped(recorded: float, *, signed: bool) -> int:
    """
    Return the value that the first entry of a table stands for.

    Parameters
    ----------
    recorded
        As its descriptor has it; writers confuse US and SS.
    signed
        Whether the values that are looked up may be negative.
    """
    first = int(recorded)
    return first - 0x10000 if signed and first > 0x7FFF else first


def _bytes(elements: Elements, tag: Attribute) -> bytes:
    data = elements.data(tag)
    if data is None:
        raise MetadataError(
            f"the palette has no data in {tag!r}", hint="Load it with scaled=False for the indices."
        )
    return data


def _plain(elements: Elements, tag: Attribute, entries: int, bits: int) -> npt.NDArray[Any]:
    """Read a table; whether entries take 8 or 16 bits is told by its size (the descriptor is often wrong)."""
    data = _bytes(elements, tag)
    if len(data) >= 2 * entries:
        words = np.frombuffer(data, "<u2", entries)
        # Words of 16 bits may hold entries of 8.
        return words.astype(np.uint8 if bits == 8 and words.max() <= 0xFF else np.uint16)
    if len(data) >= entries:
        return np.frombuffer(data, np.uint8, entries)
    raise MetadataError(f"the palette has {len(data)} bytes in {tag!r}, {entries} entries need more")


def _expanded(elements: Elements, tag: Attribute, entries: int, bits: int) -> npt.NDArray[Any]:
    if bits not in {8, 16}:
        raise MetadataError(f"the palette has {bits} bits an entry")
    data = _bytes(elements, tag)
    dtype = np.dtype("u1" if bits == 8 else "<u2")
    numbers = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype).tolist()
    table = _Expansion(numbers, entries, wide=bits == 16).run()
    if len(table) != entries:
        raise MetadataError(f"the segmented palette expands to {len(table)} entries in place of {entries}")
    return np.array(table, np.uint8 if bits == 8 else np.uint16)


class _Expansion:
    """Expands a segmented table (DICOM PS3.3 C.7.9.2)."""

    def __init__(self, numbers: list[int], entries: int, *, wide: bool) -> None:
        self._numbers = numbers
        self._entries = entries
        self._wide = wide
        self._table: list[int] = []
        # Each segment adds an entry; a few may be padding. Repeating those that add none would never end.
        self._left = 2 * entries + 1024

    def run(self) -> list[int]:
        """Return the table."""
        try:
            self._segments(0, None)
        except IndexError:
            raise MetadataError("the segmented palette ends within a segment") from None
        return self._table

    def _segments(self, position: int, count: int | None) -> None:
        """Expand `count` segments (None: all) from `position` on."""
        # A trailing null pads the data to an even length.
        while position + 1 < len(self._numbers) and (count is None or count > 0):
            kind, length = self._numbers[position], self._numbers[position + 1]
            position += 2
            self._left -= 1
            if self._left < 0:
                raise MetadataError("the segmented palette has more segments than entries")
            if kind == 0:
                self._append(self._numbers[position : position + length])
                position += length
            elif kind == 1:
                self._line(self._numbers[position], length)
                position += 1
            elif kind == 2 and count is None:
                width = 2 if self._wide else 4
                self._segments(self._offset(self._numbers[position : position + width]), length)
                position += width
            else:
                raise MetadataError(f"the segmented palette has a segment of unknown kind {kind}")
            count = None if count is None else count - 1

    def _append(self, values: list[int]) -> None:
        self._table += values
        if len(self._table) > self._entries:
            raise MetadataError(f"the segmented palette expands to more than {self._entries} entries")

    def _line(self, last: int, length: int) -> None:
        if not self._table or not length:
            raise MetadataError("the segmented palette has a line without a start or a length")
        first = self._table[-1]
        step = (last - first) / length
        self._append([int(value) for value in np.around(np.linspace(first + step, last, length))])

    def _offset(self, parts: list[int]) -> int:
        """Return the place that an indirect segment points to, as an index of numbers."""
        if self._wide:
            # Byte offset in two words, low word first.
            return (parts[1] << 16 | parts[0]) // 2
        return parts[3] << 24 | parts[2] << 16 | parts[1] << 8 | parts[0]
