"""Which parts of an ultrasound image can be measured in, and in what."""

from __future__ import annotations

from dataclasses import dataclass

from loadstone.metadata.modules import Module

__all__ = ["UltrasoundRegion", "UltrasoundRegions"]


@dataclass(frozen=True, slots=True)
class UltrasoundRegion:
    """
    One region (DICOM PS3.3 C.8.5.5).

    The pixel at ``(row, column)`` of the region, counted from its first pixel, stands for
    ``physical_value + ((row, column) - reference_pixel) * physical_delta``. All pairs are vertical, then
    horizontal, as everywhere in Loadstone: what DICOM calls Y, then X.
    """

    first_row: int
    """Row of its first pixel, from 0."""
    first_column: int
    """Column of its first pixel, from 0."""
    last_row: int
    """Row of its last pixel, which belongs to it."""
    last_column: int
    """Column of its last pixel, which belongs to it."""
    physical_delta: tuple[float, float] | None = None
    """Step from one pixel to the next, down then right, in `physical_units`."""
    physical_units: tuple[str, str] = ("", "")
    """Units, down then right: ``cm``, ``s``, ``Hz``, ``cm/s``, ``%``, ``dB``, …; empty where not known."""
    reference_pixel: tuple[int, int] | None = None
    """Pixel whose value is known, down then right, from the first pixel of the region."""
    physical_value: tuple[float, float] = (0.0, 0.0)
    """Value at the reference pixel, down then right, in `physical_units`."""
    spatial_format: int | None = None
    """1: 2-D, 2: M-mode, 3: spectral, 4: wave form, 5: graphics."""
    data_type: int | None = None
    """1: tissue, 2: colour flow, 3: PW spectral Doppler, …"""
    flags: int = 0
    """Bit field; bit 0 is set where regions that overlap it win over it."""
    transducer_frequency: float | None = None
    """In kHz."""

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Distance of rows, then of columns, in mm; None unless both directions are lengths."""
        if self.physical_delta is None or self.physical_units != ("cm", "cm"):
            return None
        down, right = self.physical_delta
        return (abs(down) * 10, abs(right) * 10) if down and right else None


@dataclass(frozen=True, slots=True)
class UltrasoundRegions(Module):
    """The regions of an ultrasound image; outside of them nothing can be measured (DICOM PS3.3 C.8.5.5)."""

    regions: tuple[UltrasoundRegion, ...]
    """In the order of the object; they may overlap."""
