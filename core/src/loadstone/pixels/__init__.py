"""Pixel values: scaling, choice of dtype, windows, display. numpy in, numpy out."""

from __future__ import annotations

from loadstone.pixels.display import display
from loadstone.pixels.padding import padding_mask, value_range
from loadstone.pixels.plan import ScalePlan, alike, scale_plan, widened
from loadstone.pixels.png import png_bytes
from loadstone.pixels.scaling import FrameDoesNotFit, scale, scale_into

__all__ = [
    "FrameDoesNotFit",
    "ScalePlan",
    "alike",
    "display",
    "padding_mask",
    "png_bytes",
    "scale",
    "scale_into",
    "scale_plan",
    "value_range",
    "widened",
]
