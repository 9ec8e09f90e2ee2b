"""Progressive loading: which images first, and how good they have to be."""

from __future__ import annotations

from loadstone.retrieve.configurations import (
    BUILT_IN,
    BYTE_RANGES,
    INTERLEAVED,
    RESOLUTION_LEVELS,
    SEQUENTIAL,
    SINGLE,
    outward,
)
from loadstone.retrieve.registry import RetrieveRegistry
from loadstone.retrieve.stages import FINAL, NearbyFill, RetrieveConfiguration, RetrieveOptions, Stage

__all__ = [
    "BUILT_IN",
    "BYTE_RANGES",
    "FINAL",
    "INTERLEAVED",
    "RESOLUTION_LEVELS",
    "SEQUENTIAL",
    "SINGLE",
    "NearbyFill",
    "RetrieveConfiguration",
    "RetrieveOptions",
    "RetrieveRegistry",
    "Stage",
    "outward",
]
