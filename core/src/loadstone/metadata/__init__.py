"""What is known about an image without its pixels: modules, and the providers that may override them."""

from __future__ import annotations

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

__all__ = [
    "GeneralSeries",
    "ImagePixel",
    "ImagePlane",
    "ModalityLut",
    "Module",
    "ModuleSet",
    "Modules",
    "MultiFrame",
    "PatientStudy",
    "Scaling",
    "SopCommon",
    "TransferSyntax",
    "VoiLut",
    "Window",
]
