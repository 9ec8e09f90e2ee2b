"""The overlays of a frame (DICOM PS3.3 C.9.2 and C.9.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import MetadataError
from loadstone.metadata import OverlayPlane, Overlays
from loadstone_wado.tags import Attribute

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.elements import Elements

__all__ = ["overlays"]

_GROUPS: Final = range(0x6000, 0x6020, 2)


def overlays(elements: Elements, number: int) -> Overlays | None:
    """
    Return the overlays that lie over one frame; None if none does.

    Parameters
    ----------
    elements
        All attributes of the object: `tags` names none of the overlays, whose data would make the headers
        larger that are read and kept.
    number
        The frame, from 1.

    Raises
    ------
    MetadataError
        If an overlay has less data than it says.
    """
    planes = [plane for group in _GROUPS if (plane := _plane(_Overlay(elements, group), number))]
    return Overlays(tuple(planes)) if planes else None


class _Overlay:
    """The attributes of one of the repeating groups."""

    def __init__(self, elements: Elements, group: int) -> None:
        self._elements = elements
        self.group = group

    def _tag(self, element: int, vr: str) -> Attribute:
        return Attribute(self.group << 16 | element, vr)

    def integer(self, element: int, vr: str = "US") -> int | None:
        return self._elements.integer(self._tag(element, vr))

    def integers(self, element: int, vr: str) -> tuple[int, ...]:
        return tuple(map(int, self._elements.numbers(self._tag(element, vr))))

    def number(self, element: int) -> float | None:
        return self._elements.number(self._tag(element, "DS"))

    def text(self, element: int, vr: str) -> str:
        return self._elements.text(self._tag(element, vr))

    def data(self) -> bytes | None:
        return self._elements.data(self._tag(0x3000, "OW"))


def _plane(overlay: _Overlay, number: int) -> OverlayPlane | None:
    rows, columns = overlay.integer(0x10), overlay.integer(0x11)
    place = _place(overlay, number)
    if not rows or not columns or place is None:
        return None
    data = overlay.data()
    origin = overlay.integers(0x50, "SS")
    return OverlayPlane(
        group=overlay.group,
        rows=rows,
        columns=columns,
        origin=(origin[0] - 1, origin[1] - 1) if len(origin) == 2 else (0, 0),
        pixels=None if data is None else _drawn(data, place, (rows, columns), overlay.group),
        bit_position=overlay.integer(0x102) if data is None else None,
        overlay_type=overlay.text(0x40, "CS"),
        overlay_subtype=overlay.text(0x45, "LO"),
        label=overlay.text(0x1500, "LO"),
        description=overlay.text(0x22, "LO"),
        roi_area=overlay.integer(0x1301, "IS"),
        roi_mean=overlay.number(0x1302),
        roi_standard_deviation=overlay.number(0x1303),
    )


def _place(overlay: _Overlay, number: int) -> int | None:
    """Return which frame of the overlay lies over a frame of the image, from 0; None if none does."""
    frames = overlay.integer(0x15, "IS")
    if frames is None:
        # It has one, which lies over every frame.
        return 0
    first = overlay.integer(0x51)
    place = number - (1 if first is None else first)
    return place if 0 <= place < frames else None


def _drawn(data: bytes, place: int, shape: tuple[int, int], group: int) -> npt.NDArray[np.bool_]:
    """Unpack one frame; frames follow each other bit by bit, the lowest bit of a byte first."""
    count = shape[0] * shape[1]
    byte, bit = divmod(place * count, 8)
    packed = np.frombuffer(data, np.uint8)[byte : byte + (bit + count + 7) // 8]
    if 8 * len(packed) < bit + count:
        raise MetadataError(
            f"overlay {group:04X} has {len(data):,} bytes of data,"
            f" {(place + 1) * count:,} bits are needed for its first {place + 1} frame(s)"
        )
    bits: npt.NDArray[Any] = np.unpackbits(packed, bitorder="little")[bit : bit + count]
    pixels = bits.reshape(shape).view(np.bool_)
    pixels.setflags(write=False)
    return pixels
