"""
The header of a JPEG file (ITU-T T.81 annex B, T.871 for JFIF).

The walk over its segments finds a file that ends early, which libjpeg by itself pads with grey.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from loadstone.errors import DecodeError, UnsupportedError
from loadstone_web.exif import orientation_of
from loadstone_web.header import WebHeader
from loadstone_web.jpeg_scans import walk_scans
from loadstone_web.jpeg_segments import START_OF_SCAN, segments

if TYPE_CHECKING:
    from loadstone_web.jpeg_segments import Segment

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
_APP0, _APP1, _APP2 = 0xE0, 0xE1, 0xE2
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_JFIF = b"JFIF\0"
_MILLIMETRES = {1: 25.4, 2: 10.0}
"""Unit of a JFIF density (T.871 10.1), per which there are so many dots."""
_MOST_HEAD_BYTES = 2**26


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
    LimitError
        If it has more segments or scans than any picture needs.
    IntegrityError
        If the file is truncated, or scans are missing.
    DecodeError
        If the header of the frame or of a scan makes no sense.
    UnsupportedError
        If the process cannot be decoded; the message names it.
    """
    data = file.read() if verify else file.read(_MOST_HEAD_BYTES)
    frame: Segment | None = None
    extras = _Extras()
    for segment in segments(data, source):
        if segment.marker in {_APP0, _APP1, _APP2}:
            extras.add(segment)
        elif segment.marker in _PROCESSES or segment.marker in _OTHER_PROCESSES:
            frame = frame or segment
        elif segment.marker == START_OF_SCAN:
            break
    if frame is None:
        raise DecodeError("the JPEG begins its pixels without a frame header", source=source)
    header = _header(frame, extras, source)
    if not verify:
        return header
    components = frame.payload[6 : 6 + 3 * header.stored_samples : 3]
    scans = walk_scans(data, segment, components, progressive=header.interlaced, source=source)
    return replace(header, scans=scans.count, scans_end=scans.end)


class _Extras:
    """What stands beside the pixels: orientation, density, colour profile."""

    def __init__(self) -> None:
        self.orientation = 1
        self.print_spacing: tuple[float, float] | None = None
        self._icc: dict[int, bytes] = {}
        self._icc_pieces = 0

    def add(self, segment: Segment) -> None:
        """Take what an application segment says, if it is one that is known."""
        payload = segment.payload
        if segment.marker == _APP0 and payload.startswith(_JFIF):
            self.print_spacing = _print_spacing(payload)
        elif segment.marker == _APP1 and payload.startswith(_EXIF):
            self.orientation = orientation_of(payload[len(_EXIF) :])
        elif segment.marker == _APP2 and payload.startswith(_ICC) and len(payload) > len(_ICC) + 1:
            number, self._icc_pieces = payload[len(_ICC) : len(_ICC) + 2]
            self._icc[number] = payload[len(_ICC) + 2 :]

    @property
    def icc_profile(self) -> bytes | None:
        """The colour profile, joined from its numbered pieces (ICC.1 B.4); None where one is missing."""
        numbers = range(1, self._icc_pieces + 1)
        if not numbers or set(numbers) != set(self._icc):
            return None
        return b"".join(self._icc[number] for number in numbers)


def _print_spacing(jfif: bytes) -> tuple[float, float] | None:
    """Return the distance of rows and of columns in mm; None where only their ratio is recorded."""
    if len(jfif) < 12:
        return None
    millimetres = _MILLIMETRES.get(jfif[7])
    across, down = int.from_bytes(jfif[8:10], "big"), int.from_bytes(jfif[10:12], "big")
    return (millimetres / down, millimetres / across) if millimetres and across and down else None


def _header(frame: Segment, extras: _Extras, source: str) -> WebHeader:
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
        orientation=extras.orientation,
        icc_profile=extras.icc_profile,
        stored_print_spacing=extras.print_spacing,
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
