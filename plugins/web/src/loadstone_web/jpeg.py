"""
The segments of a JPEG file (ITU-T T.81 annex B, T.872 for Adobe's).

The walk finds a file that ends early, which libjpeg by itself pads with grey.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from loadstone.errors import DecodeError, IntegrityError, UnsupportedError
from loadstone_web.exif import orientation_of
from loadstone_web.header import WebHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["START_OF_IMAGE", "read_header"]

START_OF_IMAGE: Final = b"\xff\xd8\xff"

_PROCESSES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC9: "extended arithmetic",
    0xCA: "progressive arithmetic",
}
"""Frame marker to the process, for those that can be decoded (T.81 table B.1)."""
_OTHER_PROCESSES = {
    0xC5: "hierarchical (differential sequential)",
    0xC6: "hierarchical (differential progressive)",
    0xC7: "hierarchical (differential lossless)",
    0xCB: "lossless arithmetic",
    0xCD: "hierarchical arithmetic (differential sequential)",
    0xCE: "hierarchical arithmetic (differential progressive)",
    0xCF: "hierarchical arithmetic (differential lossless)",
    0xF7: "JPEG-LS",
}
_LOSSLESS = 0xC3
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_EXIF = b"Exif\0\0"
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""In entropy-coded data FF is followed by 00 or a restart marker; anything else ends the scan."""
_MOST_HEAD_BYTES = 2**26


class _Segment(NamedTuple):
    marker: int
    payload: bytes
    end: int


def read_header(file: BinaryIO, *, verify: bool, source: str) -> WebHeader:
    """
    Read what `WebHeader` holds.

    Parameters
    ----------
    file
        At its start.
    verify
        Whether to look for the end of the image.
    source
        What is read, for messages.

    Raises
    ------
    IntegrityError
        If the file is truncated.
    DecodeError
        If the frame header makes no sense.
    UnsupportedError
        If the process cannot be decoded; the message names it.
    """
    data = file.read() if verify else file.read(_MOST_HEAD_BYTES)
    frame: _Segment | None = None
    orientation = 1
    for segment in _segments(data, source):
        if segment.marker == _APP1 and segment.payload.startswith(_EXIF):
            orientation = orientation_of(segment.payload[len(_EXIF) :])
        elif segment.marker in _PROCESSES or segment.marker in _OTHER_PROCESSES:
            frame = frame or segment
        elif segment.marker == _START_OF_SCAN:
            if verify:
                _check_end(data, segment.end, source)
            break
    if frame is None:
        raise DecodeError("the JPEG begins its pixels without a frame header", source=source)
    return _header(frame, orientation, source)


def _segments(data: bytes, source: str) -> Iterator[_Segment]:
    """Yield the segments of the file's head; junk between them is passed over, as libjpeg does."""
    position = 2
    while True:
        segment = _next(data, position, _MARKER, source)
        yield segment
        position = segment.end


def _next(data: bytes, position: int, marker_pattern: re.Pattern[bytes], source: str) -> _Segment:
    found = marker_pattern.search(data, position)
    if found is None:
        raise _truncated(data, source)
    marker = found[1][0]
    if marker in _BARE or marker == _END_OF_IMAGE:
        return _Segment(marker, b"", found.end())
    length = int.from_bytes(data[found.end() : found.end() + 2], "big")
    end = found.end() + max(2, length)
    if end > len(data):
        raise _truncated(data, source)
    return _Segment(marker, data[found.end() + 2 : end], end)


def _check_end(data: bytes, position: int, source: str) -> None:
    """Walk over the scans to the end of the image."""
    while (segment := _next(data, position, _IN_SCAN, source)).marker != _END_OF_IMAGE:
        position = segment.end


def _truncated(data: bytes, source: str) -> IntegrityError:
    return IntegrityError(
        f"the JPEG is truncated: {len(data):,} bytes without an end of image",
        source=source,
        hint="Fetch it again.",
    )


def _header(frame: _Segment, orientation: int, source: str) -> WebHeader:
    process = _PROCESSES.get(frame.marker)
    if process is None:
        raise UnsupportedError(
            f"the JPEG process is {_OTHER_PROCESSES[frame.marker]}, which is not decoded",
            source=source,
            hint="Convert it to baseline JPEG or PNG.",
        )
    payload = frame.payload
    components = payload[5] if len(payload) > 5 else 0
    if not components or len(payload) < 6 + 3 * components:
        raise DecodeError("the frame header of the JPEG is too short", source=source)
    bits, rows, columns = payload[0], int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if not rows or not columns:
        raise DecodeError(f"the JPEG header says {columns} x {rows} pixels", source=source)
    _check_kind(frame.marker, process, bits, components, source)
    return WebHeader(
        format="JPEG",
        stored_rows=rows,
        stored_columns=columns,
        samples=1 if components == 1 else 3,
        bits=bits,
        stored_bits=bits,
        stored_samples=components,
        kind=process,
        interlaced="progressive" in process,
        orientation=orientation,
    )


def _check_kind(marker: int, process: str, bits: int, components: int, source: str) -> None:
    precisions = range(2, 17) if marker == _LOSSLESS else (8, 12)
    eight_bits = 8
    plain = bits == eight_bits and marker != _LOSSLESS
    if bits not in precisions or components not in ({1, 3, 4} if plain else {1, 3}):
        raise UnsupportedError(
            f"{process} JPEG with {components} components of {bits} bits is not decoded",
            source=source,
            hint="Convert it to baseline JPEG or PNG.",
        )
