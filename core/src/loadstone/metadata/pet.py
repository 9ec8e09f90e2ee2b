"""What is known of a positron emission tomograph's image beyond its values: what SUV are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.metadata.modules import Module

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["PetImage", "PetIsotope", "PetSeries"]


@dataclass(frozen=True, slots=True)
class PetIsotope(Module):
    """What was injected, as recorded (DICOM PS3.3 C.8.9.2); the first where there were several."""

    radiopharmaceutical: str = ""
    """Name of the tracer."""
    radionuclide: str = ""
    """Name of the isotope: ``^18^Fluorine``, …"""
    radionuclide_total_dose: float | None = None
    """Activity injected, at the start time, in Bq."""
    radionuclide_half_life: float | None = None
    """Half-life in s."""
    radionuclide_positron_fraction: float | None = None
    """Part of decays that give a positron, 0 to 1."""
    radiopharmaceutical_start_time: dt.time | None = None
    """Time of day of the injection, local; the day is not recorded with it."""
    radiopharmaceutical_start_date_time: dt.datetime | None = None
    """Date and time of the injection; with an offset to UTC where one is recorded."""


@dataclass(frozen=True, slots=True)
class PetSeries(Module):
    """What holds for all images of a PET series, as recorded (DICOM PS3.3 C.8.9.1)."""

    units: str = ""
    """Unit of modality values as DICOM writes it: BQML, CNTS, GML, …"""
    suv_type: str = ""
    """How values of GML are normalized: BW, LBM, BSA, …; empty stands for BW."""
    counts_source: str = ""
    """EMISSION or TRANSMISSION."""
    series_type: tuple[str, ...] = ()
    """STATIC, DYNAMIC, GATED or WHOLE BODY; then IMAGE or REPROJECTION."""
    corrected_image: tuple[str, ...] = ()
    """Corrections that were applied: DECY, ATTN, SCAT, DTIM, …"""
    decay_correction: str = ""
    """To which time decay was corrected: NONE, START (of the scan) or ADMIN (the injection)."""
    series_date: dt.date | None = None
    """Date on which the series started."""
    series_time: dt.time | None = None
    """Time of day, local, at which the series started."""


@dataclass(frozen=True, slots=True)
class PetImage(Module):
    """What holds for one PET image, as recorded (DICOM PS3.3 C.8.9.4)."""

    frame_reference_time: float | None = None
    """Time from the reference of the series at which the mean activity was reached, in ms."""
    actual_frame_duration: float | None = None
    """Duration of the acquisition in ms."""
    decay_factor: float | None = None
    """Factor of the decay correction that was applied."""
    dose_calibration_factor: float | None = None
    """Factor from counts/s to Bq/ml."""
    scatter_fraction_factor: float | None = None
    """Part of the counts that was scattered, 0 to 1."""
    image_index: int | None = None
    """Place of the image in its series, from 1."""
