"""The segments of a JPEG file (ITU-T T.81, annex B), one after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from loadstone.errors import IntegrityError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "END_OF_IMAGE",
    "MOST_SEGMENTS",
    "START_OF_SCAN",
    "Segment",
    "behind_scan",
    "beyond",
    "segments",
]

START_OF_SCAN: Final = 0xDA
END_OF_IMAGE: Final = 0xD9
MOST_SEGMENTS: Final = 2**16
"""More than any picture has; each is work."""
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
# Fill bytes, any number of FF, may stand in front; a pattern that begins with a single byte is found fast.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_IN_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""In entropy-coded data FF is followed by 00 or a restart marker; anything else ends the scan."""


class Segment(NamedTuple):
    """A marker and what belongs to it."""

    marker: int
    """Its second byte."""
    payload: bytes
    """What stands behind its length; nothing where it has none."""
    start: int
    """Where the FF of the marker is."""
    end: int
    """Where the segment ends."""


def segments(data: bytes, source: str) -> Iterator[Segment]:
    """
    Yield the segments of the file's head; junk between them is passed over, as libjpeg does.

    Raises
    ------
    IntegrityError
        If the file ends before its head does.
    LimitError
        If there are more than any picture has.
    """
    position = 2
    for _ in range(MOST_SEGMENTS):
        segment = _next(data, position, _MARKER, source)
        yield segment
        position = segment.end
    raise beyond("segments", MOST_SEGMENTS, source)


def behind_scan(data: bytes, position: int, source: str) -> Segment:
    """
    Return the segment behind the entropy-coded data that begin at `position`.

    Raises
    ------
    IntegrityError
        If the file ends before.
    """
    return _next(data, position, _IN_SCAN, source)


def beyond(what: str, most: int, source: str) -> LimitError:
    """Return the error for a file with more of something than any picture needs."""
    return LimitError(
        f"the JPEG has more than {most:,} {what}, which no picture needs",
        source=source,
        hint="If it is no attack, write it again with another program.",
    )


def _next(data: bytes, position: int, marker_pattern: re.Pattern[bytes], source: str) -> Segment:
    found = marker_pattern.search(data, position)
    if found is None:
        raise _truncated(data, source)
    marker = found[1][0]
    if marker in _BARE or marker == END_OF_IMAGE:
        return Segment(marker, b"", found.start(), found.end())
    length = int.from_bytes(data[found.end() : found.end() + 2], "big")
    end = found.end() + max(2, length)
    if end > len(data):
        raise _truncated(data, source)
    return Segment(marker, data[found.end() + 2 : end], found.start(), end)


def _truncated(data: bytes, source: str) -> IntegrityError:
    return IntegrityError(
        f"the JPEG is truncated: {len(data):,} bytes without an end of image",
        source=source,
        hint="Fetch it again.",
    )
