"""What lengths in an image mean: tomography, projections (DICOM PS3.3 10.7.1), regions of ultrasound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone.errors import MetadataError
from loadstone.metadata import Calibration, CalibrationKind, UltrasoundRegion, UltrasoundRegions
from loadstone_wado import tags

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements
    from loadstone_wado.instance import Instance
    from loadstone_wado.tags import Attribute

__all__ = ["calibration", "ultrasound_regions"]

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_PROJECTIONS: Final = frozenset(
    {
        f"{_STORAGE}{kind}"
        for kind in ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.1.1", "12.2", "12.2.1")
    }
)
"""CR, DX, mammography, intra-oral, XA, XRF: their rays diverge, so a length depends on the depth."""
_RECORDED: Final = {"GEOMETRY": CalibrationKind.GEOMETRY, "FIDUCIAL": CalibrationKind.FIDUCIAL}

# DICOM PS3.3 C.8.5.5.1.15.
_PHYSICAL_UNITS: Final = ("", "%", "dB", "cm", "s", "Hz", "dB/s", "cm/s", "cm2", "cm2/s", "cm3", "cm3/s", "°")


def calibration(instance: Instance, number: int) -> Calibration | None:
    """
    Return what the spacing of a frame means; None where no length can be had.

    Parameters
    ----------
    instance
        The object.
    number
        The frame, from 1.

    Raises
    ------
    MetadataError
        If the attributes are damaged.
    """
    if instance.elements.item(tags.SEQUENCE_OF_ULTRASOUND_REGIONS) is not None:
        return Calibration(CalibrationKind.REGIONS)
    spacing = instance.frame(number).pixel_spacing
    if instance.sop_class_uid in _PROJECTIONS:
        return _projection(instance.elements, spacing, instance.imager_pixel_spacing)
    return Calibration(CalibrationKind.PATIENT, spacing) if spacing else None


def _projection(
    elements: Elements, spacing: tuple[float, float] | None, imager: tuple[float, float] | None
) -> Calibration | None:
    imager = imager if imager and min(imager) > 0 else None
    magnification = _magnification(elements)
    description = elements.text(tags.PIXEL_SPACING_CALIBRATION_DESCRIPTION)
    kind = _RECORDED.get(elements.text(tags.PIXEL_SPACING_CALIBRATION_TYPE))
    if spacing and kind:
        return Calibration(kind, spacing, magnification, description)
    if spacing and imager and spacing[0] < imager[0]:
        # The device took the magnification out itself, and knows more of it than the nominal distances do.
        return Calibration(CalibrationKind.GEOMETRY, spacing, imager[0] / spacing[0], description)
    if imager and magnification:
        at_depth = imager[0] / magnification, imager[1] / magnification
        return Calibration(CalibrationKind.GEOMETRY, at_depth, magnification, description)
    found = spacing or imager
    return Calibration(CalibrationKind.DETECTOR, found, magnification, description) if found else None


def _magnification(elements: Elements) -> float | None:
    """Return how many times larger things are on the detector: recorded, or by the distances."""
    factor = elements.number(tags.ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR)
    if factor is not None and factor > 1:
        return factor
    to_detector = elements.number(tags.DISTANCE_SOURCE_TO_DETECTOR)
    to_object = elements.number(tags.DISTANCE_SOURCE_TO_PATIENT) or elements.number(
        tags.DISTANCE_SOURCE_TO_ENTRANCE
    )
    if to_detector and to_object and 0 < to_object < to_detector:
        return to_detector / to_object
    return None


def ultrasound_regions(elements: Elements) -> UltrasoundRegions | None:
    """
    Return the regions of an ultrasound image; None where there are none.

    Raises
    ------
    MetadataError
        If a region does not say where it is.
    """
    items = elements.items(tags.SEQUENCE_OF_ULTRASOUND_REGIONS)
    return UltrasoundRegions(tuple(map(_region, items))) if items else None


def _region(item: Elements) -> UltrasoundRegion:
    delta_y, delta_x = item.number(tags.PHYSICAL_DELTA_Y), item.number(tags.PHYSICAL_DELTA_X)
    row, column = item.integer(tags.REFERENCE_PIXEL_Y0), item.integer(tags.REFERENCE_PIXEL_X0)
    return UltrasoundRegion(
        first_row=_edge(item, tags.REGION_LOCATION_MIN_Y0),
        first_column=_edge(item, tags.REGION_LOCATION_MIN_X0),
        last_row=_edge(item, tags.REGION_LOCATION_MAX_Y1),
        last_column=_edge(item, tags.REGION_LOCATION_MAX_X1),
        physical_delta=None if delta_y is None or delta_x is None else (delta_y, delta_x),
        physical_units=(
            _units(item, tags.PHYSICAL_UNITS_Y_DIRECTION),
            _units(item, tags.PHYSICAL_UNITS_X_DIRECTION),
        ),
        reference_pixel=None if row is None or column is None else (row, column),
        physical_value=(
            item.number(tags.REFERENCE_PIXEL_PHYSICAL_VALUE_Y) or 0.0,
            item.number(tags.REFERENCE_PIXEL_PHYSICAL_VALUE_X) or 0.0,
        ),
        spatial_format=item.integer(tags.REGION_SPATIAL_FORMAT),
        data_type=item.integer(tags.REGION_DATA_TYPE),
        flags=item.integer(tags.REGION_FLAGS) or 0,
        transducer_frequency=item.number(tags.TRANSDUCER_FREQUENCY),
    )


def _edge(item: Elements, tag: Attribute) -> int:
    edge = item.integer(tag)
    if edge is None:
        raise MetadataError(f"an ultrasound region has no {tag!r}, and so no place")
    return edge


def _units(item: Elements, tag: Attribute) -> str:
    code = item.integer(tag) or 0
    return _PHYSICAL_UNITS[code] if 0 <= code < len(_PHYSICAL_UNITS) else ""
