"""
A tag walk over bytes: finds the elements that `tags` names and skips the rest without building an object.

It knows little endian, explicit and implicit VR, and sequences of defined and undefined length. Whatever else
it meets it refuses with `UnusualHeaderError`, and the header is read by pydicom. Nothing is allocated by a
length that the header claims: a value is sliced out of bytes that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class, and `error` says too little
from typing import TYPE_CHECKING, Final

from loadstone_wado import tags

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_DEPTH",
    "Element",
    "Found",
    "Known",
    "Pixels",
    "Run",
    "Runs",
    "UnusualHeaderError",
    "elements_of",
    "item_ranges",
    "walk",
    "walk_item",
    "whole_elements",
]

Found = dict[int, tuple[bytes, bytes]]
"""Tag to VR (empty in implicit VR) and value; a sequence is the bytes of its items."""

UNDEFINED: Final = 0xFFFFFFFF
MAX_DEPTH: Final = 64
"""Deepest nesting of sequences that is walked."""

_EXPLICIT: Final = Struct("<I2sH").unpack_from
_IMPLICIT: Final = Struct("<II").unpack_from
_LONG: Final = Struct("<I").unpack_from

# Keyed by the tag as its four bytes read as one little-endian number: element in the high half, group in
# the low.
_IS_PIXELS: Final = 0
_PIXELS: Final = frozenset({tags.PIXEL_DATA, tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA})
_WANTED: Final[Mapping[int, int]] = {
    (tag & 0xFFFF) << 16 | tag >> 16: _IS_PIXELS if tag in _PIXELS else int(tag)
    for tag in tags.ATTRIBUTES.values()
}
_DELIMITERS: Final = 0xFFFE
"""Group of items and delimiters, which are no elements of their own."""
_ITEM: Final = 0xE000FFFE
_ITEM_END: Final = 0xE00DFFFE
_SEQUENCE_END: Final = 0xE0DDFFFE

# Whether a VR has a 32-bit length (DICOM PS3.5 7.1.2).
_HAS_LONG_LENGTH: Final[Mapping[bytes, bool]] = {
    **dict.fromkeys(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(), False),
    **dict.fromkeys(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(), True),
}
_SHORT: Final = frozenset(vr for vr, is_long in _HAS_LONG_LENGTH.items() if not is_long)
_LONG_VRS: Final = frozenset(vr for vr, is_long in _HAS_LONG_LENGTH.items() if is_long)


class UnusualHeaderError(Exception):
    """The header is not of the plain kind that the walk knows (or is no DICOM header at all)."""


class Pixels:
    """Where the pixel data element is, as the walk found it."""

    __slots__ = ("length", "start", "tag", "vr")

    def __init__(self, tag: int, vr: bytes, start: int, length: int) -> None:
        self.tag = tag
        self.vr = vr
        self.start = start
        self.length = length


Step = tuple[int, int, Pixels | None]
"""Where the walk stopped, how many bytes it needs from there on, the pixel data if that was reached."""


class Run:
    """Elements that follow each other in many headers, byte for byte the same."""

    __slots__ = ("data", "found")

    def __init__(self, data: bytes, found: Found) -> None:
        self.data = data
        self.found = found


Runs = Mapping[int, Run]
"""By the key of the first element."""


class Known:
    """The runs that a walk may meet, and how many bytes it has skipped by them."""

    __slots__ = ("covered", "runs")

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.covered = 0


def walk(data: bytes, position: int, found: Found, *, implicit: bool, known: Known | None = None) -> Step:
    """
    Walk over elements until the pixel data or the end of `data`.

    Parameters
    ----------
    data
        Bytes of the header, perhaps not all of them.
    position
        Where an element starts.
    found
        Takes the elements that are wanted.
    implicit
        Whether elements are in implicit VR.
    known
        Runs of elements that are not looked at one by one.

    Returns
    -------
    position : int
        Of the first element that is not done; it may lie behind the end of `data`.
    needed : int
        How many bytes from `position` on are needed to go on; 0 when the pixel data was reached.
    pixels : Pixels or None
        The pixel data element, when it was reached.

    Raises
    ------
    UnusualHeaderError
        If the bytes are no plain elements.
    """
    try:
        return (_walk_implicit if implicit else _walk_explicit)(data, position, found, known or Known({}))
    except StructError:
        raise UnusualHeaderError from None


def _walk_explicit(data: bytes, position: int, found: Found, known: Known) -> Step:
    # The hot loop of all reading: no calls but the necessary ones, globals as locals.
    unpack, short, wanted, runs = _EXPLICIT, _SHORT, _WANTED, known.runs
    end = len(data)
    last = end - 12
    while position <= last:
        key, vr, length = unpack(data, position)
        if key in runs and data.startswith((run := runs[key]).data, position):
            found.update(run.found)
            position += len(run.data)
            known.covered += len(run.data)
            continue
        start = position + 8
        if vr in short:
            if key not in wanted:
                position = start + length
                continue
        elif vr in _LONG_VRS:
            (length,) = _LONG(data, start)
            start += 4
        else:
            raise UnusualHeaderError
        tag = wanted.get(key)
        if length == UNDEFINED or tag == _IS_PIXELS:
            done = _special(data, position, (key, vr, start, length), found)
            if isinstance(done, tuple):
                return done
            position = done
            continue
        stop = start + length
        if tag is not None:
            if stop > end:
                return position, stop - position, None
            found[tag] = vr, data[start:stop]
        position = stop
    return _tail(data, position, found)


def _tail(data: bytes, position: int, found: Found) -> Step:
    """Take an element that is shorter than the longest element header, at the end of `data`."""
    if position + 8 <= len(data):
        key, vr, length = _EXPLICIT(data, position)
        start, stop = position + 8, position + 8 + length
        if _HAS_LONG_LENGTH.get(vr) is False and stop <= len(data):
            if key in _WANTED:
                found[_WANTED[key]] = vr, data[start:stop]
            position = stop
    return position, 12, None


def _walk_implicit(data: bytes, position: int, found: Found, known: Known) -> Step:
    end, runs = len(data), known.runs
    while position + 8 <= end:
        key, length = _IMPLICIT(data, position)
        if key in runs and data.startswith((run := runs[key]).data, position):
            found.update(run.found)
            position += len(run.data)
            known.covered += len(run.data)
            continue
        tag = _WANTED.get(key)
        start = position + 8
        if length == UNDEFINED or tag == _IS_PIXELS:
            done = _special(data, position, (key, b"", start, length), found)
            if isinstance(done, tuple):
                return done
            position = done
            continue
        stop = start + length
        if tag is not None:
            if stop > end:
                return position, stop - position, None
            found[tag] = b"", data[start:stop]
        position = stop
    return position, 8, None


def _special(data: bytes, position: int, element: tuple[int, bytes, int, int], found: Found) -> int | Step:
    """Handle pixel data and undefined lengths; return where the next element starts, or how the walk ends."""
    key, vr, start, length = element
    if _WANTED.get(key) == _IS_PIXELS:
        tag = (key & 0xFFFF) << 16 | key >> 16
        return position, 0, Pixels(tag, vr, start, length)
    return _keep_undefined(data, position, element, found)


def _keep_undefined(
    data: bytes, position: int, element: tuple[int, bytes, int, int], found: Found
) -> int | Step:
    key, vr, start, _ = element
    if vr not in {b"", b"SQ", b"UN"}:
        raise UnusualHeaderError
    try:
        stop = _sequence_end(data, start, implicit=vr != b"SQ", depth=1)
    except StructError:
        # The end lies behind the bytes at hand: ask for twice as many.
        return position, 2 * (len(data) - position) + 4096, None
    if stop > len(data):
        return position, stop - position, None
    if key in _WANTED:
        # Without the sequence delimiter.
        found[_WANTED[key]] = vr, data[start : stop - 8]
    return stop


def _sequence_end(data: bytes, position: int, *, implicit: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends, behind its delimiter."""
    while True:
        key, length = _IMPLICIT(data, position)
        position += 8
        if key == _SEQUENCE_END:
            return position
        if key != _ITEM:
            raise UnusualHeaderError
        if length == UNDEFINED:
            position = _item_end(data, position, implicit=implicit, depth=depth)
        else:
            position += length


def _item_end(data: bytes, position: int, *, implicit: bool, depth: int) -> int:
    """Return where an item of undefined length ends, behind its delimiter."""
    if depth > MAX_DEPTH:
        raise UnusualHeaderError
    while True:
        key, length = _IMPLICIT(data, position)
        position += 8
        if key == _ITEM_END:
            return position
        vr = b""
        if not implicit:
            _, vr, length = _EXPLICIT(data, position - 8)
            long = _HAS_LONG_LENGTH.get(vr)
            if long is None:
                raise UnusualHeaderError
            if long:
                (length,) = _LONG(data, position)
                position += 4
        if length == UNDEFINED:
            inner = implicit or vr != b"SQ"
            position = _sequence_end(data, position, implicit=inner, depth=depth + 1)
        else:
            position += length


def item_ranges(data: bytes, *, implicit: bool) -> Iterator[tuple[int, int]]:
    """
    Yield where each item of a sequence starts and stops within the sequence's value.

    Raises
    ------
    UnusualHeaderError
        If the bytes are no items.
    """
    position = 0
    while position + 8 <= len(data):
        key, length = _IMPLICIT(data, position)
        if key == _SEQUENCE_END:
            return
        if key != _ITEM:
            raise UnusualHeaderError
        start = position + 8
        if length != UNDEFINED:
            position = start + length
            yield start, position
            continue
        try:
            position = _item_end(data, start, implicit=implicit, depth=1)
        except StructError:
            raise UnusualHeaderError from None
        yield start, position - 8


def whole_elements(data: bytes, position: int, *, implicit: bool) -> Iterator[tuple[int, int, int]]:
    """
    Yield the key of each element, where it starts and where it stops, as far as they are whole and plain.

    Parameters
    ----------
    data
        A header, or the beginning of one.
    position
        Where its first element starts.
    implicit
        Whether elements are in implicit VR.
    """
    size = len(data)
    while position < size:
        try:
            tag, vr, value, length = _element_header(data, position, implicit=implicit)
            if tag in _PIXELS:
                return
            stop = value + length
            if length == UNDEFINED:
                if vr not in {b"", b"SQ", b"UN"}:
                    return
                stop = _sequence_end(data, value, implicit=vr != b"SQ", depth=1)
        except (StructError, UnusualHeaderError):
            return
        if stop > size:
            return
        yield (tag & 0xFFFF) << 16 | tag >> 16, position, stop
        position = stop


Element = tuple[int, bytes, int, int, int, int]
"""Tag, VR (empty in implicit VR), and where it starts, its value starts, its value stops, the next starts."""


def elements_of(data: bytes, *, implicit: bool) -> Iterator[Element]:
    """
    Yield every element of a data set or item, wanted or not; values are left where they are.

    Raises
    ------
    UnusualHeaderError
        If the bytes are anything but plain elements up to their end.
    """
    position, size = 0, len(data)
    while position < size:
        try:
            tag, vr, value, length = _element_header(data, position, implicit=implicit)
            stop = value + length
            end = stop
            if length == UNDEFINED:
                if vr not in {b"", b"SQ", b"UN"}:
                    raise UnusualHeaderError
                end = _sequence_end(data, value, implicit=vr != b"SQ", depth=1)
                stop = end - 8
        except StructError:
            raise UnusualHeaderError from None
        if end > size or tag >> 16 == _DELIMITERS:
            raise UnusualHeaderError
        yield tag, vr, position, value, stop, end
        position = end


def _element_header(data: bytes, position: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
    """Return tag, VR, where the value starts, its length as claimed."""
    if implicit:
        key, length = _IMPLICIT(data, position)
        return (key & 0xFFFF) << 16 | key >> 16, b"", position + 8, length
    key, vr, length = _EXPLICIT(data, position)
    value = position + 8
    long = _HAS_LONG_LENGTH.get(vr)
    if long is None:
        raise UnusualHeaderError
    if long:
        (length,) = _LONG(data, value)
        value += 4
    return (key & 0xFFFF) << 16 | key >> 16, vr, value, length


def walk_item(data: bytes, *, implicit: bool) -> Found:
    """
    Return the wanted elements of one item of a sequence.

    Raises
    ------
    UnusualHeaderError
        If an element reaches over the end of the item.
    """
    found: Found = {}
    position, _, _ = walk(data, 0, found, implicit=implicit)
    if position != len(data):
        raise UnusualHeaderError
    return found
