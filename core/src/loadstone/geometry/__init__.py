"""How images form a volume and where it lies: sorting, spacing, affine, and a report of what was found."""

from __future__ import annotations

from loadstone.geometry.affine import (
    Affine,
    affine_from,
    axis_codes,
    checked_affine,
    corner_centres,
    direction_and_spacing,
    index_order,
    lps_to_ras,
    ras_to_lps,
    slice_distance,
)
from loadstone.geometry.arrange import StackGeometry, ZSource, arrange
from loadstone.geometry.axis import Axis
from loadstone.geometry.grid import GridGeometry, arrange_grid, slice_numbers
from loadstone.geometry.policy import GeometryPolicy
from loadstone.geometry.report import Finding, FindingKind, GeometryReport
from loadstone.geometry.stacks import mixture, split_stacks

__all__ = [
    "Affine",
    "Axis",
    "Finding",
    "FindingKind",
    "GeometryPolicy",
    "GeometryReport",
    "GridGeometry",
    "StackGeometry",
    "ZSource",
    "affine_from",
    "arrange",
    "arrange_grid",
    "axis_codes",
    "checked_affine",
    "corner_centres",
    "direction_and_spacing",
    "index_order",
    "lps_to_ras",
    "mixture",
    "ras_to_lps",
    "slice_distance",
    "slice_numbers",
    "split_stacks",
]
