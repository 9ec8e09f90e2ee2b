"""What a codestream says about itself, read before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class, and `error` says too little
from typing import Final

from loadstone.errors import IntegrityError

__all__ = ["Codestream", "inspect_jpeg", "inspect_jpeg2000"]

_SEGMENT: Final = Struct(">BBH").unpack_from
_FRAME: Final = Struct(">BHHB").unpack_from
_SIZ: Final = Struct(">IIII").unpack_from
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# SOF0..SOF15 without DHT, JPG and DAC; SOF55 is JPEG-LS.
_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN: Final = 0xDA
_START_OF_TILE_PART: Final = 0x90
_TILE_PART_LENGTH: Final = Struct(">I").unpack_from
_RGB_IDS: Final = frozenset({b"RGB", b"rgb"})


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream says about itself."""

    rows: int
    """Number of rows."""
    columns: int
    """Number of columns."""
    components: int
    """Samples per pixel."""
    precision: int
    """Bits of a sample."""
    signed: bool = False
    """Whether it says that samples are signed."""
    color_space: str = ""
    """RGB or YBR_FULL where it says so; empty where it does not."""
    interleaved: bool = True
    """Whether one scan holds all components."""
    complete: bool = True
    """Whether it reaches its end; decoders fill what is missing with grey or zeros and say nothing."""


def inspect_jpeg(data: bytes | memoryview) -> Codestream:
    """
    Read the frame header of a JPEG or JPEG-LS codestream (ISO/IEC 10918-1 B.2, 14495-1 C.2).

    Raises
    ------
    IntegrityError
        If there is none.
    """
    position = 2
    marks = _Marks()
    try:
        if bytes(data[:2]) != b"\xff\xd8":
            raise IntegrityError("the frame is not a JPEG codestream")
        while True:
            mark, code, length = _SEGMENT(data, position)
            if mark != 0xFF:
                break
            if code in {0xFF, *_WITHOUT_LENGTH}:
                # Fill bytes before a marker, and markers without a segment.
                position += 1 if code == 0xFF else 2
                continue
            marks.see(code, data[position + 4 : position + 2 + length])
            if code == _START_OF_SCAN:
                return marks.codestream(complete=_ends(data, position, b"\xff\xd9"))
            position += 2 + length
    except (StructError, IndexError):
        pass
    raise IntegrityError("the JPEG codestream ends within its header")


class _Marks:
    """What the marker segments in front of the first scan say."""

    __slots__ = ("_adobe", "_frame", "_jfif", "_scan_components")

    def __init__(self) -> None:
        self._adobe = self._jfif = ""
        self._frame = b""
        self._scan_components = 0

    def see(self, code: int, segment: bytes | memoryview) -> None:
        """Take a marker segment."""
        if code in _START_OF_FRAME:
            self._frame = bytes(segment)
        elif code == _START_OF_SCAN:
            self._scan_components = segment[0]
        elif code == 0xEE and len(segment) >= 12 and bytes(segment[:5]) == b"Adobe":
            self._adobe = {0: "RGB", 1: "YBR_FULL"}.get(segment[11], "")
        elif code == 0xE0 and bytes(segment[:4]) == b"JFIF":
            self._jfif = "YBR_FULL"

    def codestream(self, *, complete: bool) -> Codestream:
        """Return what they say."""
        precision, rows, columns, components = _FRAME(self._frame)
        return Codestream(
            rows,
            columns,
            components,
            precision,
            color_space=self._color_space() if components == 3 else "",
            interleaved=self._scan_components == components,
            complete=complete,
        )

    def _color_space(self) -> str:
        if self._frame[6:15:3] in _RGB_IDS:
            return "RGB"
        # Adobe's marker says what was done, JFIF's only what it wants.
        return self._adobe or self._jfif


def _ends(data: bytes | memoryview, start: int, mark: bytes) -> bool:
    """Say whether the end marker is behind `start`; what is stuffed into coded data keeps it out of there."""
    return mark in bytes(data[max(start, len(data) - 64) :]) or mark in bytes(data[start:])


def inspect_jpeg2000(data: bytes | memoryview) -> Codestream:
    """
    Read the image and tile size of a JPEG 2000 or HTJ2K codestream (ISO/IEC 15444-1 A.5.1).

    Raises
    ------
    IntegrityError
        If there is none.
    """
    head = bytes(data[:4096])
    # DICOM wants the bare codestream; some writers keep the boxes of a file around it.
    start = head.find(b"\xff\x4f\xff\x51")
    if start < 0:
        raise IntegrityError("the frame is not a JPEG 2000 codestream")
    try:
        right, lower, left, upper = _SIZ(head, start + 8)
        components = head[start + 40] << 8 | head[start + 41]
        depths = {head[start + 42 + 3 * each] for each in range(components)}
        complete = _has_all_tile_parts(data, start + 2)
    except (StructError, IndexError):
        raise IntegrityError("the JPEG 2000 codestream ends within its header") from None
    if len(depths) != 1:
        raise IntegrityError("the components of the JPEG 2000 codestream differ in precision")
    depth = depths.pop()
    return Codestream(
        lower - upper,
        right - left,
        components,
        (depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        complete=complete,
    )


def _has_all_tile_parts(data: bytes | memoryview, position: int) -> bool:
    """Walk over the segments of the main header and over the tile-parts (ISO/IEC 15444-1 A.4)."""
    try:
        while data[position + 1] != _START_OF_TILE_PART:
            position += 2 + (data[position + 2] << 8 | data[position + 3])
        while data[position] == 0xFF and data[position + 1] == _START_OF_TILE_PART:
            (length,) = _TILE_PART_LENGTH(data, position + 6)
            if length == 0:
                # The last one may leave its length open, up to the end marker.
                return _ends(data, len(data) - 4, b"\xff\xd9")
            if length < 12:
                return False
            position += length
    except (StructError, IndexError):
        # A writer may have left out the end marker behind the last tile-part.
        return position == len(data)
    return True
