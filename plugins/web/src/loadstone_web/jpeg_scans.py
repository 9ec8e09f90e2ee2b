"""
The scans of a JPEG file: whether together they hold the whole picture (ITU-T T.81, B.2.3 and G.1.1).

A file may bring its picture in several scans: one component after the other, or first roughly and then finer.
One that was cut between two scans, and closed with an end of image by a program that "repairs" such files, is
a blurred picture or one without colour, and libjpeg says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone.errors import DecodeError, IntegrityError
from loadstone_web.jpeg_segments import END_OF_IMAGE, MOST_SEGMENTS, START_OF_SCAN, behind_scan, beyond

if TYPE_CHECKING:
    from loadstone_web.jpeg_segments import Segment

__all__ = ["Scans", "walk_scans"]

_MOST_SCANS: Final = 500
"""Progressive files have about ten; each is work for the decoder on all pixels, however few bytes it has."""
_COEFFICIENTS: Final = 64
_NOTHING: Final = 0xFF
"""More than any scan can leave out."""
_LOW: Final = 0x0F
"""Al, in a byte with Ah."""


@dataclass(frozen=True, slots=True)
class Scans:
    """Where the pixel data of a JPEG are."""

    count: int
    """How many scans there are."""
    end: int
    """Where in the file the data of the last one end."""


def walk_scans(data: bytes, first: Segment, components: bytes, *, progressive: bool, source: str) -> Scans:
    """
    Walk over the scans to the end of the image.

    Parameters
    ----------
    data
        The whole file.
    first
        The header of its first scan.
    components
        The identifier of every component, from the frame header.
    progressive
        Whether scans bring parts of the coefficients of their components, or all that there is.
    source
        What is read, for messages.

    Raises
    ------
    IntegrityError
        If the file ends before the end of image, or there are scans missing.
    DecodeError
        If the header of a scan makes no sense.
    LimitError
        If there are more scans or segments than any picture needs.
    """
    missing = _Missing(components, progressive=progressive)
    missing.take(first.payload, source)
    scans = found = 1
    position = first.end
    while (segment := behind_scan(data, position, source)).marker != END_OF_IMAGE:
        position = segment.end
        found += 1
        if segment.marker == START_OF_SCAN:
            scans += 1
            missing.take(segment.payload, source)
        if found > MOST_SEGMENTS:
            raise beyond("segments", MOST_SEGMENTS, source)
        if scans > _MOST_SCANS:
            raise beyond("scans", _MOST_SCANS, source)
    missing.refuse_any(scans, source)
    end = segment.start
    while data[end - 1] == 0xFF:  # fill bytes are part of the marker
        end -= 1
    return Scans(scans, end)


class _Missing:
    """
    Which bits of which coefficients no scan has brought yet.

    A progressive file need not bring all coefficients to their last bit (T.81, G.1.1.1). One of a single scan
    is coarse on purpose. One that goes on to refine it was cut where it does not come to the end of that, or
    not for all components.
    """

    def __init__(self, components: bytes, *, progressive: bool) -> None:
        self._progressive = progressive
        # The lowest bit that has come of each coefficient: 0 when all have.
        self._lowest = {each: bytearray([_NOTHING]) * _COEFFICIENTS for each in components}

    def take(self, scan: bytes, source: str) -> None:
        """Note what a scan brings, as its header says: components, then Ss, Se, Ah and Al."""
        count = scan[0] if scan else 0
        named = scan[1 : 1 + 2 * count : 2]
        if not count or len(scan) < 4 + 2 * count or not self._lowest.keys() >= set(named):
            raise DecodeError(
                "the header of a scan of the JPEG makes no sense", source=source, hint="Fetch it again."
            )
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        if not self._progressive:
            first, last, bits = 0, _COEFFICIENTS - 1, 0
        for each in named:
            for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
                self._lowest[each][coefficient] = bits & _LOW

    def refuse_any(self, scans: int, source: str) -> None:
        """Refuse a file whose scans have not brought all that they began with."""
        if self._progressive and scans == 1:
            return
        direct = {lowest[0] for lowest in self._lowest.values()}
        others = {bit for lowest in self._lowest.values() for bit in lowest[1:]}
        if all(brought in ({0}, {_NOTHING}) for brought in (direct, others)):
            return
        raise IntegrityError(
            f"the JPEG is truncated: it ends after {scans} scans, and those that bring the rest of "
            "its pixels are missing",
            source=source,
            hint="Fetch it again.",
        )
