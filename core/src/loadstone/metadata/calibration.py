"""What a pixel spacing means, and how a user says it better."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from loadstone.errors import MetadataError
from loadstone.metadata.modules import ImagePlane, Module

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CalibratedPixelSpacing", "Calibration", "CalibrationKind", "calibrated"]


class CalibrationKind(StrEnum):
    """Where in space a pixel spacing holds."""

    PATIENT = "patient"
    """In the plane of the image: tomography."""
    GEOMETRY = "geometry"
    """At a known or assumed depth in the patient: a projection, corrected for its magnification."""
    FIDUCIAL = "fiducial"
    """At the depth of an object of known size that was projected with the patient."""
    DETECTOR = "detector"
    """At the detector or of unknown depth: a projection, not corrected; objects look larger than they are."""
    REGIONS = "regions"
    """Within the regions of an ultrasound image only, see `UltrasoundRegions`."""


@dataclass(frozen=True, slots=True)
class Calibration(Module):
    """
    What lengths in the image mean, by the source itself (DICOM PS3.3 10.7.1).

    `ImagePlane.pixel_spacing` is PixelSpacing as recorded. For projections that may be missing, or hold at
    the detector; here stands the best that can be said, and of what it is true. Who agrees with it makes it
    the spacing of the plane with a `CalibratedPixelSpacing`; Loadstone never does so by itself.
    """

    kind: CalibrationKind
    """Where the spacing holds."""
    pixel_spacing: tuple[float, float] | None = None
    """Distance of the centres of adjacent rows, then of adjacent columns, in mm; None for `REGIONS`."""
    magnification: float | None = None
    """How many times larger than itself an object is on the detector, at least 1; None when not known."""
    description: str = ""
    """How it was calibrated, in words of the device."""


@dataclass(frozen=True, slots=True)
class CalibratedPixelSpacing(Module):
    """
    A pixel spacing that a user measured or accepted.

    Where it is set with `session.metadata.set`, or given by a metadata provider, `ImagePlane.pixel_spacing`
    shows it, over whatever else says what the plane is; volumes are built with it.

    Raises
    ------
    MetadataError
        If the spacing is not two lengths.

    Examples
    --------
    >>> from loadstone import Session
    >>> from loadstone.metadata import CalibratedPixelSpacing, ImagePlane
    >>> with Session() as session:
    ...     session.metadata.set("wadouri:http://pacs/hand", CalibratedPixelSpacing((0.14, 0.14)))
    """

    pixel_spacing: tuple[float, float]
    """Distance of the centres of adjacent rows, then of adjacent columns, in mm."""

    def __post_init__(self) -> None:
        """Refuse what is no spacing: it would be found out only in the geometry of a volume."""
        spacing: Sequence[float] = self.pixel_spacing
        if len(spacing) != 2 or not all(math.isfinite(each) and each > 0 for each in spacing):
            raise MetadataError(
                f"the calibrated pixel spacing is {spacing}",
                hint="Give the distance of rows and that of columns, both in mm and larger than 0.",
            )


def calibrated(plane: ImagePlane | None, calibration: CalibratedPixelSpacing) -> ImagePlane:
    """Return a plane with the spacing of a calibration; one that knows nothing else if there was none."""
    return replace(ImagePlane() if plane is None else plane, pixel_spacing=calibration.pixel_spacing)
