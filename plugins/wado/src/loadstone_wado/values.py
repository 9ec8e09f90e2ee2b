"""What stored values mean: slope, intercept and units, modality LUT, windows (DICOM PS3.3 C.11)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import MetadataError
from loadstone.metadata import ModalityLut, Scaling, VoiLut, Window
from loadstone_wado import tags
from loadstone_wado.palettes import first_mapped

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.elements import Elements
    from loadstone_wado.frame import Frame

__all__ = ["LookUpTable", "modality_lut", "modality_table", "scaling", "voi_lut"]

_log = logging.getLogger(__name__)

_TRANSFORMATION: Final = tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE
_PROJECTIONS: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("12.1", "12.1.1", "12.2", "12.2.1")
)
"""Their modality LUT goes from stored values to a linear relation with X-ray beam, and is not for display."""

_FUNCTIONS: Final = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})
_RESCALE_TYPES: Final = {"US": "", "UNSPECIFIED": "", "NORMALIZED": ""}
_UNITS: Final = {
    "BQML": "Bq/ml",
    "CM2": "cm2",
    "CM2ML": "cm2/ml",
    "CNTS": "counts",
    "CPS": "counts/s",
    "GML": "g/ml",
    "MGMINML": "mg/min/ml",
    "MLG": "ml/g",
    "MLMING": "ml/min/g",
    "MLMINML": "ml/min/ml",
    "MLML": "ml/ml",
    "NONE": "",
    "PCNT": "%",
    "PROPCNTS": "proportional to counts",
    "PROPCPS": "proportional to counts/s",
    "UMOLMINML": "umol/min/ml",
    "UMOLML": "umol/ml",
}
"""Units (0054,1001) of PET images, DICOM PS3.3 C.8.9.1.1.3."""


@dataclass(frozen=True, slots=True, eq=False)
class LookUpTable:
    """A modality LUT."""

    entries: npt.NDArray[Any]
    """1-D, uint8 or uint16."""
    first: int
    """Stored value that the first entry stands for."""
    units: str
    """Unit of the entries; empty when not known."""

    def apply(self, stored: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
        """Look stored values up; those beyond the ends get the end's entry (DICOM PS3.3 C.11.1.1)."""
        place = stored.astype(np.int64)
        place -= self.first
        np.clip(place, 0, len(self.entries) - 1, out=place)
        np.take(self.entries, place, out=out, mode="clip")


def modality_lut(frame: Frame) -> ModalityLut:
    """Return the rescale attributes of a frame as recorded."""
    slopes = frame.holder(_TRANSFORMATION, tags.RESCALE_SLOPE)
    intercepts = frame.holder(_TRANSFORMATION, tags.RESCALE_INTERCEPT)
    kind = frame.holder(_TRANSFORMATION, tags.RESCALE_TYPE).text(tags.RESCALE_TYPE)
    return ModalityLut(
        slopes.number(tags.RESCALE_SLOPE), intercepts.number(tags.RESCALE_INTERCEPT), kind or None
    )


def scaling(frame: Frame) -> Scaling:
    """
    Return slope, intercept and units of a frame.

    Raises
    ------
    MetadataError
        If the slope is zero.
    """
    dose = frame.elements.number(tags.DOSE_GRID_SCALING)
    if dose is not None:
        slope, intercept, units = dose, 0.0, _dose_units(frame.elements)
    else:
        recorded = modality_lut(frame)
        if recorded.rescale_slope is None and recorded.rescale_intercept is None:
            return Scaling(units=_recorded_units(frame) if frame.elements.text(tags.MODALITY) == "PT" else "")
        slope = 1.0 if recorded.rescale_slope is None else recorded.rescale_slope
        intercept = recorded.rescale_intercept or 0.0
        units = _rescaled_units(frame, recorded.rescale_type)
    if slope == 0:
        raise MetadataError(
            "the rescale slope is 0: all pixels would be the same",
            source=frame.source,
            hint="Load it with scaled=False for the stored values.",
        )
    return Scaling(slope, intercept, units)


def _dose_units(elements: Elements) -> str:
    units = elements.text(tags.DOSE_UNITS).upper()
    return {"GY": "Gy", "RELATIVE": "relative"}.get(units, units)


def _rescaled_units(frame: Frame, rescale_type: str | None) -> str:
    if frame.elements.text(tags.MODALITY) == "PT":
        return _recorded_units(frame)
    if rescale_type:
        return _RESCALE_TYPES.get(rescale_type.upper(), rescale_type)
    # DICOM PS3.3 C.8.2.1: without a type, CT is in Hounsfield units.
    return "HU" if frame.elements.text(tags.MODALITY) == "CT" else ""


def _recorded_units(frame: Frame) -> str:
    # Enhanced PET has them where other objects have the type of their values.
    units = (frame.elements.text(tags.UNITS) or modality_lut(frame).rescale_type or "").upper()
    return _UNITS.get(units, units)


def modality_table(frame: Frame) -> LookUpTable | None:
    """
    Return the modality LUT that is to be applied to a frame, or None.

    Raises
    ------
    MetadataError
        If it is damaged.
    """
    item = frame.elements.item(tags.MODALITY_LUT_SEQUENCE)
    if item is None or not item.values(tags.LUT_DESCRIPTOR):
        return None
    if frame.elements.text(tags.SOP_CLASS_UID) in _PROJECTIONS:
        return None
    entries, first, bits = _table(item, signed=_is_signed(frame))
    kind = item.text(tags.MODALITY_LUT_TYPE)
    units = _RESCALE_TYPES.get(kind.upper(), kind)
    return LookUpTable(entries.astype(np.uint8 if bits <= 8 else np.uint16), first, units)


def _is_signed(frame: Frame) -> bool:
    return frame.elements.integer(tags.PIXEL_REPRESENTATION) == 1


def _table(item: Elements, *, signed: bool) -> tuple[npt.NDArray[np.uint16], int, int]:
    """Return entries, first mapped value and bits of a LUT (DICOM PS3.3 C.11.1.1)."""
    descriptor = item.numbers(tags.LUT_DESCRIPTOR)
    if len(descriptor) != 3:
        raise MetadataError(f"a LUT descriptor has {len(descriptor)} values in place of 3")
    count, bits = int(descriptor[0]) & 0xFFFF or 65536, int(descriptor[2])
    if not 1 <= bits <= 16:
        raise MetadataError(f"a LUT has {bits} bits an entry")
    entries = item.words(tags.LUT_DATA)
    if len(entries) < count and 2 * len(entries) >= count and bits <= 8:
        # Two 8-bit entries in each word.
        entries = entries.view(np.uint8).astype(np.uint16)
    if len(entries) < count:
        raise MetadataError(f"a LUT has {len(entries)} entries in place of {count}")
    return entries[:count], first_mapped(descriptor[1], signed=signed), bits


def voi_lut(frame: Frame) -> VoiLut:
    """Return how a frame is meant to be shown; what makes no sense is left out, with a warning in the log."""
    group = tags.FRAME_VOI_LUT_SEQUENCE
    holder = frame.holder(group, tags.WINDOW_CENTER)
    windows = _windows(holder)
    item = frame.elements.item(tags.VOI_LUT_SEQUENCE)
    if item is None or not item.values(tags.LUT_DESCRIPTOR):
        return VoiLut(windows)
    try:
        entries, first, bits = _table(item, signed=_becomes_signed(frame))
    except MetadataError as error:
        # How an image looks must not keep its values from being loaded.
        _log.warning("a VOI LUT is ignored: %s", error.what)
        return VoiLut(windows)
    entries.setflags(write=False)
    return VoiLut(windows, entries, first, bits)


def _becomes_signed(frame: Frame) -> bool:
    """Say whether modality values, which a VOI LUT starts from, may be negative."""
    recorded = modality_lut(frame)
    return _is_signed(frame) or (recorded.rescale_intercept or 0) < 0 or (recorded.rescale_slope or 0) < 0


def _windows(holder: Elements) -> tuple[Window, ...]:
    try:
        centers = holder.numbers(tags.WINDOW_CENTER)
        widths = holder.numbers(tags.WINDOW_WIDTH)
    except MetadataError as error:
        # As above.
        _log.warning("windows are ignored: %s", error.what)
        return ()
    if not centers:
        return ()
    names = holder.texts(tags.WINDOW_CENTER_WIDTH_EXPLANATION)
    function = holder.text(tags.VOI_LUT_FUNCTION).upper() or "LINEAR"
    if function not in _FUNCTIONS:
        _log.warning("the VOI LUT function %.20r is unknown: LINEAR is taken", function)
        function = "LINEAR"
    return tuple(
        [
            Window(center, width, names[place] if place < len(names) else "", function)
            for place, (center, width) in enumerate(zip(centers, widths, strict=False))
            if _is_possible(width, function)
        ]
    )


def _is_possible(width: float, function: str) -> bool:
    """Say whether a window has such a width (DICOM PS3.3 C.11.2.1.2)."""
    if width > 0 and (width >= 1 or function != "LINEAR"):
        return True
    _log.warning("a window is ignored: its width is %g, for %s", width, function)
    return False
