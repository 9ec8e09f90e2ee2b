"""Stored values to real-world values, which stand beside the modality values (DICOM PS3.3 C.7.6.16.2.11)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import MetadataError
from loadstone_wado import tags

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.elements import Elements
    from loadstone_wado.frame import Frame
    from loadstone_wado.tags import Attribute

__all__ = ["RealWorldMap", "real_world_dtype", "real_world_map"]

_ANNOTATION: Final = re.compile(r"\{[^}]*\}")
_NAMES: Final = {"[hnsf'U]": "HU", "1": "", "{counts}": "counts"}
"""What units are called here, where that is not what they are called in UCUM."""


def real_world_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of real-world values: one in which no two stored values become equal."""
    return np.dtype(np.float32 if stored.itemsize <= 2 or stored == np.float32 else np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """What holds for a range of stored values."""

    first: float
    """First stored value."""
    last: float
    """Last stored value."""
    slope: float
    """Real-world value = slope * stored + intercept."""
    intercept: float
    """See `slope`."""
    table: npt.NDArray[np.float64] | None = None
    """In place of the line: the values for `first` to `last`."""

    def values(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the real-world values for stored ones within the range."""
        if self.table is not None:
            found: npt.NDArray[np.float64] = self.table[stored.astype(np.int64) - int(self.first)]
            return found
        return stored.astype(np.float64) * self.slope + self.intercept


@dataclass(frozen=True, slots=True, eq=False)
class RealWorldMap:
    """What stored values of a frame mean."""

    pieces: tuple[_Piece, ...]
    """One for each range of stored values."""
    units: str
    """Unit of the real-world values, as UCUM writes it; empty for numbers without one."""

    def apply(self, stored: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
        """Map stored values; those for which nothing is defined become NaN."""
        out[...] = np.nan
        for piece in self.pieces:
            # Ends beyond float32 are those of writers who mean "any value".
            with np.errstate(over="ignore"):
                inside = (stored >= piece.first) & (stored <= piece.last)
            out[inside] = piece.values(stored[inside])


def real_world_map(frame: Frame) -> RealWorldMap:
    """
    Return what the stored values of a frame mean; of several mappings the first, with others in its units.

    Raises
    ------
    MetadataError
        If there is none, or it is damaged.
    """
    items = _items(frame)
    if not items:
        raise MetadataError(
            "there are no real-world values: RealWorldValueMappingSequence is missing",
            hint="Load it without values= for its modality values.",
        )
    units = _units(items[0])
    return RealWorldMap(tuple(_piece(item) for item in items if _units(item) == units), units)


def _items(frame: Frame) -> list[Elements]:
    tag = tags.REAL_WORLD_VALUE_MAPPING_SEQUENCE
    for holder in (*frame.groups, frame.elements):
        if items := holder.items(tag):
            return list(items)
    return []


def _units(item: Elements) -> str:
    code = item.item(tags.MEASUREMENT_UNITS_CODE_SEQUENCE)
    if code is None:
        return ""
    value = code.text(tags.CODE_VALUE) or code.text(tags.CODE_MEANING)
    return _NAMES[value] if value in _NAMES else _ANNOTATION.sub("", value)


def _piece(item: Elements) -> _Piece:
    first = _end(item, tags.REAL_WORLD_VALUE_FIRST, tags.DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST)
    last = _end(item, tags.REAL_WORLD_VALUE_LAST, tags.DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST)
    if first > last:
        raise MetadataError(f"a real-world value mapping goes from {first:g} down to {last:g}")
    table = item.numbers(tags.REAL_WORLD_VALUE_LUT_DATA)
    if table:
        if len(table) != last - first + 1:
            raise MetadataError(
                f"a real-world value mapping has {len(table)} entries for stored values {first:g} to {last:g}"
            )
        return _Piece(first, last, 1, 0, np.array(table))
    slope, intercept = (
        item.number(tags.REAL_WORLD_VALUE_SLOPE),
        item.number(tags.REAL_WORLD_VALUE_INTERCEPT),
    )
    if not slope:
        raise MetadataError(f"the slope of a real-world value mapping is {'missing' if slope is None else 0}")
    return _Piece(first, last, slope, intercept or 0.0)


def _end(item: Elements, whole: Attribute, fraction: Attribute) -> float:
    found = item.number(whole)
    found = item.number(fraction) if found is None else found
    if found is None:
        raise MetadataError("a real-world value mapping does not say for which stored values it holds")
    return found
