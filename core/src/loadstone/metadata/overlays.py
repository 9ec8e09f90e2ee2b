"""Drawings over an image that are not in its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.metadata.equality import EqualByValue
from loadstone.metadata.modules import Module

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["OverlayPlane", "Overlays"]


@dataclass(frozen=True, slots=True, eq=False)
class OverlayPlane(EqualByValue):
    """One overlay (DICOM PS3.3 C.9.2), as far as it lies over this frame."""

    group: int
    """Group of its attributes: 0x6000, 0x6002, … 0x601E."""
    rows: int
    """Number of rows; may differ from those of the image."""
    columns: int
    """Number of columns; may differ from those of the image."""
    origin: tuple[int, int] = (0, 0)
    """Row and column of the image, from 0, on which its first pixel lies; may be negative."""
    pixels: npt.NDArray[np.bool_] | None = None
    """What is drawn, (rows, columns), read-only; None where only the pixel data of the image has it."""
    bit_position: int | None = None
    """Bit of the stored values that holds it, where it has no data of its own (retired in 2004)."""
    overlay_type: str = ""
    """G: graphics, R: a region of interest."""
    overlay_subtype: str = ""
    """USER, AUTOMATED, ACTIVE IMAGE AREA, …"""
    label: str = ""
    """Name of the overlay."""
    description: str = ""
    """Description of the overlay."""
    roi_area: int | None = None
    """Number of pixels in the region of interest."""
    roi_mean: float | None = None
    """Mean of modality values in it."""
    roi_standard_deviation: float | None = None
    """Standard deviation of modality values in it."""


@dataclass(frozen=True, slots=True)
class Overlays(Module):
    """The overlays of one frame."""

    planes: tuple[OverlayPlane, ...]
    """By group."""
