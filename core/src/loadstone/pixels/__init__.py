"""Pixel values: scaling, choice of dtype, windows, display. numpy in, numpy out."""

from __future__ import annotations

from loadstone.pixels.plan import ScalePlan, scale_plan, widened
from loadstone.pixels.scaling import FrameDoesNotFit, scale, scale_into

__all__ = [
    "FrameDoesNotFit",
    "ScalePlan",
    "scale",
    "scale_into",
    "scale_plan",
    "widened",
]
