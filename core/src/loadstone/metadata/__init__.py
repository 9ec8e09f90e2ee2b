"""What is known about an image without its pixels: modules, and the providers that may override them."""

from __future__ import annotations

from loadstone.metadata.acquisition import Cine, GeneralImage
from loadstone.metadata.calibration import CalibratedPixelSpacing, Calibration, CalibrationKind
from loadstone.metadata.modules import (
    GeneralSeries,
    ImagePixel,
    ImagePlane,
    ModalityLut,
    Module,
    Modules,
    ModuleSet,
    MultiFrame,
    PatientStudy,
    Scaling,
    SopCommon,
    TransferSyntax,
    VoiLut,
    Window,
)
from loadstone.metadata.overlays import OverlayPlane, Overlays
from loadstone.metadata.pet import PetImage, PetIsotope, PetSeries
from loadstone.metadata.ultrasound import UltrasoundRegion, UltrasoundRegions

__all__ = [
    "CalibratedPixelSpacing",
    "Calibration",
    "CalibrationKind",
    "Cine",
    "GeneralImage",
    "GeneralSeries",
    "ImagePixel",
    "ImagePlane",
    "ModalityLut",
    "Module",
    "ModuleSet",
    "Modules",
    "MultiFrame",
    "OverlayPlane",
    "Overlays",
    "PatientStudy",
    "PetImage",
    "PetIsotope",
    "PetSeries",
    "Scaling",
    "SopCommon",
    "TransferSyntax",
    "UltrasoundRegion",
    "UltrasoundRegions",
    "VoiLut",
    "Window",
]
